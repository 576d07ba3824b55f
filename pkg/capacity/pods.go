// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity

import (
	"cmp"
	"slices"
)

// podAsks is what a pod asks for, with slots for names. Each of the others holds one use of its slot.
type podAsks struct {
	cpu, memory int64
	others      []slotAmount // in slot order
}

// UpsertPod takes over the present state of a pod. A pod that has ended is forgotten.
func (c *Cluster) UpsertPod(p *Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, key, found := c.pods.find(p.UID)
	switch {
	case p.Phase.Ended():
		if found {
			c.removePod(i)
		}
		return
	case len(p.UID) == 0, !found && c.pods.live >= c.limits.pods:
		c.drop(&c.podList)
		return
	}
	c.readAsks(p)
	c.boundSpill(i, found)
	at := c.bind(p.NodeName)
	if found {
		record := c.pods.at(i)
		record.epoch = c.podList.epoch
		if record.node == at && c.sameAsks(i) {
			c.releaseAsks()
			return
		}
		c.hold(at) // before the old node is let go of: it may be the same
		c.count(i, false)
		c.releaseRecord(i)
	} else {
		i = c.pods.insert(p.UID, key)
		c.hold(at)
	}
	c.write(i, at)
	c.count(i, true)
	c.changed()
}

// DeletePod forgets a pod.
func (c *Cluster) DeletePod(p *Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, _, found := c.pods.find(p.UID); found {
		c.removePod(i)
	}
}

func (c *Cluster) removePod(i uint32) {
	c.count(i, false)
	c.releaseRecord(i)
	c.pods.remove(i)
	c.changed()
}

// readAsks fills c.asks from the pod.
func (c *Cluster) readAsks(p *Pod) {
	asks := &c.asks
	*asks = podAsks{others: asks.others[:0]}
	if p.Truncated {
		c.drop(&c.podList)
	}
	for _, request := range p.Requests {
		if request.Value <= 0 {
			continue
		}
		at, ok := c.slots.find(request.Name, false)
		switch {
		case !ok:
			c.drop(&c.podList)
		case at == slotCPU:
			asks.cpu = request.Value
		case at == slotMemory:
			asks.memory = request.Value
		case at == slotPods: // a pod is one pod, whatever it claims
		default:
			c.slots.use(at, false, true)
			asks.others = append(asks.others, slotAmount{value: request.Value, slot: at})
		}
	}
	if len(asks.others) > 1 {
		slices.SortFunc(asks.others, compareSlots)
	}
}

// boundSpill leaves out what does not fit into a record when too many pods need more than one already.
func (c *Cluster) boundSpill(i uint32, found bool) {
	others := c.asks.others
	if len(others) <= inlineOthers || len(c.pods.spill) < c.limits.spills {
		return
	}
	if found && c.pods.at(i).flags&flagSpill != 0 {
		return
	}
	for _, o := range others[inlineOthers:] {
		c.slots.use(o.slot, false, false)
	}
	c.asks.others = others[:inlineOthers]
	c.drop(&c.podList)
}

func compareSlots(a, b slotAmount) int { return cmp.Compare(a.slot, b.slot) }

// releaseAsks gives back the slots of asks that were not written to a record.
func (c *Cluster) releaseAsks() {
	for _, o := range c.asks.others {
		c.slots.use(o.slot, false, false)
	}
}

// bind returns the node of a pod.
func (c *Cluster) bind(name []byte) int32 {
	if len(name) == 0 {
		return pendingNode
	}
	at, ok := c.nodes.find(name, c.limits.nodes)
	if !ok {
		c.drop(&c.podList)
		return unknownNode
	}
	return at
}

// hold keeps a node in the table for one more record.
func (c *Cluster) hold(at int32) {
	if at >= 0 {
		c.nodes.all[at].pods++
	}
}

// releaseRecord gives back what a record holds: its node and its slots. Its amounts stay until they are overwritten.
func (c *Cluster) releaseRecord(i uint32) {
	r := c.pods.at(i)
	if r.node >= 0 {
		c.nodes.all[r.node].pods--
		c.nodes.release(r.node)
	}
	for _, at := range r.slots {
		if at != 0 {
			c.slots.use(at, false, false)
		}
	}
	if r.flags&flagSpill != 0 {
		for _, o := range c.pods.spill[i] {
			c.slots.use(o.slot, false, false)
		}
	}
}

// sameAsks says whether a record holds c.asks already.
func (c *Cluster) sameAsks(i uint32) bool {
	r, asks := c.pods.at(i), &c.asks
	if r.cpu != asks.cpu || r.memory != asks.memory {
		return false
	}
	for k := range inlineOthers {
		var o slotAmount
		if k < len(asks.others) {
			o = asks.others[k]
		}
		if r.slots[k] != o.slot || r.other[k] != o.value {
			return false
		}
	}
	var more []slotAmount
	if len(asks.others) > inlineOthers {
		more = asks.others[inlineOthers:]
	}
	if r.flags&flagSpill == 0 {
		return len(more) == 0
	}
	return slices.Equal(more, c.pods.spill[i])
}

// write puts c.asks into a record.
func (c *Cluster) write(i uint32, at int32) {
	r, asks := c.pods.at(i), &c.asks
	r.node, r.epoch = at, c.podList.epoch
	r.cpu, r.memory = asks.cpu, asks.memory
	r.slots, r.other = [inlineOthers]slot{}, [inlineOthers]int64{}
	for k, o := range asks.others[:min(len(asks.others), inlineOthers)] {
		r.slots[k], r.other[k] = o.slot, o.value
	}
	if r.flags&flagSpill != 0 {
		r.flags &^= flagSpill
		delete(c.pods.spill, i)
	}
	if len(asks.others) > inlineOthers {
		r.flags |= flagSpill
		c.pods.spill[i] = slices.Clone(asks.others[inlineOthers:])
	}
}

// count adds the amounts of a record to the sums, or takes them away.
func (c *Cluster) count(i uint32, add bool) {
	r := c.pods.at(i)
	one := int64(1)
	if !add {
		one = -1
	}
	if r.node == pendingNode {
		c.totals.pods.Pending += one
	} else {
		c.totals.pods.Bound += one
	}
	c.move(r.node, slotPods, 1, add)
	c.move(r.node, slotCPU, r.cpu, add)
	c.move(r.node, slotMemory, r.memory, add)
	for k, at := range r.slots {
		if at != 0 {
			c.move(r.node, at, r.other[k], add)
		}
	}
	if r.flags&flagSpill != 0 {
		for _, o := range c.pods.spill[i] {
			c.move(r.node, o.slot, o.value, add)
		}
	}
}

func (c *Cluster) move(node int32, at slot, v int64, add bool) {
	switch {
	case node == pendingNode:
		c.totals.allocating[at].move(v, add)
	case node >= 0:
		n := &c.nodes.all[node]
		n.room(at).move(v, add)
		if n.usable() {
			c.totals.allocated[at].move(v, add)
		}
	}
}
