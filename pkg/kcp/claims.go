// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"slices"

	"github.com/kcp-dev/logicalcluster/v3"
	apisv1alpha2 "github.com/kcp-dev/sdk/apis/apis/v1alpha2"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// maxClaims bounds what is kept of a binding's answers. The export makes far fewer claims, but a tenant can write any
// number of answers.
const maxClaims = 64

// claims is how a binding answers permission claims.
type claims struct {
	accepted []schema.GroupResource // by the tenant
	applied  []schema.GroupResource // kcp shows all objects there are
}

func claimsOf(binding *apisv1alpha2.APIBinding) claims {
	var c claims
	for _, answer := range binding.Spec.PermissionClaims {
		if answer.State == apisv1alpha2.ClaimAccepted {
			c.accepted = addClaim(c.accepted, answer.GroupResource)
		}
	}
	for _, claim := range binding.Status.AppliedPermissionClaims {
		c.applied = addClaim(c.applied, claim.GroupResource)
	}
	return c
}

func addClaim(all []schema.GroupResource, claimed apisv1alpha2.GroupResource) []schema.GroupResource {
	resource := schema.GroupResource{Group: claimed.Group, Resource: claimed.Resource}
	if len(all) >= maxClaims || slices.Contains(all, resource) {
		return all
	}
	return append(all, resource)
}

func (c claims) same(other claims) bool {
	return slices.Equal(c.accepted, other.accepted) && slices.Equal(c.applied, other.applied)
}

// claim reports whether the workspace shows us objects of a claimed resource, and whether it shows all of them that
// there are. kcp goes on showing some for a while after an answer was taken back, and shows them one by one after it
// was given.
func (w *Workspaces) claim(name logicalcluster.Name, resource schema.GroupResource) (accepted, applied bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	found := w.bound[name].claims
	accepted = slices.Contains(found.accepted, resource)
	return accepted, accepted && slices.Contains(found.applied, resource)
}

// isLeaving reports whether the workspace's binding is being deleted.
func (w *Workspaces) isLeaving(name logicalcluster.Name) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.bound[name].leaving
}
