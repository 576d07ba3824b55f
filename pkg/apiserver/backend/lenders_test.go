// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"strings"
	"testing"

	"github.com/kcp-dev/logicalcluster/v3"
)

func TestLendersTrust(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		lenders  Lenders
		ws, path string
		want     bool
	}{
		{nil, "abc", "root:platform", false},
		{Lenders{"root:platform"}, "abc", "root:platform", true},
		{Lenders{"root:platform"}, "abc", "root:platform:east", false},
		{Lenders{"root:platform"}, "abc", "root:platform2", false},
		{Lenders{"root:other", "abc"}, "abc", "", true},
		{Lenders{"root:platform"}, "abc", "", false},
		{Lenders{""}, "abc", "", false},
		{Lenders{"abc"}, "mallory", "abc", false},
		{Lenders{"root"}, "mallory", "root", false},
		{Lenders{"*"}, "abc", "", true},
	} {
		if got := tc.lenders.Trust(logicalcluster.Name(tc.ws), tc.path); got != tc.want {
			t.Errorf("%q trust %s at %q: %t, want %t", tc.lenders, tc.ws, tc.path, got, tc.want)
		}
	}
}

func TestLendersValidate(t *testing.T) {
	t.Parallel()
	if err := (Lenders{"root", "root:platform", "2abc", "*"}).Validate(); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "root:", ":*", "root:platform:*", "root:*:a", "Root:Platform", "root/platform", "**"} {
		if err := (Lenders{"root", bad}).Validate(); err == nil || !strings.Contains(err.Error(), "\""+bad+"\"") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
