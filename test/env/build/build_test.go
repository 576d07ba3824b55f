// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kcp-dev/tmc/test/env/build"
)

func module(t *testing.T, source string) build.Set {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.test/hello\n\ngo 1.24\n", "main.go": source} {
		write(t, filepath.Join(dir, name), text)
	}
	return build.Set{Name: "hello", ModuleDir: dir, Packages: []string{"."}, Commands: []string{"hello"}}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKeyChangesWithWhatIsBuilt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(t *testing.T, set *build.Set)
		same bool
	}{
		"nothing": {edit: func(*testing.T, *build.Set) {}, same: true},
		"a source": {edit: func(t *testing.T, s *build.Set) {
			t.Helper()
			write(t, filepath.Join(s.ModuleDir, "main.go"), "package x")
		}},
		"go.mod": {edit: func(t *testing.T, s *build.Set) {
			t.Helper()
			write(t, filepath.Join(s.ModuleDir, "go.mod"), "module y")
		}},
		"go.sum":       {edit: func(t *testing.T, s *build.Set) { t.Helper(); write(t, filepath.Join(s.ModuleDir, "go.sum"), "z") }},
		"linker flags": {edit: func(_ *testing.T, s *build.Set) { s.LDFlags = "-s" }},
		"a package":    {edit: func(_ *testing.T, s *build.Set) { s.Packages = []string{"./other"} }},
		"a test": {edit: func(t *testing.T, s *build.Set) {
			t.Helper()
			write(t, filepath.Join(s.ModuleDir, "x_test.go"), "package x")
		}, same: true},
		"a command that somebody built by hand": {edit: func(t *testing.T, s *build.Set) {
			t.Helper()
			write(t, filepath.Join(s.ModuleDir, "hello"), "binary")
		}, same: true},
		"a hidden file": {edit: func(t *testing.T, s *build.Set) { t.Helper(); write(t, filepath.Join(s.ModuleDir, ".x"), "") }, same: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := module(t, "package main")
			before, err := build.Key(set, "go1.26")
			if err != nil {
				t.Fatal(err)
			}
			tc.edit(t, &set)
			after, err := build.Key(set, "go1.26")
			if err != nil {
				t.Fatal(err)
			}
			if (before == after) != tc.same {
				t.Errorf("keys %s and %s: same is %t, want %t", before, after, before == after, tc.same)
			}
		})
	}
}

func TestKeyOfNamedFoldersLooksAtNothingElse(t *testing.T) {
	t.Parallel()
	set := module(t, "package main")
	for _, folder := range []string{"inside", "outside"} {
		if err := os.Mkdir(filepath.Join(set.ModuleDir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(set.ModuleDir, "go.sum"), "")
	set.Folders = []string{"inside"}
	key := func() string {
		t.Helper()
		key, err := build.Key(set, "go1.26")
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	before := key()
	write(t, filepath.Join(set.ModuleDir, "outside", "x.go"), "package x")
	if key() != before {
		t.Error("a file outside of the named folders changes the key")
	}
	write(t, filepath.Join(set.ModuleDir, "inside", "x.go"), "package x")
	if inside := key(); inside == before {
		t.Error("a file inside a named folder does not change the key")
	} else {
		before = inside
	}
	write(t, filepath.Join(set.ModuleDir, "go.mod"), "module other")
	if key() == before {
		t.Error("go.mod does not change the key")
	}
}

func TestKeyDoesNotDependOnThePlace(t *testing.T) {
	t.Parallel()
	one, err := build.Key(module(t, "package main"), "go1.26")
	if err != nil {
		t.Fatal(err)
	}
	two, err := build.Key(module(t, "package main"), "go1.26")
	if err != nil {
		t.Fatal(err)
	}
	if one != two {
		t.Errorf("two clones have the keys %s and %s", one, two)
	}
	if other, _ := build.Key(module(t, "package main"), "go1.27"); other == one {
		t.Error("another Go version has the same key")
	}
}

func TestGetBuildsOnce(t *testing.T) {
	t.Parallel()
	set := module(t, "package main\n\nfunc main() {}\n")
	var out bytes.Buffer
	cache := &build.Cache{Dir: filepath.Join(t.TempDir(), "cache"), Out: &out, Clock: clocktesting.NewFakeClock(time.Now())}
	first, err := cache.Get(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(first, "hello")); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "building hello") {
		t.Errorf("the build was not announced: %q", out.String())
	}
	out.Reset()
	second, err := cache.Get(t.Context(), set)
	if err != nil || second != first || out.Len() > 0 {
		t.Errorf("the second call gives %s (%v) and says %q, want %s and silence", second, err, out.String(), first)
	}
}

func TestAFailingBuildLeavesNothing(t *testing.T) {
	t.Parallel()
	set := module(t, "package main\n\nfunc main() { undefinedThing() }\n")
	dir := t.TempDir()
	cache := &build.Cache{Dir: dir, Out: &bytes.Buffer{}, Clock: clocktesting.NewFakeClock(time.Now())}
	_, err := cache.Get(t.Context(), set)
	if err == nil || !strings.Contains(err.Error(), "undefined: undefinedThing") {
		t.Errorf("got %v, want the compiler's words", err)
	}
	left, globErr := filepath.Glob(filepath.Join(dir, "[!.]*[!k]")) // all but lock files
	hidden, hiddenErr := filepath.Glob(filepath.Join(dir, ".building-*"))
	if globErr != nil || hiddenErr != nil || len(left)+len(hidden) > 0 {
		t.Errorf("the failed build left %v %v (%v, %v)", left, hidden, globErr, hiddenErr)
	}
}
