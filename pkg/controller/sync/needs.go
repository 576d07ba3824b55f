// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"maps"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// reached is a member as a workload reaches it: its name, and the Placement because of which.
type reached struct {
	name  string
	owner workspace.Key
	// found says that no decision wants the workload there, and a copy is: what it needs stays there with it, and nothing is
	// put there because of it, for whoever owns a member can make what looks like a copy of anything.
	found bool
}

// before reports whether, of two ways in which an object is needed on a member, this one counts: a decision before what
// was found, and of several Placements the first by name.
func (r reached) before(other reached) bool {
	switch none := (workspace.Key{}); {
	case r.found != other.found:
		return other.found
	case other.owner == none:
		return true
	default:
		return r.owner != none && r.owner.Compare(other.owner) < 0
	}
}

// require replaces what a workload needs, and returns what must be looked at again.
func (s *states) require(key Key, needs sets.Set[Key], reach map[workspace.Key]reached) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard.Insert(key)
	before := s.needs[key]
	moved := !maps.Equal(s.reach[key], reach)
	changed := make([]Key, 0, len(needs))
	for need := range before.Difference(needs) {
		s.neededBy[need].Delete(key)
		if s.neededBy[need].Len() == 0 {
			delete(s.neededBy, need)
		}
		changed = append(changed, need)
	}
	for need := range needs {
		if s.neededBy[need] == nil {
			s.neededBy[need] = sets.Set[Key]{}
		}
		if !s.neededBy[need].Has(key) || moved {
			changed = append(changed, need)
		}
		s.neededBy[need].Insert(key)
	}
	if len(needs) == 0 {
		delete(s.needs, key)
	} else {
		s.needs[key] = needs
	}
	if len(reach) == 0 {
		delete(s.reach, key)
	} else {
		s.reach[key] = reach
	}
	return changed
}

// dependents returns the workloads that need an object, and the members that they are on.
func (s *states) dependents(key Key) (workloads []Key, members map[workspace.Key]reached) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	members = map[workspace.Key]reached{}
	for workload := range s.neededBy[key] {
		workloads = append(workloads, workload)
		for member, now := range s.reach[workload] {
			if other, known := members[member]; !known || now.before(other) {
				members[member] = now
			}
		}
	}
	return workloads, members
}

// needsOf turns references to keys.
func needsOf(key Key, references []transform.Reference) sets.Set[Key] {
	needs := sets.Set[Key]{}
	for _, reference := range references {
		object := workspace.Key{Workspace: key.Object.Workspace, Namespace: key.Object.Namespace, Name: reference.Name}
		needs.Insert(Key{Resource: reference.GroupResource(), Object: object})
	}
	return needs
}
