// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func hostilePod(uid, node string, requests ...Amount) *Pod {
	return &Pod{UID: []byte(uid), NodeName: []byte(node), Requests: requests}
}

func hostileNode(name string, offers ...Amount) *Node {
	return &Node{Name: []byte(name), Ready: true, Capacity: offers, Allocatable: offers}
}

func wantTruncated(t *testing.T, c *Cluster, want bool) {
	t.Helper()
	if got := c.Summary().Truncated; got != want {
		t.Errorf("truncated is %v, want %v", got, want)
	}
	if audit := c.Audit(); !audit.Clean() {
		t.Errorf("the audit found drift %v and %d miscounts", audit.Drift, audit.Miscounts)
	}
}

// SEC-20: amounts of a hostile member neither overflow the sums nor make them negative, and do no lasting harm.
func TestAbsurdAmounts(t *testing.T) {
	t.Parallel()
	c := NewCluster()
	huge := Amount{Name: []byte("cpu"), Value: math.MaxInt64}
	negative := Amount{Name: []byte("memory"), Value: math.MinInt64}
	c.UpsertNode(hostileNode("n", Amount{Name: []byte("cpu"), Value: 1000}, negative))
	for i := range 10 {
		c.UpsertPod(hostilePod(fmt.Sprint(i), "n", huge, negative))
		c.UpsertPod(hostilePod(fmt.Sprint("pending-", i), "", huge))
	}
	s := c.Summary()
	if s.Allocated.Cpu().MilliValue() != math.MaxInt64 || s.Allocating.Cpu().MilliValue() != math.MaxInt64 {
		t.Errorf("allocated %s and allocating %s, want both at the end of int64", s.Allocated.Cpu(), s.Allocating.Cpu())
	}
	if !s.Allocated.Memory().IsZero() || !s.Capacity.Memory().IsZero() {
		t.Errorf("memory is %s of %s, want 0", s.Allocated.Memory(), s.Capacity.Memory())
	}
	for i := range 10 {
		c.DeletePod(hostilePod(fmt.Sprint(i), ""))
		c.DeletePod(hostilePod(fmt.Sprint("pending-", i), ""))
	}
	s = c.Summary()
	if !s.Allocated.Cpu().IsZero() || !s.Allocating.Cpu().IsZero() {
		t.Errorf("allocated %s and allocating %s after all pods went, want 0", s.Allocated.Cpu(), s.Allocating.Cpu())
	}
	wantTruncated(t, c, false)
}

// SEC-20: whoever may create pods in a member cannot crowd out the resources of its nodes by inventing names.
func TestInventedResources(t *testing.T) {
	t.Parallel()
	c := NewCluster()
	for i := range 500 {
		c.UpsertPod(hostilePod(fmt.Sprint(i), "", Amount{Name: fmt.Appendf(nil, "example.com/r%d", i), Value: 1}))
	}
	if got := len(c.Summary().Allocating); got != 3+maxAskedSlots {
		t.Errorf("%d resources are followed, want 3 and %d", got, maxAskedSlots)
	}
	wantTruncated(t, c, true)
	c.UpsertNode(hostileNode("n", Amount{Name: []byte("nvidia.com/gpu"), Value: 8}))
	if gpus := c.Summary().Allocatable["nvidia.com/gpu"]; gpus.Value() != 8 {
		t.Errorf("the node offers %s GPUs, want 8", gpus.String())
	}
	c.BeginPods()
	c.UpsertPod(hostilePod("real", "n", Amount{Name: []byte("nvidia.com/gpu"), Value: 1}))
	c.EndPods()
	wantTruncated(t, c, false)
	if got := len(c.slots.byName); got != int(firstDynamic)+1 {
		t.Errorf("%d names are kept after the inventor left, want %d", got, int(firstDynamic)+1)
	}
	var offers []Amount
	for i := range 2 * maxSlots {
		offers = append(offers, Amount{Name: fmt.Appendf(nil, "example.com/d%d", i), Value: 1})
	}
	c.UpsertNode(hostileNode("many", offers...))
	wantTruncated(t, c, true)
	c.BeginNodes()
	c.EndNodes()
	wantTruncated(t, c, false)
}

// SEC-20: text that is no resource name never gets into a view.
func TestBadResourceNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a b", "<script>", "a\x00", "\xff", strings.Repeat("x", maxResourceName+1)} {
		c := NewCluster()
		c.UpsertPod(hostilePod("1", "", Amount{Name: []byte(name), Value: 1}))
		if got := len(c.Summary().Allocating); got != 3 {
			t.Errorf("%q: %d resources, want cpu, memory and pods", name, got)
		}
		wantTruncated(t, c, true)
	}
}

