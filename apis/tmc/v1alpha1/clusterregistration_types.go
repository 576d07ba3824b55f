// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CredentialsLabel marks the Secrets that TMC may read. A Secret without the value CredentialsLabelValue is
// invisible to the server, even when a ClusterRegistration names it.
const (
	CredentialsLabel      = "tmc.kcp.io/credentials"
	CredentialsLabelValue = "member"
)

// Keys of the Secrets that a ClusterRegistration names.
const (
	// SecretKeyKubeconfig is the default key of a kubeconfig Secret.
	SecretKeyKubeconfig = "kubeconfig"
	// SecretKeyToken holds a bearer token, beside an inline endpoint.
	SecretKeyToken = corev1.ServiceAccountTokenKey
	// SecretKeyClientCertificate and SecretKeyClientKey hold a client certificate, beside an inline endpoint.
	SecretKeyClientCertificate = corev1.TLSCertKey
	SecretKeyClientKey         = corev1.TLSPrivateKeyKey
)

// ClusterRegistration makes a physical cluster a member: it says how to reach the cluster and what new work it takes.
// What the member looks like right now is in the ClusterStatus of the same name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories={tmc,kcp},shortName=clreg
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the member is accepted, reachable and observed"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why the member is ready or not"
// +kubebuilder:printcolumn:name="Unschedulable",type=boolean,JSONPath=`.spec.unschedulable`,description="Whether the member takes no new work"
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,description="Details and remedy"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the registration was created"
type ClusterRegistration struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata. Labels are shown on the ClusterStatus and select members.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says how to reach the member and what new work it takes.
	// +required
	Spec ClusterRegistrationSpec `json:"spec"`

	// status tells what TMC makes of the registration. It changes on transitions only; live figures are in the
	// ClusterStatus.
	// +optional
	Status ClusterRegistrationStatus `json:"status,omitempty"`
}

// ClusterRegistrationSpec says how to reach a member and what new work it takes.
//
// +kubebuilder:validation:XValidation:rule="has(self.kubeconfigSecretRef) != has(self.endpoint)",message="exactly one of kubeconfigSecretRef and endpoint must be set"
type ClusterRegistrationSpec struct {
	// kubeconfigSecretRef names a Secret of this workspace that holds a kubeconfig. The Secret must carry the label
	// tmc.kcp.io/credentials=member. Of the kubeconfig only the current context's server, certificate authority data
	// and token or client certificate data are accepted; anything else is refused.
	// +optional
	KubeconfigSecretRef *KubeconfigSecretReference `json:"kubeconfigSecretRef,omitempty"`

	// endpoint gives the member's address inline; its credentials come from a Secret.
	// +optional
	Endpoint *ClusterEndpoint `json:"endpoint,omitempty"`

	// unschedulable keeps new work off the member; what runs there stays.
	// +optional
	Unschedulable bool `json:"unschedulable,omitempty"`

	// taints keep work off the member that does not tolerate them.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +listMapKey=effect
	// +kubebuilder:validation:MaxItems=32
	Taints []Taint `json:"taints,omitempty"`
}

// KubeconfigSecretReference names a Secret of the same workspace and the key of the kubeconfig in it.
type KubeconfigSecretReference struct {
	SecretReference `json:",inline"`

	// key is the Secret's key that holds the kubeconfig.
	// +optional
	// +kubebuilder:default=kubeconfig
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// SecretReference names a Secret of the same workspace.
type SecretReference struct {
	// namespace of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// ClusterEndpoint is the address of a member and where its credentials are.
type ClusterEndpoint struct {
	// server is the URL of the member's API server: https, without user, query or fragment.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.startsWith('https://')",message="server must be an https:// URL"
	Server string `json:"server"`

	// certificateAuthorityData is the PEM bundle that the member's serving certificate is verified with.
	// +required
	// +kubebuilder:validation:MinLength=1
	CertificateAuthorityData []byte `json:"certificateAuthorityData"`

	// credentialsSecretRef names the Secret with the keys token, or tls.crt and tls.key. The Secret must carry the
	// label tmc.kcp.io/credentials=member.
	// +required
	CredentialsSecretRef SecretReference `json:"credentialsSecretRef"`
}

// LenderTaint is the key of the taint that a member has for Placements of the workspaces that it is lent to, unless the
// operator trusts the lender (--trusted-lenders). Its value is the lender's logical cluster, and its effect NoExecute: who
// lends a member asks nobody, and what runs there is in the hands of the member's owner. A toleration must name the key.
const LenderTaint = "tmc.kcp.io/lender"

// Taint keeps work off a member, as a node's taint keeps pods off a node.
type Taint struct {
	// key of the taint, a label key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	Key string `json:"key"`

	// value of the taint, a label value.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value,omitempty"`

	// effect on work that does not tolerate the taint: NoSchedule keeps new work off, PreferNoSchedule avoids the
	// member where another will do, NoExecute also moves away what runs there.
	// +required
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect corev1.TaintEffect `json:"effect"`
}

// ClusterRegistrationStatus tells what TMC makes of a registration.
type ClusterRegistrationStatus struct {
	// conditions are Accepted, CredentialsValid, Reachable and, as their summary, Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ClusterRegistrationList is a list of ClusterRegistrations.
//
// +kubebuilder:object:root=true
type ClusterRegistrationList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the registrations.
	Items []ClusterRegistration `json:"items"`
}
