// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// PlacementFacts is everything that is known of one Placement at one moment.
type PlacementFacts struct {
	// Wanted is how many members the Placement asks for; nil is as many as fit.
	Wanted *int32
	// Outcome is what was decided.
	Outcome tmcv1alpha1.PlacementOutcome
	// Scores are what the chosen members were chosen by.
	Scores map[string]int32
	// NotChosen and NotPlaced explain what is not there.
	NotChosen []tmcv1alpha1.ClusterRejection
	NotPlaced []tmcv1alpha1.UnplacedObject
	// Copies are the copies of all objects on all members.
	Copies []PlacedCopy
	// Clusters is what is known of the members, by name.
	Clusters map[string]ClusterFacts
}

// PlacedCopy is one copy of one object.
type PlacedCopy struct {
	Cluster string
	// Leaving says that the copy stays only until others are available.
	Leaving bool
	Object  tmcv1alpha1.PlacedObject
}

// ClusterFacts is what is known of a member's copies.
type ClusterFacts struct {
	Reachable   metav1.ConditionStatus
	ConfirmedAt time.Time
}

// PlacementStatus projects what is known of a Placement to the status that its workspace sees. The argument is neither
// kept nor changed, but for the conditions and explanations, which are shared.
func PlacementStatus(facts PlacementFacts) tmcv1alpha1.PlacementStatusStatus {
	status := tmcv1alpha1.PlacementStatusStatus{
		Conditions:     facts.Outcome.Conditions,
		ClustersWanted: facts.Wanted,
		NotChosen:      facts.NotChosen,
		NotPlaced:      facts.NotPlaced,
	}
	rows := map[string]*tmcv1alpha1.PlacementCluster{}
	for _, decision := range facts.Outcome.Decisions {
		rows[decision.ClusterName] = newCluster(decision.ClusterName, decision.Phase, &facts)
	}
	objects := map[string]struct{}{}
	for i := range facts.Copies {
		placed := &facts.Copies[i]
		row, known := rows[placed.Cluster]
		if !known {
			row = newCluster(placed.Cluster, tmcv1alpha1.DecisionLeaving, &facts)
			rows[placed.Cluster] = row
		}
		row.Objects = append(row.Objects, placed.Object)
		count(&row.Workloads, placed)
		count(&status.Workloads, placed)
		objects[placed.Object.Kind+"\x00"+placed.Object.APIVersion+"\x00"+placed.Object.Name] = struct{}{}
	}
	status.Workloads.Objects = int32(len(objects))
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		row := rows[name]
		row.Workloads.Objects = int32(len(row.Objects))
		slices.SortFunc(row.Objects, compareObjects)
		status.Clusters = append(status.Clusters, *row)
		if row.Phase != tmcv1alpha1.DecisionLeaving && row.ObservationTime != nil &&
			(status.ObservationTime == nil || row.ObservationTime.Before(status.ObservationTime)) {
			status.ObservationTime = row.ObservationTime
		}
	}
	return status
}

func newCluster(name string, phase tmcv1alpha1.DecisionPhase, facts *PlacementFacts) *tmcv1alpha1.PlacementCluster {
	row := &tmcv1alpha1.PlacementCluster{ClusterName: name, Phase: phase, Reachable: metav1.ConditionUnknown}
	if phase == "" {
		row.Phase = tmcv1alpha1.DecisionActive
	}
	if score, scored := facts.Scores[name]; scored {
		row.Score = &score
	}
	known, found := facts.Clusters[name]
	if !found {
		return row
	}
	row.Reachable = known.Reachable
	if !known.ConfirmedAt.IsZero() {
		at := metav1.NewTime(known.ConfirmedAt.Truncate(time.Second))
		row.ObservationTime = &at
	}
	return row
}

// count adds a copy to a sum. A copy that is leaving is not desired.
func count(sum *tmcv1alpha1.WorkloadSummary, placed *PlacedCopy) {
	object := &placed.Object
	if !placed.Leaving {
		sum.Desired++
		if object.Synced == metav1.ConditionTrue {
			sum.Synced++
		}
		if object.Health == tmcv1alpha1.HealthHealthy && object.Synced == metav1.ConditionTrue {
			sum.Ready++
		}
	}
	if object.Drifted {
		sum.Drifted++
	}
	if Failed(object) {
		sum.Failed++
	}
}

// Failed reports whether a copy needs somebody's help: it could not be applied, or it is degraded.
func Failed(object *tmcv1alpha1.PlacedObject) bool {
	refused := object.Synced == metav1.ConditionFalse && object.Reason != "" && object.Reason != tmcv1alpha1.ReasonSyncing
	return refused || object.Health == tmcv1alpha1.HealthDegraded
}

func compareObjects(a, b tmcv1alpha1.PlacedObject) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.APIVersion, b.APIVersion))
}
