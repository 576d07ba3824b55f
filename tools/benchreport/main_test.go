// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

const results = `goos: linux
BenchmarkPodEvent/add-2         	   48174	      900.5 ns/op	         0 allocs/op	     25.5 x_vs_typed_decode
BenchmarkPodEvent/add-2         	   48174	      1100.5 ns/op	         0 allocs/op	     20.5 x_vs_typed_decode
BenchmarkFreshness-2 	       1	         0 ns/op	       151.5 bound-to-view-p99-ms

BenchmarkFreshness: pod bound to view changed; load 1.00
  bound-to-view p50 1 ms
BenchmarkGet 	       1	       0.06 direct-p50-ms
PASS
`

func TestReport(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(nil, strings.NewReader(results), &out); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	for _, want := range []string{
		"PodEvent/add ns/op 1000 ns - <= 1500 ns met",
		"PodEvent/add allocs/op 0 allocs - <= 0 allocs met",
		"PodEvent/add x_vs_typed_decode 23x 23x >= 20x met",
		"PodEvent/update ns/op - - <= 1500 ns not run",
		"Freshness bound-to-view-p99-ms 152 ms - <= 150 ms MISSED",
		"Get direct-p50-ms 0.06 ms - <= 0.15 ms met",
		" targets: 4 met, 1 missed, ",
		"Edit/1_per_s last-p50-ms - - <= 8 ms not run",
		"Thousand statuses-s - - <= 15 s not run",
		"StatusAggregate/rebuild ms/rebuild - - <= 5 ms not run",
	} {
		if !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}

func TestReportRefusesNothing(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"no result":      "PASS\nok  	x	1s\n",
		"a bad number":   "BenchmarkX-2 1 a ns/op\n",
		"an empty input": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := run(nil, strings.NewReader(in), &strings.Builder{}); err == nil {
				t.Error("want an error")
			}
		})
	}
	if err := run([]string{t.TempDir() + "/none"}, nil, &strings.Builder{}); err == nil {
		t.Error("want an error for a file that is not there")
	}
}
