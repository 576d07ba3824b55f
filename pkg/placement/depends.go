// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// DependsOn says whether the decision may be another one since the named members changed, joined or left between two
// snapshots. The current decision of the Input must be the last outcome. It errs only towards yes, and costs far less
// than a decision: where as many members as are wanted run the workloads, no other one matters. Explanations may change
// all the same; they are for those who ask for them.
func (p *Plan) DependsOn(before, after *Snapshot, names ...string) bool {
	if p.invalid != nil || p.suspended {
		return false
	}
	if p.uprooted(after) {
		return true
	}
	for _, name := range names {
		if p.currentPhase(name) == tmcv1alpha1.DecisionActive {
			if p.altered(before.lookup(name), after.lookup(name)) {
				return true
			}
		} else if m := p.wanting(after, name); m != nil && p.couldTake(m) {
			return true
		}
	}
	return p.wanted > 0 && p.active > p.wanted
}

// uprooted says whether an active member is gone or does not belong any more.
func (p *Plan) uprooted(s *Snapshot) bool {
	for i := range p.current {
		if p.current[i].Phase != tmcv1alpha1.DecisionActive {
			continue
		}
		if m := s.lookup(p.current[i].ClusterName); m == nil || p.excluded(m) != fits {
			return true
		}
	}
	return false
}

// altered says whether a change of an active member matters: what it gets decides what others must have room for, and
// what it lacks is part of the outcome.
func (p *Plan) altered(then, now *member) bool {
	return (p.open() && p.weights.divided) || then == nil || (p.firstMissing(then) == nil) != (p.firstMissing(now) == nil)
}

// open says whether more members may be chosen.
func (p *Plan) open() bool { return p.wanted == 0 || p.active < p.wanted }

// wanting returns a member that may be chosen beside those that are, if it is there.
func (p *Plan) wanting(s *Snapshot, name string) *member {
	if !p.open() {
		return nil
	}
	return s.lookup(name)
}

// couldTake says whether a member that runs nothing may be chosen in some decision.
func (p *Plan) couldTake(m *member) bool {
	return p.excluded(m) == fits && p.takes(m) == fits && (p.weights.divided || m.holds(&p.full[0]) == fits)
}
