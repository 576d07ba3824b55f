// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// action is what one object needs.
type action string

const (
	create    action = "create"
	update    action = "update"
	unchanged action = "unchanged"
)

// step is one object of the plan.
type step struct {
	desired *unstructured.Unstructured
	action  action
	changes []string // of an update, one line per field
}

// String names the object as kubectl would: resource.group/name, with the namespace ahead of the name.
func (s step) String() string {
	gvr, err := resourceFor(s.desired)
	if err != nil {
		return s.desired.GetName()
	}
	name := s.desired.GetName()
	if namespace := s.desired.GetNamespace(); namespace != "" {
		name = namespace + "/" + name
	}
	return gvr.GroupResource().String() + "/" + name
}

// planner compares what should be in one workspace with what is there.
type planner struct {
	client    dynamic.Interface
	workspace string
	newExport bool // the plan creates the APIExport
}

// plan finds out what every object needs, in order, without writing anything.
func (p *planner) plan(ctx context.Context, objects []*unstructured.Unstructured) ([]step, error) {
	steps := make([]step, 0, len(objects))
	for _, object := range objects {
		s, err := p.compare(ctx, object)
		if err != nil {
			return nil, err
		}
		if s.action == create && object.GetKind() == "APIExport" {
			p.newExport = true
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func (p *planner) compare(ctx context.Context, desired *unstructured.Unstructured) (step, error) {
	s := step{desired: desired, action: create}
	resource, err := p.resource(desired)
	if err != nil {
		return s, err
	}
	current, err := resource.Get(ctx, desired.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) && p.tooEarly(desired):
		return s, nil
	case apierrors.IsNotFound(err):
		// What the object refers to may be part of the same plan: not finding that is no objection.
		if _, err := p.apply(ctx, s, true); err != nil && !apierrors.IsNotFound(err) {
			return s, err
		}
		return s, nil
	case err != nil:
		return s, explain(fmt.Errorf("reading %s: %w", s, err), "get", s.String(), p.workspace)
	}
	if p.tooEarly(desired) {
		s.action, s.changes = update, []string{"(cannot be compared before the APIExport is there)"}
		return s, nil
	}
	applied, err := p.apply(ctx, s, true)
	if err != nil {
		return s, err
	}
	s.action = unchanged
	if s.changes = diff(current, applied); len(s.changes) == 0 {
		return s, nil
	}
	s.action = update
	if desired.GetKind() == "APIResourceSchema" {
		return s, fmt.Errorf("%s exists with another content, which kcp lets nobody change; this program did not make it (%s): "+
			"remove it if nothing is bound to it", s, s.changes[0])
	}
	return s, nil
}

// tooEarly says that a dry run of the object cannot succeed yet: kcp admits a WorkspaceType only when the export that it
// binds exists and may be bound.
func (p *planner) tooEarly(desired *unstructured.Unstructured) bool {
	return p.newExport && desired.GetKind() == "WorkspaceType"
}

// apply applies the object server-side. Init owns what it declares, so it takes fields over from others.
func (p *planner) apply(ctx context.Context, s step, dryRun bool) (*unstructured.Unstructured, error) {
	resource, err := p.resource(s.desired)
	if err != nil {
		return nil, err
	}
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	applied, err := resource.Apply(ctx, s.desired.GetName(), s.desired, options)
	if err != nil {
		return nil, explain(fmt.Errorf("applying %s: %w", s, err), "patch (and create)", s.String(), p.workspace)
	}
	return applied, nil
}

func (p *planner) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvr, err := resourceFor(object)
	if err != nil {
		return nil, err
	}
	if namespace := object.GetNamespace(); namespace != "" {
		return p.client.Resource(gvr).Namespace(namespace), nil
	}
	return p.client.Resource(gvr), nil
}

func (p *planner) waitForAnchor(ctx context.Context, s step) error {
	resource, err := p.resource(s.desired)
	if err != nil {
		return err
	}
	return waitForAnchor(ctx, resource, s.desired.GetName())
}
