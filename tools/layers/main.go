// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Command layers checks who imports whom, also through others: which of our packages may see which, and which foreign
// packages must never be reached. The table is in rules.go; `go list -deps` gives the facts.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// module is the prefix of our own packages.
const module = "github.com/kcp-dev/tmc"

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func main() {
	problems, count, err := check()
	if err != nil {
		fmt.Fprintln(os.Stderr, "layers:", err)
		os.Exit(1)
	}
	for _, problem := range problems {
		fmt.Fprintln(os.Stderr, problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
	fmt.Printf("layers: %d packages keep the rules\n", count)
}

func check() (problems []string, count int, err error) {
	packages, err := list()
	if err != nil {
		return nil, 0, err
	}
	for _, p := range packages {
		problems = append(problems, violations(p, table())...)
	}
	replaced, err := replaces()
	if err != nil {
		return nil, 0, err
	}
	return append(problems, replaced...), len(packages), nil
}

// list returns our packages with their transitive imports, without those of tests.
func list() ([]pkg, error) {
	out, err := output("go", "list", "-json=ImportPath,Imports,Deps", "./apis/...", "./openapi/...", "./pkg/...", "./cmd/...")
	if err != nil {
		return nil, err
	}
	var packages []pkg
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decoding the answer of go list: %w", err)
		}
		packages = append(packages, p)
	}
}

// replaces refuses replace lines: a program that imports our module would not get them.
func replaces() ([]string, error) {
	out, err := output("go", "mod", "edit", "-json")
	if err != nil {
		return nil, err
	}
	var mod struct {
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return nil, fmt.Errorf("decoding go.mod: %w", err)
	}
	problems := make([]string, 0, len(mod.Replace))
	for _, r := range mod.Replace {
		problems = append(problems, "go.mod: replaces "+r.Old.Path+", but the product's module must build without")
	}
	return problems, nil
}

// violations compares one package with every rule that speaks of it.
func violations(p pkg, rules []rule) []string {
	name, ours := strings.CutPrefix(p.ImportPath, module+"/")
	if !ours {
		return nil
	}
	var problems []string
	for _, r := range rules {
		if !slices.ContainsFunc(r.packages, func(pattern string) bool { return matches(pattern, name) }) {
			continue
		}
		for _, dep := range r.scope(p) {
			dep = strings.TrimPrefix(dep, module+"/")
			if slices.ContainsFunc(r.never, func(pattern string) bool { return matches(pattern, dep) }) && dep != name {
				problems = append(problems, fmt.Sprintf("%s: must not reach %s: %s", name, dep, r.why))
			}
		}
	}
	return problems
}

// matches knows paths, and paths that end in /... for a folder with all that is below it.
func matches(pattern, path string) bool {
	folder, below := strings.CutSuffix(pattern, "/...")
	return path == folder || (below && strings.HasPrefix(path, folder+"/"))
}

func output(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running %s %s: %w", name, strings.Join(args, " "), err)
	}
	return out, nil
}
