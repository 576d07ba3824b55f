// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package targets is the one table of what the benchmarks should reach.
//
// A target bounds one metric of one benchmark, and may name the metric that compares it with the reference method of the
// same run. A target that is missed is reported as missed; it never fails a run.
package targets

import (
	"fmt"
	"strconv"
	"strings"
)

// Verdicts.
const (
	Met    = "met"
	Missed = "MISSED"
)

// Target is what one metric should reach.
type Target struct {
	// Benchmark is its name without the number of processors.
	Benchmark string
	// Metric is the unit as go test prints it.
	Metric string
	// Limit is the most that it may be or, with AtLeast, the least.
	Limit   float64
	AtLeast bool
	// Ratio is the metric that says how many times the reference is worse; empty when there is none.
	Ratio string
}

// All returns the table.
func All() []Target {
	const typed, recompute, reference = "x_vs_typed_decode", "x_vs_decode_and_recompute", "x-reference"
	list := []Target{
		{Benchmark: "BenchmarkViewGet", Metric: "ns/op", Limit: 1000, Ratio: reference},
		{Benchmark: "BenchmarkViewGet", Metric: "allocs/op", Limit: 0},
		{Benchmark: "BenchmarkViewList1000/copied", Metric: reference, Limit: 200, AtLeast: true, Ratio: reference},
		{Benchmark: "BenchmarkViewList1000/handed_over", Metric: reference, Limit: 200, AtLeast: true, Ratio: reference},
		{Benchmark: "BenchmarkFanout/1000", Metric: "deliveries/s", Limit: 100_000, AtLeast: true, Ratio: reference},
		{Benchmark: "BenchmarkFanout/10000", Metric: "deliveries/s", Limit: 100_000, AtLeast: true, Ratio: reference},
	}
	for _, event := range []string{"add", "update", "delete"} {
		name := "BenchmarkPodEvent/" + event
		list = append(list,
			Target{Benchmark: name, Metric: "ns/op", Limit: 1500, Ratio: recompute},
			Target{Benchmark: name, Metric: "allocs/op", Limit: 0},
			Target{Benchmark: name, Metric: typed, Limit: 20, AtLeast: true, Ratio: typed})
	}
	list = append(list,
		Target{Benchmark: "BenchmarkHeapPerPod", Metric: "B/pod", Limit: 256, Ratio: "x_vs_typed_map"},
		Target{Benchmark: "BenchmarkPlaceOne/1000clusters", Metric: "ns/op", Limit: 20_000, Ratio: reference},
		// Whatever part of the members changed, all who may have one of them are decided anew: the first target is that for 1 %,
		// the second that for all.
		Target{Benchmark: "BenchmarkReschedule10k", Metric: "ns/op", Limit: 20e6, Ratio: reference},
		Target{Benchmark: "BenchmarkReschedule10k", Metric: "ns/op", Limit: 1e9, Ratio: reference},
		Target{Benchmark: "BenchmarkDecideAgain/1000members", Metric: "ns/op", Limit: 200e6},
		Target{Benchmark: "BenchmarkSyncPlan/changed", Metric: "ns/op", Limit: 150_000, Ratio: reference},
		Target{Benchmark: "BenchmarkSyncPlan/noop", Metric: "ns/op", Limit: 5000, Ratio: reference},
		Target{Benchmark: "BenchmarkStatusAggregate/change", Metric: "ns/status", Limit: 100, Ratio: "x_vs_typed"},
		Target{Benchmark: "BenchmarkStatusAggregate/rebuild", Metric: "ms/rebuild", Limit: 5, Ratio: "x_vs_typed"},
		Target{Benchmark: "BenchmarkGet", Metric: "direct-p50-ms", Limit: 0.15},
		Target{Benchmark: "BenchmarkGet", Metric: "direct-p99-ms", Limit: 1},
		Target{Benchmark: "BenchmarkList", Metric: "direct-p99-ms", Limit: 5},
		Target{Benchmark: "BenchmarkFreshness", Metric: "bound-to-view-p99-ms", Limit: 150},
	)
	return append(list, placing()...)
}

// placing are the targets of placing and syncing on real parts.
func placing() []Target {
	list := []Target{
		{Benchmark: "BenchmarkDecide/apart", Metric: "decided-p99-ms", Limit: 10},
		{Benchmark: "BenchmarkDecide/apart", Metric: "hub-writes/create", Limit: 4},
		{Benchmark: "BenchmarkDecide/together", Metric: "decided-p99-ms", Limit: 10},
	}
	for _, load := range []string{"1_per_s", "10_per_s", "50_per_s"} {
		name := "BenchmarkEdit/" + load
		list = append(list,
			Target{Benchmark: name, Metric: "last-p50-ms", Limit: 8},
			Target{Benchmark: name, Metric: "last-p99-ms", Limit: 20},
			Target{Benchmark: name, Metric: "hub-writes/edit", Limit: 2})
	}
	return append(list,
		Target{Benchmark: "BenchmarkStatus", Metric: "to-object-p50-ms", Limit: 8},
		Target{Benchmark: "BenchmarkThousand", Metric: "statuses-s", Limit: 15},
		Target{Benchmark: "BenchmarkThousand", Metric: "restart-edit-s", Limit: 5},
		Target{Benchmark: "BenchmarkThousand", Metric: "idle-hub-writes", Limit: 0},
		Target{Benchmark: "BenchmarkThousand", Metric: "idle-member-writes", Limit: 0},
	)
}

// For returns the targets of a benchmark.
func For(benchmark string) []Target {
	var list []Target
	for _, t := range All() {
		if t.Benchmark == benchmark {
			list = append(list, t)
		}
	}
	return list
}

// Verdict judges a figure.
func (t Target) Verdict(value float64) string {
	if (t.AtLeast && value >= t.Limit) || (!t.AtLeast && value <= t.Limit) {
		return Met
	}
	return Missed
}

// Bound is the target in words.
func (t Target) Bound() string {
	if t.AtLeast {
		return ">= " + t.Format(t.Limit)
	}
	return "<= " + t.Format(t.Limit)
}

// Format writes a figure of the metric with its unit.
func (t Target) Format(value float64) string { return Format(value, t.Metric) }

// Format writes a figure with the unit that the name of its metric ends with.
func Format(value float64, metric string) string {
	switch {
	case strings.HasPrefix(metric, "x_") || strings.HasPrefix(metric, "x-"):
		return number(value) + "x"
	case strings.HasSuffix(metric, "-ms"):
		return number(value) + " ms"
	case strings.HasSuffix(metric, "-s"):
		return number(value) + " s"
	case strings.HasSuffix(metric, "/s"):
		return number(value) + " /s"
	case metric == "ns/op", metric == "ns/status":
		return number(value) + " ns"
	case metric == "ms/rebuild":
		return number(value) + " ms"
	default:
		return fmt.Sprintf("%s %s", number(value), strings.TrimSuffix(metric, "/op"))
	}
}

// number writes three digits, more only before the point.
func number(value float64) string {
	digits := 0
	for least := 100.0; value != 0 && digits < 3 && value < least; least /= 10 {
		digits++
	}
	text := strconv.FormatFloat(value, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
