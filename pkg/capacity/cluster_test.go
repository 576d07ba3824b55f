// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/capacity"
)

// amounts makes a list of amounts from pairs of a name and a value.
func amounts(pairs ...any) []capacity.Amount {
	var list []capacity.Amount
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, capacity.Amount{Name: []byte(pairs[i].(string)), Value: int64(pairs[i+1].(int))})
	}
	return list
}

func pod(uid, node string, requests ...any) *capacity.Pod {
	return &capacity.Pod{UID: []byte(uid), NodeName: []byte(node), Phase: capacity.PhaseRunning, Requests: amounts(requests...)}
}

func node(name string, offers ...any) *capacity.Node {
	return &capacity.Node{Name: []byte(name), Ready: true, Capacity: amounts(offers...), Allocatable: amounts(offers...)}
}

// list makes a resource list from pairs of a name and a quantity.
func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func checkSummary(t *testing.T, c *capacity.Cluster, want capacity.Summary) {
	t.Helper()
	got := c.Summary()
	want.Generation = got.Generation
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	checkAudit(t, c)
}

func checkAudit(t *testing.T, c *capacity.Cluster) {
	t.Helper()
	if audit := c.Audit(); !audit.Clean() {
		t.Errorf("the audit found drift %v and %d miscounts", audit.Drift, audit.Miscounts)
	}
}

const gibi = 1 << 30

func TestSummary(t *testing.T) {
	t.Parallel()
	c := capacity.NewCluster()
	none := list("cpu", "0", "memory", "0", "pods", "0")
	checkSummary(t, c, capacity.Summary{Capacity: none, Allocatable: none, Allocated: none, Allocating: none})

	c.UpsertNode(node("a", "cpu", 4000, "memory", 8*gibi, "pods", 110, "nvidia.com/gpu", 2, "hugepages-2Mi", 0))
	c.UpsertNode(node("b", "cpu", 8000, "memory", 4*gibi, "pods", 110))
	away := node("c", "cpu", 64000, "memory", 64*gibi)
	away.Ready = false
	c.UpsertNode(away)
	c.UpsertPod(pod("1", "a", "cpu", 500, "memory", gibi, "nvidia.com/gpu", 1, "pods", 5))
	c.UpsertPod(pod("2", "b", "cpu", 7000))
	c.UpsertPod(pod("3", "c", "cpu", 1000))
	c.UpsertPod(pod("4", "", "cpu", 250, "example.com/fpga", 1))
	c.UpsertPod(pod("5", "unheard-of", "cpu", 100))
	ended := pod("6", "a", "cpu", 100)
	ended.Phase = capacity.PhaseSucceeded
	c.UpsertPod(ended)

	checkSummary(t, c, capacity.Summary{
		Nodes:       tmcv1alpha1.NodeSummary{Total: 3, Ready: 2},
		Pods:        tmcv1alpha1.PodSummary{Bound: 4, Pending: 1},
		Capacity:    list("cpu", "76", "memory", "76Gi", "pods", "220", "nvidia.com/gpu", "2"),
		Allocatable: list("cpu", "12", "memory", "12Gi", "pods", "220", "nvidia.com/gpu", "2"),
		Allocated:   list("cpu", "7500m", "memory", "1Gi", "pods", "2", "nvidia.com/gpu", "1"),
		Allocating:  list("cpu", "250m", "memory", "0", "pods", "1", "nvidia.com/gpu", "0", "example.com/fpga", "1"),
		LargestFree: []tmcv1alpha1.FreeSlot{
			{Resource: "cpu", Free: list("cpu", "3500m", "memory", "7Gi", "pods", "109", "nvidia.com/gpu", "1")},
			{Resource: "memory", Free: list("cpu", "3500m", "memory", "7Gi", "pods", "109", "nvidia.com/gpu", "1")},
			{Resource: "nvidia.com/gpu", Free: list("cpu", "3500m", "memory", "7Gi", "pods", "109", "nvidia.com/gpu", "1")},
			{Resource: "pods", Free: list("cpu", "3500m", "memory", "7Gi", "pods", "109", "nvidia.com/gpu", "1")},
		},
	})
}

