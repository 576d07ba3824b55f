// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of every kind of this package.
const GroupName = "tmc.kcp.io"

// Version is the API version of every kind of this package.
const Version = "v1alpha1"

// SchemeGroupVersion returns the group and version of this package's kinds.
func SchemeGroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: GroupName, Version: Version}
}

// Kind qualifies a kind of this package with its group.
func Kind(kind string) schema.GroupKind { return SchemeGroupVersion().WithKind(kind).GroupKind() }

// Resource qualifies a resource of this package with its group.
func Resource(resource string) schema.GroupResource {
	return SchemeGroupVersion().WithResource(resource).GroupResource()
}

// AddToScheme registers the kinds of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	gv := SchemeGroupVersion()
	scheme.AddKnownTypes(gv,
		&ClusterRegistration{}, &ClusterRegistrationList{},
		&ClusterGrant{}, &ClusterGrantList{},
		&ClusterStatus{}, &ClusterStatusList{},
		&Placement{}, &PlacementList{},
		&PlacementStatus{}, &PlacementStatusList{},
	)
	metav1.AddToGroupVersion(scheme, gv)
	return nil
}
