// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// copies is what is known of the copies on one member, over all the connections that it had.
type copies struct {
	key       workspace.Key
	config    *Config
	lists     *slots
	changed   func(workspace.Key)
	writes    chan struct{} // holds an item for each call that is under way
	confirmed atomic.Int64  // nanoseconds since 1970; 0 is never

	mu       sync.RWMutex
	stores   map[schema.GroupVersionResource]*copyStore
	session  *copySession // nil while there is no connection
	objects  int64        // kept in all stores
	weight   int64
	live     bool          // all that can be followed is
	restored chan struct{} // closed when the set of stores differs
	offered  chan struct{} // closed when what is served differs
}

// copyStore holds the copies of one resource. Copies of another cluster, or of a resource that is followed anew, get a
// store of their own, so whoever still writes into the former does no harm.
type copyStore struct {
	resource schema.GroupVersionResource

	// All below is guarded by copies.mu.
	standing

	objects map[types.NamespacedName]*keptCopy
	dropped bool
	seen    uint64 // the version up to which the member has told
	round   uint64 // grows with each list
}

// standing is how we stand with one resource of a member.
type standing struct {
	synced   bool   // listed over the present connection, and followed
	followed bool   // with the present credentials, and not gone since
	served   bool   // discovery has it; whether we may use it shows when it is followed
	missing  string // why discovery has it not
	refused  string // why it may not be listed or watched
}

// known says whether the member has shown if it serves the resource to us, and what. That discovery has it says nothing
// about our rights, so only a watch counts as a yes.
func (s standing) known() (served, known bool) {
	switch {
	case s.refused != "":
		return false, true
	case s.synced:
		return true, true
	case s.missing != "":
		return false, true
	default:
		return s.followed, s.followed
	}
}

// keptCopy is one copy.
type keptCopy struct {
	object  *unstructured.Unstructured
	origin  string
	version uint64 // 0 if it is no number
	weight  int64
	round   uint64 // of the list that had it last
	own     bool   // from the answer to a write of ours; the watch has not told it yet
}

// source is where a state of a copy comes from.
type source int

const (
	fromList source = iota
	fromWatch
	fromWrite
)

func newCopies(key workspace.Key, config *Config, lists *slots, changed func(workspace.Key)) *copies {
	return &copies{
		key: key, config: config, lists: lists, changed: changed,
		writes:   make(chan struct{}, config.ConcurrentWrites),
		stores:   map[schema.GroupVersionResource]*copyStore{},
		restored: make(chan struct{}),
		offered:  make(chan struct{}),
	}
}

// notify tells that something about the copies as a whole differs.
func (c *copies) notify() { c.changed(c.key) }

// follow makes the stores those of the given resources.
func (c *copies) follow(resources []schema.GroupVersionResource) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := make(map[schema.GroupVersionResource]struct{}, len(resources))
	for _, resource := range resources {
		wanted[resource] = struct{}{}
		if _, found := c.stores[resource]; !found {
			c.stores[resource] = newCopyStore(resource)
		}
	}
	for resource, store := range c.stores {
		if _, found := wanted[resource]; !found {
			c.clear(store)
			store.dropped = true
			delete(c.stores, resource)
		}
	}
	c.replaced()
}

// forget begins anew with all resources, since another cluster answers.
func (c *copies) forget() {
	c.mu.Lock()
	for resource, store := range c.stores {
		c.clear(store)
		store.dropped = true
		c.stores[resource] = newCopyStore(resource)
	}
	c.confirmed.Store(0)
	c.replaced()
	c.mu.Unlock()
	c.notify()
}

func newCopyStore(resource schema.GroupVersionResource) *copyStore {
	return &copyStore{resource: resource, objects: map[types.NamespacedName]*keptCopy{}}
}

// replaced wakes those who follow stores. The caller holds the lock.
func (c *copies) replaced() {
	c.judgeLive()
	close(c.restored)
	c.restored = make(chan struct{})
}