// figures are the cpu sums and the counts, which is enough to follow most changes.
func figures(c *capacity.Cluster) string {
	s := c.Summary()
	return fmt.Sprintf("nodes %d/%d/%d pods %d+%d cpu %s %s %s %s", s.Nodes.Total, s.Nodes.Ready, s.Nodes.Unschedulable, s.Pods.Bound, s.Pods.Pending,
		s.Capacity.Cpu(), s.Allocatable.Cpu(), s.Allocated.Cpu(), s.Allocating.Cpu())
}

func TestEvents(t *testing.T) {
	t.Parallel()
	c := capacity.NewCluster()
	unready, cordoned, grown := node("a", "cpu", 4000), node("a", "cpu", 4000), node("a", "cpu", 5000)
	unready.Ready, cordoned.Unschedulable = false, true
	ended := pod("1", "a")
	ended.Phase = capacity.PhaseFailed
	steps := []struct {
		name string
		do   func()
		want string
	}{
		{"a pod on a node to come", func() { c.UpsertPod(pod("1", "a", "cpu", 1000)) }, "nodes 0/0/0 pods 1+0 cpu 0 0 0 0"},
		{"its node comes", func() { c.UpsertNode(node("a", "cpu", 4000)) }, "nodes 1/1/0 pods 1+0 cpu 4 4 1 0"},
		{"a pod waits", func() { c.UpsertPod(pod("2", "", "cpu", 500)) }, "nodes 1/1/0 pods 1+1 cpu 4 4 1 500m"},
		{"and is bound", func() { c.UpsertPod(pod("2", "a", "cpu", 500)) }, "nodes 1/1/0 pods 2+0 cpu 4 4 1500m 0"},
		{"the node is lost", func() { c.UpsertNode(unready) }, "nodes 1/0/0 pods 2+0 cpu 4 0 0 0"},
		{"a pod leaves meanwhile", func() { c.DeletePod(pod("2", "a")) }, "nodes 1/0/0 pods 1+0 cpu 4 0 0 0"},
		{"a pod is resized meanwhile", func() { c.UpsertPod(pod("1", "a", "cpu", 2000)) }, "nodes 1/0/0 pods 1+0 cpu 4 0 0 0"},
		{"the node is back", func() { c.UpsertNode(node("a", "cpu", 4000)) }, "nodes 1/1/0 pods 1+0 cpu 4 4 2 0"},
		{"the node is cordoned", func() { c.UpsertNode(cordoned) }, "nodes 1/1/1 pods 1+0 cpu 4 0 0 0"},
		{"and grows", func() { c.UpsertNode(grown) }, "nodes 1/1/0 pods 1+0 cpu 5 5 2 0"},
		{"the node is deleted", func() { c.DeleteNode(grown) }, "nodes 0/0/0 pods 1+0 cpu 0 0 0 0"},
		{"it is deleted again", func() { c.DeleteNode(grown) }, "nodes 0/0/0 pods 1+0 cpu 0 0 0 0"},
		{"the node is made again", func() { c.UpsertNode(grown) }, "nodes 1/1/0 pods 1+0 cpu 5 5 2 0"},
		{"the pod ends", func() { c.UpsertPod(ended) }, "nodes 1/1/0 pods 0+0 cpu 5 5 0 0"},
		{"it is deleted", func() { c.DeletePod(ended) }, "nodes 1/1/0 pods 0+0 cpu 5 5 0 0"},
		{"an unknown node is deleted", func() { c.DeleteNode(node("x")) }, "nodes 1/1/0 pods 0+0 cpu 5 5 0 0"},
	}
	for _, step := range steps {
		step.do()
		if got := figures(c); got != step.want {
			t.Fatalf("%s: %s, want %s", step.name, got, step.want)
		}
		checkAudit(t, c)
	}
}

