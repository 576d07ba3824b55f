// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Command benchreport reads what `go test -bench` printed, from files or from its input, and sums it up: every figure
// that has a target with the ratio to its reference of the same run, and whether the target is met. A missed target is a
// result, not an error; a target without a figure says that its benchmark did not run.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/kcp-dev/tmc/tools/benchreport/targets"
)

// figures are metrics by benchmark and unit; of several runs all values.
type figures map[string]map[string][]float64

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchreport:", err)
		os.Exit(1)
	}
}

func run(files []string, in io.Reader, out io.Writer) error {
	found := figures{}
	if len(files) == 0 {
		if err := found.read(in); err != nil {
			return fmt.Errorf("reading the input: %w", err)
		}
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("opening the results: %w", err)
		}
		err = found.read(file)
		file.Close()
		if err != nil {
			return fmt.Errorf("reading the results in %s: %w", name, err)
		}
	}
	if len(found) == 0 {
		return errors.New("there is no benchmark's result in what was read")
	}
	return found.print(out)
}

// processors ends the name of a benchmark.
var processors = regexp.MustCompile(`-\d+$`)

// read takes the lines of results out of everything else that a test prints.
func (f figures) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		if _, err := strconv.Atoi(fields[1]); err != nil {
			continue
		}
		name := processors.ReplaceAllString(fields[0], "")
		for i := 2; i < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("%q of %s is not a number", fields[i], name)
			}
			if f[name] == nil {
				f[name] = map[string][]float64{}
			}
			f[name][fields[i+1]] = append(f[name][fields[i+1]], value)
		}
	}
	return lines.Err()
}

// mean is the mean of all runs.
func (f figures) mean(benchmark, metric string) (float64, bool) {
	values := f[benchmark][metric]
	if len(values) == 0 {
		return 0, false
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values)), true
}

func (f figures) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nBENCHMARK\tMETRIC\tFIGURE\tx REFERENCE\tTARGET\tVERDICT")
	missed, absent := 0, 0
	for _, t := range targets.All() {
		name := strings.TrimPrefix(t.Benchmark, "Benchmark")
		value, ok := f.mean(t.Benchmark, t.Metric)
		if !ok {
			absent++
			fmt.Fprintf(table, "%s\t%s\t-\t-\t%s\tnot run\n", name, t.Metric, t.Bound())
			continue
		}
		ratio := "-"
		if r, ok := f.mean(t.Benchmark, t.Ratio); ok {
			ratio = targets.Format(r, t.Ratio)
		}
		verdict := t.Verdict(value)
		if verdict != targets.Met {
			missed++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", name, t.Metric, t.Format(value), ratio, t.Bound(), verdict)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	_, err := fmt.Fprintf(out, "\n%d targets: %d met, %d missed, %d not run\n",
		len(targets.All()), len(targets.All())-missed-absent, missed, absent)
	return err
}
