// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan

import "bytes"

// inlineStatuses is for how many containers no memory is allocated, indexStatuses is how many are searched one by one,
// inlineEntries is for how many resources of a container it is noticed cheaply that it was promised what it asks for.
const (
	inlineStatuses = 16
	indexStatuses  = 64
	inlineEntries  = 6
)

// podScan computes the effective requests as component-helpers' PodRequests does with UseStatusResources and in-place
// resize of pod-level resources, which is how the scheduler calls it: a member that has those features off does not
// send the fields they read. Only the end result is rounded.
type podScan struct {
	names      names
	statuses   [inlineStatuses]containerStatus
	more       []containerStatus           // those that do not fit
	count      int                         // of both
	index      map[string]*containerStatus // made only for pods with very many containers
	infeasible bool                        // the pending resize was judged impossible
	conditions bool                        // the condition that says so was met

	sum      amounts // containers and sidecars
	sidecars amounts // sidecars so far
	initMost amounts // most that is needed while an init container runs
	overhead amounts

	podLevel       amounts // spec.resources.requests
	podLevelSet    uint64  // places that it names
	podActuated    amounts // status.resources.requests
	podAllocated   amounts // status.allocatedResources
	podResizeKnown bool    // status.resources is there

	effective amounts // of one container
	actuated  amounts // what its status says it has
	allocated amounts // what its status says it was promised
	asked     entries // its requests as they are encoded
}

// reset clears what the pod before has left.
func (s *podScan) reset() {
	for i := range s.names.count {
		s.sum[i], s.sidecars[i], s.initMost[i], s.overhead[i] = amount{}, amount{}, amount{}, amount{}
		s.podLevel[i], s.podActuated[i], s.podAllocated[i] = amount{}, amount{}, amount{}
		s.effective[i], s.actuated[i], s.allocated[i] = amount{}, amount{}, amount{}
	}
	s.names.count, s.names.truncated = firstOther, false
	s.count, s.more, s.index = 0, nil, nil
	s.infeasible, s.conditions = false, false
	s.podLevelSet, s.podResizeKnown = 0, false
}

// entries are the first entries of a ResourceList as they are encoded.
type entries struct {
	data  [inlineEntries][]byte
	count int // all that there are
}

func (e *entries) add(entry []byte) {
	if e.count < inlineEntries {
		e.data[e.count] = entry
	}
	e.count++
}

// same says that both lists are known whole, and are encoded alike.
func (e *entries) same(other *entries) bool {
	if e.count != other.count || e.count > inlineEntries {
		return false
	}
	for i := range e.count {
		if !bytes.Equal(e.data[i], other.data[i]) {
			return false
		}
	}
	return true
}

// containerStatus is where the status of a container lies, and of what kind it is.
type containerStatus struct {
	name      []byte
	raw       []byte
	actual    []byte // what the container really has
	resources int    // how many pieces of that there are
	promised  entries
	init      bool
}

func (s *podScan) statusAt(i int) *containerStatus {
	if i < inlineStatuses {
		return &s.statuses[i]
	}
	return &s.more[i-inlineStatuses]
}

// find returns the status of a container: the last one of that name, and an init container's before any other.
func (s *podScan) find(name []byte) *containerStatus {
	if s.count > indexStatuses {
		return s.findIndexed(name)
	}
	var found *containerStatus
	for i := range s.count {
		if status := s.statusAt(i); string(status.name) == string(name) && status.hides(found) {
			found = status
		}
	}
	return found
}

// hides says that the status counts although there was one of that name before.
func (c *containerStatus) hides(before *containerStatus) bool {
	return before == nil || c.init || !before.init
}

func (s *podScan) findIndexed(name []byte) *containerStatus {
	if s.index == nil {
		s.index = make(map[string]*containerStatus, s.count)
		for i := range s.count {
			// A copy, lest the whole scan had to live on the heap.
			status := *s.statusAt(i)
			if key := string(status.name); status.hides(s.index[key]) {
				s.index[key] = &status
			}
		}
	}
	return s.index[string(name)]
}
