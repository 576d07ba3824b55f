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
	case p.c.unlooked(p.ws().Workspace, p.ws().Namespace, isWorkload):
		p.later(p.c.config.Clock.Now().Add(doubtPause))
		return true
	default:
		return p.c.states.hasWorkload(p.owner, member)
	}
}

func isWorkload(key Key) bool { return transform.Class(key.Resource) == transform.ClassWorkload }

// enqueueServing makes the controller look at what may have waited for a workload to leave a member, or a Placement.
func (c *Controller) enqueueServing(workload Key, former []workspace.Key) {
	if !isWorkload(workload) {
		return
	}
	for _, owner := range former {
		for _, waiting := range c.states.servesNothing(owner) {
			c.engine.Add(waiting)
		}
	}
}

// ownersOf are the Placements that an object belongs to.
func (s *states) ownersOf(key Key) []workspace.Key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return ownersOf(s.placedBy[key], s.rows[key])
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

// servesNothing are the objects of a Placement that are no workloads, and are on a member that has none of them any more.
// What their rows say is not asked: one that is being looked at tells it later.
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
		for member := range s.located[key] {
			if !busy[member] {
				waiting = append(waiting, key)
				break
			}
		}
	}
	return waiting
}
