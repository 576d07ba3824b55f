// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kcp-dev/tmc/pkg/transform"
)

// errDropped ends a follower whose store is not in use any more.
var errDropped = errors.New("the copies are not followed any more")

// annotatedOrigin joins the marks of origin that package transform sets. Lengths make the join injective.
func annotatedOrigin(object metav1.Object) (string, bool) {
	annotations := object.GetAnnotations()
	if annotations[transform.WorkspaceAnnotation] == "" {
		return "", false
	}
	var joined strings.Builder
	for _, mark := range []string{
		transform.WorkspaceAnnotation, transform.NamespaceAnnotation, transform.NameAnnotation, transform.UIDAnnotation,
	} {
		joined.WriteString(strconv.Itoa(len(annotations[mark])) + ":" + annotations[mark])
	}
	return joined.String(), true
}

// put takes in a state of a copy. It returns an error if there is no room for it, and then the store is empty.
func (c *copies) put(store *copyStore, object *unstructured.Unstructured, from source) error {
	origin, ours := c.config.OriginOf(object)
	fresh := &keptCopy{object: object, origin: origin, version: versionOf(object.GetResourceVersion()), own: from == fromWrite}
	if ours {
		fresh.weight = weigh(object.Object)
	}
	told, err := c.keep(store, fresh, ours, from)
	for _, object := range told {
		c.tell(store, object)
	}
	return err
}

// tell passes a copy on to the one who maps it to its origin.
func (c *copies) tell(store *copyStore, object *unstructured.Unstructured) {
	c.config.OnCopy(c.key, ObjectKey{Resource: store.resource, Namespace: object.GetNamespace(), Name: object.GetName()}, object)
}

// keep does what put does, and returns the objects that are to be told of.
func (c *copies) keep(store *copyStore, fresh *keptCopy, ours bool, from source) ([]*unstructured.Unstructured, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if store.dropped {
		return nil, errDropped
	}
	fresh.round = store.round
	name := types.NamespacedName{Namespace: fresh.object.GetNamespace(), Name: fresh.object.GetName()}
	old := store.objects[name]
	if from == fromWrite {
		c.keepWritten(store, name, fresh, ours)
		return nil, nil
	}
	if from == fromWatch {
		store.seen = max(store.seen, fresh.version)
	}
	switch {
	case old == nil && !ours:
		return nil, nil
	case old == nil:
	case store.behind(old, fresh, from):
		old.round = store.round
		return nil, nil
	case !ours:
		c.swap(store, name, old, nil)
		return []*unstructured.Unstructured{old.object}, nil
	case sameState(old.object, fresh.object):
		return store.again(old), nil
	}
	if !c.room(old, fresh) {
		c.clear(store)
		return nil, invalidResponse("the member has more copies than the %d objects or %d bytes that are kept of them", c.config.MaxCopies, c.config.MaxCopyBytes)
	}
	c.swap(store, name, old, fresh)
	if old != nil && old.origin != fresh.origin {
		return []*unstructured.Unstructured{old.object, fresh.object}, nil
	}
	return []*unstructured.Unstructured{fresh.object}, nil
}

// keepWritten takes in the answer to a write of ours. What the watch has passed already it will not tell again: a copy
// that is gone by now would come back. The caller holds the lock.
func (c *copies) keepWritten(store *copyStore, name types.NamespacedName, fresh *keptCopy, ours bool) {
	old := store.objects[name]
	if ours && fresh.version > store.seen && (old == nil || old.version < fresh.version) && c.room(old, fresh) {
		c.swap(store, name, old, fresh)
	}
}

// again notes that a copy was told as it is known. What only a write of ours told before is news to the watcher.
func (s *copyStore) again(kept *keptCopy) []*unstructured.Unstructured {
	kept.round = s.round
	if !kept.own {
		return nil
	}
	kept.own = false
	return []*unstructured.Unstructured{kept.object}
}

