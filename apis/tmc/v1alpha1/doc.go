// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the kinds of the group tmc.kcp.io as users meet them.
//
// ClusterRegistration and ClusterGrant are stored in kcp and written by users; ClusterStatus is computed by
// tmc-apiserver and never stored. There is one version and no internal one. The package knows apimachinery and
// core types only, so that clients can import it without pulling in a server.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.tmc.v1alpha1
// +groupName=tmc.kcp.io
package v1alpha1