// judgeLive finds out whether the member's signs of life stand for all copies. The caller holds the lock.
func (c *copies) judgeLive() {
	live := len(c.stores) > 0
	for _, store := range c.stores {
		if served, known := store.known(); !known || (served && !store.synced) {
			live = false
		}
	}
	c.live = live
}

// attach notes the session that is in use; nil is none. Nothing is followed then, and the credentials of another session
// may have other rights.
func (c *copies) attach(session *copySession) {
	c.mu.Lock()
	c.session = session
	for _, store := range c.stores {
		store.synced, store.followed = false, false
	}
	c.judgeLive()
	c.mu.Unlock()
	c.notify()
}

// present returns the stores, and a channel that is closed when there are others.
func (c *copies) present() (map[schema.GroupVersionResource]*copyStore, <-chan struct{}) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	stores := make(map[schema.GroupVersionResource]*copyStore, len(c.stores))
	maps.Copy(stores, c.stores)
	return stores, c.restored
}

// nextOffer returns a channel that is closed when what is served differs.
func (c *copies) nextOffer() <-chan struct{} {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.offered
}

// stand changes how we stand with a resource, and tells of it if that is a difference.
func (c *copies) stand(store *copyStore, change func(*standing)) {
	c.mu.Lock()
	before := store.standing
	if !store.dropped {
		change(&store.standing)
	}
	after := store.standing
	if before.served != after.served || before.missing != after.missing {
		close(c.offered)
		c.offered = make(chan struct{})
	}
	c.judgeLive()
	c.mu.Unlock()
	if before != after {
		c.notify()
	}
}

// confirm notes a sign of life.
func (c *copies) confirm(now time.Time) {
	c.mu.RLock()
	live := c.live
	c.mu.RUnlock()
	if live {
		c.confirmed.Store(now.UnixNano())
	}
}

func (c *copies) get(key ObjectKey) (*unstructured.Unstructured, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	store, found := c.stores[key.Resource]
	if !found {
		return nil, false
	}
	kept, found := store.objects[types.NamespacedName{Namespace: key.Namespace, Name: key.Name}]
	if !found {
		return nil, false
	}
	return kept.object, true
}

func (c *copies) all(resource schema.GroupVersionResource) []*unstructured.Unstructured {
	c.mu.RLock()
	defer c.mu.RUnlock()
	store, found := c.stores[resource]
	if !found {
		return nil
	}
	objects := make([]*unstructured.Unstructured, 0, len(store.objects))
	for _, kept := range store.objects {
		objects = append(objects, kept.object)
	}
	return objects
}

func (c *copies) synced(resource schema.GroupVersionResource) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	store, found := c.stores[resource]
	return found && store.synced
}

// serves says whether a resource is served in any of the versions that are followed.
func (c *copies) serves(resource schema.GroupResource) API {
	c.mu.RLock()
	defer c.mu.RUnlock()
	api, first := API{}, true
	for followed, store := range c.stores {
		if followed.GroupResource() == resource {
			api, first = api.with(store, first), false
		}
	}
	return api
}

// apis says of every resource that is followed whether it is served.
func (c *copies) apis() map[schema.GroupResource]API {
	c.mu.RLock()
	defer c.mu.RUnlock()
	apis := make(map[schema.GroupResource]API, len(c.stores))
	for followed, store := range c.stores {
		api, found := apis[followed.GroupResource()]
		apis[followed.GroupResource()] = api.with(store, !found)
	}
	return apis
}

// with adds what is known of one version to what is known of others, if it is not the first: one that is served suffices,
// and it takes all to say that none is.
func (a API) with(store *copyStore, first bool) API {
	served, known := store.known()
	switch {
	case served:
		return API{Served: true, Known: true}
	case !known && !a.Served:
		return API{}
	case known && first:
		return API{Known: true, Message: cmp.Or(store.refused, store.missing)}
	default:
		return a
	}
}

// versionOf reads a resource version as the number that it is. What is no number is 0.
func versionOf(text string) uint64 {
	version, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return version
}
