// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Summary is the state of a cluster in the terms of a ClusterStatus. Its lists are shared between callers and must not be
// changed.
//
// Every list names cpu, memory and pods, and each further resource that a node offers; what pods hold or ask for is named
// even if no node offers it. Pods count as one each under the resource pods.
type Summary struct {
	// Generation is that of the figures.
	Generation uint64
	Nodes      tmcv1alpha1.NodeSummary
	Pods       tmcv1alpha1.PodSummary
	// Capacity is what all nodes have.
	Capacity corev1.ResourceList
	// Allocatable is what the usable nodes offer to pods.
	Allocatable corev1.ResourceList
	// Allocated is what the pods on usable nodes request.
	Allocated corev1.ResourceList
	// Allocating is what the pods without a node request.
	Allocating corev1.ResourceList
	// LargestFree has, for each resource that a usable node offers, the usable node that has most of it free; of equal
	// ones that with more cpu, then more memory, then the first name. It is sorted by resource.
	LargestFree []tmcv1alpha1.FreeSlot
	// Truncated says that the member sent more pods, nodes or kinds of resources than are followed, or some that no API
	// server admits, so that the figures are too low.
	Truncated bool
}

// Summary returns the present state. Between changes it is computed once; its cost grows with the number of nodes, not
// of pods.
func (c *Cluster) Summary() Summary {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.summarized {
		return c.summary
	}
	c.summary = Summary{
		Generation:  c.generation.Load(),
		Nodes:       c.totals.nodes,
		Pods:        c.totals.pods,
		Capacity:    c.list(&c.totals.capacity),
		Allocatable: c.list(&c.totals.allocatable),
		Allocated:   c.list(&c.totals.allocated),
		Allocating:  c.list(&c.totals.allocating),
		LargestFree: c.largestFree(),
		Truncated:   c.podList.lacking || c.nodeList.lacking,
	}
	c.summarized = true
	return c.summary
}

func (c *Cluster) list(sums *[maxSlots]sum) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := range c.slots.end {
		always := i <= int(slotPods) || c.slots.offered[i] > 0
		if v := sums[i].value(); c.slots.name[i] != "" && (always || v > 0) {
			list[corev1.ResourceName(c.slots.name[i])] = c.quantity(slot(i), v)
		}
	}
	return list
}

// quantity renders an amount as people write it.
func (c *Cluster) quantity(at slot, v int64) resource.Quantity {
	switch {
	case at == slotCPU:
		return *resource.NewMilliQuantity(v, resource.DecimalSI)
	case at == slotMemory, at == slotStorage, strings.HasPrefix(c.slots.name[at], corev1.ResourceHugePagesPrefix):
		return *resource.NewQuantity(v, resource.BinarySI)
	default:
		return *resource.NewQuantity(v, resource.DecimalSI)
	}
}

// candidate is a node that may have most of a resource free.
type candidate struct {
	node   *node
	free   int64
	cpu    int64
	memory int64
}

func (a *candidate) better(b *candidate) bool {
	if b.node == nil {
		return true
	}
	order := cmp.Or(cmp.Compare(a.free, b.free), cmp.Compare(a.cpu, b.cpu), cmp.Compare(a.memory, b.memory))
	return order > 0 || (order == 0 && a.node.name < b.node.name)
}

func (c *Cluster) largestFree() []tmcv1alpha1.FreeSlot {
	var best [maxSlots]candidate
	for i := range c.nodes.all {
		n := &c.nodes.all[i]
		if !n.usable() {
			continue
		}
		next := candidate{node: n}
		for _, o := range n.allocatable {
			switch o.slot {
			case slotCPU:
				next.cpu = n.free(o)
			case slotMemory:
				next.memory = n.free(o)
			}
		}
		for _, o := range n.allocatable {
			next.free = n.free(o)
			if next.better(&best[o.slot]) {
				best[o.slot] = next
			}
		}
	}
	var slots []tmcv1alpha1.FreeSlot //nolint:prealloc // nil where nothing is free
	for i := range best {
		n := best[i].node
		if n == nil {
			continue
		}
		free := make(corev1.ResourceList, len(n.allocatable))
		for _, o := range n.allocatable {
			free[corev1.ResourceName(c.slots.name[o.slot])] = c.quantity(o.slot, n.free(o))
		}
		slots = append(slots, tmcv1alpha1.FreeSlot{Resource: corev1.ResourceName(c.slots.name[i]), Free: free})
	}
	slices.SortFunc(slots, func(a, b tmcv1alpha1.FreeSlot) int { return cmp.Compare(a.Resource, b.Resource) })
	return slots
}
