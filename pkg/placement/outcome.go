// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"cmp"
	"fmt"
	"strings"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// keepAll picks what is active, whatever speaks against it.
func (r *run) keepAll() {
	for _, l := range r.at {
		if l.active {
			m := r.snapshot.members[l.index]
			score := r.staying(m)
			if r.excluded(m) != fits {
				score = 0
			}
			r.picks = append(r.picks, pick{index: l.index, score: int8(score), stays: true})
		}
	}
}

// keepExcluded lets active members stay that do not belong any more, since nothing else fits. At most as many stay as are
// wanted.
func (r *run) keepExcluded() {
	for _, l := range r.at {
		if l.active {
			r.offer(l.index, r.snapshot.members[l.index], 0, true)
		}
	}
}

// excluded says why a member may not have the workloads at all.
func (p *Plan) excluded(m *Member) verdict {
	if !p.lists(m.name) {
		return nameNotListed
	}
	return p.belongs(m)
}

// concern says why a member that stays would not be chosen anew; its room is not asked for, since what runs is in it.
func (p *Plan) concern(m *Member) verdict {
	if v := p.excluded(m); v != fits {
		return v
	}
	return p.takes(m)
}

// choices are the picks, sorted, in the terms of an Outcome.
func (r *run) choices() []Choice {
	chosen := make([]Choice, len(r.picks))
	for i, p := range r.picks {
		m := r.snapshot.members[p.index]
		chosen[i] = Choice{Name: m.name, Score: int32(p.score)}
		if !p.stays {
			continue
		}
		if v := r.concern(m); v != fits {
			chosen[i].Reason, chosen[i].Message = reasonOf(v), r.message(v, m, nil)
		}
	}
	return chosen
}

// summarize says how the decision came out.
func (r *run) summarize(out *Outcome, fitting int) {
	wanted := max(r.wanted, 1)
	switch {
	case r.suspended:
		out.Satisfied = fitting >= wanted
		out.Reason = tmcv1alpha1.ReasonSuspended
		out.Message = "suspension.scheduling keeps the decisions as they are; unset it to have them made anew"
	case fitting == 0:
		out.Reason = tmcv1alpha1.ReasonNoClusterFits
		out.Message = cmp.Or(r.counts("no member fits: "), "the workspace has no member; register one, or have one granted")
		if len(out.Chosen) > 0 {
			out.Message += "; what runs stays where it is until one does"
		}
	case fitting < wanted:
		out.Reason = tmcv1alpha1.ReasonTooFewClusters
		out.Message = fmt.Sprintf("%d of %d members that are wanted fit", fitting, wanted) + r.counts("; of the others ")
	case r.firstLacking(out) != "":
		out.Reason = tmcv1alpha1.ReasonWorkloadsNotPlaced
		out.Message = r.firstLacking(out)
	default:
		out.Satisfied = true
		out.Reason = tmcv1alpha1.ReasonScheduled
		out.Message = fmt.Sprintf("%d members run the workloads", fitting)
		if fitting == 1 {
			out.Message = "1 member runs the workloads"
		}
	}
}

// firstLacking says which chosen member does not serve a kind that it should have.
func (r *run) firstLacking(out *Outcome) string {
	for i := range out.Chosen {
		if out.Chosen[i].Reason == tmcv1alpha1.ReasonAPIMissing {
			return fmt.Sprintf("%s stays chosen, but %s", out.Chosen[i].Name, out.Chosen[i].Message)
		}
	}
	return ""
}

// counts says, after an introduction, how many members dropped out for which reason, or nothing if none did.
func (r *run) counts(introduction string) string {
	words := [verdicts]string{
		nameNotListed: "not named by clusterNames", labelsDoNotMatch: "not selected by clusterSelector",
		untoleratedNoExecute: "tainted", untoleratedNoSchedule: "tainted against new work", unschedulable: "unschedulable",
		notReady: "not ready", apiMissing: "without a kind that is placed", apiUnknown: "not known to serve a kind that is placed", capacityUnknown: "of unknown capacity",
		insufficientSum: "without enough room", insufficientSlot: "without a node that is large enough",
	}
	parts := make([]string, 0, len(words))
	for v, count := range r.tally {
		if count > 0 && words[v] != "" {
			parts = append(parts, fmt.Sprintf("%d %s", count, words[v]))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return introduction + strings.Join(parts, ", ") + "; the PlacementStatus says why of each"
}
