// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"

	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	nanosPerUnit  = 1_000_000_000
	nanosPerMilli = 1_000_000
	// maxQuantity bounds the text of a quantity that has so many digits that the slow way must read it.
	maxQuantity = 64
	// maxExponent bounds the powers of ten that the slow way computes.
	maxExponent = 128
)

var errQuantity = errors.New("is not a quantity")

// amount is a quantity that is not negative, exact to a billionth, which is the precision of resource.Quantity: sums and
// comparisons must be exact, because only the end result is rounded. It stays at the largest int64 once it gets there.
type amount struct {
	units int64
	nanos int32 // less than nanosPerUnit
}

func saturated() amount { return amount{units: math.MaxInt64} }

func (a amount) plus(b amount) amount {
	nanos := int64(a.nanos) + int64(b.nanos)
	units := a.units
	if nanos >= nanosPerUnit {
		nanos -= nanosPerUnit
		units++
	}
	if units < 0 || units > math.MaxInt64-b.units {
		return saturated()
	}
	return amount{units: units + b.units, nanos: int32(nanos)}
}

func (a amount) less(b amount) bool {
	return a.units < b.units || (a.units == b.units && a.nanos < b.nanos)
}

// value rounds up to units, as resource.Quantity.Value does.
func (a amount) value() int64 {
	if a.nanos == 0 || a.units == math.MaxInt64 {
		return a.units
	}
	return a.units + 1
}

// milliValue rounds up to thousandths, as resource.Quantity.MilliValue does.
func (a amount) milliValue() int64 {
	if a.units >= math.MaxInt64/1000 {
		return math.MaxInt64
	}
	return a.units*1000 + int64((a.nanos+nanosPerMilli-1)/nanosPerMilli)
}

// parseQuantity reads the text of a resource.Quantity. Negative quantities, which no valid object requests, count as 0.
func parseQuantity(s []byte) (amount, error) {
	if len(s) == 0 {
		return amount{}, errQuantity
	}
	if a, ok := plainQuantity(s); ok {
		return a, nil
	}
	n := number{text: s}
	n.digits()
	if err := n.suffix(); err != nil {
		return amount{}, err
	}
	switch {
	case n.negative:
		return amount{}, nil
	case n.long || (n.shift > 0 && n.fraction > 0):
		return n.slow()
	case n.shift > 0:
		if bits.LeadingZeros64(n.mantissa) <= int(n.shift) {
			return saturated(), nil
		}
		return amount{units: int64(n.mantissa << n.shift)}, nil
	default:
		return decimal(n.mantissa, n.exponent-n.fraction), nil
	}
}

// plainQuantity reads what nearly every quantity looks like: not too many digits, then nothing, m, Ki, Mi or Gi.
func plainQuantity(s []byte) (amount, bool) {
	var v uint64
	i := 0
	for ; i < len(s) && s[i]-'0' <= 9; i++ {
		v = v*10 + uint64(s[i]-'0')
	}
	if i == 0 || i > 9 {
		return amount{}, false
	}
	switch rest := s[i:]; {
	case len(rest) == 0:
		return amount{units: int64(v)}, true
	case len(rest) == 1 && rest[0] == 'm':
		return amount{units: int64(v / 1000), nanos: int32(v%1000) * nanosPerMilli}, true
	case len(rest) != 2 || rest[1] != 'i':
	case rest[0] == 'K':
		return amount{units: int64(v << 10)}, true
	case rest[0] == 'M':
		return amount{units: int64(v << 20)}, true
	case rest[0] == 'G':
		return amount{units: int64(v << 30)}, true
	}
	return amount{}, false
}

// number is the text of a quantity, taken apart.
type number struct {
	text     []byte
	pos      int
	mantissa uint64
	fraction int  // digits after the point
	exponent int  // power of ten of the suffix
	shift    uint // power of two of the suffix
	negative bool
	long     bool // too many digits for mantissa
}

// digits reads the sign and the digits before and after the point.
func (n *number) digits() {
	if n.text[0] == '-' || n.text[0] == '+' {
		n.negative = n.text[0] == '-'
		n.pos = 1
	}
	point := false
	for ; n.pos < len(n.text); n.pos++ {
		c := n.text[n.pos]
		switch {
		case c >= '0' && c <= '9':
			if n.mantissa >= 1e17 {
				n.long = true
				continue
			}
			n.mantissa = n.mantissa*10 + uint64(c-'0')
			if point {
				n.fraction++
			}
		case c == '.' && !point:
			point = true
		default:
			return
		}
	}
}

// suffix reads what follows the digits.
func (n *number) suffix() error { //nolint:gocyclo // a table
	rest := n.text[n.pos:]
	if len(rest) > 1 && (rest[0] == 'e' || rest[0] == 'E') && rest[1] != 'i' {
		return n.power(rest[1:])
	}
	switch string(rest) {
	case "":
	case "n":
		n.exponent = -9
	case "u":
		n.exponent = -6
	case "m":
		n.exponent = -3
	case "k":
		n.exponent = 3
	case "M":
		n.exponent = 6
	case "G":
		n.exponent = 9
	case "T":
		n.exponent = 12
	case "P":
		n.exponent = 15
	case "E":
		n.exponent = 18
	case "Ki":
		n.shift = 10
	case "Mi":
		n.shift = 20
	case "Gi":
		n.shift = 30
	case "Ti":
		n.shift = 40
	case "Pi":
		n.shift = 50
	case "Ei":
		n.shift = 60
	default:
		return errQuantity
	}
	return nil
}

// power reads the digits of a decimal exponent.
func (n *number) power(s []byte) error {
	negative := s[0] == '-'
	if negative || s[0] == '+' {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 9 {
		return errQuantity
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return errQuantity
		}
		n.exponent = n.exponent*10 + int(c-'0')
	}
	if negative {
		n.exponent = -n.exponent
	}
	return nil
}

// decimal returns mantissa * 10^exponent, rounded up to a billionth.
func decimal(mantissa uint64, exponent int) amount {
	if mantissa == 0 {
		return amount{}
	}
	for ; exponent > 0; exponent-- {
		if mantissa > math.MaxInt64/10 {
			return saturated()
		}
		mantissa *= 10
	}
	for ; exponent < -9; exponent++ {
		mantissa = (mantissa + 9) / 10
		if mantissa == 1 {
			return amount{nanos: 1}
		}
	}
	divisor, scale := uint64(1), uint64(nanosPerUnit)
	for ; exponent < 0; exponent++ {
		divisor *= 10
		scale /= 10
	}
	return amount{units: int64(mantissa / divisor), nanos: int32(mantissa % divisor * scale)}
}

// slow leaves numbers with very many digits and binary fractions to resource.ParseQuantity, after making sure that it
// will not compute a huge power of ten.
func (n *number) slow() (amount, error) {
	if len(n.text) > maxQuantity {
		return amount{}, fmt.Errorf("is a quantity of more than %d bytes", maxQuantity)
	}
	if n.exponent > maxExponent {
		return saturated(), nil
	}
	if n.exponent < -maxExponent {
		return amount{nanos: 1}, nil
	}
	q, err := resource.ParseQuantity(string(n.text))
	if err != nil {
		return amount{}, errQuantity
	}
	dec := q.AsDec()
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(9-dec.Scale())), nil)
	units, nanos := new(big.Int).QuoRem(power.Mul(power, dec.UnscaledBig()), big.NewInt(nanosPerUnit), new(big.Int))
	if !units.IsInt64() {
		return saturated(), nil
	}
	return amount{units: units.Int64(), nanos: int32(nanos.Int64())}, nil
}
