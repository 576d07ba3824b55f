// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	const prefix = "github.com/kcp-dev/tmc/"
	profile := func(t *testing.T, lines ...string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "profile")
		if err := os.WriteFile(name, []byte("mode: atomic\n"+strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	unit := profile(t, prefix+"pkg/a/a.go:1.1,2.2 6 1", prefix+"pkg/a/a.go:3.1,4.2 2 0", prefix+"pkg/a/a.go:5.1,6.2 2 0",
		prefix+"apis/x/zz_generated.deepcopy.go:1.1,2.2 100 0", prefix+"test/env/up.go:1.1,2.2 100 0")
	integration := profile(t, prefix+"pkg/a/a.go:3.1,4.2 2 7")

	var out bytes.Buffer
	if err := run([]string{unit, integration}, 80, &out); err != nil {
		t.Fatalf("summing up: %v", err)
	}
	if want := "  80.0%      10 statements  total\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("report ends differently from %q:\n%s", want, out.String())
	}
	if err := run([]string{unit}, 80, &out); err == nil {
		t.Error("60 % passed a minimum of 80 %")
	}
	if err := run([]string{profile(t, "nonsense")}, 0, &out); err == nil {
		t.Error("a line without fields was accepted")
	}
	if err := run([]string{profile(t)}, 0, &out); err == nil {
		t.Error("an empty profile was accepted")
	}
}
