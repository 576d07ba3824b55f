// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// ErrNotShown is the cause when an object would be written whose resource is not shown at the workspace's endpoint.
var ErrNotShown = errors.New("the endpoint of the workspace does not show the resource")

// PatchMetadata sends a JSON merge patch to an object. The patch carries the uid and the resource version of the object
// that it is meant for, or it may meet another one.
func (w *Workloads) PatchMetadata(ctx context.Context, resource schema.GroupResource, key workspace.Key, patch []byte) error {
	if err := w.patchShown(ctx, resource, key, patch, verbPatchMetadata); err != nil {
		return fmt.Errorf("patching metadata of %s %s: %w", resource, key, err)
	}
	return nil
}

// PatchStatus sends a JSON merge patch to the status of an object.
func (w *Workloads) PatchStatus(ctx context.Context, resource schema.GroupResource, key workspace.Key, patch []byte) error {
	if err := w.patchShown(ctx, resource, key, patch, verbPatchStatus); err != nil {
		return fmt.Errorf("patching status of %s %s: %w", resource, key, err)
	}
	return nil
}

func (w *Workloads) patchShown(ctx context.Context, resource schema.GroupResource, key workspace.Key, patch []byte, verb verb) error {
	gvr, err := w.shownAt(key.Workspace, resource)
	if err != nil {
		w.config.Metrics.wrote(verb, outcomeOf(err))
		return err
	}
	return w.patch(ctx, gvr, key, patch, verb)
}

// shownAt returns the version in which a workspace's endpoint shows a resource: endpoints may differ.
func (w *Workloads) shownAt(ws logicalcluster.Name, resource schema.GroupResource) (schema.GroupVersionResource, error) {
	endpoint, bound := w.workspaces.endpoint(ws)
	if !bound {
		return schema.GroupVersionResource{}, ErrNotBound
	}
	w.state.RLock()
	defer w.state.RUnlock()
	at, known := w.shards[endpoint]
	if !known || at.following[resource] == nil {
		return schema.GroupVersionResource{}, ErrNotShown
	}
	return at.following[resource].resource.GVR, nil
}

// CreateEvent creates an event in the workspace, in the event's own namespace.
func (w *Workloads) CreateEvent(ctx context.Context, ws logicalcluster.Name, event *corev1.Event) error {
	complete := *event
	complete.APIVersion, complete.Kind = corev1.SchemeGroupVersion.String(), "Event"
	body, err := json.Marshal(&complete)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	segments := collection(corev1.SchemeGroupVersion.WithResource("events"), event.Namespace)
	if err := w.write(ctx, ws, verbCreateEvent, http.MethodPost, segments, runtime.ContentTypeJSON, body); err != nil {
		return fmt.Errorf("creating event in namespace %s of workspace %s: %w", event.Namespace, ws, err)
	}
	return nil
}
