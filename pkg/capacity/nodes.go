// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity

import "slices"

// node is what is kept of a node. A node that pods name and nobody has sent yet is kept too, with known false: its pods
// count as bound at once, and their requests as allocated as soon as the node turns out to be usable.
type node struct {
	name     string
	live     bool // the entry is in use
	known    bool // the member has sent the node
	ready    bool
	cordoned bool
	epoch    uint32
	pods     int // records that point here

	capacity    []slotAmount // in slot order, as allocatable
	allocatable []slotAmount
	used        []sum // by slot
}

func (n *node) usable() bool { return n.known && n.ready && !n.cordoned }

// room returns the sum of a slot.
func (n *node) room(at slot) *sum {
	for len(n.used) <= int(at) {
		n.used = append(n.used, sum{})
	}
	return &n.used[at]
}

// free is what is left of an offer, and 0 on a node that holds more than it offers.
func (n *node) free(offer slotAmount) int64 {
	if int(offer.slot) >= len(n.used) {
		return offer.value
	}
	return max(0, offer.value-n.used[offer.slot].value())
}

// nodeTable holds the nodes of a cluster under indexes that stay.
type nodeTable struct {
	all    []node
	unused []int32
	byName map[string]int32
}

// find returns the index of a node, and takes one for a name that is new unless there are limit nodes already.
func (t *nodeTable) find(name []byte, limit int) (int32, bool) {
	if i, ok := t.byName[string(name)]; ok {
		return i, true
	}
	if len(name) == 0 || len(t.byName) >= limit {
		return 0, false
	}
	var i int32
	if n := len(t.unused); n > 0 {
		i = t.unused[n-1]
		t.unused = t.unused[:n-1]
	} else {
		i = int32(len(t.all))
		t.all = append(t.all, node{})
	}
	t.all[i] = node{name: string(name), live: true}
	t.byName[t.all[i].name] = i
	return i, true
}

// release frees a node that neither the member nor a pod names any more.
func (t *nodeTable) release(i int32) {
	n := &t.all[i]
	if !n.live || n.known || n.pods > 0 {
		return
	}
	delete(t.byName, n.name)
	*n = node{}
	t.unused = append(t.unused, i)
}

// UpsertNode takes over the present state of a node.
func (c *Cluster) UpsertNode(from *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from.Truncated {
		c.drop(&c.nodeList)
	}
	i, ok := c.nodes.find(from.Name, c.limits.nodes)
	if !ok {
		c.drop(&c.nodeList)
		return
	}
	n := &c.nodes.all[i]
	n.epoch = c.nodeList.epoch
	c.offers = c.readOffers(from.Capacity, c.offers[:0])
	half := len(c.offers)
	c.offers = c.readOffers(from.Allocatable, c.offers)
	capacity, allocatable := c.offers[:half], c.offers[half:]
	if n.known && n.ready == from.Ready && n.cordoned == from.Unschedulable &&
		slices.Equal(n.capacity, capacity) && slices.Equal(n.allocatable, allocatable) {
		c.releaseOffers(c.offers)
		return
	}
	c.countNode(n, false)
	c.releaseOffers(n.capacity)
	c.releaseOffers(n.allocatable)
	n.known, n.ready, n.cordoned = true, from.Ready, from.Unschedulable
	n.capacity, n.allocatable = slices.Clone(capacity), slices.Clone(allocatable)
	c.countNode(n, true)
	c.changed()
}

// DeleteNode forgets a node. The pods that still name it stay bound, to a node that is not usable.
func (c *Cluster) DeleteNode(from *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.nodes.byName[string(from.Name)]; ok && c.nodes.all[i].known {
		c.removeNode(i)
	}
}

func (c *Cluster) removeNode(i int32) {
	n := &c.nodes.all[i]
	c.countNode(n, false)
	c.releaseOffers(n.capacity)
	c.releaseOffers(n.allocatable)
	n.known, n.ready, n.cordoned, n.capacity, n.allocatable = false, false, false, nil, nil
	c.nodes.release(i)
	c.changed()
}

// readOffers appends what a node offers, in slot order. Each offer holds one use of its slot.
func (c *Cluster) readOffers(from []Amount, to []slotAmount) []slotAmount {
	start := len(to)
	for _, offer := range from {
		if offer.Value <= 0 {
			continue
		}
		at, ok := c.slots.find(offer.Name, true)
		if !ok {
			c.drop(&c.nodeList)
			continue
		}
		c.slots.use(at, true, true)
		to = append(to, slotAmount{value: offer.Value, slot: at})
	}
	slices.SortFunc(to[start:], compareSlots)
	return to
}

func (c *Cluster) releaseOffers(offers []slotAmount) {
	for _, o := range offers {
		c.slots.use(o.slot, true, false)
	}
}

// countNode adds a node to the sums, or takes it away: what it offers and, if it is usable, what its pods hold of it.
func (c *Cluster) countNode(n *node, add bool) {
	if !n.known {
		return
	}
	one := int64(1)
	if !add {
		one = -1
	}
	c.totals.nodes.Total += one
	if n.ready {
		c.totals.nodes.Ready += one
	}
	if n.cordoned {
		c.totals.nodes.Unschedulable += one
	}
	for _, o := range n.capacity {
		c.totals.capacity[o.slot].move(o.value, add)
	}
	if !n.usable() {
		return
	}
	for _, o := range n.allocatable {
		c.totals.allocatable[o.slot].move(o.value, add)
	}
	for at, used := range n.used {
		c.totals.allocated[at].moveSum(used, add)
	}
}
