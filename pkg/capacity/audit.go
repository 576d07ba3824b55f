// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity

import (
	"math"

	corev1 "k8s.io/api/core/v1"
)

// Audit is the result of a recount.
type Audit struct {
	// Pods and Nodes are how many records were counted.
	Pods  int
	Nodes int
	// Drift is by how much the sums of each resource were wrong, all sums taken together. It must be empty.
	Drift map[corev1.ResourceName]int64
	// Miscounts is how many counts of nodes, pods and uses were wrong. It must be 0.
	Miscounts int
}

// Clean says that nothing was wrong.
func (a Audit) Clean() bool { return len(a.Drift) == 0 && a.Miscounts == 0 }

// Audit counts everything again from the packed records, reports by how much the sums had drifted and repairs them. It
// holds up events meanwhile: some 40 ns for each pod.
func (c *Cluster) Audit() Audit {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, slotsBefore := c.totals, c.slots
	usedBefore, podsBefore := c.forget()
	audit := Audit{Drift: map[corev1.ResourceName]int64{}}
	for i := range c.nodes.all {
		if n := &c.nodes.all[i]; n.known {
			audit.Nodes++
			c.countNode(n, true)
			c.claim(n.capacity, &c.slots.offered)
			c.claim(n.allocatable, &c.slots.offered)
		}
	}
	for i := range c.pods.end {
		r := c.pods.at(i)
		if r.flags&flagLive == 0 {
			continue
		}
		audit.Pods++
		c.hold(r.node)
		c.count(i, true)
		for _, at := range r.slots {
			if at != 0 {
				c.slots.asked[at]++
			}
		}
		c.claim(c.pods.spill[i], &c.slots.asked)
	}
	c.compareTotals(&audit, &before)
	c.compareNodes(&audit, usedBefore, podsBefore)
	c.compareSlots(&audit, &slotsBefore)
	if !audit.Clean() {
		c.changed()
	}
	return audit
}

// forget empties everything that is derived from records, and returns what the nodes had.
func (c *Cluster) forget() (used [][]sum, pods []int) {
	used, pods = make([][]sum, len(c.nodes.all)), make([]int, len(c.nodes.all))
	for i := range c.nodes.all {
		n := &c.nodes.all[i]
		used[i], pods[i] = n.used, n.pods
		n.used, n.pods = make([]sum, len(n.used)), 0
	}
	c.totals = totals{}
	c.slots.asked, c.slots.offered = [maxSlots]int{}, [maxSlots]int{}
	return used, pods
}

func (c *Cluster) claim(amounts []slotAmount, uses *[maxSlots]int) {
	for _, o := range amounts {
		uses[o.slot]++
	}
}

func (c *Cluster) compareTotals(audit *Audit, before *totals) {
	for i := range maxSlots {
		c.drift(audit, i, before.capacity[i], c.totals.capacity[i])
		c.drift(audit, i, before.allocatable[i], c.totals.allocatable[i])
		c.drift(audit, i, before.allocated[i], c.totals.allocated[i])
		c.drift(audit, i, before.allocating[i], c.totals.allocating[i])
	}
	if before.nodes != c.totals.nodes {
		audit.Miscounts++
	}
	if before.pods != c.totals.pods {
		audit.Miscounts++
	}
}

func (c *Cluster) compareNodes(audit *Audit, used [][]sum, pods []int) {
	for i := range c.nodes.all {
		n := &c.nodes.all[i]
		for at, now := range n.used {
			var was sum
			if at < len(used[i]) {
				was = used[i][at]
			}
			c.drift(audit, at, was, now)
		}
		if n.pods != pods[i] {
			audit.Miscounts++
		}
		c.nodes.release(int32(i))
	}
}

func (c *Cluster) compareSlots(audit *Audit, before *slots) {
	for i := range maxSlots {
		if before.asked[i] != c.slots.asked[i] || before.offered[i] != c.slots.offered[i] {
			audit.Miscounts++
		}
		c.slots.release(slot(i))
	}
}

// drift adds the difference of two sums to what is wrong with a resource.
func (c *Cluster) drift(audit *Audit, at int, was, now sum) {
	if was == now {
		return
	}
	difference := was
	difference.moveSum(now, false)
	if difference.high>>63 != 0 {
		difference = sum{}
		difference.moveSum(now, true)
		difference.moveSum(was, false)
	}
	name := corev1.ResourceName(c.slots.name[at])
	if name == "" {
		audit.Miscounts++
		return
	}
	audit.Drift[name] += min(difference.value(), math.MaxInt64-audit.Drift[name])
}
