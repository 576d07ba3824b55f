// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"encoding/json"
	"math"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"
)

// number is a JSON number. Whole ones are integers however they are written.
type number struct {
	whole    bool
	integer  int64
	fraction float64
}

// numberOf reads all types that numbers of unstructured objects have.
func numberOf(value any) (number, bool) {
	switch v := value.(type) {
	case int64:
		return number{whole: true, integer: v}, true
	case int:
		return number{whole: true, integer: int64(v)}, true
	case int32:
		return number{whole: true, integer: int64(v)}, true
	case float64:
		return fromFloat(v), true
	case float32:
		return fromFloat(float64(v)), true
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return number{whole: true, integer: i}, true
		}
		if f, err := v.Float64(); err == nil {
			return fromFloat(f), true
		}
	}
	return number{}, false
}

func fromFloat(f float64) number {
	const limit = 1 << 63
	if f == math.Trunc(f) && f >= -limit && f < limit {
		return number{whole: true, integer: int64(f)}
	}
	return number{fraction: f}
}

// text is how a number is written as a quantity.
func (n number) text() string {
	if n.whole {
		return strconv.FormatInt(n.integer, 10)
	}
	return strconv.FormatFloat(n.fraction, 'f', -1, 64)
}

// Bounds of quantities that are parsed: what is beyond takes memory and time that grow with the exponent.
const (
	maxQuantity         = 40
	maxQuantityExponent = 2 // digits
)

// quantityOf reads a quantity of a hostile object. It is false for what is none.
func quantityOf(value any) (resource.Quantity, bool) {
	text, ok := value.(string)
	if !ok {
		n, ok := numberOf(value)
		if !ok {
			return resource.Quantity{}, false
		}
		text = n.text()
	}
	if len(text) > maxQuantity || exponentDigits(text) > maxQuantityExponent {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(text)
	return q, err == nil
}

// exponentDigits counts the digits at the end of 1e6 or 1E+6, and is 0 of anything else.
func exponentDigits(text string) int {
	digits := 0
	for i := len(text) - 1; i >= 0; i-- {
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			digits++
		case c == 'e' || c == 'E':
			return digits
		case c != '+' && c != '-':
			return 0
		}
	}
	return 0
}
