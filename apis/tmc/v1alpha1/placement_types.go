// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Marks that TMC leaves on the objects of tenants.
const (
	// SyncFinalizer keeps an object of a tenant until its copies are gone from every member.
	SyncFinalizer = "tmc.kcp.io/sync"
	// PlacedByAnnotation names the Placement that an object was placed by. TMC writes it together with SyncFinalizer.
	PlacedByAnnotation = "tmc.kcp.io/placed-by"
	// ForceDetachAnnotation, with the value ForceDetachValue, gives up the copies that cannot be removed, instead of
	// waiting for their members: on a synced object its own, on a Placement those of its objects, on a
	// ClusterRegistration those on its member.
	ForceDetachAnnotation = "tmc.kcp.io/force-detach"
	// ForceDetachValue is the value that ForceDetachAnnotation takes effect with.
	ForceDetachValue = "true"
	// ReservedPrefix is the prefix of labels and annotations that are TMC's own. They are not copied to members or back.
	ReservedPrefix = "tmc.kcp.io/"
)

// Placement chooses the members that run the workloads of its namespace, and divides their replicas. A workload is
// placed by exactly one Placement: the one with the higher priority, of equal ones the older, then the first by name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,categories={tmc,kcp},shortName=pl
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether everything that is selected runs where it should"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why the placement is ready or not"
// +kubebuilder:printcolumn:name="Selected",type=integer,JSONPath=`.status.selectedClusters`,description="How many members were chosen"
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,description="Details and remedy"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the placement was created"
type Placement struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which workloads are placed, and on which members. An empty spec places every workload of the
	// namespace on every member of the workspace.
	// +optional
	Spec PlacementSpec `json:"spec,omitempty"`

	// status tells what was decided. It changes on transitions only; live figures are in the PlacementStatus of the
	// same name.
	// +optional
	Status PlacementOutcome `json:"status,omitempty"`
}

// PlacementSpec says which workloads are placed, and on which members.
type PlacementSpec struct {
	// resourceSelectors select objects of the namespace; an object that matches one of them is selected. Without any,
	// every object that can be synced is, except Secrets, ServiceAccounts and what is not needed on members. What a selected
	// workload refers to (ConfigMaps, Secrets, ServiceAccounts, PersistentVolumeClaims) follows it in any case.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	ResourceSelectors []ResourceSelector `json:"resourceSelectors,omitempty"`

	// clusterSelector limits the members by the labels of their ClusterStatus. Unset admits every member of the
	// workspace; together with clusterNames, a member must satisfy both.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`

	// clusterNames limits the members by the names of their ClusterStatus.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	ClusterNames []string `json:"clusterNames,omitempty"`

	// tolerations let members be chosen in spite of their taints.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []Toleration `json:"tolerations,omitempty"`

	// numberOfClusters is how many members are chosen. Unset chooses every member that fits. If fewer fit, those are
	// chosen, and the condition Scheduled is False.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	NumberOfClusters *int32 `json:"numberOfClusters,omitempty"`

	// replicaScheduling says how many replicas of a workload each chosen member runs.
	// +optional
	ReplicaScheduling *ReplicaScheduling `json:"replicaScheduling,omitempty"`

	// priority decides between Placements that select the same workload: the higher one places it.
	// +optional
	// +kubebuilder:validation:Minimum=-1000000
	// +kubebuilder:validation:Maximum=1000000
	Priority int32 `json:"priority,omitempty"`

	// suspension holds back decisions or their execution.
	// +optional
	Suspension *Suspension `json:"suspension,omitempty"`
}

// ResourceSelector selects objects of the Placement's namespace. Every field that is set must match.
type ResourceSelector struct {
	// apiVersion is the group and version of the objects, for example apps/v1. The version is not compared.
	// +optional
	// +kubebuilder:validation:MaxLength=317
	APIVersion string `json:"apiVersion,omitempty"`

	// kind of the objects, for example Deployment. Secrets and ServiceAccounts are selected by kind only.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`

	// name of one object.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// labelSelector selects objects by label.
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`
}

// Toleration tolerates the taints of members that it matches.
//
// +kubebuilder:validation:XValidation:rule="!has(self.operator) || self.operator != 'Exists' || !has(self.value) || size(self.value) == 0",message="value must be empty when operator is Exists"
// +kubebuilder:validation:XValidation:rule="has(self.key) && size(self.key) > 0 || has(self.operator) && self.operator == 'Exists'",message="operator must be Exists when key is empty"
type Toleration struct {
	// key of the taint; empty, with the operator Exists, matches every taint.
	// +optional
	// +kubebuilder:validation:MaxLength=316
	Key string `json:"key,omitempty"`

	// operator relates the value: Equal compares it, Exists matches any.
	// +optional
	// +kubebuilder:default=Equal
	// +kubebuilder:validation:Enum=Equal;Exists
	Operator corev1.TolerationOperator `json:"operator,omitempty"`

	// value of the taint, for the operator Equal.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value,omitempty"`

	// effect of the taint; empty matches every effect.
	// +optional
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect corev1.TaintEffect `json:"effect,omitempty"`
}

