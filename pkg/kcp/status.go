// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// StatusPatcher writes the status of one kind.
type StatusPatcher struct {
	set *Set
	gvr schema.GroupVersionResource
}

// RegistrationStatus writes the status of ClusterRegistrations.
func (s *Set) RegistrationStatus() *StatusPatcher { return s.statusOf("clusterregistrations") }

// GrantStatus writes the status of ClusterGrants.
func (s *Set) GrantStatus() *StatusPatcher { return s.statusOf("clustergrants") }

// PlacementStatus writes the status of Placements.
func (s *Set) PlacementStatus() *StatusPatcher { return s.statusOf("placements") }

func (s *Set) statusOf(resource string) *StatusPatcher {
	return &StatusPatcher{set: s, gvr: tmcv1alpha1.SchemeGroupVersion().WithResource(resource)}
}

// MetadataPatcher writes the metadata of one kind.
type MetadataPatcher struct {
	set *Set
	gvr schema.GroupVersionResource
}

// RegistrationMetadata writes the metadata of ClusterRegistrations.
func (s *Set) RegistrationMetadata() *MetadataPatcher {
	return &MetadataPatcher{set: s, gvr: tmcv1alpha1.SchemeGroupVersion().WithResource("clusterregistrations")}
}

// PatchMetadata sends a JSON merge patch to an object. It carries the uid and resource version that it is meant for.
func (p *MetadataPatcher) PatchMetadata(ctx context.Context, key workspace.Key, patch []byte) error {
	if err := p.set.patch(ctx, p.gvr, key, patch, verbPatchMetadata); err != nil {
		return fmt.Errorf("patching metadata of %s %s: %w", p.gvr.Resource, key, err)
	}
	return nil
}

// PatchStatus sends a JSON merge patch to the status of an object.
func (p *StatusPatcher) PatchStatus(ctx context.Context, key workspace.Key, patch []byte) error {
	if err := p.set.patch(ctx, p.gvr, key, patch, verbPatchStatus); err != nil {
		return fmt.Errorf("patching status of %s %s: %w", p.gvr.Resource, key, err)
	}
	return nil
}
