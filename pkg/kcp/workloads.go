// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kcp-dev/logicalcluster/v3"
	apisv1alpha2 "github.com/kcp-dev/sdk/apis/apis/v1alpha2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/dynamic"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Resource is a kind of namespaced objects that workspaces show us.
type Resource struct {
	GVR  schema.GroupVersionResource
	Kind string
	// Claimed says that the export does not hold the resource: workspaces show it by a permission claim, if they do.
	Claimed bool
	// Status and Scale say which subresources are discovered. kcp names no scale subresource at an export's endpoint.
	Status, Scale bool
}

// Workloads follows all namespaced objects of an export, of whatever kinds, and those that it claims. Which kinds
// these are is found by discovery, endpoint by endpoint, and may change at any time.
//
// Unlike in a Set, a binding that is being deleted is active to the end: what workspaces had us do must be undone then.
type Workloads struct {
	*export

	namespaces *Index[*metav1.PartialObjectMetadata]
	exported   atomic.Pointer[sets.Set[schema.GroupResource]] // nil until the export was read

	state             sync.RWMutex // guards what follows
	shards            map[string]*shard
	indexes           map[schema.GroupResource]*Index[*unstructured.Unstructured]
	resources         map[schema.GroupResource]Resource
	handlers          []func(schema.GroupResource, workspace.Key)
	namespaceHandlers []Handler
	resourceHandlers  []func()

	publishing sync.Mutex // an older union must not replace a newer one
}

var _ follower = &Workloads{}

// NewWorkloads returns workloads that are empty until Run runs.
func NewWorkloads(config Config) (*Workloads, error) {
	w := &Workloads{
		shards:    map[string]*shard{},
		indexes:   map[schema.GroupResource]*Index[*unstructured.Unstructured]{},
		resources: map[schema.GroupResource]Resource{},
	}
	export, err := newExport(config, w, true)
	if err != nil {
		return nil, err
	}
	w.export = export
	w.namespaces = newIndex[*metav1.PartialObjectMetadata](func(ws logicalcluster.Name) bool {
		accepted, _ := w.workspaces.claim(ws, namespacesGVR.GroupResource())
		return accepted
	})
	w.namespaces.AddHandler(w.tellNamespace)
	w.bindings.AddHandler(func(workspace.Key) { w.discoverSoon() })
	w.workspaces.AddHandler(w.workspaceChanged)
	return w, nil
}

// AddHandler adds a function that is told when an object appeared, differs, is gone, or is shown or hidden since its
// workspace was bound or answered a claim. It must not block. Handlers are added before Run.
func (w *Workloads) AddHandler(handler func(resource schema.GroupResource, key workspace.Key)) {
	w.state.Lock()
	defer w.state.Unlock()
	w.handlers = append(w.handlers, handler)
}

// AddWorkspaceHandler adds a function that is told when a workspace is bound, leaves, is no longer bound, or answers
// permission claims differently. It must not block. Handlers are added before Run.
func (w *Workloads) AddWorkspaceHandler(handler func(ws logicalcluster.Name)) {
	w.workspaces.AddHandler(handler)
}

// AddNamespaceHandler adds a function that is told when a namespace differs; the key's name is the namespace's. It must
// not block. Handlers are added before Run.
func (w *Workloads) AddNamespaceHandler(handler Handler) {
	w.state.Lock()
	defer w.state.Unlock()
	w.namespaceHandlers = append(w.namespaceHandlers, handler)
}

// AddResourceHandler adds a function that is told when Resources differ. It must not block. Handlers are added before
// Run.
func (w *Workloads) AddResourceHandler(handler func()) {
	w.state.Lock()
	defer w.state.Unlock()
	w.resourceHandlers = append(w.resourceHandlers, handler)
}

// Run follows the export until the context ends, and returns when everything has stopped.
func (w *Workloads) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gvr := apisv1alpha2.SchemeGroupVersion.WithResource("apiexports")
	reflector, err := w.providerReflector(gvr, func(u *unstructured.Unstructured) { w.takeExport(ctx, u) }, func() {})
	if err != nil {
		return err
	}
	group.Go(func() { reflect(ctx, w.config.Clock, reflector, gvr.Resource, w.config.ProviderConfig.Host) })
	return w.export.Run(ctx)
}

// HasSynced reports whether the export has been read, and every endpoint that answers with all that it shows. An
// endpoint that does not answer holds it up for the startup grace only. Once true it stays so.
func (w *Workloads) HasSynced() bool { return w.exported.Load() != nil && w.export.HasSynced() }

// Resources returns what any endpoint shows, ordered by group and resource.
func (w *Workloads) Resources() []Resource {
	w.state.RLock()
	defer w.state.RUnlock()
	return slices.SortedFunc(maps.Values(w.resources), compareResources)
}

// Resource returns one of Resources.
func (w *Workloads) Resource(resource schema.GroupResource) (Resource, bool) {
	w.state.RLock()
	defer w.state.RUnlock()
	found, ok := w.resources[resource]
	return found, ok
}

// Find returns an object of a bound workspace. It must not be changed, and has neither managed fields nor kubectl's
// copy of what was applied.
func (w *Workloads) Find(resource schema.GroupResource, key workspace.Key) (*unstructured.Unstructured, bool) {
	index, found := w.index(resource)
	if !found {
		return nil, false
	}
	return index.Find(key)
}

