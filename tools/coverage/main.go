// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Command coverage sums up a merged coverage profile: a list by package and the total, generated code left out. Where
// several runs report the same statements, they count as covered if any run covered them.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

func main() {
	least := flag.Float64("min", 0, "fail when the total is below this percentage")
	flag.Parse()
	if err := run(flag.Args(), *least, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(1)
	}
}

// run reads the profiles, as `go tool covdata textfmt` or `go test -coverprofile` writes them.
func run(profiles []string, least float64, out io.Writer) error {
	blocks := map[string]block{}
	for _, name := range profiles {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("opening the profile: %w", err)
		}
		err = read(file, blocks)
		file.Close()
		if err != nil {
			return fmt.Errorf("reading profile %s: %w", name, err)
		}
	}
	if len(blocks) == 0 {
		return fmt.Errorf("the profiles %v hold no statements", profiles)
	}
	total, err := list(out, blocks)
	if err != nil {
		return err
	}
	if total.percent() < least {
		return fmt.Errorf("%.1f%% of the statements are covered, less than %.1f%%", total.percent(), least)
	}
	return nil
}

// block is a run of statements without a branch.
type block struct {
	statements int
	covered    bool
}

// sum adds up blocks.
type sum struct{ statements, covered int }

func (s sum) percent() float64 {
	if s.statements == 0 {
		return 100
	}
	return 100 * float64(s.covered) / float64(s.statements)
}

// read adds the lines `file:from,to statements count` of one profile.
func read(in io.Reader, blocks map[string]block) error {
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		line := scanner.Text()
		if strings.HasPrefix(line, "mode:") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return fmt.Errorf("line %q has %d fields instead of 3", line, len(fields))
		}
		file, _, _ := strings.Cut(fields[0], ":")
		if excluded(file) {
			continue
		}
		statements, err := strconv.Atoi(fields[1])
		if err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		blocks[fields[0]] = block{statements: statements, covered: blocks[fields[0]].covered || fields[2] != "0"}
	}
	return scanner.Err()
}

// excluded leaves out what is generated, what tests, and what builds.
func excluded(file string) bool {
	return strings.HasPrefix(path.Base(file), "zz_generated") ||
		strings.Contains(file, "/tmc/test/") || strings.Contains(file, "/tmc/tools/")
}

func list(out io.Writer, blocks map[string]block) (sum, error) {
	packages, total := map[string]sum{}, sum{}
	for key, b := range blocks {
		file, _, _ := strings.Cut(key, ":")
		s := packages[path.Dir(file)]
		for _, each := range []*sum{&s, &total} {
			each.statements += b.statements
			if b.covered {
				each.covered += b.statements
			}
		}
		packages[path.Dir(file)] = s
	}
	if _, err := fmt.Fprintf(out, "\nCoverage by package, unit and integration tests merged (generated code, test and tools left out):\n"); err != nil {
		return total, err
	}
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		s := packages[name]
		if _, err := fmt.Fprintf(out, "%6.1f%%  %6d statements  %s\n", s.percent(), s.statements, name); err != nil {
			return total, err
		}
	}
	_, err := fmt.Fprintf(out, "%6.1f%%  %6d statements  total\n", total.percent(), total.statements)
	return total, err
}
