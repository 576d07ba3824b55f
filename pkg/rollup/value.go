// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Bounds of what is passed on.
const (
	maxText       = 1 << 10
	maxName       = 253
	maxConditions = 32
	maxList       = 64
	maxScan       = 1024 // entries of a list that are looked at
	maxKeys       = 256  // of one map; larger ones are dropped whole, which is the same each time
	maxDepth      = 12
	maxSize       = 128 << 10 // of a status of unknown shape, about
	valueSize     = 16        // what a value counts at least
)

func mapping(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func list(v any) []any {
	l, _ := v.([]any)
	return l[:min(len(l), maxScan)]
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// count reads a number that is not negative; what is none is 0.
func count(v any) int64 {
	n, _ := number(v)
	return max(0, n)
}

// count32 is count in the range of an int32, which most figures have.
func count32(v any) int64 { return min(count(v), math.MaxInt32) }

func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case int32:
		return int64(n), true
	case float64:
		switch {
		case math.IsNaN(n):
			return 0, false
		case n >= math.MaxInt64:
			return math.MaxInt64, true
		case n <= math.MinInt64:
			return math.MinInt64, true
		}
		return int64(n), true
	}
	return 0, false
}

// add sums without overflow.
func add(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// cut shortens text to at most limit bytes, at the boundary of a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// clean makes text of a member bounded and printable.
func clean(s string) string {
	s = cut(s, maxText)
	if !slices.ContainsFunc([]byte(s), func(b byte) bool { return b < ' ' || b > '~' }) {
		return s
	}
	// Neither what is invalid nor a control character may grow, or the bound would not hold.
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return '?'
		case !unicode.IsPrint(r):
			return ' '
		}
		return r
	}, s)
}

// word accepts types of conditions and the like: letters, digits and a few signs, a letter first. It is empty otherwise.
func word(v any) string { return plain(text(v), "-_./") }

// reason accepts reasons as the schema of conditions does.
func reason(v any) string {
	s := plain(text(v), "_,:")
	if strings.HasSuffix(s, ",") || strings.HasSuffix(s, ":") {
		return ""
	}
	return s
}

func plain(s, signs string) string {
	if len(s) > maxName {
		return ""
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && strings.IndexByte(signs, c) < 0) {
			return ""
		}
	}
	return s
}

// name accepts names of objects.
func name(v any) string {
	s := text(v)
	if len(s) > maxName || len(validation.IsDNS1123Subdomain(s)) > 0 {
		return ""
	}
	return s
}

// moment reads a point in time as members write it.
func moment(v any) (time.Time, bool) {
	s := text(v)
	if len(s) > len(time.RFC3339Nano) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}

// date passes on a point in time, and nothing else.
func date(v any) string {
	if _, ok := moment(v); !ok {
		return ""
	}
	return text(v)
}

// same compares values that may have been decoded by different decoders: 3 and 3.0 are the same.
func same(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && maps.EqualFunc(x, y, same)
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, same)
	case string, bool, nil:
		return a == b
	}
	return sameNumber(a, b)
}

func sameNumber(a, b any) bool {
	f, fraction := a.(float64)
	g, other := b.(float64)
	if fraction && other {
		return f == g
	}
	if fraction && f != math.Trunc(f) || other && g != math.Trunc(g) {
		return false
	}
	x, isNumber := number(a)
	y, alsoNumber := number(b)
	return isNumber && alsoNumber && x == y
}

// bounded copies a value of unknown shape as far as the budget of bytes goes. Keys are taken in order, so that what is
// left out is the same each time. It returns false for what is not passed on.
func bounded(v any, depth int, budget *int) (any, bool) {
	*budget -= valueSize
	if *budget < 0 || depth > maxDepth {
		return nil, false
	}
	switch x := v.(type) {
	case bool:
		return x, true
	case string:
		x = clean(x)
		*budget -= len(x)
		return x, *budget >= 0
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, false
		}
		return x, true
	case int64, int32, int:
		return number(x)
	case []any:
		out := make([]any, 0, min(len(x), maxList))
		for _, element := range x[:min(len(x), maxList)] {
			if kept, ok := bounded(element, depth+1, budget); ok {
				out = append(out, kept)
			}
		}
		return out, true
	case map[string]any:
		return boundedMap(x, depth, budget)
	}
	return nil, false
}

func boundedMap(m map[string]any, depth int, budget *int) (any, bool) {
	if len(m) > maxKeys {
		return nil, false
	}
	out := make(map[string]any, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if len(key) > maxName || !utf8.ValidString(key) {
			continue
		}
		*budget -= len(key)
		if kept, ok := bounded(m[key], depth+1, budget); ok {
			out[key] = kept
		}
	}
	return out, true
}
