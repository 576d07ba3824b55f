// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"cmp"
	"context"
	"maps"

	"github.com/kcp-dev/logicalcluster/v3"
	apisv1alpha2 "github.com/kcp-dev/sdk/apis/apis/v1alpha2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/klog/v2"

	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// takeExport takes from the export which resources it holds; all others that are shown are claimed.
func (w *Workloads) takeExport(ctx context.Context, u *unstructured.Unstructured) {
	var export apisv1alpha2.APIExport
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &export); err != nil {
		klog.FromContext(ctx).Error(err, "Left export as it was", logkey.Object, u.GetName())
		return
	}
	exported := make(sets.Set[schema.GroupResource], len(export.Spec.Resources))
	for _, resource := range export.Spec.Resources {
		exported.Insert(schema.GroupResource{Group: resource.Group, Resource: resource.Name})
	}
	if before := w.exported.Swap(&exported); before != nil && before.Equal(exported) {
		return
	}
	w.publish()
	w.discoverSoon()
}

// claimed reports whether a resource is not the export's own, if that is known.
func (w *Workloads) claimed(resource schema.GroupResource) (claimed, known bool) {
	exported := w.exported.Load()
	if exported == nil {
		return false, false
	}
	return !exported.Has(resource), true
}

// visible reports whether objects of a resource are shown for a workspace. That a claim is no longer accepted counts
// from the answer on, not from when kcp stops showing them.
func (w *Workloads) visible(resource schema.GroupResource, ws logicalcluster.Name) bool {
	claimed, known := w.claimed(resource)
	if claimed {
		accepted, _ := w.workspaces.claim(ws, resource)
		return accepted
	}
	return known && w.Bound(ws)
}

func (w *Workloads) index(resource schema.GroupResource) (*Index[*unstructured.Unstructured], bool) {
	w.state.RLock()
	defer w.state.RUnlock()
	index, found := w.indexes[resource]
	return index, found
}

// makeIndex returns the index of a resource that an endpoint shows. It is called with the lock held, and kept until
// the resource is followed.
func (w *Workloads) makeIndex(resource schema.GroupResource) *Index[*unstructured.Unstructured] {
	if index, found := w.indexes[resource]; found {
		return index
	}
	index := newIndex[*unstructured.Unstructured](func(ws logicalcluster.Name) bool { return w.visible(resource, ws) })
	index.AddHandler(func(key workspace.Key) { w.tell(resource, key) })
	w.indexes[resource] = index
	return index
}

// publish makes Resources what all endpoints show together, and tells whom that concerns.
func (w *Workloads) publish() {
	w.publishing.Lock()
	defer w.publishing.Unlock()
	w.state.Lock()
	before, after := w.resources, w.union()
	differs := !maps.Equal(before, after)
	w.resources = after
	var shown []*Index[*unstructured.Unstructured]
	for resource, index := range w.indexes {
		if before[resource] != after[resource] {
			shown = append(shown, index)
		}
	}
	handlers := w.resourceHandlers
	w.state.Unlock()
	if !differs {
		return
	}
	for _, handler := range handlers {
		handler()
	}
	for _, index := range shown {
		index.notifyAll() // how they are written differs, or whether they are shown
	}
}

// union is called with the lock held. It forgets empty indexes that nobody fills any longer. Nothing is shown as long
// as it is not known what is claimed.
func (w *Workloads) union() map[schema.GroupResource]Resource {
	out := map[schema.GroupResource]Resource{}
	filled := sets.Set[schema.GroupResource]{}
	for _, at := range w.shards {
		for name, one := range at.following {
			filled.Insert(name)
			claimed, known := w.claimed(name)
			if !known {
				continue
			}
			merged := merge(out[name], one.resource)
			merged.Claimed = claimed
			out[name] = merged
		}
	}
	for name, index := range w.indexes {
		if !filled.Has(name) && index.empty() {
			delete(w.indexes, name)
		}
	}
	return out
}

// merge joins what two endpoints show: the newer version, with all its subresources.
func merge(a, b Resource) Resource {
	switch order := version.CompareKubeAwareVersionStrings(a.GVR.Version, b.GVR.Version); {
	case a == Resource{}, order < 0:
		return b
	case order == 0:
		a.Status, a.Scale = a.Status || b.Status, a.Scale || b.Scale
	}
	return a
}

func compareResources(a, b Resource) int {
	return cmp.Or(cmp.Compare(a.GVR.Group, b.GVR.Group), cmp.Compare(a.GVR.Resource, b.GVR.Resource))
}

// decodeObject takes over an object as it is, without kubectl's copy of what was applied: that is as large as the rest.
func decodeObject(content map[string]any) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{Object: content}
	if u.GetName() == "" || u.GetNamespace() == "" || u.GetUID() == "" {
		return nil, errIncomplete
	}
	metadata, _ := content["metadata"].(map[string]any)
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		delete(annotations, corev1.LastAppliedConfigAnnotation)
	}
	return u, nil
}
