// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity

import (
	"math"
	"math/bits"
)

// sum adds up amounts that are not negative. It has 128 bits: no number of pods that fits into memory overflows it, so
// that what was added can always be taken away again, and a member that claims absurd amounts spoils only its own
// figures.
type sum struct {
	high, low uint64
}

// move adds v, or takes it away.
func (s *sum) move(v int64, add bool) {
	var carry uint64
	if add {
		s.low, carry = bits.Add64(s.low, uint64(v), 0)
		s.high += carry
		return
	}
	s.low, carry = bits.Sub64(s.low, uint64(v), 0)
	s.high -= carry
}

// moveSum adds v, or takes it away.
func (s *sum) moveSum(v sum, add bool) {
	var carry uint64
	if add {
		s.low, carry = bits.Add64(s.low, v.low, 0)
		s.high, _ = bits.Add64(s.high, v.high, carry)
		return
	}
	s.low, carry = bits.Sub64(s.low, v.low, 0)
	s.high, _ = bits.Sub64(s.high, v.high, carry)
}

// value is the sum, or the largest int64 if that is less.
func (s sum) value() int64 {
	if s.high != 0 || s.low > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(s.low)
}
