// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// verdict is a condition without its bookkeeping.
type verdict struct {
	status          metav1.ConditionStatus
	reason, message string
}

// conditions returns the conditions of a Placement. What did not change keeps its time.
func (c *Controller) conditions(p *tmcv1alpha1.Placement, before []metav1.Condition, after *decided, progress Progress) []metav1.Condition {
	scheduled := scheduledVerdict(after)
	synchronized := whileRead(p, before, tmcv1alpha1.ConditionSynchronized, progress.Synced, progress, func(progress Progress) verdict {
		return synchronizedVerdict(p, after, progress)
	})
	available := whileRead(p, before, tmcv1alpha1.ConditionAvailable, progress.Ready, progress, func(progress Progress) verdict {
		return availableVerdict(after, progress)
	})
	ready := verdict{metav1.ConditionTrue, tmcv1alpha1.ReasonReady, "everything that is selected runs where it should"}
	for _, part := range []verdict{scheduled, synchronized, available} {
		if part.status != metav1.ConditionTrue {
			ready = part
			break
		}
	}
	out := slices.Clone(before)
	for _, set := range []struct {
		name    string
		verdict verdict
	}{
		{tmcv1alpha1.ConditionScheduled, scheduled},
		{tmcv1alpha1.ConditionSynchronized, synchronized},
		{tmcv1alpha1.ConditionAvailable, available},
		{tmcv1alpha1.ConditionReady, ready},
	} {
		meta.SetStatusCondition(&out, metav1.Condition{
			Type: set.name, Status: set.verdict.status, Reason: set.verdict.reason, Message: set.verdict.message,
			ObservedGeneration: p.Generation, LastTransitionTime: metav1.NewTime(c.config.Clock.Now()).Rfc3339Copy(),
		})
	}
	return out
}

// whileRead returns a verdict on a Placement. While some copies are being read, as after a start, and nothing else speaks
// against the stored one, that stands: taking it back for a moment would be two writes for each Placement. Met counts the
// copies that are as they should be.
func whileRead(p *tmcv1alpha1.Placement, before []metav1.Condition, name string, met int32, progress Progress, judge func(Progress) verdict) verdict {
	stored := meta.FindStatusCondition(before, name)
	if progress.Reading == 0 || met+progress.Reading < progress.Desired || stored == nil || stored.ObservedGeneration != p.Generation {
		return judge(progress)
	}
	progress.Synced, progress.Ready = progress.Synced+progress.Reading, progress.Ready+progress.Reading
	if hoped := judge(progress); hoped.status != metav1.ConditionTrue {
		return hoped // for another reason than what is being read
	}
	return verdict{stored.Status, stored.Reason, stored.Message}
}

func scheduledVerdict(after *decided) verdict {
	// What another Placement has runs there, which is no fault of this one.
	unplaced := slices.DeleteFunc(slices.Clone(after.lost), func(lost tmcv1alpha1.UnplacedObject) bool {
		return lost.Reason == tmcv1alpha1.ReasonPlacedByOther
	})
	switch {
	case after.outcome.Satisfied && len(unplaced) > 0:
		lost := unplaced[0]
		return verdict{
			metav1.ConditionFalse, tmcv1alpha1.ReasonWorkloadsNotPlaced,
			fmt.Sprintf("%d selected objects are not placed; %s", len(unplaced), said(lost)),
		}
	case after.outcome.Satisfied && after.unplaced != "":
		return verdict{metav1.ConditionFalse, tmcv1alpha1.ReasonReplicasNotPlaced, after.unplaced}
	case after.outcome.Satisfied:
		return verdict{metav1.ConditionTrue, orElse(after.outcome.Reason, tmcv1alpha1.ReasonScheduled), after.outcome.Message}
	default:
		return verdict{metav1.ConditionFalse, orElse(after.outcome.Reason, tmcv1alpha1.ReasonNoClusterFits), after.outcome.Message}
	}
}

// said names an object and says why it is not placed. What is no object, but a kind that was asked for, has no name.
func said(lost tmcv1alpha1.UnplacedObject) string {
	return strings.TrimSpace(lost.Kind+" "+lost.Name) + ": " + lost.Message
}

func synchronizedVerdict(p *tmcv1alpha1.Placement, after *decided, progress Progress) verdict {
	leaving := 0
	for _, decision := range after.stored.Decisions {
		if decision.Phase == tmcv1alpha1.DecisionLeaving {
			leaving++
		}
	}
	switch {
	case p.Spec.Suspension != nil && p.Spec.Suspension.Dispatching:
		return verdict{metav1.ConditionUnknown, tmcv1alpha1.ReasonSuspended, "suspension.dispatching keeps the members as they are"}
	case progress.Problem != "":
		return verdict{metav1.ConditionFalse, orElse(progress.Reason, tmcv1alpha1.ReasonApplyFailed), progress.Problem}
	case len(after.stored.Decisions) == 0 && progress.Desired == 0:
		return verdict{metav1.ConditionFalse, tmcv1alpha1.ReasonNothingPlaced, "nothing is placed"}
	case progress.Away != "":
		return away(progress.Away)
	case progress.Synced < progress.Desired, awaited(after, progress):
		// No numbers: a condition that changed with each copy would be written with each copy.
		return verdict{metav1.ConditionFalse, tmcv1alpha1.ReasonSyncing, "copies are being brought up to date; the PlacementStatus says which"}
	case leaving > 0:
		return verdict{metav1.ConditionFalse, tmcv1alpha1.ReasonSyncing, "copies leave members that are not chosen any more"}
	default:
		return verdict{metav1.ConditionTrue, tmcv1alpha1.ReasonSynchronized, "every chosen member has what it should have"}
	}
}

func availableVerdict(after *decided, progress Progress) verdict {
	switch {
	case progress.Desired == 0 && !awaited(after, progress):
		return verdict{metav1.ConditionFalse, tmcv1alpha1.ReasonNothingPlaced, "nothing is placed"}
	case progress.Degraded != "":
		return verdict{metav1.ConditionFalse, tmcv1alpha1.ReasonDegraded, progress.Degraded}
	case progress.Away != "":
		return away(progress.Away)
	case progress.Ready < progress.Desired, awaited(after, progress):
		return verdict{metav1.ConditionFalse, tmcv1alpha1.ReasonProgressing, "copies are on their way to be healthy; the PlacementStatus says which"}
	default:
		return verdict{metav1.ConditionTrue, tmcv1alpha1.ReasonAvailable, "every copy is healthy"}
	}
}

// awaited reports whether members were chosen just now, and nothing was looked at yet that goes there.
func awaited(after *decided, progress Progress) bool {
	return progress.Desired == 0 && after.stored.SelectedClusters > 0
}

func away(member string) verdict {
	return verdict{
		metav1.ConditionUnknown, tmcv1alpha1.ReasonMemberUnreachable,
		"member " + member + " cannot be reached; what runs there goes on, as far as it can",
	}
}

func orElse(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