// SEC-20: the numbers of pods, nodes and of pods with very many resources are bounded.
func TestLimits(t *testing.T) {
	t.Parallel()
	c := NewCluster()
	c.limits = limits{pods: 3, nodes: 2, spills: 1}
	var many []Amount
	for i := range 5 {
		many = append(many, Amount{Name: fmt.Appendf(nil, "x/%d", i), Value: 1})
	}
	c.UpsertPod(hostilePod("1", "n1", many...))
	wantTruncated(t, c, false)
	c.UpsertPod(hostilePod("2", "n2", many...))
	wantTruncated(t, c, true)
	if last := c.Summary(); last.Pods.Bound != 2 || len(c.pods.spill) != 1 {
		t.Errorf("%d pods, %d with further resources, want 2 and 1", last.Pods.Bound, len(c.pods.spill))
	}
	many[0].Value = 7
	c.UpsertPod(hostilePod("1", "n1", many...))
	c.UpsertPod(hostilePod("3", "n3"))
	if got := c.pods.at(2).node; got != unknownNode {
		t.Errorf("a pod of a node beyond the limit is bound to %d, want none", got)
	}
	c.UpsertNode(hostileNode("n3"))
	c.UpsertPod(hostilePod("4", "n1"))
	if s := c.Summary(); s.Pods.Bound != 3 || s.Nodes.Total != 0 {
		t.Errorf("%d pods and %d nodes, want 3 and 0", s.Pods.Bound, s.Nodes.Total)
	}
	c.UpsertPod(hostilePod("1", "n1", many[:1]...))
	if len(c.pods.spill) != 0 {
		t.Errorf("%d pods with further resources, want none", len(c.pods.spill))
	}
	c.BeginPods()
	c.EndPods()
	c.BeginNodes()
	c.EndNodes()
	wantTruncated(t, c, false)
	if len(c.nodes.byName) != 0 || c.pods.live != 0 {
		t.Errorf("%d nodes and %d pods are left, want none", len(c.nodes.byName), c.pods.live)
	}
	c.UpsertPod(&Pod{})
	c.UpsertNode(&Node{})
	c.UpsertNode(&Node{Name: []byte("t"), Truncated: true})
	c.UpsertPod(&Pod{UID: []byte("t"), Truncated: true})
	wantTruncated(t, c, true)
}

func TestAuditFindsAndRepairs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*Cluster)
		drift map[string]int64
		count int
	}{
		"total too high":     {spoil: func(c *Cluster) { c.totals.allocated[slotCPU].move(5, true) }, drift: map[string]int64{"cpu": 5}},
		"total too low":      {spoil: func(c *Cluster) { c.totals.capacity[slotMemory].move(7, false) }, drift: map[string]int64{"memory": 7}},
		"total far too high": {spoil: func(c *Cluster) { c.totals.allocated[slotCPU].high = 9 }, drift: map[string]int64{"cpu": math.MaxInt64}},
		"node sum":           {spoil: func(c *Cluster) { c.nodes.all[0].used[slotPods].move(1, true) }, drift: map[string]int64{"pods": 1}},
		"node sum forgotten": {spoil: func(c *Cluster) { c.nodes.all[0].used = nil }, drift: map[string]int64{"cpu": 100, "pods": 1}},
		"node count":         {spoil: func(c *Cluster) { c.totals.nodes.Ready++ }, count: 1},
		"pod count":          {spoil: func(c *Cluster) { c.totals.pods.Pending-- }, count: 1},
		"pods of a node":     {spoil: func(c *Cluster) { c.nodes.all[0].pods++ }, count: 1},
		"uses of a slot":     {spoil: func(c *Cluster) { c.slots.asked[slotStorage]++ }, count: 1},
		"sum without a slot": {spoil: func(c *Cluster) { c.totals.allocating[40].move(1, true) }, count: 1},
		"nothing":            {spoil: func(*Cluster) {}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewCluster()
			c.UpsertNode(hostileNode("n", Amount{Name: []byte("cpu"), Value: 1000}, Amount{Name: []byte("memory"), Value: 1000}))
			c.UpsertPod(hostilePod("1", "n", Amount{Name: []byte("cpu"), Value: 100}))
			tc.spoil(c)
			before := c.Generation()
			audit := c.Audit()
			if audit.Pods != 1 || audit.Nodes != 1 || audit.Miscounts != tc.count || len(audit.Drift) != len(tc.drift) {
				t.Errorf("audit is %+v, want drift %v and %d miscounts", audit, tc.drift, tc.count)
			}
			for name, v := range audit.Drift {
				if tc.drift[string(name)] != v {
					t.Errorf("drift of %s is %d, want %d", name, v, tc.drift[string(name)])
				}
			}
			if (c.Generation() != before) == audit.Clean() {
				t.Errorf("generation went from %d to %d with a clean audit: %v", before, c.Generation(), audit.Clean())
			}
			wantTruncated(t, c, false)
		})
	}
}

func TestParseUID(t *testing.T) {
	t.Parallel()
	const usual = "01234567-89ab-cdef-0123-456789abcdef"
	if _, ok := parseUID([]byte(usual)); !ok {
		t.Errorf("%s is not taken for a UUID", usual)
	}
	for _, s := range []string{"", "x", strings.ToUpper(usual), strings.Replace(usual, "-", "0", 1), strings.Replace(usual, "0", "g", 1)} {
		if key, ok := parseUID([]byte(s)); ok {
			t.Errorf("%s is taken for the UUID %x", s, key)
		}
	}
}
