// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"slices"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Choice is a chosen member.
type Choice struct {
	Name string
	// Score is what it was chosen by, from 0 to 100.
	Score int32
	// Reason and Message say, of a member that keeps what it runs, why it would not be chosen anew.
	Reason, Message string
}

// Outcome is a decision.
type Outcome struct {
	// Chosen are the chosen members by name.
	Chosen []Choice
	// Satisfied says whether they are as many as are wanted and can have every workload.
	Satisfied bool
	// Reason and Message are those of the condition Scheduled.
	Reason, Message string

	explain *explanation
}

// Schedule decides which members run the workloads of a Placement.
//
// Members are filtered by name, label, taint, health, kinds and room; of those that pass, the highest scores are chosen.
// What runs somewhere comes first: an active member stays unless clusterNames or clusterSelector or a NoExecute taint
// exclude it, it is gone, or fewer members are wanted. If that would leave none, excluded members stay until
// one fits, and the outcome is not satisfied. A member that is being left is a stranger with a small bonus.
//
// Of divided replicas a new member must have room for the share that it gets among the chosen. Where the shares of
// several rounds of choosing do not settle, it must have room for all.
func Schedule(s *Snapshot, in Input) Outcome {
	return Compile(in).Schedule(s)
}

// maxRounds bounds how often members are chosen anew because the shares of the chosen were larger than assumed.
const maxRounds = 32

// pick is a member that may be chosen.
type pick struct {
	rank  uint64 // stays, score and tie, in this order
	index int32
	score int8
	stays bool
}

// run is one decision in the making.
type run struct {
	*Plan

	snapshot *Snapshot
	listed   []int32 // the members that clusterNames admits, if it does not admit all
	at       []located
	demands  []demand
	picks    []pick // a heap with the worst first, if a number is wanted
	tally    [verdicts]int
}

// located is where a member of the current decision is in the snapshot.
type located struct {
	index  int32
	active bool
}

// Schedule decides for this plan.
func (p *Plan) Schedule(s *Snapshot) Outcome {
	r := &run{Plan: p, snapshot: s, demands: p.full}
	r.locate()
	switch {
	case p.invalid != nil:
		r.keepAll()
		return Outcome{
			Chosen: r.choices(), Reason: tmcv1alpha1.ReasonInvalidPlacement,
			Message: printable(p.invalid.Error()) + "; nothing is decided until it is corrected",
		}
	case p.suspended:
		r.keepAll()
	case p.weights.divided && len(p.groups) > 0:
		r.settle()
	default:
		r.choose()
	}
	fitting := len(r.picks)
	if fitting == 0 {
		r.keepExcluded()
	}
	slices.SortFunc(r.picks, func(a, b pick) int { return int(a.index) - int(b.index) })
	out := Outcome{Chosen: r.choices(), explain: &explanation{plan: p, snapshot: s, demands: r.demands, picks: r.picks}}
	r.summarize(&out, fitting)
	return out
}

// locate finds the current members and those that clusterNames names.
func (r *run) locate() {
	for i := range r.current {
		if at, found := r.snapshot.find(r.current[i].ClusterName); found {
			r.at = append(r.at, located{index: int32(at), active: r.current[i].Phase == tmcv1alpha1.DecisionActive})
		}
	}
	if r.names == nil {
		return
	}
	r.listed = make([]int32, 0, len(r.names))
	for _, name := range r.names {
		if at, found := r.snapshot.find(name); found {
			r.listed = append(r.listed, int32(at))
		}
	}
}

// settle chooses members for divided replicas: with the least that they can get at first, and with more whenever the
// chosen ones turn out to get more than was assumed.
func (r *run) settle() {
	assumed := r.noShares()
	r.raise(assumed, r.mostMembers())
	for range maxRounds {
		r.demands = r.Plan.demands(assumed)
		r.choose()
		counts := make([]int64, len(r.weights.classes))
		for _, p := range r.picks {
			counts[r.class(r.snapshot.members[p.index])]++
		}
		if !r.raise(assumed, counts) {
			return
		}
	}
	r.demands = r.full
	r.choose()
}

// mostMembers counts by class the members that can be chosen if there is room: at most as many as are wanted, those with
// the greatest weights, among which the shares are the least.
func (r *run) mostMembers() []int64 {
	r.demands = make([]demand, len(r.weights.classes))
	counts := make([]int64, len(r.weights.classes))
	for _, l := range r.at {
		if m := r.snapshot.members[l.index]; l.active && r.excluded(m) == fits {
			counts[r.class(m)]++
		}
	}
	r.strangers(func(_ int32, m *Member, _ bool) {
		if r.belongs(m) == fits && r.takes(m) == fits {
			counts[r.class(m)]++
		}
	})
	if r.wanted == 0 {
		return counts
	}
	order := make([]int, len(counts))
	for c := range order {
		order[c] = c
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(r.weights.classes[b].weight - r.weights.classes[a].weight) })
	left := int64(r.wanted)
	for _, c := range order {
		counts[c] = min(counts[c], left)
		left -= counts[c]
	}
	return counts
}

// strangers visits the members that clusterNames admits and that are not active, and says of which they are being left.
func (r *run) strangers(visit func(index int32, m *Member, leaving bool)) {
	next := 0
	look := func(index int32) {
		for next < len(r.at) && r.at[next].index < index {
			next++
		}
		located := next < len(r.at) && r.at[next].index == index
		if !located || !r.at[next].active {
			visit(index, r.snapshot.members[index], located)
		}
	}
	if r.names != nil {
		for _, index := range r.listed {
			look(index)
		}
		return
	}
	for index := range r.snapshot.members {
		look(int32(index))
	}
}

// choose filters, scores and picks. What cannot be picked any more is not looked at: reasons are counted only for those
// who get less than they want.
func (r *run) choose() {
	r.picks, r.tally = r.picks[:0], [verdicts]int{}
	if r.names != nil {
		r.tally[nameNotListed] = len(r.snapshot.members) - len(r.listed)
	}
	for _, l := range r.at {
		m := r.snapshot.members[l.index]
		if !l.active {
			continue
		}
		if v := r.excluded(m); v == fits {
			r.offer(l.index, m, r.staying(m), true)
		} else if v != nameNotListed {
			r.tally[v]++
		}
	}
	if r.enough() {
		return
	}
	r.strangers(func(index int32, m *Member, leaving bool) {
		if r.enough() && r.best(m, leaving) < int64(r.picks[0].score) {
			return
		}
		d := &r.demands[0]
		if len(r.demands) > 1 {
			d = &r.demands[r.class(m)]
		}
		if v := r.admits(m, d); v != fits {
			r.tally[v]++
			return
		}
		r.offer(index, m, r.stranger(m, d, leaving), false)
	})
}

// enough says whether as many are picked as are wanted.
func (r *run) enough() bool { return r.wanted > 0 && len(r.picks) == r.wanted }

// offer picks a member if no number is wanted, or it is one of the best.
func (r *run) offer(index int32, m *Member, score int64, stays bool) {
	const tieBits = 56
	rank := uint64(score)<<tieBits | tieOf(r.seed, m.hash)>>(64-tieBits)
	if stays {
		rank |= 1 << 63
	}
	next := pick{rank: rank, index: index, score: int8(score), stays: stays}
	switch {
	case r.wanted == 0:
		r.picks = append(r.picks, next)
	case len(r.picks) < r.wanted:
		r.picks = append(r.picks, next)
		up(r.picks)
	case r.picks[0].worse(next):
		r.picks[0] = next
		down(r.picks)
	}
}
