// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// tenant holds the objects of one workspace. Writers hold the store's commit and, for a moment, mu; readers hold mu
// alone, also for a moment.
type tenant struct {
	workspace logicalcluster.Name

	mu sync.RWMutex
	// dead says that the tenant has left the store's index and gets no more events.
	dead    bool
	entries map[name]*entry
	// sorted holds the entries by namespace and name.
	sorted []*entry
	// tombstones are the deletions remembered, oldest first.
	tombstones []tombstone
	// floor is the revision below which deletions may be forgotten, so that a watch cannot resume there.
	floor uint64
	// changed is the revision of the last change.
	changed uint64

	watchers hub
}

type name struct{ namespace, name string }

func nameOf(key workspace.Key) name { return name{namespace: key.Namespace, name: key.Name} }

// entry is one object from its appearance to its deletion; one that comes back is another entry.
type entry struct {
	name   name
	source *source
	object *Object
	// added is the revision of its appearance.
	added uint64
	// relabelled is the revision of the last change of its labels.
	relabelled uint64
}

// tombstone remembers a deleted entry; its object carries the revision of the deletion.
type tombstone struct {
	entry *entry
	last  *Object
	rev   uint64
}

// grave is a tombstone's place in the order of all tombstones of a store.
type grave struct {
	tenant *tenant
	rev    uint64
	at     time.Time
}

// lookup returns the tenant of a workspace, or nil.
func (s *Store) lookup(ws logicalcluster.Name) *tenant {
	s.index.RLock()
	defer s.index.RUnlock()
	return s.tenants[ws]
}

// ensure returns the tenant of a workspace, made if need be. The caller holds commit.
func (s *Store) ensure(ws logicalcluster.Name) *tenant {
	s.index.Lock()
	defer s.index.Unlock()
	t, ok := s.tenants[ws]
	if !ok {
		t = &tenant{workspace: ws, entries: map[name]*entry{}, floor: s.floor, changed: s.floor}
		s.tenants[ws] = t
	}
	return t
}

// release forgets a tenant that has nothing left. The caller holds commit.
func (s *Store) release(t *tenant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead || len(t.entries) > 0 || len(t.tombstones) > 0 || t.watchers.size() > 0 {
		return
	}
	t.dead = true
	s.index.Lock()
	defer s.index.Unlock()
	delete(s.tenants, t.workspace)
	s.floor = max(s.floor, t.floor, t.changed)
}

// show makes an object visible or current, unless another source has its name. The caller holds commit.
func (s *Store) show(key workspace.Key, src *source) {
	if src.content == nil {
		return
	}
	t := s.ensure(key.Workspace)
	h := src.heads[key]
	e := t.entries[nameOf(key)] // written under commit only, so that it may be read here without mu
	if e != nil && e.source != src {
		if !slices.Contains(s.waiting[key], src) {
			s.waiting[key] = append(s.waiting[key], src)
		}
		return
	}
	if e != nil && e.object.head.entry.UID != h.entry.UID {
		s.remove(t, e)
		t, e = s.ensure(key.Workspace), nil // the removal may have released an empty tenant
	}
	if e == nil {
		s.add(t, &entry{name: nameOf(key), source: src}, h)
		return
	}
	s.update(t, e, h)
}

func (s *Store) add(t *tenant, e *entry, h *head) {
	t.mu.Lock()
	rev := s.revisions.Next()
	e.object = newObject(s.codec, e.source.key, h, e.source.content, rev)
	e.added, e.relabelled, t.changed = rev, rev, rev
	t.entries[e.name] = e
	at, _ := slices.BinarySearchFunc(t.sorted, e.name, compareEntry)
	t.sorted = slices.Insert(t.sorted, at, e)
	t.mu.Unlock()
	s.tell(t, change{entry: e, now: e.object, rev: rev})
}

func (s *Store) update(t *tenant, e *entry, h *head) {
	t.mu.Lock()
	rev := s.revisions.Next()
	before := e.object
	e.object = newObject(s.codec, e.source.key, h, e.source.content, rev)
	if !maps.Equal(before.head.entry.Labels, h.entry.Labels) {
		e.relabelled = rev
	}
	t.changed = rev
	t.mu.Unlock()
	s.tell(t, change{entry: e, before: before, now: e.object, rev: rev})
}

func (s *Store) remove(t *tenant, e *entry) {
	t.mu.Lock()
	rev := s.revisions.Next()
	last := e.object.at(rev)
	delete(t.entries, e.name)
	if at, found := slices.BinarySearchFunc(t.sorted, e.name, compareEntry); found {
		t.sorted = slices.Delete(t.sorted, at, at+1)
	}
	t.tombstones = append(t.tombstones, tombstone{entry: e, last: last, rev: rev})
	t.changed = rev
	t.mu.Unlock()
	s.graves = append(s.graves, grave{tenant: t, rev: rev, at: s.clock.Now()})
	s.tell(t, change{entry: e, before: e.object, gone: last, rev: rev})
	s.forget(t)
}

// hide removes an object that no longer shows the source, and lets the next in line have the name.
func (s *Store) hide(key workspace.Key, src *source) {
	if line := s.waiting[key]; len(line) > 0 {
		line = slices.DeleteFunc(line, func(other *source) bool { return other == src })
		if len(line) == 0 {
			delete(s.waiting, key)
		} else {
			s.waiting[key] = line
		}
	}
	t := s.lookup(key.Workspace)
	if t == nil {
		return
	}
	e := t.entries[nameOf(key)]
	if e == nil || e.source != src {
		return
	}
	s.remove(t, e)
	if line := s.waiting[key]; len(line) > 0 {
		next := line[0]
		if s.waiting[key] = line[1:]; len(line) == 1 {
			delete(s.waiting, key)
		}
		s.show(key, next)
	}
}

// forget drops tombstones over the limits.
func (s *Store) forget(t *tenant) {
	if len(t.tombstones) > s.limits.TombstonesPerWorkspace {
		t.dropTombstone()
	}
	oldest := s.clock.Now().Add(-s.limits.TombstoneAge)
	for len(s.graves) > s.limits.Tombstones || len(s.graves) > 0 && s.graves[0].at.Before(oldest) {
		g := s.graves[0]
		s.graves[0] = grave{}
		s.graves = s.graves[1:]
		if len(g.tenant.tombstones) > 0 && g.tenant.tombstones[0].rev == g.rev {
			g.tenant.dropTombstone()
			s.release(g.tenant)
		}
	}
}

func (t *tenant) dropTombstone() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.floor = t.tombstones[0].rev
	t.tombstones[0] = tombstone{}
	t.tombstones = t.tombstones[1:]
}

func compareEntry(e *entry, n name) int {
	return cmp.Or(cmp.Compare(e.name.namespace, n.namespace), cmp.Compare(e.name.name, n.name))
}
