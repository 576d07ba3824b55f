// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity

// slot is the place of a resource in every vector of one Cluster.
type slot = uint8

// The slots of the resources that every cluster has.
const (
	slotCPU slot = iota
	slotMemory
	slotPods
	slotStorage
	firstDynamic
)

const (
	// maxSlots bounds the kinds of resources of one cluster.
	maxSlots = 64
	// maxAskedSlots bounds those that pods ask for and no node offers: whoever may create pods in a member may invent
	// names, and must not use up the slots of real devices.
	maxAskedSlots = 16
	// maxResourceName is the length of the longest prefix and name that Kubernetes allows, with the slash.
	maxResourceName = 253 + 1 + 63
)

// slots interns resource names. A dynamic slot lives as long as somebody uses it.
type slots struct {
	byName  map[string]slot
	name    [maxSlots]string
	asked   [maxSlots]int // amounts of pods
	offered [maxSlots]int // amounts of nodes
	end     int           // slots at and after end were never used
}

func newSlots() slots {
	s := slots{byName: map[string]slot{}, end: int(firstDynamic)}
	for i, name := range []string{"cpu", "memory", "pods", "ephemeral-storage"} {
		s.name[i] = name
		s.byName[name] = slot(i)
	}
	return s
}

// find returns the slot of a resource, and takes a free one for a name that is new.
func (s *slots) find(name []byte, forNode bool) (slot, bool) {
	switch string(name) {
	case "cpu":
		return slotCPU, true
	case "memory":
		return slotMemory, true
	}
	if i, ok := s.byName[string(name)]; ok {
		return i, true
	}
	if !validResourceName(name) {
		return 0, false
	}
	free, asked := -1, 0
	for i := int(firstDynamic); i < s.end; i++ {
		switch {
		case s.name[i] == "":
			free = i
		case s.offered[i] == 0:
			asked++
		}
	}
	if !forNode && asked >= maxAskedSlots {
		return 0, false
	}
	if free < 0 {
		if s.end == maxSlots {
			return 0, false
		}
		free = s.end
		s.end++
	}
	s.name[free] = string(name)
	s.byName[s.name[free]] = slot(free)
	return slot(free), true
}

// use counts one more or one less amount in a slot.
func (s *slots) use(i slot, forNode, add bool) {
	count := &s.asked[i]
	if forNode {
		count = &s.offered[i]
	}
	if add {
		*count++
		return
	}
	*count--
	s.release(i)
}

// release frees a dynamic slot that nobody uses.
func (s *slots) release(i slot) {
	if i >= firstDynamic && s.asked[i] == 0 && s.offered[i] == 0 && s.name[i] != "" {
		delete(s.byName, s.name[i])
		s.name[i] = ""
	}
}

// validResourceName admits what a name of the Kubernetes API may look like, so that no other text of a member gets into
// a view.
func validResourceName(name []byte) bool {
	if len(name) == 0 || len(name) > maxResourceName {
		return false
	}
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == '/':
		default:
			return false
		}
	}
	return true
}
