// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const writeTime = 2 * time.Second

// BenchmarkCalibrateWrites is kcp's own rate of writes on this machine: configmaps of a row's size created and updated
// through the front-proxy by 1, 8 and 32 clients, each with one request at a time. It says nothing of TMC; it is what
// rates of writes, and latencies that include one, have to be read against.
func BenchmarkCalibrateWrites(b *testing.B) {
	f := newFigures(b)
	for b.Loop() {
		for _, clients := range []int{1, 8, 32} {
			creates, createTime, updates, updateTime := write(b, clients)
			for _, set := range []struct {
				name, note string
				times      samples
				took       time.Duration
			}{{"creates", "one create", creates, createTime}, {"updates", "one update, by a merge patch", updates, updateTime}} {
				name := fmt.Sprintf("%s-%d", set.name, clients)
				f.rate(name, fmt.Sprintf("clients: %d", clients), float64(len(set.times))/set.took.Seconds())
				f.latency(name, set.note, set.times)
			}
		}
	}
	f.report("configmaps through kcp's front-proxy, calibration")
}

// write creates configmaps for a while, changes them for as long, and deletes them afterwards.
func write(b *testing.B, clients int) (creates samples, createTime time.Duration, updates samples, updateTime time.Duration) {
	b.Helper()
	maps := tenantCore(b).CoreV1().ConfigMaps(metav1.NamespaceDefault)
	label := fmt.Sprintf("bench-writes-%d", clients)
	made := make([]int, clients)
	name := func(worker, i int) string { return fmt.Sprintf("write-%d-%d-%d", clients, worker, i) }
	creates, createTime = busy(b, clients, func(worker, i int) error {
		object := configMap(name(worker, i))
		object.Labels = map[string]string{label: ""}
		made[worker] = i + 1
		_, err := maps.Create(b.Context(), object, metav1.CreateOptions{})
		return err
	})
	updates, updateTime = busy(b, clients, func(worker, i int) error {
		patch := fmt.Appendf(nil, `{"data":{"changed":"%d"}}`, i)
		_, err := maps.Patch(b.Context(), name(worker, i%made[worker]), types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
	if err := maps.DeleteCollection(b.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: label}); err != nil {
		b.Errorf("deleting the configmaps: %v", err)
	}
	return creates, createTime, updates, updateTime
}

// busy has workers do something again and again for a while, and returns how long each time took.
func busy(b *testing.B, workers int, do func(worker, i int) error) (samples, time.Duration) {
	b.Helper()
	all := make([]samples, workers)
	var wg sync.WaitGroup
	begin := time.Now()
	for worker := range workers {
		wg.Go(func() {
			for i := 0; time.Since(begin) < writeTime && b.Context().Err() == nil; i++ {
				start := time.Now()
				if err := do(worker, i); err != nil {
					b.Errorf("writing: %v", err)
					return
				}
				all[worker] = append(all[worker], time.Since(start))
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	merged := slices.Concat(all...)
	if len(merged) == 0 {
		b.Fatal("nothing was written")
	}
	return merged, took
}