// ReplicaSchedulingType says what the replicas of a workload mean.
//
// +kubebuilder:validation:Enum=Duplicated;Divided
type ReplicaSchedulingType string

// Types of replica scheduling.
const (
	// ReplicasDuplicated gives every chosen member all replicas.
	ReplicasDuplicated ReplicaSchedulingType = "Duplicated"
	// ReplicasDivided divides the replicas among the chosen members.
	ReplicasDivided ReplicaSchedulingType = "Divided"
)

// ReplicaScheduling says how many replicas of a workload each chosen member runs.
//
// +kubebuilder:validation:XValidation:rule="!has(self.weights) || size(self.weights) == 0 || self.type == 'Divided'",message="weights have a meaning with type Divided only"
type ReplicaScheduling struct {
	// type is Duplicated, every member runs all replicas, or Divided, the members share them.
	// +optional
	// +kubebuilder:default=Duplicated
	Type ReplicaSchedulingType `json:"type,omitempty"`

	// weights divide the replicas in proportion, with whole numbers by largest remainder. The first entry that matches
	// a member counts; a member that none matches has the weight 1 and no bounds.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Weights []ClusterWeight `json:"weights,omitempty"`
}

// ClusterWeight is the share of the members that it matches.
//
// +kubebuilder:validation:XValidation:rule="has(self.clusterSelector) || (has(self.clusterNames) && size(self.clusterNames) > 0)",message="at least one of clusterSelector and clusterNames must be set"
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas must not be greater than maxReplicas"
type ClusterWeight struct {
	// clusterNames names members.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	ClusterNames []string `json:"clusterNames,omitempty"`

	// clusterSelector selects members by label. Members that it selects or that clusterNames names are matched.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`

	// weight is the share of each matched member. A member with weight 0 gets no replicas but minReplicas.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Weight *int32 `json:"weight,omitempty"`

	// minReplicas is the least that each matched member runs, as far as the workload has so many.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the most that each matched member runs.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`
}

// Suspension holds back decisions or their execution.
type Suspension struct {
	// scheduling keeps the decisions as they are, whatever changes.
	// +optional
	Scheduling bool `json:"scheduling,omitempty"`

	// dispatching keeps what is on the members as it is; status goes on coming back.
	// +optional
	Dispatching bool `json:"dispatching,omitempty"`
}

// PlacementOutcome tells what was decided for a Placement.
type PlacementOutcome struct {
	// conditions are Scheduled, Synchronized, Available and, as their summary, Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// selectedClusters is how many members are chosen; those that are being left do not count.
	// +optional
	SelectedClusters int32 `json:"selectedClusters,omitempty"`

	// decisions are the chosen members, ordered by name.
	// +optional
	// +listType=map
	// +listMapKey=clusterName
	// +kubebuilder:validation:MaxItems=10000
	Decisions []PlacementDecision `json:"decisions,omitempty"`
}

// DecisionPhase says what happens to the copies on a member.
//
// +kubebuilder:validation:Enum=Active;Leaving
type DecisionPhase string

// Phases of a decision.
const (
	// DecisionActive: the member runs the workloads.
	DecisionActive DecisionPhase = "Active"
	// DecisionLeaving: the member is not chosen any more. Its copies stay until the others are available.
	DecisionLeaving DecisionPhase = "Leaving"
)

// PlacementDecision is one chosen member.
type PlacementDecision struct {
	// clusterName is the name of the member's ClusterStatus in this workspace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ClusterName string `json:"clusterName"`

	// phase is Active while the member is chosen, and Leaving until its copies are gone afterwards.
	// +optional
	// +kubebuilder:default=Active
	Phase DecisionPhase `json:"phase,omitempty"` //nolint:kubeapilinter // of one decision, which has no conditions; not of the object
}

// PlacementList is a list of Placements.
//
// +kubebuilder:object:root=true
type PlacementList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the placements.
	Items []Placement `json:"items"`
}
