// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// crowd is a world with so many members.
func crowd(b *testing.B, members int) *world {
	b.Helper()
	w := stepped(b)
	for i := range members {
		name := fmt.Sprintf("member-%05d", i)
		at := w.join(name, "6400")
		w.mu.Lock()
		w.registrations[at].Labels = map[string]string{"env": []string{"prod", "test"}[i%2], "topology.kubernetes.io/zone": fmt.Sprintf("zone-%d", i%30), "tier": fmt.Sprint(i % 3)}
		observed := w.observations[at]
		observed.Capacity.Capacity = list("6400")
		observed.Capacity.Allocated = corev1.ResourceList{corev1.ResourceCPU: *resource.NewQuantity(int64(i*37%6000), resource.DecimalSI)}
		for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourcePods} {
			observed.Capacity.LargestFree = append(observed.Capacity.LargestFree, tmcv1alpha1.FreeSlot{Resource: name, Free: list("60")})
		}
		w.observations[at] = observed
		w.mu.Unlock()
	}
	return w
}

// BenchmarkDecideAgain is what the controller does when it looks at a Placement again, as whenever a member changes that it may
// have: it gathers what is known of the members, decides, explains, and finds that nothing is to be written.
func BenchmarkDecideAgain(b *testing.B) {
	for _, members := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("%dmembers", members), func(b *testing.B) {
			w := crowd(b, members)
			w.deploy("web", 3, "1")
			at := w.place("all", func(p *tmcv1alpha1.Placement) {
				p.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}
				p.Spec.NumberOfClusters = new(int32(2))
			})
			w.settle()
			w.tookPatches()
			b.ReportAllocs()
			for b.Loop() {
				w.reconcile(at)
			}
			if written := w.tookPatches(); written > 0 {
				b.Errorf("%d statuses were written", written)
			}
		})
	}
}
