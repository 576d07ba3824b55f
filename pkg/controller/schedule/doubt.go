// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
)

// stay leaves a decision as it is until everything has been read that it depends on. What is said of it stays, too, unless
// the Placement was edited since: a shard that is away for a moment, or a kind that is new, must neither cost a write for
// each Placement nor take away what tenants read. An edit is not reported as done before it was decided on.
func (d *decided) stay(p *tmcv1alpha1.Placement, before *decided) {
	d.stored.Decisions, d.uncertain = before.stored.Decisions, true
	said := meta.FindStatusCondition(before.stored.Conditions, tmcv1alpha1.ConditionScheduled)
	switch {
	case said == nil || said.ObservedGeneration != p.Generation:
		d.outcome = placement.Outcome{Reason: tmcv1alpha1.ReasonPending, Message: "the decisions stay as they are until every shard of kcp, and every kind of the workspace, has been read"}
	case before.explains(said):
		d.outcome, d.rejected, d.unplaced = before.outcome, before.rejected, before.unplaced
		d.lost = both(before.lost, d.lost)
	default: // another server decided it, or this one before it was started again
		d.outcome = placement.Outcome{Satisfied: said.Status == metav1.ConditionTrue, Reason: said.Reason, Message: said.Message}
	}
}

// explains says whether what is known of a decision led to what is stored.
func (d *decided) explains(said *metav1.Condition) bool {
	chosen, active := make([]string, 0, len(d.outcome.Chosen)), make([]string, 0, len(d.stored.Decisions))
	for _, choice := range d.outcome.Chosen {
		chosen = append(chosen, choice.Name)
	}
	for _, decision := range d.stored.Decisions {
		if decision.Phase == tmcv1alpha1.DecisionActive {
			active = append(active, decision.ClusterName)
		}
	}
	return slices.Equal(chosen, active) && scheduledVerdict(d) == verdict{said.Status, said.Reason, said.Message}
}

// both returns what was lost before, which may not be seen any more, and what is lost now.
func both(before, now []tmcv1alpha1.UnplacedObject) []tmcv1alpha1.UnplacedObject {
	out := slices.Clone(before)
	for _, lost := range now {
		if len(out) < mostLost && !slices.Contains(out, lost) {
			out = append(out, lost)
		}
	}
	return out
}
