// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

// reference reads a quantity with resource.ParseQuantity, exactly.
func reference(s string) (amount, bool) {
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return amount{}, false
	}
	if q.Sign() < 0 {
		return amount{}, true
	}
	dec := q.AsDec()
	scale := int64(9 - dec.Scale())
	nanos := new(big.Int).Set(dec.UnscaledBig())
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(max(scale, -scale)), nil)
	if scale >= 0 {
		nanos.Mul(nanos, power)
	} else {
		nanos.Quo(nanos, power)
	}
	units, rest := new(big.Int).QuoRem(nanos, big.NewInt(nanosPerUnit), new(big.Int))
	if !units.IsInt64() {
		return saturated(), true
	}
	return amount{units: units.Int64(), nanos: int32(rest.Int64())}, true
}

func checkQuantity(t *testing.T, s string) {
	t.Helper()
	want, ok := reference(s)
	got, err := parseQuantity([]byte(s))
	digits := strings.IndexAny(s, "0123456789")
	bare := digits < 0 || strings.Trim(s[:digits], "+-.") != ""
	if ok != (err == nil) && !bare { // of a suffix alone, resource.ParseQuantity accepts some and refuses others
		t.Errorf("%q: resource.ParseQuantity accepts it: %v, here: %v", s, ok, err)
	}
	if ok && err == nil && got.units != math.MaxInt64 && got != want {
		t.Errorf("%q = %+v, want %+v", s, got, want)
	}
	if ok && err == nil && got.units == math.MaxInt64 && want.units != math.MaxInt64 {
		t.Errorf("%q is saturated, want %+v", s, want)
	}
}

func TestQuantitiesAgreeWithParseQuantity(t *testing.T) {
	t.Parallel()
	digits := []string{
		"", "0", "00", "1", "007", "9", "10", "999", "1000", "1024", "1.5", "0.5", ".5", "5.", ".", "1.000000001", "1.0000000001",
		"0.00000000009", "12345678901234567", "123456789012345678", "9223372036854775807", "9223372036854775808",
		"99999999999999999999999", "1.2.3", "0.123456789012345678901",
	}
	suffixes := []string{
		"", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e0", "e3", "E3", "e+3", "e-3", "e18", "e30",
		"e-30", "e", "e+", "K", "i", "Kim", "ee5", "m5", "x", " ", "e1x", "1",
	}
	for _, sign := range []string{"", "+", "-"} {
		for _, d := range digits {
			for _, suffix := range suffixes {
				checkQuantity(t, sign+d+suffix)
			}
		}
	}
}

func TestQuantityBounds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want amount
		fail bool
	}{
		"huge power of ten":                  {text: "1e999999999", want: saturated()},
		"tiny power of ten":                  {text: "1e-999999999", want: amount{nanos: 1}},
		"zero with a huge power of ten":      {text: "0e999999999"},
		"exponent of ten digits":             {text: "1e1000000000", fail: true},
		"many digits and a huge power":       {text: "1111111111111111111111e999", want: saturated()},
		"many digits and a tiny power":       {text: "1111111111111111111111e-999", want: amount{nanos: 1}},
		"many digits without end":            {text: strings.Repeat("1", 65), fail: true},
		"many digits with a bad suffix":      {text: strings.Repeat("1", 30) + "x", fail: true},
		"largest":                            {text: "9223372036854775807", want: saturated()},
		"binary overflow":                    {text: "8Ei", want: saturated()},
		"negative":                           {text: "-5Gi"},
		"second point before a large suffix": {text: strings.Repeat("1", 20) + ".1.1", fail: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseQuantity([]byte(tc.text))
			if (err != nil) != tc.fail || got != tc.want {
				t.Errorf("%q = %+v, %v; want %+v, failure %v", tc.text, got, err, tc.want, tc.fail)
			}
		})
	}
}

func TestAmountArithmetic(t *testing.T) {
	t.Parallel()
	half := amount{units: 1, nanos: 500_000_000}
	if got, want := half.plus(half), (amount{units: 3}); got != want {
		t.Errorf("1.5 + 1.5 = %+v, want %+v", got, want)
	}
	for _, a := range []amount{saturated(), {units: math.MaxInt64, nanos: 999_999_999}} {
		if got := a.plus(half); got != saturated() {
			t.Errorf("%+v + 1.5 = %+v, want it saturated", a, got)
		}
		if a.value() != math.MaxInt64 || a.milliValue() != math.MaxInt64 {
			t.Errorf("%+v rounds to %d and %d, want both saturated", a, a.value(), a.milliValue())
		}
	}
	if got := (amount{units: 1, nanos: 1}); got.value() != 2 || got.milliValue() != 1001 {
		t.Errorf("1.000000001 rounds to %d and %d, want 2 and 1001", got.value(), got.milliValue())
	}
}

// FuzzQuantity holds the parser against resource.ParseQuantity on any text whose power of ten that can compute.
func FuzzQuantity(f *testing.F) {
	for _, s := range []string{"100m", "1.5Gi", "1e3", "12E", "-1", "0.1u", "123456789012345678901234Ki"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = parseQuantity([]byte(s))
		i := strings.LastIndexAny(s, "eE")
		if len(s) > maxQuantity || (i >= 0 && len(strings.TrimLeft(s[i+1:], "+-")) > 2) {
			return
		}
		checkQuantity(t, s)
	})
}
