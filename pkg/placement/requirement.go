// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	corev1 "k8s.io/api/core/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Requirement is what one member must have for the workloads with all their replicas, places for pods included.
func Requirement(workloads []Workload) corev1.ResourceList {
	var sum vector
	for i := range workloads {
		requests := requestsOf(&workloads[i])
		sum.add(&requests, podsOf(&workloads[i]))
	}
	return sum.list()
}

// Requirements is what each target must have for its share of the workloads when these targets are chosen: what a
// Placement with the key is to reserve there.
func Requirements(key string, spec *tmcv1alpha1.PlacementSpec, workloads []Workload, targets []Target) map[string]corev1.ResourceList {
	if spec == nil {
		spec = &tmcv1alpha1.PlacementSpec{}
	}
	d := newDivider(spec.ReplicaScheduling, targets)
	sums := make(map[string]*vector, len(targets))
	for _, t := range targets {
		sums[t.Name] = &vector{}
	}
	for i := range workloads {
		w := &workloads[i]
		requests := requestsOf(w)
		if !d.divided || w.PerNode {
			for _, sum := range sums {
				sum.add(&requests, podsOf(w))
			}
			continue
		}
		for name, replicas := range d.divide(w.Replicas, DivideKey(key, w.Resource, w.Name)) {
			sums[name].add(&requests, int64(replicas))
		}
	}
	all := make(map[string]corev1.ResourceList, len(sums))
	for name, sum := range sums {
		all[name] = sum.list()
	}
	return all
}