// InNamespace returns the objects of a resource in one namespace, ordered by name.
func (w *Workloads) InNamespace(resource schema.GroupResource, ws logicalcluster.Name, namespace string) []*unstructured.Unstructured {
	index, found := w.index(resource)
	if !found {
		return nil
	}
	return index.InNamespace(ws, namespace)
}

// Namespace reports whether a namespace exists and is being deleted. Unless it is known, one that does not exist may
// just not be shown.
func (w *Workloads) Namespace(ws logicalcluster.Name, name string) (exists, terminating, known bool) {
	_, applied := w.workspaces.claim(ws, namespacesGVR.GroupResource())
	at := w.shardOf(ws)
	known = applied && at != nil && syncState(at.namespaces.Load()) == stateSynced // before it is looked for
	found, exists := w.namespaces.Find(workspace.Key{Workspace: ws, Name: name})
	return exists, exists && found.DeletionTimestamp != nil, known
}

// Leaving reports whether the workspace's binding is being deleted.
func (w *Workloads) Leaving(ws logicalcluster.Name) bool { return w.workspaces.isLeaving(ws) }

// Synced reports whether the objects of a resource in a bound workspace have been read: one that is not found then is
// not there. It is false for a claimed resource of a workspace that does not show all of them. Who wants to conclude
// from an absence asks this before looking.
func (w *Workloads) Synced(resource schema.GroupResource, ws logicalcluster.Name) bool {
	w.state.RLock()
	defer w.state.RUnlock()
	endpoint, bound := w.workspaces.endpoint(ws)
	at, known := w.shards[endpoint]
	if !bound || !known || at.following[resource] == nil || syncState(at.following[resource].state.Load()) != stateSynced {
		return false
	}
	claimed, known := w.claimed(resource)
	if claimed {
		_, applied := w.workspaces.claim(ws, resource)
		return applied
	}
	return known
}

// Read reports whether all kinds of objects of a bound workspace have been read, of the claimed ones those that it shares.
func (w *Workloads) Read(ws logicalcluster.Name) bool {
	w.state.RLock()
	defer w.state.RUnlock()
	endpoint, bound := w.workspaces.endpoint(ws)
	at, known := w.shards[endpoint]
	if !bound || !known || !at.whole.Load() {
		return false
	}
	for resource, one := range at.following {
		shown, published := w.resources[resource]
		if !published {
			return false // those who look do not see it yet
		}
		if shown.Claimed {
			if accepted, applied := w.workspaces.claim(ws, resource); !accepted {
				continue
			} else if !applied {
				return false
			}
		}
		if syncState(one.state.Load()) != stateSynced {
			return false
		}
	}
	return true
}

// begin starts to find out what an endpoint shows.
func (w *Workloads) begin(ctx context.Context, e *endpoint, client dynamic.Interface) {
	at := newShard(w, e, client)
	at.namespaces = run(ctx, w.export, e, client, w.namespaces, decoder[metav1.PartialObjectMetadata](), namespacesGVR, "")
	w.state.Lock()
	w.shards[e.url] = at
	w.state.Unlock()
	e.group.Go(func() { at.run(ctx) })
}

func (w *Workloads) ended(url string) {
	w.state.Lock()
	defer w.state.Unlock()
	delete(w.shards, url)
}

func (w *Workloads) drop(url string) {
	w.state.RLock()
	indexes := slices.Collect(maps.Values(w.indexes))
	w.state.RUnlock()
	for _, index := range indexes {
		index.drop(url)
	}
	w.namespaces.drop(url)
	w.publish()
}

func (*Workloads) looked() {}

func (*Workloads) read(string) bool { return true }

func (w *Workloads) shardOf(ws logicalcluster.Name) *shard {
	endpoint, bound := w.workspaces.endpoint(ws)
	if !bound {
		return nil
	}
	w.state.RLock()
	defer w.state.RUnlock()
	return w.shards[endpoint]
}

func (w *Workloads) discoverSoon() {
	w.state.RLock()
	defer w.state.RUnlock()
	for _, at := range w.shards {
		at.discoverSoon()
	}
}

func (w *Workloads) workspaceChanged(ws logicalcluster.Name) {
	w.state.RLock()
	indexes := slices.Collect(maps.Values(w.indexes))
	w.state.RUnlock()
	w.namespaces.notifyWorkspace(ws)
	for _, index := range indexes {
		index.notifyWorkspace(ws)
	}
}

func (w *Workloads) tell(resource schema.GroupResource, key workspace.Key) {
	w.state.RLock()
	handlers := w.handlers
	w.state.RUnlock()
	for _, handler := range handlers {
		handler(resource, key)
	}
}

func (w *Workloads) tellNamespace(key workspace.Key) {
	w.state.RLock()
	handlers := w.namespaceHandlers
	w.state.RUnlock()
	for _, handler := range handlers {
		handler(key)
	}
}

// namespacesGVR is followed apart from all other resources, since namespaces are not namespaced.
var namespacesGVR = corev1.SchemeGroupVersion.WithResource("namespaces")
