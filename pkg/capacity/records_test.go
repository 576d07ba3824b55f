// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestParseUIDAgainstHex compares with encoding/hex, with any byte in any place.
func TestParseUIDAgainstHex(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const digits = "0123456789abcdef"
	for range 40 {
		uid := []byte("00000000-0000-0000-0000-000000000000")
		for i := range uid {
			if uid[i] != '-' {
				uid[i] = digits[random.IntN(len(digits))]
			}
		}
		for place := range uid {
			kept := uid[place]
			for c := range 256 {
				uid[place] = byte(c)
				checkUID(t, uid)
			}
			uid[place] = kept
		}
	}
}

func checkUID(t *testing.T, uid []byte) {
	t.Helper()
	text := string(uid)
	dashes := text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-'
	want, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	valid := dashes && err == nil && len(want) == 16 && strings.ToLower(text) == text
	key, ok := parseUID(uid)
	if ok != valid || (ok && string(key[:]) != string(want)) {
		t.Fatalf("%q is taken for %x (%v), want %x (%v)", text, key, ok, want, valid)
	}
}

// TestZeroUID is that the UUID whose key means none is followed like any other.
func TestZeroUID(t *testing.T) {
	t.Parallel()
	c := NewCluster()
	p := &Pod{UID: []byte("00000000-0000-0000-0000-000000000000"), Requests: []Amount{{Name: []byte("cpu"), Value: 7}}}
	c.UpsertPod(p)
	c.UpsertPod(p)
	if got := c.Summary().Pods.Pending; got != 1 {
		t.Errorf("%d pods are pending, want 1", got)
	}
	c.DeletePod(p)
	if got := c.Summary().Pods.Pending; got != 0 {
		t.Errorf("%d pods are pending after the deletion, want 0", got)
	}
}
