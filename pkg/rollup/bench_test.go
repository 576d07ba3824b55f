// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kcp-dev/tmc/pkg/rollup"
)

const (
	benchMembers   = 5
	benchWorkloads = 10_000
)

// benchWorkload is a Deployment with the status that it has, and its copies.
type benchWorkload struct {
	upstream *unstructured.Unstructured
	copies   []rollup.Copy
}

func newBenchWorkload(b *testing.B, i int) benchWorkload {
	b.Helper()
	w := benchWorkload{upstream: object(3, fields{"replicas": int64(3)}, nil), copies: make([]rollup.Copy, benchMembers)}
	for m := range w.copies {
		available := int64(3)
		if (i+m)%10 == 0 {
			available = 2
		}
		w.copies[m] = told(on(fmt.Sprintf("member-%d", m), live(deploymentStep(1, 3, 3, available))), 3)
	}
	status, ok := rollup.Status(deployments, w.upstream, w.copies, noon)
	if !ok {
		b.Fatal("no status")
	}
	w.upstream.Object["status"] = decoded(b, status)
	return w
}

// change lets one member tell something else, as each event does.
func (w *benchWorkload) change(i int) {
	status := w.copies[i%benchMembers].Object.Object["status"].(fields)
	status["availableReplicas"] = int64(2 + i%2)
}

// reference is what those do that aggregate by types: every status is decoded, the figures are added up, and the result
// is encoded again. It looks at no conditions.
func reference(b *testing.B, w *benchWorkload) fields {
	b.Helper()
	var sum appsv1.DeploymentStatus
	sum.ObservedGeneration = w.upstream.GetGeneration()
	for i := range w.copies {
		var one appsv1.DeploymentStatus
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(w.copies[i].Object.Object["status"].(fields), &one); err != nil {
			b.Fatal(err)
		}
		sum.Replicas += one.Replicas
		sum.UpdatedReplicas += one.UpdatedReplicas
		sum.ReadyReplicas += one.ReadyReplicas
		sum.AvailableReplicas += one.AvailableReplicas
		sum.UnavailableReplicas += one.UnavailableReplicas
	}
	out, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&sum)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// BenchmarkStatusAggregate is the status of a Deployment on five members, conditions included: one whose figures change
// each time, one that does not change, and 10,000 anew, as after a restart. The reference takes turns with ours by
// blocks, so that a busy machine is as busy for both; reported are medians of the blocks. It is spared merging the conditions,
// and decoding the object itself.
func BenchmarkStatusAggregate(b *testing.B) {
	const block = 200
	one := newBenchWorkload(b, 0)
	cases := map[string]func(int){"change": one.change, "same": func(int) {}}
	for name, change := range cases {
		b.Run(name, func(b *testing.B) {
			ours, theirs := make([]time.Duration, 0, 1000), make([]time.Duration, 0, 1000)
			for b.Loop() {
				ours = append(ours, timed(func() {
					for i := range block {
						change(i)
						if _, ok := rollup.Status(deployments, one.upstream, one.copies, noon); !ok {
							b.Fatal("no status")
						}
					}
				}))
				theirs = append(theirs, timed(func() {
					for i := range block {
						change(i)
						reference(b, &one)
					}
				}))
			}
			report(b, ours, theirs, block, "ns/status", "reference_ns")
		})
	}
	b.Run("rebuild", func(b *testing.B) {
		workloads := make([]benchWorkload, benchWorkloads)
		for i := range workloads {
			workloads[i] = newBenchWorkload(b, i)
		}
		var ours, theirs []time.Duration
		for b.Loop() {
			ours = append(ours, timed(func() {
				for i := range workloads {
					rollup.Status(deployments, workloads[i].upstream, workloads[i].copies, noon)
				}
			}))
			theirs = append(theirs, timed(func() {
				for i := range workloads {
					reference(b, &workloads[i])
				}
			}))
		}
		report(b, ours, theirs, int(time.Millisecond), "ms/rebuild", "reference_ms")
	})
}

// BenchmarkStatusAlone shows what one status allocates.
func BenchmarkStatusAlone(b *testing.B) {
	one := newBenchWorkload(b, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		one.change(i)
		rollup.Status(deployments, one.upstream, one.copies, noon)
	}
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func report(b *testing.B, ours, theirs []time.Duration, divisor int, unit, reference string) {
	b.Helper()
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2]) / float64(divisor)
	}
	b.ReportMetric(0, "ns/op") // of a pair of blocks, which says nothing
	b.ReportMetric(median(ours), unit)
	b.ReportMetric(median(theirs), reference)
	b.ReportMetric(median(theirs)/median(ours), "x_vs_typed")
}
