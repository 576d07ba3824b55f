// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// workspaces returns the resource of kcp's Workspaces.
func workspaces() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspaces"}
}

// lookupWorkspace says whether the provider workspace exists, and refuses one that was made for something else.
func lookupWorkspace(ctx context.Context, k *kcp, o Options) (exists bool, err error) {
	parent, name := parentAndName(o.ProviderWorkspace)
	if parent == "" {
		return true, nil // a root workspace is kcp's own
	}
	client, err := k.dynamic(parent)
	if err != nil {
		return false, err
	}
	ws, err := client.Resource(workspaces()).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, explain(fmt.Errorf("reading workspace %s in %s (it must exist): %w", name, parent, err), "get", "workspaces", parent)
	}
	if got := typeOf(ws); got != o.WorkspaceType {
		return false, fmt.Errorf("workspace %s exists with type %s instead of %s: choose another --provider-workspace, or say --provider-workspace-type=%s if it is meant",
			o.ProviderWorkspace, got, o.WorkspaceType, got)
	}
	if ws.GetDeletionTimestamp() != nil {
		return false, fmt.Errorf("workspace %s is being deleted: wait until it is gone, then run init again", o.ProviderWorkspace)
	}
	return true, nil
}

// typeOf returns the path and name of a workspace's type.
func typeOf(ws *unstructured.Unstructured) string {
	path, _, _ := unstructured.NestedString(ws.Object, "spec", "type", "path")
	name, _, _ := unstructured.NestedString(ws.Object, "spec", "type", "name")
	if path == "" {
		return name
	}
	return path + ":" + name
}

// createWorkspace makes the provider workspace.
func createWorkspace(ctx context.Context, k *kcp, o Options) error {
	parent, name := parentAndName(o.ProviderWorkspace)
	client, err := k.dynamic(parent)
	if err != nil {
		return err
	}
	typePath, typeName := parentAndName(o.WorkspaceType)
	ws := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": workspaces().GroupVersion().String(),
		"kind":       "Workspace",
		"metadata":   map[string]any{"name": name},
		"spec":       map[string]any{"type": map[string]any{"path": typePath, "name": typeName}},
	}}
	_, err = client.Resource(workspaces()).Create(ctx, ws, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return explain(fmt.Errorf("creating workspace %s: %w", o.ProviderWorkspace, err), "create", "workspaces", parent)
	}
	return nil
}

// waitForWorkspace watches the provider workspace until kcp has made it ready.
func waitForWorkspace(ctx context.Context, k *kcp, path string) error {
	parent, name := parentAndName(path)
	if parent == "" {
		return nil
	}
	client, err := k.dynamic(parent)
	if err != nil {
		return err
	}
	if phase, err := waitForReady(ctx, client.Resource(workspaces()), name); err != nil {
		return explain(fmt.Errorf("waiting for workspace %s to become Ready, last seen in phase %q: %w", path, phase, err), "watch", "workspaces", parent)
	}
	return nil
}
