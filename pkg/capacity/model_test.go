// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/capacity"
)

// model does the same as a Cluster in the plainest way: it keeps everything and adds it all up on each question.
type model struct {
	pods  map[string]*capacity.Pod
	nodes map[string]*capacity.Node
}

func (m *model) sums() (tmcv1alpha1.NodeSummary, tmcv1alpha1.PodSummary, map[string]int64) {
	var nodes tmcv1alpha1.NodeSummary
	var pods tmcv1alpha1.PodSummary
	sums := map[string]int64{}
	usable := func(n *capacity.Node) bool { return n != nil && n.Ready && !n.Unschedulable }
	for _, n := range m.nodes {
		nodes.Total++
		if n.Ready {
			nodes.Ready++
		}
		if n.Unschedulable {
			nodes.Unschedulable++
		}
		for _, a := range n.Capacity {
			sums["capacity "+string(a.Name)] += a.Value
		}
		for _, a := range n.Allocatable {
			if usable(n) {
				sums["allocatable "+string(a.Name)] += a.Value
			}
		}
	}
	for _, p := range m.pods {
		kind := "allocated "
		if len(p.NodeName) == 0 {
			pods.Pending++
			kind = "allocating "
		} else {
			pods.Bound++
			if !usable(m.nodes[string(p.NodeName)]) {
				continue
			}
		}
		sums[kind+"pods"]++
		for _, a := range p.Requests {
			sums[kind+string(a.Name)] += a.Value
		}
	}
	return nodes, pods, sums
}

func flatten(s capacity.Summary) map[string]int64 {
	sums := map[string]int64{}
	for kind, list := range map[string]corev1.ResourceList{
		"capacity ": s.Capacity, "allocatable ": s.Allocatable, "allocated ": s.Allocated, "allocating ": s.Allocating,
	} {
		for name, q := range list {
			v := q.Value()
			if name == corev1.ResourceCPU {
				v = q.MilliValue()
			}
			if v != 0 {
				sums[kind+string(name)] = v
			}
		}
	}
	return sums
}

// step does one random event, or a whole list, to both.
func step(r *rand.Rand, c *capacity.Cluster, m *model) {
	nodeName := func() string { return fmt.Sprintf("node-%d", r.IntN(8)) }
	switch r.IntN(12) {
	case 0, 1:
		n := node(nodeName(), "cpu", 1000+r.IntN(3)*1000, "memory", 1000, "pods", 110)
		if r.IntN(3) == 0 {
			n.Capacity = append(n.Capacity, amounts("example.com/gpu", 1+r.IntN(4))...)
		}
		n.Ready, n.Unschedulable = r.IntN(4) > 0, r.IntN(4) == 0
		m.nodes[string(n.Name)] = n
		c.UpsertNode(n)
	case 2:
		n := node(nodeName())
		delete(m.nodes, string(n.Name))
		c.DeleteNode(n)
	case 3, 4:
		p := pod(podUID(r), "")
		delete(m.pods, string(p.UID))
		c.DeletePod(p)
	case 5:
		if r.IntN(20) == 0 {
			relist(r, c, m)
		}
	default:
		p := pod(podUID(r), pickName(r, nodeName()))
		for _, name := range []string{"cpu", "memory", "ephemeral-storage", "example.com/gpu", "x/a", "x/b", "x/c"} {
			if r.IntN(2) == 0 {
				p.Requests = append(p.Requests, amounts(name, 1+r.IntN(50))...)
			}
		}
		m.pods[string(p.UID)] = p
		if r.IntN(8) == 0 {
			p.Phase = capacity.PhaseSucceeded
			delete(m.pods, string(p.UID))
		}
		c.UpsertPod(p)
	}
}

func podUID(r *rand.Rand) string {
	if i := r.IntN(60); i > 10 {
		return uuid(i)
	}
	return fmt.Sprint("odd-", r.IntN(10))
}

func pickName(r *rand.Rand, name string) string {
	if r.IntN(4) == 0 {
		return ""
	}
	return name
}

// relist lists what is left after a part has gone unseen.
func relist(r *rand.Rand, c *capacity.Cluster, m *model) {
	c.BeginPods()
	for uid, p := range m.pods {
		if r.IntN(3) == 0 {
			delete(m.pods, uid)
			continue
		}
		c.UpsertPod(p)
	}
	c.EndPods()
	c.BeginNodes()
	for name, n := range m.nodes {
		if r.IntN(3) == 0 {
			delete(m.nodes, name)
			continue
		}
		c.UpsertNode(n)
	}
	c.EndNodes()
}

func TestRandomEventsAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 9))
		c := capacity.NewCluster()
		m := &model{pods: map[string]*capacity.Pod{}, nodes: map[string]*capacity.Node{}}
		for i := range 3000 {
			step(r, c, m)
			got := c.Summary()
			nodes, pods, sums := m.sums()
			if got.Nodes != nodes || got.Pods != pods || !cmp.Equal(sums, flatten(got)) || got.Truncated {
				t.Fatalf("seed %d, event %d: nodes %+v and %+v, pods %+v and %+v, sums (-model +cluster):\n%s",
					seed, i, nodes, got.Nodes, pods, got.Pods, cmp.Diff(sums, flatten(got)))
			}
			if i%100 == 0 {
				checkAudit(t, c)
			}
		}
	}
}

// Under the race detector this proves that events, lists, reads and audits may meet.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	c := capacity.NewCluster()
	var all sync.WaitGroup
	for seed := range uint64(4) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 5))
			own := &model{pods: map[string]*capacity.Pod{}, nodes: map[string]*capacity.Node{}}
			for i := range 500 {
				step(r, c, own)
				_ = c.Generation()
				if i%20 == 0 {
					_ = c.Summary()
					checkAudit(t, c)
				}
			}
		})
	}
	all.Wait()
	checkAudit(t, c)
}

func TestReset(t *testing.T) {
	t.Parallel()
	p, n := pod("1", "a", "cpu", 1), node("a", "cpu", 1)
	p.Truncated, n.Truncated = true, true
	p.Reset()
	n.Reset()
	if len(p.UID)+len(p.Requests) > 0 || p.Truncated || p.Phase != capacity.PhaseOther || cap(p.Requests) == 0 {
		t.Errorf("pod is %+v after Reset", p)
	}
	if len(n.Name)+len(n.Capacity)+len(n.Allocatable) > 0 || n.Truncated || n.Ready || cap(n.Capacity) == 0 {
		t.Errorf("node is %+v after Reset", n)
	}
}
