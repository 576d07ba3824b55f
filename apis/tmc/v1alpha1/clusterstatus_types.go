// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClusterStatus is the live state of one member that this workspace may use: its health, version and capacity.
// It is computed from the member when it is read, and cannot be written.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=clusterstatuses,singular=clusterstatus,categories={tmc,kcp},shortName=cst
type ClusterStatus struct {
	metav1.TypeMeta `json:",inline"`
	// metadata carries the registration's labels, and its creation time. A member that another workspace lends is
	// named <registration>.<grant>.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// status is what is known of the member.
	// +optional
	Status ClusterStatusStatus `json:"status,omitempty"`
}

// ClusterStatusStatus is what is known of a member. A quantity that is not known is left out; it is never zero.
type ClusterStatusStatus struct {
	// conditions are Ready, Reachable and CapacityKnown. Ready is Unknown while the member cannot be reached.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observationTime is when the member last confirmed the figures below. While it is reachable the figures are
	// followed live, and this time is renewed with each change and at least every 30 seconds. While the member
	// cannot be reached the figures are the last known ones, and this time stands still.
	// +optional
	ObservationTime *metav1.Time `json:"observationTime,omitempty"`

	// version is the Kubernetes version of the member, for example v1.36.3.
	// +optional
	Version string `json:"version,omitempty"`

	// unschedulable says that the member takes no new work.
	// +optional
	Unschedulable bool `json:"unschedulable,omitempty"`

	// taints keep work off the member that does not tolerate them.
	// +optional
	// +listType=atomic
	Taints []Taint `json:"taints,omitempty"`

	// nodes counts the member's nodes.
	// +optional
	Nodes *NodeSummary `json:"nodes,omitempty"`

	// pods counts the member's pods.
	// +optional
	Pods *PodSummary `json:"pods,omitempty"`

	// capacity is the sum of what all nodes have.
	// +optional
	Capacity corev1.ResourceList `json:"capacity,omitempty"`

	// allocatable is the sum of what the usable nodes offer to pods. Usable are nodes that are ready and not
	// cordoned; taints do not matter here.
	// +optional
	Allocatable corev1.ResourceList `json:"allocatable,omitempty"`

	// allocated is the sum of the requests of the pods that are bound to usable nodes and have not ended.
	// +optional
	Allocated corev1.ResourceList `json:"allocated,omitempty"`

	// allocating is the sum of the requests of the pods that wait for a node.
	// +optional
	Allocating corev1.ResourceList `json:"allocating,omitempty"`

	// assumed is the sum of the requests of what TMC decided to run on the member and has not yet seen there.
	// +optional
	Assumed corev1.ResourceList `json:"assumed,omitempty"`

	// available is allocatable - allocated - allocating - assumed, and never negative.
	// +optional
	Available corev1.ResourceList `json:"available,omitempty"`

	// largestFree says, per resource, what is free on the usable node that has most of that resource free: a pod
	// that asks for more than this fits on no node, however much the whole member has available.
	// +optional
	// +listType=map
	// +listMapKey=resource
	LargestFree []FreeSlot `json:"largestFree,omitempty"`
}

// NodeSummary counts nodes.
type NodeSummary struct {
	// total is how many nodes the member has.
	// +required
	Total int64 `json:"total"`
	// ready is how many of them are ready, cordoned ones included.
	// +required
	Ready int64 `json:"ready"`
	// unschedulable is how many of them are cordoned.
	// +required
	Unschedulable int64 `json:"unschedulable"`
}

// PodSummary counts pods.
type PodSummary struct {
	// bound is how many pods have a node and have not ended.
	// +required
	Bound int64 `json:"bound"`
	// pending is how many pods wait for a node.
	// +required
	Pending int64 `json:"pending"`
}

// FreeSlot is what is free on one node.
type FreeSlot struct {
	// resource is the resource of which this node has most free.
	// +required
	Resource corev1.ResourceName `json:"resource"`
	// free is what is free on the node, of every resource.
	// +required
	Free corev1.ResourceList `json:"free"`
}

// ClusterStatusList is a list of ClusterStatuses.
//
// +kubebuilder:object:root=true
type ClusterStatusList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the members that the workspace may use.
	Items []ClusterStatus `json:"items"`
}
