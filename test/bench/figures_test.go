// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kcp-dev/tmc/tools/benchreport/targets"
)

// samples are the durations of one figure.
type samples []time.Duration

// quantile is the smallest sample that is not less than the share q of all, in milliseconds.
func (s samples) quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(s))
	at := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[at]) / float64(time.Millisecond)
}

// figures are the results of one benchmark.
type figures struct {
	b      *testing.B
	values map[string]float64
	lines  []string
}

func newFigures(b *testing.B) *figures {
	b.Helper()
	return &figures{b: b, values: map[string]float64{}}
}

// latency notes the median, the 90th and the 99th percentile.
func (f *figures) latency(name, note string, s samples) {
	p50, p90, p99 := s.quantile(0.5), s.quantile(0.9), s.quantile(0.99)
	f.values[name+"-p50-ms"], f.values[name+"-p90-ms"], f.values[name+"-p99-ms"] = p50, p90, p99
	f.lines = append(f.lines, fmt.Sprintf("  %-22s p50 %8.3f ms  p90 %8.3f ms  p99 %8.3f ms  max %8.3f ms  n=%d  %s",
		name, p50, p90, p99, s.quantile(1), len(s), note))
}

// figure notes one value, whose unit is the metric's name.
func (f *figures) figure(metric, note string, value float64) {
	f.values[metric] = value
	f.lines = append(f.lines, fmt.Sprintf("  %-22s %10.3f  %s", metric, value, note))
}

// rate notes how many operations there were per second.
func (f *figures) rate(name, note string, perSecond float64) {
	f.values[name+"/s"] = perSecond
	f.lines = append(f.lines, fmt.Sprintf("  %-22s %10.1f /s  %s", name, perSecond, note))
}

// report gives the figures to the benchmark, and keeps them for the summary: in between, a line would break up the one
// that go test prints.
func (f *figures) report(method string) {
	f.b.Helper()
	for name, value := range f.values {
		f.b.ReportMetric(value, name)
	}
	f.b.ReportMetric(0, "ns/op") // of a whole set of samples, which means nothing
	stage.summary = append(stage.summary, fmt.Sprintf("%s: %s; load %s", f.b.Name(), method, load()))
	stage.summary = append(stage.summary, f.lines...)
	for _, target := range targets.For(f.b.Name()) {
		if value, ok := f.values[target.Metric]; ok {
			stage.summary = append(stage.summary, fmt.Sprintf("  %-22s %s, target %s: %s", target.Metric, target.Format(value), target.Bound(), target.Verdict(value)))
		}
	}
}

// load is how busy the machine was in the last minute.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}
