// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"fmt"

	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Fields that selectors may name.
const (
	nameField      = "metadata.name"
	namespaceField = "metadata.namespace"
)

// Selection says which objects a request is about. The workspace comes first: selectors see nothing else.
type Selection struct {
	// Workspace is a workspace, or workspace.Wildcard for all of them, which is for kcp's shards only.
	Workspace logicalcluster.Name
	// Namespace is a namespace; empty is all of them.
	Namespace string
	// Labels selects by labels; nil selects all.
	Labels labels.Selector
	// Fields selects by metadata.name and metadata.namespace; nil selects all.
	Fields fields.Selector
}

func (s *Selection) normalize() error {
	if s.Workspace == "" {
		return apierrors.NewBadRequest("the request names no workspace")
	}
	if s.Labels == nil {
		s.Labels = labels.Everything()
	}
	if s.Fields == nil {
		s.Fields = fields.Everything()
	}
	for _, requirement := range s.Fields.Requirements() {
		if requirement.Field != nameField && requirement.Field != namespaceField {
			return apierrors.NewBadRequest(fmt.Sprintf("%.80q is not a known field selector: only %q, %q", requirement.Field, nameField, namespaceField))
		}
	}
	return nil
}

// all says that the selectors select everything.
func (s *Selection) all() bool {
	return s.Namespace == "" && s.Labels.Empty() && s.Fields.Empty()
}

// matches says whether the selectors select an object of the workspace.
func (s *Selection) matches(o *Object) bool {
	if s.Namespace != "" && s.Namespace != o.head.meta.Namespace {
		return false
	}
	if !s.Fields.Empty() && !s.Fields.Matches(objectFields{o}) {
		return false
	}
	return s.Labels.Empty() || s.Labels.Matches(labels.Set(o.head.meta.Labels))
}

// objectFields presents an object to field selectors.
type objectFields struct{ object *Object }

// Has says whether there is such a field.
func (f objectFields) Has(field string) bool { return field == nameField || field == namespaceField }

// Get returns the field's value.
func (f objectFields) Get(field string) string {
	if field == namespaceField {
		return f.object.head.meta.Namespace
	}
	return f.object.head.meta.Name
}

// Get returns one object.
func (s *Store) Get(key workspace.Key) (*Object, bool) {
	t := s.lookup(key.Workspace)
	if t == nil {
		return nil, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	e, ok := t.entries[nameOf(key)]
	if !ok {
		return nil, false
	}
	return e.object, true
}

// Resource returns the resource of the objects.
func (s *Store) Resource() schema.GroupResource { return s.options.Resource }

// CheckResourceVersion answers the resourceVersion of a get request, which asks for an object not older than that:
// nil, or an API error.
func (s *Store) CheckResourceVersion(resourceVersion string) error {
	_, err := s.revisions.Parse(resourceVersion)
	return err
}
