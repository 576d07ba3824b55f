// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"maps"
	"slices"
	"sync"

	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Handler is told that something about an object changed: it appeared, differs or is gone. It must not block.
type Handler func(key workspace.Key)

// Index holds the objects of one kind of all workspaces and endpoints. It is safe for concurrent use.
type Index[T metav1.Object] struct {
	visible func(logicalcluster.Name) bool

	mu          sync.RWMutex
	held        map[workspace.Key][]held[T]
	byWorkspace map[logicalcluster.Name]map[string]sets.Set[workspace.Key] // by namespace
	handlers    []Handler
}

// held is an object as one endpoint has it. While a shard moves to another endpoint, both have its objects; the last
// one written counts.
type held[T metav1.Object] struct {
	endpoint string
	object   T
}

func newIndex[T metav1.Object](visible func(logicalcluster.Name) bool) *Index[T] {
	return &Index[T]{
		visible:     visible,
		held:        map[workspace.Key][]held[T]{},
		byWorkspace: map[logicalcluster.Name]map[string]sets.Set[workspace.Key]{},
	}
}

// AddHandler adds a handler. Handlers are added before the set runs.
func (i *Index[T]) AddHandler(handler Handler) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handlers = append(i.handlers, handler)
}

// Find returns an object of a workspace with an active binding. The object must not be changed.
func (i *Index[T]) Find(key workspace.Key) (T, bool) {
	object, _, found := i.find(key)
	if !found || !i.visible(key.Workspace) {
		var none T
		return none, false
	}
	return object, true
}

// ByWorkspace returns the objects of one workspace, ordered by namespace and name.
func (i *Index[T]) ByWorkspace(ws logicalcluster.Name) []T {
	if !i.visible(ws) {
		return nil
	}
	return i.all(ws)
}

// InNamespace returns the objects of one namespace of a workspace, ordered by name.
func (i *Index[T]) InNamespace(ws logicalcluster.Name, namespace string) []T {
	if !i.visible(ws) {
		return nil
	}
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.lastOf(i.byWorkspace[ws][namespace].UnsortedList())
}

// List returns the objects of all workspaces with an active binding, ordered by key.
func (i *Index[T]) List() []T {
	i.mu.RLock()
	workspaces := sets.KeySet(i.byWorkspace)
	i.mu.RUnlock()
	var out []T
	for _, ws := range sets.List(workspaces) {
		out = append(out, i.ByWorkspace(ws)...)
	}
	return out
}

// find sees objects of workspaces without a binding, too.
func (i *Index[T]) find(key workspace.Key) (object T, endpoint string, found bool) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	all := i.held[key]
	if len(all) == 0 {
		return object, "", false
	}
	last := all[len(all)-1]
	return last.object, last.endpoint, true
}

func (i *Index[T]) all(ws logicalcluster.Name) []T {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.lastOf(i.keysIn(ws))
}

// keysIn and lastOf are called with the lock held.
func (i *Index[T]) keysIn(ws logicalcluster.Name) []workspace.Key {
	var keys []workspace.Key
	for _, inNamespace := range i.byWorkspace[ws] {
		keys = slices.AppendSeq(keys, maps.Keys(inNamespace))
	}
	return keys
}

func (i *Index[T]) lastOf(keys []workspace.Key) []T {
	slices.SortFunc(keys, workspace.Key.Compare)
	out := make([]T, 0, len(keys))
	for _, key := range keys {
		all := i.held[key]
		out = append(out, all[len(all)-1].object)
	}
	return out
}

// upsert takes over an object as an endpoint has it.
func (i *Index[T]) upsert(endpoint string, object T) {
	key := keyOf(object)
	if i.put(endpoint, key, object) {
		i.notify(key)
	}
}

func (i *Index[T]) put(endpoint string, key workspace.Key, object T) (changed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.held[key]
	if n := len(before); n > 0 && before[n-1].endpoint == endpoint && sameVersion(before[n-1].object, object) {
		return false
	}
	after := slices.DeleteFunc(before, func(h held[T]) bool { return h.endpoint == endpoint })
	i.held[key] = append(after, held[T]{endpoint: endpoint, object: object})
	if i.byWorkspace[key.Workspace] == nil {
		i.byWorkspace[key.Workspace] = map[string]sets.Set[workspace.Key]{}
	}
	inNamespace := i.byWorkspace[key.Workspace][key.Namespace]
	if inNamespace == nil {
		inNamespace = sets.Set[workspace.Key]{}
		i.byWorkspace[key.Workspace][key.Namespace] = inNamespace
	}
	inNamespace.Insert(key)
	return true
}

func sameVersion(a, b metav1.Object) bool {
	return a.GetUID() == b.GetUID() && a.GetResourceVersion() == b.GetResourceVersion() && a.GetResourceVersion() != ""
}

// remove forgets an object of an endpoint.
func (i *Index[T]) remove(endpoint string, key workspace.Key) {
	i.mu.Lock()
	before := len(i.held[key])
	after := slices.DeleteFunc(i.held[key], func(h held[T]) bool { return h.endpoint == endpoint })
	i.held[key] = after
	if len(after) == 0 {
		i.forget(key)
	}
	i.mu.Unlock()
	if len(after) != before {
		i.notify(key)
	}
}

func (i *Index[T]) forget(key workspace.Key) {
	delete(i.held, key)
	i.byWorkspace[key.Workspace][key.Namespace].Delete(key)
	if len(i.byWorkspace[key.Workspace][key.Namespace]) == 0 {
		delete(i.byWorkspace[key.Workspace], key.Namespace)
	}
	if len(i.byWorkspace[key.Workspace]) == 0 {
		delete(i.byWorkspace, key.Workspace)
	}
}

// replace makes the objects all that an endpoint has.
func (i *Index[T]) replace(endpoint string, objects []T) {
	keep := make(sets.Set[workspace.Key], len(objects))
	for _, object := range objects {
		keep.Insert(keyOf(object))
		i.upsert(endpoint, object)
	}
	for _, key := range i.keysOf(endpoint) {
		if !keep.Has(key) {
			i.remove(endpoint, key)
		}
	}
}

// drop forgets everything of an endpoint.
func (i *Index[T]) drop(endpoint string) { i.replace(endpoint, nil) }

func (i *Index[T]) keysOf(endpoint string) []workspace.Key {
	i.mu.RLock()
	defer i.mu.RUnlock()
	var out []workspace.Key
	for key, all := range i.held {
		if slices.ContainsFunc(all, func(h held[T]) bool { return h.endpoint == endpoint }) {
			out = append(out, key)
		}
	}
	return out
}

// notifyWorkspace tells the handlers about every object of a workspace that became visible or invisible.
func (i *Index[T]) notifyWorkspace(ws logicalcluster.Name) {
	i.mu.RLock()
	keys := i.keysIn(ws)
	i.mu.RUnlock()
	for _, key := range keys {
		i.notify(key)
	}
}

func (i *Index[T]) empty() bool {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return len(i.held) == 0
}

// notifyAll tells the handlers about every object.
func (i *Index[T]) notifyAll() {
	i.mu.RLock()
	keys := slices.Collect(maps.Keys(i.held))
	i.mu.RUnlock()
	for _, key := range keys {
		i.notify(key)
	}
}

func (i *Index[T]) notify(key workspace.Key) {
	i.mu.RLock()
	handlers := i.handlers
	i.mu.RUnlock()
	for _, handler := range handlers {
		handler(key)
	}
}

func keyOf(object metav1.Object) workspace.Key {
	return workspace.Key{Workspace: logicalcluster.From(object), Namespace: object.GetNamespace(), Name: object.GetName()}
}
