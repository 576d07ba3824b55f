// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClusterGrant lends members of this workspace to other workspaces. A lent member appears there as
// <registration>.<grant>. Deleting the grant, or narrowing it, takes the members away again.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories={tmc,kcp},shortName=clgrant
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether everything the grant offers is lent"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why the grant is in effect or not"
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,description="Details and remedy"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the grant was created"
type ClusterGrant struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata. The name becomes part of the lent members' names.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which members are lent, and to whom.
	// +required
	Spec ClusterGrantSpec `json:"spec"`

	// status tells whether the grant is in effect. It changes on transitions only.
	// +optional
	Status ClusterGrantStatus `json:"status,omitempty"`
}

// ClusterGrantSpec says which members are lent, and to whom.
//
// +kubebuilder:validation:XValidation:rule="has(self.clusterSelector) || (has(self.clusterNames) && size(self.clusterNames) > 0)",message="at least one of clusterSelector and clusterNames must be set"
type ClusterGrantSpec struct {
	// clusterSelector selects ClusterRegistrations of this workspace by label; an empty selector selects all.
	// Members that match it or are named in clusterNames are lent.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`

	// clusterNames names ClusterRegistrations of this workspace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=253
	ClusterNames []string `json:"clusterNames,omitempty"`

	// workspaces are the borrowers. A workspace sees the members as soon as it has bound the tmc.kcp.io export.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	Workspaces []WorkspaceReference `json:"workspaces"`
}

// WorkspaceReference names a workspace, or a workspace with all that is below it.
//
// +kubebuilder:validation:XValidation:rule="(has(self.path) ? 1 : 0) + (has(self.subtree) ? 1 : 0) + (has(self.cluster) ? 1 : 0) == 1",message="exactly one of path, subtree and cluster must be set"
type WorkspaceReference struct {
	// path is the path of one workspace, for example root:team-a. A workspace that is deleted and made anew under
	// the same path is a borrower again; name it by cluster where that matters.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(:[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Path string `json:"path,omitempty"`

	// subtree is the path of a workspace; it and every workspace below it are borrowers.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(:[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Subtree string `json:"subtree,omitempty"`

	// cluster is the logical cluster name of one workspace, which is never used again.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Cluster string `json:"cluster,omitempty"`
}

// ClusterGrantStatus tells whether a grant is in effect.
type ClusterGrantStatus struct {
	// conditions are Ready: whether everything that the grant offers is lent.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ClusterGrantList is a list of ClusterGrants.
//
// +kubebuilder:object:root=true
type ClusterGrantList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the grants.
	Items []ClusterGrant `json:"items"`
}