func TestGenerationStandsStillWithoutChange(t *testing.T) {
	t.Parallel()
	c := capacity.NewCluster()
	many := []any{"cpu", 100, "memory", 5, "ephemeral-storage", 1, "example.com/a", 1, "example.com/b", 2, "example.com/c", 3, "example.com/d", 4}
	apply := func() {
		c.UpsertNode(node("a", "cpu", 1000, "memory", 10))
		c.UpsertPod(pod("1", "a", "cpu", 100))
		c.UpsertPod(pod("2", "", many...))
	}
	apply()
	before := c.Generation()
	apply()
	c.DeletePod(pod("9", ""))
	c.BeginPods()
	c.BeginNodes()
	apply()
	c.EndPods()
	c.EndNodes()
	if got := c.Generation(); got != before || c.Summary().Generation != before {
		t.Errorf("generation went from %d to %d although nothing changed", before, got)
	}
	c.UpsertPod(pod("2", "", many[:12]...))
	if c.Generation() == before || c.Summary().Generation == before {
		t.Errorf("generation stayed at %d although a pod changed", before)
	}
	checkAudit(t, c)
}

func TestRelist(t *testing.T) {
	t.Parallel()
	c := capacity.NewCluster()
	c.EndPods()
	c.EndNodes()
	for i := range 3000 {
		c.UpsertPod(pod(uuid(i), "a", "cpu", 1))
	}
	c.UpsertPod(pod("odd", "a", "cpu", 1, "x/a", 1, "x/b", 1, "x/c", 1, "x/d", 1))
	c.UpsertNode(node("a", "cpu", 9000))
	c.UpsertNode(node("b", "cpu", 1000))

	c.BeginPods() // breaks off
	c.UpsertPod(pod(uuid(7), "a", "cpu", 1))
	c.BeginPods()
	c.BeginNodes()
	if got, want := figures(c), "nodes 2/2/0 pods 3001+0 cpu 10 10 3001m 0"; got != want {
		t.Errorf("while listing: %s, want %s", got, want)
	}
	c.UpsertPod(pod(uuid(1), "a", "cpu", 1))
	c.UpsertPod(pod(uuid(2), "", "cpu", 2))
	c.UpsertPod(pod("odd", "a", "cpu", 1, "x/a", 1, "x/b", 1, "x/c", 1, "x/d", 1))
	c.UpsertNode(node("a", "cpu", 9000))
	c.EndPods()
	c.EndNodes()
	if got, want := figures(c), "nodes 1/1/0 pods 2+1 cpu 9 9 2m 2m"; got != want {
		t.Errorf("after the lists: %s, want %s", got, want)
	}
	if d := c.Summary().Allocated["x/d"]; d.Value() != 1 {
		t.Errorf("x/d is %s after the memory was compacted, want 1", d.String())
	}
	checkAudit(t, c)
	c.DeletePod(pod("odd", ""))
	c.DeletePod(pod(uuid(1), ""))
	c.DeletePod(pod(uuid(2), ""))
	if got, want := figures(c), "nodes 1/1/0 pods 0+0 cpu 9 9 0 0"; got != want {
		t.Errorf("at last: %s, want %s", got, want)
	}
}

func uuid(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", i) }

func TestLargestFreeBreaksTies(t *testing.T) {
	t.Parallel()
	c := capacity.NewCluster()
	c.UpsertNode(node("d", "cpu", 1000, "memory", 10, "x/gpu", 1))
	c.UpsertNode(node("c", "cpu", 2000, "memory", 10, "x/gpu", 1))
	c.UpsertNode(node("b", "cpu", 2000, "memory", 20, "x/gpu", 1))
	c.UpsertNode(node("a", "cpu", 2000, "memory", 20, "x/gpu", 1, "x/mark", 1))
	c.UpsertPod(pod("1", "d", "cpu", 5000, "x/gpu", 4)) // more than the node has
	for _, s := range c.Summary().LargestFree {
		if _, marked := s.Free["x/mark"]; !marked {
			t.Errorf("most %s is free on a node with %v, want node a", s.Resource, s.Free)
		}
	}
	c.DeleteNode(node("a"))
	c.DeleteNode(node("b"))
	c.DeleteNode(node("c"))
	for _, s := range c.Summary().LargestFree {
		if free := s.Free["x/gpu"]; !free.IsZero() {
			t.Errorf("%s of x/gpu is free on a node that holds more than it has, want 0", free.String())
		}
	}
}
