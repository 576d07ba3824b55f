// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// A member is left in an order, too. What pods are reached and guarded by, such as Services and NetworkPolicies, is as it
// should be on its new member at once, while the pods take their time there, or never come. On the old one it stays as
// long as a workload of the same Placement does.

// serves reports whether an object serves or guards workloads of its Placement that a member still has, or may have, as
// after a start.
func (p *pass) serves(member workspace.Key) bool {
	switch {
	case isWorkload(p.key):
		return false
	case p.c.unlooked(p.ws().Workspace, p.ws().Namespace):
		p.later(p.c.config.Clock.Now().Add(doubtPause))
		return true
	default:
		return p.c.states.hasWorkload(p.owner, member)
	}
}

func isWorkload(key Key) bool { return transform.Class(key.Resource) == transform.ClassWorkload }

// enqueueServing makes the controller look at what waited for the last workload of a Placement to leave a member.
func (p *pass) enqueueServing() {
	if !isWorkload(p.key) {
		return
	}
	for _, waiting := range p.c.states.servesNothing(p.owner) {
		p.c.engine.Add(waiting)
	}
}

// hasWorkload reports whether a member has a copy of a workload of a Placement.
func (s *states) hasWorkload(placement, member workspace.Key) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for key := range s.byPlacement[placement] {
		if _, there := s.located[key][member]; there && isWorkload(key) {
			return true
		}
	}
	return false
}

// servesNothing are the objects of a Placement that are no workloads and leave a member that has none of them any more.
func (s *states) servesNothing(placement workspace.Key) []Key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	busy := map[workspace.Key]bool{}
	for key := range s.byPlacement[placement] {
		if !isWorkload(key) {
			continue
		}
		for member := range s.located[key] {
			busy[member] = true
		}
	}
	var waiting []Key
	for key := range s.byPlacement[placement] {
		if isWorkload(key) {
			continue
		}
		for i := range s.rows[key] {
			if row := &s.rows[key][i]; row.Leaving && !busy[row.Member] {
				waiting = append(waiting, key)
				break
			}
		}
	}
	return waiting
}
