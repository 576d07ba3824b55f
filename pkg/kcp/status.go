// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// writeTimeout bounds a write, so that a lost shard holds up no worker for long.
const writeTimeout = 10 * time.Second

// ErrNotBound is the cause when a workspace without an active binding would be written to.
var ErrNotBound = errors.New("the workspace has no active binding")

// StatusPatcher writes the status of one kind.
type StatusPatcher struct {
	set *Set
	gvr schema.GroupVersionResource
}

// RegistrationStatus writes the status of ClusterRegistrations.
func (s *Set) RegistrationStatus() *StatusPatcher { return s.statusOf("clusterregistrations") }

// GrantStatus writes the status of ClusterGrants.
func (s *Set) GrantStatus() *StatusPatcher { return s.statusOf("clustergrants") }

func (s *Set) statusOf(resource string) *StatusPatcher {
	return &StatusPatcher{set: s, gvr: v1alpha1.SchemeGroupVersion().WithResource(resource)}
}

// PatchStatus sends a JSON merge patch to the status of an object.
func (p *StatusPatcher) PatchStatus(ctx context.Context, key workspace.Key, patch []byte) error {
	config, bound := p.set.ConfigFor(key.Workspace)
	if !bound {
		return fmt.Errorf("patching status of %s %s: %w", p.gvr.Resource, key, ErrNotBound)
	}
	client, err := dynamic.NewForConfigAndClient(config, p.set.http)
	if err != nil {
		return fmt.Errorf("building the client of workspace %s: %w", key.Workspace, err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if _, err := client.Resource(p.gvr).Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("patching status of %s %s: %w", p.gvr.Resource, key, err)
	}
	return nil
}
