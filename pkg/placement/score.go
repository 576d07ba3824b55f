// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

const (
	// topScore is the best score.
	topScore = 100
	// avoided is where the scores of members begin that no PreferNoSchedule taint tells to avoid. Those of the others end
	// below it, so that one of them is chosen only where no other will do.
	avoided = 10
	// returning is what a member that is being left has ahead of others, for undoing a move is cheap.
	returning = 5
)

// score returns from 0 to topScore how much of a member is free once it has what is needed: the mean over cpu, memory
// and whatever else is asked for.
func (p *Plan) score(m *Member, need *vector, bonus int64) int64 {
	base := int64(0)
	if m.known {
		sum := m.free(need)
		for _, name := range p.asked {
			available := m.available.get(name)
			sum += free(available-need.get(name), max(m.allocatable.get(name), available))
		}
		base = sum / int64(2+len(p.asked))
	}
	base = min(base+bonus, topScore)
	if p.tainted(m) {
		return base * (avoided - 1) / topScore
	}
	return avoided + base*(topScore-avoided)/topScore
}

// best is what a member scores at most, whatever is needed.
func (p *Plan) best(m *Member, leaving bool) int64 {
	base := (m.unused + topScore*int64(len(p.asked))) / int64(2+len(p.asked))
	if leaving {
		base += returning
	}
	return avoided + min(base, topScore)*(topScore-avoided)/topScore
}

// free is the sum of the shares of cpu and memory that are free once a member has what is needed.
func (m *Member) free(need *vector) int64 {
	return free(m.available.fixed[cpu]-need.fixed[cpu], max(m.allocatable.fixed[cpu], m.available.fixed[cpu])) +
		free(m.available.fixed[memory]-need.fixed[memory], max(m.allocatable.fixed[memory], m.available.fixed[memory]))
}

// free is a share in percent.
func free(left, total int64) int64 {
	if left <= 0 || total <= 0 {
		return 0
	}
	return min(left*topScore/total, topScore)
}

// staying scores a member that runs the workloads already. What they need is in its figures. A member that would not be
// chosen anew has none, so that it is the first to go when fewer are wanted; one of which something is not known yet has.
func (p *Plan) staying(m *Member) int64 {
	if v := p.takes(m); v != fits && v != apiUnknown {
		return 0
	}
	return p.score(m, &vector{}, 0)
}

// stranger scores a member that does not run the workloads, or not any more.
func (p *Plan) stranger(m *Member, d *demand, leaving bool) int64 {
	if leaving {
		return p.score(m, &d.need, returning)
	}
	return p.score(m, &d.need, 0)
}
