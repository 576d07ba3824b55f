// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const writeTime = 4 * time.Second

// BenchmarkCalibrateWrites is kcp's own rate of writes on this machine: configmaps of a row's size created through the
// front-proxy by 1 and by 8 clients, each with one request at a time. It says nothing of TMC; it is what rates of writes
// have to be read against.
func BenchmarkCalibrateWrites(b *testing.B) {
	f := newFigures(b)
	for b.Loop() {
		for _, clients := range []int{1, 8} {
			times, took := write(b, clients)
			name := fmt.Sprintf("creates-%d", clients)
			f.rate(name, fmt.Sprintf("clients: %d", clients), float64(len(times))/took.Seconds())
			f.latency(name, "one create", times)
		}
	}
	f.report("configmap creates through kcp's front-proxy, calibration")
}

// write creates configmaps for a while, and deletes them afterwards.
func write(b *testing.B, clients int) (samples, time.Duration) {
	b.Helper()
	maps := tenantCore(b).CoreV1().ConfigMaps(metav1.NamespaceDefault)
	label := fmt.Sprintf("bench-writes-%d", clients)
	all := make([]samples, clients)
	var wg sync.WaitGroup
	begin := time.Now()
	for worker := range clients {
		wg.Go(func() {
			for i := 0; time.Since(begin) < writeTime && b.Context().Err() == nil; i++ {
				object := configMap(fmt.Sprintf("write-%d-%d-%d", clients, worker, i))
				object.Labels = map[string]string{label: ""}
				start := time.Now()
				if _, err := maps.Create(b.Context(), object, metav1.CreateOptions{}); err != nil {
					b.Errorf("creating %s: %v", object.Name, err)
					return
				}
				all[worker] = append(all[worker], time.Since(start))
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	if err := maps.DeleteCollection(b.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: label}); err != nil {
		b.Errorf("deleting the configmaps: %v", err)
	}
	var merged samples
	for _, s := range all {
		merged = append(merged, s...)
	}
	if len(merged) == 0 {
		b.Fatal("nothing was created")
	}
	return merged, took
}
