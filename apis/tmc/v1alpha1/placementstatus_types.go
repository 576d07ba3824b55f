// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PlacementStatus is the live state of one Placement: where its workloads run, what became of each of them on each
// member, and why other members were not chosen. It is computed when it is read, and cannot be written.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,path=placementstatuses,singular=placementstatus,categories={tmc,kcp},shortName=pls
type PlacementStatus struct {
	metav1.TypeMeta `json:",inline"`
	// metadata carries the name, the labels and the creation time of the Placement.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// status is what is known of the Placement.
	// +optional
	Status PlacementStatusStatus `json:"status,omitempty"`
}

// PlacementStatusStatus is what is known of a Placement.
type PlacementStatusStatus struct {
	// conditions are Scheduled, Synchronized, Available and, as their summary, Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observationTime is the oldest time at which one of the chosen members last confirmed what is below.
	// +optional
	ObservationTime *metav1.Time `json:"observationTime,omitempty"`

	// clustersWanted is how many members the Placement asks for; unset is as many as fit.
	// +optional
	ClustersWanted *int32 `json:"clustersWanted,omitempty"`

	// workloads counts what the Placement selects.
	// +optional
	Workloads WorkloadSummary `json:"workloads,omitempty"`

	// clusters are the chosen members and those that still have copies, ordered by name.
	// +optional
	// +listType=map
	// +listMapKey=clusterName
	Clusters []PlacementCluster `json:"clusters,omitempty"`

	// notChosen are the members that were not chosen, and why, ordered by name.
	// +optional
	// +listType=map
	// +listMapKey=clusterName
	NotChosen []ClusterRejection `json:"notChosen,omitempty"`

	// notPlaced are selected objects that run nowhere, and why: another Placement has them, they fit nowhere, or they
	// cannot be synced.
	// +optional
	// +listType=atomic
	NotPlaced []UnplacedObject `json:"notPlaced,omitempty"`
}

// WorkloadSummary counts copies: an object that is placed on three members counts three times.
type WorkloadSummary struct {
	// objects is how many objects are placed.
	// +optional
	Objects int32 `json:"objects,omitempty"`
	// desired is how many copies there should be.
	// +optional
	Desired int32 `json:"desired,omitempty"`
	// synced is how many copies are as they should be.
	// +optional
	Synced int32 `json:"synced,omitempty"`
	// ready is how many copies are healthy.
	// +optional
	Ready int32 `json:"ready,omitempty"`
	// drifted is how many copies differ from what was last applied.
	// +optional
	Drifted int32 `json:"drifted,omitempty"`
	// failed is how many copies could not be applied or are degraded.
	// +optional
	Failed int32 `json:"failed,omitempty"`
}

// PlacementCluster is what a Placement has on one member.
type PlacementCluster struct {
	// clusterName is the name of the member's ClusterStatus in this workspace.
	// +required
	ClusterName string `json:"clusterName"`

	// phase is Active while the member is chosen, and Leaving until its copies are gone afterwards.
	// +optional
	Phase DecisionPhase `json:"phase,omitempty"` //nolint:kubeapilinter // that of the decision

	// reachable is the status of the member's condition Reachable. While it is not True, what is below is the last
	// that is known.
	// +optional
	Reachable metav1.ConditionStatus `json:"reachable,omitempty"`

	// observationTime is when the member last confirmed what is below.
	// +optional
	ObservationTime *metav1.Time `json:"observationTime,omitempty"`

	// score is what the member was chosen by, from 0 to 100; higher is better.
	// +optional
	Score *int32 `json:"score,omitempty"`

	// workloads counts the copies on this member.
	// +optional
	Workloads WorkloadSummary `json:"workloads,omitempty"`

	// objects are the copies on this member, ordered by kind and name.
	// +optional
	// +listType=atomic
	Objects []PlacedObject `json:"objects,omitempty"`
}

// Health says how a copy is doing.
//
// +kubebuilder:validation:Enum=Healthy;Progressing;Degraded;Unknown
type Health string

// Healths of a copy.
const (
	// HealthHealthy: it does what it should.
	HealthHealthy Health = "Healthy"
	// HealthProgressing: it is on its way there.
	HealthProgressing Health = "Progressing"
	// HealthDegraded: it is not going to get there without help.
	HealthDegraded Health = "Degraded"
	// HealthUnknown: the member has not told, or cannot be reached.
	HealthUnknown Health = "Unknown"
)

// PlacedObject is one copy of one object.
type PlacedObject struct {
	// apiVersion of the object.
	// +required
	APIVersion string `json:"apiVersion"`
	// kind of the object.
	// +required
	Kind string `json:"kind"`
	// name of the object, in the workspace and on the member.
	// +required
	Name string `json:"name"`

	// synced is True when the member has what it should have.
	// +optional
	Synced metav1.ConditionStatus `json:"synced,omitempty"`

	// syncedGeneration is the generation of the workspace's object that the member has.
	// +optional
	SyncedGeneration int64 `json:"syncedGeneration,omitempty"`

	// health says how the copy is doing.
	// +optional
	Health Health `json:"health,omitempty"`

	// drifted says that the copy differed from what was applied when it was last seen; it is being repaired.
	// +optional
	Drifted bool `json:"drifted,omitempty"`

	// replicas counts the replicas of workloads that have them.
	// +optional
	Replicas *ReplicaSummary `json:"replicas,omitempty"`

	// reason says in one word why the copy is not synced, or not healthy.
	// +optional
	Reason string `json:"reason,omitempty"`

	// message says it in a sentence. It may quote the member, shortened and made printable.
	// +optional
	Message string `json:"message,omitempty"`
}

// ReplicaSummary counts replicas of one copy.
type ReplicaSummary struct {
	// desired is how many the member was told to run.
	// +required
	Desired int32 `json:"desired"`
	// ready is how many of them are ready.
	// +required
	Ready int32 `json:"ready"`
	// available is how many of them have been ready for as long as the workload asks for.
	// +required
	Available int32 `json:"available"`
	// updated is how many of them are of the newest template.
	// +required
	Updated int32 `json:"updated"`
}

// ClusterRejection says why a member was not chosen.
type ClusterRejection struct {
	// clusterName is the name of the member's ClusterStatus in this workspace.
	// +required
	ClusterName string `json:"clusterName"`
	// stage is the step of scheduling at which the member dropped out: Filter, Score or Assign.
	// +required
	// +kubebuilder:validation:Enum=Filter;Score;Assign
	Stage string `json:"stage"`
	// reason says why in one word.
	// +required
	Reason string `json:"reason"`
	// message says why in a sentence.
	// +optional
	Message string `json:"message,omitempty"`
	// score is what the member would have been chosen by, from 0 to 100, if it got so far.
	// +optional
	Score *int32 `json:"score,omitempty"`
}

// UnplacedObject says why a selected object runs nowhere.
type UnplacedObject struct {
	// apiVersion of the object.
	// +required
	APIVersion string `json:"apiVersion"`
	// kind of the object.
	// +required
	Kind string `json:"kind"`
	// name of the object.
	// +required
	Name string `json:"name"`
	// reason says why in one word.
	// +required
	Reason string `json:"reason"`
	// message says why in a sentence.
	// +optional
	Message string `json:"message,omitempty"`
}

// PlacementStatusList is a list of PlacementStatuses.
//
// +kubebuilder:object:root=true
type PlacementStatusList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the placements of the namespace or workspace.
	Items []PlacementStatus `json:"items"`
}
