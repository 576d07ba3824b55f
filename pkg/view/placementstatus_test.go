// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/view"
)

func TestPlacementStatus(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 10, 999, time.UTC)
	at := func(seconds int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 1, 1, 0, 0, 10-seconds, 0, time.UTC)}
	}
	object := func(kind, name string, synced metav1.ConditionStatus, health tmcv1alpha1.Health, reason string) tmcv1alpha1.PlacedObject {
		return tmcv1alpha1.PlacedObject{APIVersion: "v1", Kind: kind, Name: name, Synced: synced, Health: health, Reason: reason}
	}
	good := object("Deployment", "web", metav1.ConditionTrue, tmcv1alpha1.HealthHealthy, "")
	drifted := object("Deployment", "web", metav1.ConditionFalse, tmcv1alpha1.HealthHealthy, tmcv1alpha1.ReasonSyncing)
	drifted.Drifted = true
	refused := object("ConfigMap", "settings", metav1.ConditionFalse, tmcv1alpha1.HealthUnknown, tmcv1alpha1.ReasonMemberDenied)
	degraded := object("Job", "once", metav1.ConditionTrue, tmcv1alpha1.HealthDegraded, "Broken")
	conditions := []metav1.Condition{{Type: tmcv1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	rejections := []tmcv1alpha1.ClusterRejection{{ClusterName: "far"}}
	lost := []tmcv1alpha1.UnplacedObject{{Name: "x"}}
	facts := view.PlacementFacts{
		Wanted: new(int32(2)), NotChosen: rejections, NotPlaced: lost, Scores: map[string]int32{"east": 70, "far": 3},
		Outcome: tmcv1alpha1.PlacementOutcome{Conditions: conditions, Decisions: []tmcv1alpha1.PlacementDecision{
			{ClusterName: "west", Phase: tmcv1alpha1.DecisionActive}, {ClusterName: "east"}, {ClusterName: "old", Phase: tmcv1alpha1.DecisionLeaving},
		}},
		Copies: []view.PlacedCopy{
			{Cluster: "west", Object: degraded},
			{Cluster: "west", Object: drifted},
			{Cluster: "west", Object: refused},
			{Cluster: "east", Object: good},
			{Cluster: "older", Leaving: true, Object: good},
		},
		Clusters: map[string]view.ClusterFacts{
			"west": {Reachable: metav1.ConditionTrue, ConfirmedAt: now.Add(-2 * time.Second)}, "east": {Reachable: metav1.ConditionTrue, ConfirmedAt: now.Add(-5 * time.Second)},
			"old": {Reachable: metav1.ConditionFalse, ConfirmedAt: now.Add(-9 * time.Second)}, "older": {Reachable: metav1.ConditionTrue},
		},
	}
	want := tmcv1alpha1.PlacementStatusStatus{
		Conditions: conditions, ObservationTime: at(5), ClustersWanted: new(int32(2)), NotChosen: rejections, NotPlaced: lost,
		Workloads: tmcv1alpha1.WorkloadSummary{Objects: 3, Desired: 4, Synced: 2, Ready: 1, Drifted: 1, Failed: 2},
		Clusters: []tmcv1alpha1.PlacementCluster{
			{
				ClusterName: "east", Phase: tmcv1alpha1.DecisionActive, Reachable: metav1.ConditionTrue, ObservationTime: at(5), Score: new(int32(70)),
				Workloads: tmcv1alpha1.WorkloadSummary{Objects: 1, Desired: 1, Synced: 1, Ready: 1}, Objects: []tmcv1alpha1.PlacedObject{good},
			},
			{ClusterName: "old", Phase: tmcv1alpha1.DecisionLeaving, Reachable: metav1.ConditionFalse, ObservationTime: at(9)},
			{
				ClusterName: "older", Phase: tmcv1alpha1.DecisionLeaving, Reachable: metav1.ConditionTrue,
				Workloads: tmcv1alpha1.WorkloadSummary{Objects: 1}, Objects: []tmcv1alpha1.PlacedObject{good},
			},
			{
				ClusterName: "west", Phase: tmcv1alpha1.DecisionActive, Reachable: metav1.ConditionTrue, ObservationTime: at(2),
				Workloads: tmcv1alpha1.WorkloadSummary{Objects: 3, Desired: 3, Synced: 1, Drifted: 1, Failed: 2},
				Objects:   []tmcv1alpha1.PlacedObject{refused, drifted, degraded},
			},
		},
	}
	if diff := cmp.Diff(want, view.PlacementStatus(facts)); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if facts.Copies[0].Object != degraded {
		t.Error("the facts were changed")
	}
}

// Unknown is unknown: what nobody told of is neither zero seconds old nor reachable.
func TestPlacementStatusOfUnknownMembers(t *testing.T) {
	t.Parallel()
	got := view.PlacementStatus(view.PlacementFacts{Outcome: tmcv1alpha1.PlacementOutcome{Decisions: []tmcv1alpha1.PlacementDecision{{ClusterName: "east"}}}})
	want := tmcv1alpha1.PlacementStatusStatus{Clusters: []tmcv1alpha1.PlacementCluster{{ClusterName: "east", Phase: tmcv1alpha1.DecisionActive, Reachable: metav1.ConditionUnknown}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tmcv1alpha1.PlacementStatusStatus{}, view.PlacementStatus(view.PlacementFacts{})); diff != "" {
		t.Errorf("status of nothing (-want +got):\n%s", diff)
	}
}

func TestFailed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		object tmcv1alpha1.PlacedObject
		want   bool
	}{
		"healthy":     {tmcv1alpha1.PlacedObject{Synced: metav1.ConditionTrue, Health: tmcv1alpha1.HealthHealthy}, false},
		"on its way":  {tmcv1alpha1.PlacedObject{Synced: metav1.ConditionFalse, Reason: tmcv1alpha1.ReasonSyncing}, false},
		"no reason":   {tmcv1alpha1.PlacedObject{Synced: metav1.ConditionFalse}, false},
		"unreachable": {tmcv1alpha1.PlacedObject{Synced: metav1.ConditionUnknown, Reason: tmcv1alpha1.ReasonMemberUnreachable}, false},
		"refused":     {tmcv1alpha1.PlacedObject{Synced: metav1.ConditionFalse, Reason: tmcv1alpha1.ReasonCollision}, true},
		"degraded":    {tmcv1alpha1.PlacedObject{Synced: metav1.ConditionTrue, Health: tmcv1alpha1.HealthDegraded}, true},
	}
	for name, tc := range tests {
		if got := view.Failed(&tc.object); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