// behind says whether a state is older than one that a write of ours led to. In a list, that holds only for writes
// since it began: after a member was restored from a backup, versions are smaller than before.
func (s *copyStore) behind(old, fresh *keptCopy, from source) bool {
	return old.own && old.version > fresh.version && (from == fromWatch || old.round == s.round)
}

func sameState(a, b *unstructured.Unstructured) bool {
	return a.GetUID() == b.GetUID() && a.GetResourceVersion() == b.GetResourceVersion()
}

// remove takes in that a copy was deleted, with its last state.
func (c *copies) remove(store *copyStore, last *unstructured.Unstructured) error {
	_, ours := c.config.OriginOf(last)
	c.mu.Lock()
	if store.dropped {
		c.mu.Unlock()
		return errDropped
	}
	version := versionOf(last.GetResourceVersion())
	store.seen = max(store.seen, version)
	name := types.NamespacedName{Namespace: last.GetNamespace(), Name: last.GetName()}
	old := store.objects[name]
	if old == nil || (old.own && old.version > version) {
		c.mu.Unlock()
		return nil
	}
	c.swap(store, name, old, nil)
	c.mu.Unlock()
	if !ours {
		last = old.object
	}
	c.tell(store, last)
	return nil
}

// begin notes that a list begins.
func (c *copies) begin(store *copyStore) {
	c.mu.Lock()
	defer c.mu.Unlock()
	store.round++
}

// end notes that a list is complete: what it did not have is gone.
func (c *copies) end(store *copyStore, version string) {
	c.mu.Lock()
	store.seen = versionOf(version)
	var gone []*unstructured.Unstructured
	for name, kept := range store.objects {
		if kept.round != store.round {
			c.swap(store, name, kept, nil)
			gone = append(gone, kept.object)
		}
	}
	c.mu.Unlock()
	for _, object := range gone {
		c.tell(store, object)
	}
}

// advance notes up to which version the member has told.
func (c *copies) advance(store *copyStore, version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	store.seen = max(store.seen, versionOf(version))
}

// wrote takes in the answer to a write of ours, so that we never know less than we did.
func (c *copies) wrote(key ObjectKey, object *unstructured.Unstructured) {
	c.mu.RLock()
	store, found := c.stores[key.Resource]
	c.mu.RUnlock()
	if found {
		_ = c.put(store, object, fromWrite) // a write takes no room from others, and a dropped store needs it not
	}
}

// room says whether there is room for a state in the place of another. The caller holds the lock.
func (c *copies) room(old, fresh *keptCopy) bool {
	objects, weight := c.objects+1, c.weight+fresh.weight
	if old != nil {
		objects, weight = objects-1, weight-old.weight
	}
	return objects <= c.config.MaxCopies && weight <= c.config.MaxCopyBytes
}

// swap puts a state in the place of another; either may be none. The caller holds the lock.
func (c *copies) swap(store *copyStore, name types.NamespacedName, old, fresh *keptCopy) {
	if old != nil {
		c.objects--
		c.weight -= old.weight
		delete(store.objects, name)
	}
	if fresh != nil {
		c.objects++
		c.weight += fresh.weight
		store.objects[name] = fresh
	}
}

// clear forgets all copies of a store. The caller holds the lock.
func (c *copies) clear(store *copyStore) {
	for name, kept := range store.objects {
		c.swap(store, name, kept, nil)
	}
}

// weigh estimates how much memory a decoded object takes. Counting bytes of JSON would not do: nested empty lists take
// many times as much.
func weigh(value any) int64 {
	const word = 8
	switch value := value.(type) {
	case map[string]any:
		weight := int64(6 * word)
		for key, entry := range value {
			weight += int64(len(key)) + 4*word + weigh(entry)
		}
		return weight
	case []any:
		weight := int64(3 * word)
		for _, entry := range value {
			weight += 2*word + weigh(entry)
		}
		return weight
	case string:
		return int64(len(value)) + 2*word
	default:
		return word
	}
}
