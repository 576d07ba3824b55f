// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"maps"
	"sync"

	"github.com/kcp-dev/logicalcluster/v3"
	apisv1alpha2 "github.com/kcp-dev/sdk/apis/apis/v1alpha2"
	"github.com/kcp-dev/sdk/apis/core"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Workspaces knows the workspaces with an active binding to the export, by name and by path. A path may be used
// again after a deletion: it then means the workspace that is bound. It is safe for concurrent use.
type Workspaces struct {
	exportName string
	leaving    bool // whether a binding that is being deleted is active

	mu       sync.RWMutex
	bound    map[logicalcluster.Name]boundWorkspace
	byPath   map[logicalcluster.Path]map[logicalcluster.Name]metav1.Time
	handlers []func(logicalcluster.Name)
	// ended are the workspaces whose last binding was seen to end, the last of them. One that went with its endpoint is
	// none of them.
	ended    *lru.Cache
	dropping bool // an endpoint is being forgotten
}

// maxEnded bounds how many ended workspaces are remembered. Of one that is forgotten it takes longer to be certain.
const maxEnded = 100_000

type boundWorkspace struct {
	path     logicalcluster.Path
	endpoint string
	since    metav1.Time
	binding  string // its name
	refuses  bool   // our permission claim on Secrets
	leaving  bool   // the binding is being deleted
	claims   claims
}

// same reports whether two are the same to everybody who asks.
func (b boundWorkspace) same(other boundWorkspace) bool {
	return b.claims.same(other.claims) && b.path == other.path && b.endpoint == other.endpoint && b.since.Equal(&other.since) &&
		b.binding == other.binding && b.refuses == other.refuses && b.leaving == other.leaving
}

func newWorkspaces(exportName string, leaving bool) *Workspaces {
	return &Workspaces{
		exportName: exportName,
		leaving:    leaving,
		bound:      map[logicalcluster.Name]boundWorkspace{},
		byPath:     map[logicalcluster.Path]map[logicalcluster.Name]metav1.Time{},
		ended:      lru.New(maxEnded),
	}
}

// Ended reports whether the last binding of a workspace was seen to end: it is not merely unknown, as one whose shard is
// away or has left.
func (w *Workspaces) Ended(name logicalcluster.Name) bool {
	_, ended := w.ended.Get(name)
	return ended
}

// dropped runs a function that forgets bindings of an endpoint, which do not count as ended.
func (w *Workspaces) dropped(forget func()) {
	w.setDropping(true)
	defer w.setDropping(false)
	forget()
}

func (w *Workspaces) setDropping(dropping bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropping = dropping
}

// AddHandler adds a function that is told when a workspace is bound, no longer bound, has another path, or
// answers our permission claims differently.
func (w *Workspaces) AddHandler(handler func(logicalcluster.Name)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handlers = append(w.handlers, handler)
}

// Bound reports whether the workspace has an active binding to the export.
func (w *Workspaces) Bound(name logicalcluster.Name) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	_, bound := w.bound[name]
	return bound
}

// Path returns the path of a bound workspace.
func (w *Workspaces) Path(name logicalcluster.Name) (logicalcluster.Path, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	found, bound := w.bound[name]
	return found.path, bound && !found.path.Empty()
}

// Name returns the name of the bound workspace at a path. Of several that say to be there the first to bind is: kcp lets
// administrators of a workspace change what their LogicalCluster, and with it its bindings, says of the path.
func (w *Workspaces) Name(path logicalcluster.Path) (logicalcluster.Name, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var oldest logicalcluster.Name
	var since metav1.Time
	for name, at := range w.byPath[path] {
		if oldest == "" || at.Before(&since) || (since.Equal(&at) && name < oldest) {
			oldest, since = name, at
		}
	}
	return oldest, oldest != ""
}

// All returns the bound workspaces with their paths. Of several workspaces at one path only the one that Name returns
// has it; the others have none.
func (w *Workspaces) All() map[logicalcluster.Name]logicalcluster.Path {
	w.mu.RLock()
	bound := maps.Clone(w.bound)
	w.mu.RUnlock()
	out := make(map[logicalcluster.Name]logicalcluster.Path, len(bound))
	for name, found := range bound {
		out[name] = found.path
		if owner, _ := w.Name(found.path); owner != name {
			out[name] = logicalcluster.None
		}
	}
	return out
}

func (w *Workspaces) endpoint(name logicalcluster.Name) (string, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	found, bound := w.bound[name]
	return found.endpoint, bound
}

// anyAt reports whether a workspace is bound at an endpoint.
func (w *Workspaces) anyAt(endpoint string) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, found := range w.bound {
		if found.endpoint == endpoint {
			return true
		}
	}
	return false
}

// refresh looks at the bindings of a workspace anew.
func (w *Workspaces) refresh(name logicalcluster.Name, bindings *Index[*apisv1alpha2.APIBinding]) {
	if w.set(name, bindings) {
		w.mu.RLock()
		handlers := w.handlers
		w.mu.RUnlock()
		for _, handler := range handlers {
			handler(name)
		}
	}
}

func (w *Workspaces) set(name logicalcluster.Name, bindings *Index[*apisv1alpha2.APIBinding]) (changed bool) {
	w.mu.Lock() // held while the index is read, so that the last refresh sees the newest
	defer w.mu.Unlock()
	before, wasBound := w.bound[name]
	after, isBound := w.activeBinding(name, bindings)
	if before.same(after) && wasBound == isBound {
		return false
	}
	delete(w.bound, name)
	delete(w.byPath[before.path], name)
	if len(w.byPath[before.path]) == 0 {
		delete(w.byPath, before.path)
	}
	if !isBound {
		if !w.dropping {
			w.ended.Add(name, struct{}{})
		}
		return true
	}
	w.ended.Remove(name)
	w.bound[name] = after
	if after.path.Empty() {
		return true
	}
	if w.byPath[after.path] == nil {
		w.byPath[after.path] = map[logicalcluster.Name]metav1.Time{}
	}
	w.byPath[after.path][name] = after.since
	return true
}

func (w *Workspaces) activeBinding(name logicalcluster.Name, bindings *Index[*apisv1alpha2.APIBinding]) (boundWorkspace, bool) {
	var chosen *apisv1alpha2.APIBinding
	for _, binding := range bindings.all(name) {
		if w.active(binding) && (chosen == nil || chosen.DeletionTimestamp != nil && binding.DeletionTimestamp == nil) {
			chosen = binding
		}
	}
	if chosen == nil {
		return boundWorkspace{}, false
	}
	_, endpoint, _ := bindings.find(workspace.Key{Workspace: name, Name: chosen.Name})
	return boundWorkspace{
		path:     logicalcluster.NewPath(chosen.Annotations[core.LogicalClusterPathAnnotationKey]),
		endpoint: endpoint,
		since:    chosen.CreationTimestamp,
		binding:  chosen.Name,
		refuses:  refusesSecrets(chosen),
		leaving:  chosen.DeletionTimestamp != nil,
		claims:   claimsOf(chosen),
	}, true
}

// active says whether a binding gives access. Conditions do not count: a binding that is bound stays so while, for
// example, a newer schema waits to be bound.
func (w *Workspaces) active(binding *apisv1alpha2.APIBinding) bool {
	export := binding.Spec.Reference.Export
	return export != nil && export.Name == w.exportName &&
		(w.leaving || binding.DeletionTimestamp == nil) && binding.Status.Phase == apisv1alpha2.APIBindingPhaseBound
}
