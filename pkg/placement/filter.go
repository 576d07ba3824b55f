// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	corev1 "k8s.io/api/core/v1"
)

// verdict says how a member fared; those below are in the order in which they are looked at.
type verdict uint8

const (
	fits verdict = iota
	nameNotListed
	labelsDoNotMatch
	untoleratedNoExecute
	untoleratedNoSchedule
	unschedulable
	notReady
	apiMissing
	apiUnknown
	capacityUnknown
	insufficientSum
	insufficientSlot
	lowerScore
	held
	verdicts
)

// belongs says whether a member may have the workloads at all, clusterNames aside. One that ran them and does not belong
// any more is left.
func (p *Plan) belongs(m *Member) verdict {
	for i := range p.requirements {
		if !p.requirements[i].matches(m.labels) {
			return labelsDoNotMatch
		}
	}
	if len(m.taints) > 0 && untolerated(m.taints, corev1.TaintEffectNoExecute, p.tolerations) != nil {
		return untoleratedNoExecute
	}
	return fits
}

// takes says whether a member that belongs takes new work of this kind. One that runs it already keeps it in any case.
// That something is not known yet comes last.
func (p *Plan) takes(m *Member) verdict {
	switch {
	case len(m.taints) > 0 && untolerated(m.taints, corev1.TaintEffectNoSchedule, p.tolerations) != nil:
		return untoleratedNoSchedule
	case m.unschedulable:
		return unschedulable
	case !m.ready:
		return notReady
	case p.firstMissing(m) != nil:
		return apiMissing
	case p.firstUnknown(m) != nil:
		return apiUnknown
	default:
		return fits
	}
}

// holds says whether a member has room.
func (m *Member) holds(d *demand) verdict {
	switch {
	case !m.known && d.asks:
		return capacityUnknown
	case !m.known:
		return fits
	case !d.need.within(&m.available):
		return insufficientSum
	case m.unfit(d) != nil:
		return insufficientSlot
	default:
		return fits
	}
}

// unfit returns the first shape that no slot has room for.
func (m *Member) unfit(d *demand) *shape {
next:
	for i := range d.shapes {
		for s := range m.slots {
			if d.shapes[i].within(&m.slots[s]) {
				continue next
			}
		}
		return &d.shapes[i]
	}
	return nil
}

// admits says whether a member that runs nothing yet can be chosen.
func (p *Plan) admits(m *Member, d *demand) verdict {
	if v := p.belongs(m); v != fits {
		return v
	}
	if v := p.takes(m); v != fits {
		return v
	}
	return m.holds(d)
}

// class returns which weight a member has.
func (p *Plan) class(m *Member) int {
	if len(p.weights.classes) == 1 {
		return 0
	}
	return p.weights.class(m.name, m.given)
}

// tainted says whether work avoids a member where another will do.
func (p *Plan) tainted(m *Member) bool {
	return len(m.taints) > 0 && untolerated(m.taints, corev1.TaintEffectPreferNoSchedule, p.tolerations) != nil
}
