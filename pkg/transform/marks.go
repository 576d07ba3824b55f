// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"strings"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Labels of copies and of their namespaces.
const (
	// ManagedLabel selects everything on a member that is ours.
	ManagedLabel = tmcv1alpha1.ReservedPrefix + "managed"
	// ManagedLabelValue is its value.
	ManagedLabelValue = "true"
	// WorkspaceLabel lets the owner of a member list what comes from one workspace. It holds the name of the logical
	// cluster. It is for selecting only: what an object is follows from the annotations.
	WorkspaceLabel = tmcv1alpha1.ReservedPrefix + "workspace"
)

// Annotations of copies. Those of the origin are on the namespaces too.
const (
	// WorkspaceAnnotation names the logical cluster that an object comes from.
	WorkspaceAnnotation = tmcv1alpha1.ReservedPrefix + "workspace"
	// WorkspacePathAnnotation is the path of that workspace, for people. It is on namespaces only.
	WorkspacePathAnnotation = tmcv1alpha1.ReservedPrefix + "workspace-path"
	// NamespaceAnnotation is the namespace there.
	NamespaceAnnotation = tmcv1alpha1.ReservedPrefix + "namespace"
	// NameAnnotation is the object's name there.
	NameAnnotation = tmcv1alpha1.ReservedPrefix + "name"
	// UIDAnnotation is the object's UID there.
	UIDAnnotation = tmcv1alpha1.ReservedPrefix + "uid"
	// AppliedHashAnnotation is the hash of the content that was applied, itself excepted.
	AppliedHashAnnotation = tmcv1alpha1.ReservedPrefix + "applied-hash"
)

// kcpDomain ends the prefixes that belong to kcp and to us.
const kcpDomain = "kcp.io"

// reserved says whether a label or annotation never leaves a workspace: it is kcp's or ours. Prefixes of annotations may
// be written in capitals, which must not be a way around.
func reserved(key string) bool {
	prefix, _, found := strings.Cut(key, "/")
	if !found || len(prefix) < len(kcpDomain) {
		return false
	}
	rest, domain := prefix[:len(prefix)-len(kcpDomain)], prefix[len(prefix)-len(kcpDomain):]
	return strings.EqualFold(domain, kcpDomain) && (rest == "" || strings.HasSuffix(rest, "."))
}

// bookkeeping says whether an annotation is one that tools and controllers keep about the very object that carries it,
// so that it would be untrue on a copy.
func bookkeeping(key string) bool {
	switch key {
	case "kubectl.kubernetes.io/last-applied-configuration",
		"batch.kubernetes.io/job-tracking",
		"volume.kubernetes.io/selected-node",
		"volume.kubernetes.io/storage-provisioner",
		"volume.beta.kubernetes.io/storage-provisioner":
		return true
	}
	return strings.HasPrefix(key, "deployment.kubernetes.io/") || strings.HasPrefix(key, "pv.kubernetes.io/")
}
