// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package capacity keeps the sums of one member cluster: what its nodes offer and what its pods ask for.
//
// Every event moves the sums by its difference; nothing is ever added up again on a timer or on a read, except by Audit,
// which proves that the differences were right. A pod costs about 120 bytes. What comes in was sent by the member and may
// be absurd: amounts below zero count as zero, sums cannot overflow, and the numbers of pods, nodes and kinds of
// resources are bounded, which Summary says when it happens. The package knows no client, no clock and no encoding.
//
// A pod that has not ended is bound if it names a node, whatever its phase, and pending if not, scheduling gates or not.
// The requests of a bound pod count as allocated while its node is known, ready and not cordoned; they come and go with
// the node, at a cost that does not depend on how many pods it has.
package capacity

import (
	"sync"
	"sync/atomic"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// limits bound what one member can make us keep.
type limits struct {
	pods   int
	nodes  int
	spills int // pods with more resources than a record holds itself
}

// Cluster holds the state of one member. It is safe for concurrent use.
type Cluster struct {
	generation atomic.Uint64

	mu         sync.Mutex
	limits     limits
	slots      slots
	pods       records
	nodes      nodeTable
	totals     totals
	podList    listing
	nodeList   listing
	offers     []slotAmount // scratch of UpsertNode
	asks       podAsks      // scratch of UpsertPod
	summary    Summary
	summarized bool
}

// totals are the sums over all nodes and pods.
type totals struct {
	capacity    [maxSlots]sum
	allocatable [maxSlots]sum
	allocated   [maxSlots]sum
	allocating  [maxSlots]sum
	nodes       tmcv1alpha1.NodeSummary
	pods        tmcv1alpha1.PodSummary
}

// listing follows which objects a list has confirmed, and whether something had to be left out.
type listing struct {
	epoch   uint32
	open    bool
	dropped bool // since the list began
	lacking bool // in the figures
}

// NewCluster returns a cluster without nodes and pods.
func NewCluster() *Cluster {
	return &Cluster{
		limits: limits{pods: 2 << 20, nodes: 32 << 10, spills: 64 << 10},
		slots:  newSlots(),
		pods:   newRecords(),
		nodes:  nodeTable{byName: map[string]int32{}},
	}
}

// Generation changes whenever Summary would change. It is cheap.
func (c *Cluster) Generation() uint64 { return c.generation.Load() }

func (c *Cluster) changed() {
	c.summarized = false
	c.generation.Add(1)
}

// drop notes that something had to be left out.
func (c *Cluster) drop(l *listing) {
	l.dropped = true
	if !l.lacking {
		l.lacking = true
		c.changed()
	}
}

// BeginPods begins a list of all pods. What is upserted from now on until EndPods is confirmed by it. A list that broke
// off is begun again.
func (c *Cluster) BeginPods() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.podList.begin()
}

// EndPods ends a list of all pods: those that it did not confirm are gone. Without BeginPods it does nothing.
func (c *Cluster) EndPods() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.podList.open {
		return
	}
	for i := range c.pods.end {
		if r := c.pods.at(i); r.flags&flagLive != 0 && r.epoch != c.podList.epoch {
			c.removePod(i)
		}
	}
	c.pods.compact()
	c.endList(&c.podList)
}

// BeginNodes begins a list of all nodes, as BeginPods does for pods.
func (c *Cluster) BeginNodes() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodeList.begin()
}

// EndNodes ends a list of all nodes, as EndPods does for pods.
func (c *Cluster) EndNodes() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.nodeList.open {
		return
	}
	for i := range c.nodes.all {
		if n := &c.nodes.all[i]; n.known && n.epoch != c.nodeList.epoch {
			c.removeNode(int32(i))
		}
	}
	c.endList(&c.nodeList)
}

func (l *listing) begin() {
	l.epoch++
	l.open, l.dropped = true, false
}

func (c *Cluster) endList(l *listing) {
	l.open = false
	if l.lacking != l.dropped {
		l.lacking = l.dropped
		c.changed()
	}
}
