// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// writeTimeout bounds a write, so that a lost shard holds up no worker for long.
const writeTimeout = 10 * time.Second

// ErrNotBound is the cause when a workspace without an active binding would be written to.
var ErrNotBound = errors.New("the workspace has no active binding")

// ErrEndpointAway is the cause when a write is not even tried, since another one is finding out right now whether an
// endpoint that did not answer is back.
var ErrEndpointAway = errors.New("the endpoint of the workspace does not answer")

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
	return &StatusPatcher{set: s, gvr: tmcv1alpha1.SchemeGroupVersion().WithResource(resource)}
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
	endpoint, _ := p.set.workspaces.endpoint(key.Workspace)
	leave, ok := p.set.lanes.enter(endpoint)
	if !ok {
		return fmt.Errorf("patching status of %s %s: %w", p.gvr.Resource, key, ErrEndpointAway)
	}
	err = ErrEndpointAway // for the lane, should the write panic
	defer func() { leave(answered(err)) }()
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	_, err = client.Resource(p.gvr).Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("patching status of %s %s: %w", p.gvr.Resource, key, err)
	}
	return nil
}

// answered says whether the outcome of a write came from the other end.
func answered(err error) bool {
	var status apierrors.APIStatus
	return err == nil || errors.As(err, &status)
}
