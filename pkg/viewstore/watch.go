// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"context"
	"slices"
	"sync"

	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// WatchOptions say how to watch.
type WatchOptions struct {
	// ResourceVersion is where to begin: empty and "0" are now, with the objects that there are as first events.
	ResourceVersion string
	// SendInitialEvents asks for, or against, the objects that there are as first events.
	SendInitialEvents *bool
	// AllowBookmarks says that the client understands bookmarks.
	AllowBookmarks bool
}

// hub is a set of watchers.
type hub struct {
	mu       sync.Mutex
	watchers []*watcher
}

func (h *hub) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watchers)
}

func (h *hub) add(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.slot = len(h.watchers)
	h.watchers = append(h.watchers, w)
}

func (h *hub) remove(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(h.watchers) - 1
	h.watchers[w.slot] = h.watchers[last]
	h.watchers[w.slot].slot = w.slot
	h.watchers[last] = nil
	h.watchers = h.watchers[:last]
}

func (h *hub) tell(c *change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.watchers {
		w.note(c)
	}
}

// tell tells all watchers of a change. The caller holds commit, so that changes are told in their order.
func (s *Store) tell(t *tenant, c change) {
	t.watchers.tell(&c)
	s.everyone.tell(&c)
}

// Watch returns the events of a selection until ctx ends, it is stopped or the store is shut down. Errors are API
// errors; 410 Expired says that it is not known what has changed since the given version.
func (s *Store) Watch(ctx context.Context, selection Selection, o WatchOptions) (watch.Interface, error) {
	if err := selection.normalize(); err != nil {
		return nil, err
	}
	rev, err := s.revisions.Parse(o.ResourceVersion)
	if err != nil {
		return nil, err
	}
	w := newWatcher(s, selection, o)
	if err := s.admit(); err != nil {
		return nil, err
	}
	initial := rev == 0
	if o.SendInitialEvents != nil {
		initial = *o.SendInitialEvents
	}
	start := begin{initial: initial, now: rev == 0, rev: rev}
	if selection.Workspace == workspace.Wildcard {
		err = s.joinAll(w, start)
	} else {
		err = s.join(w, start)
	}
	if err != nil {
		s.leave()
		return nil, err
	}
	go w.run(ctx) // the watch lives as long as the request
	return w, nil
}

// admit counts a watch in, unless there are too many or the store is shutting down.
func (s *Store) admit() error {
	s.commit.Lock()
	defer s.commit.Unlock()
	select {
	case <-s.closed:
		return apierrors.NewServiceUnavailable("the server is shutting down")
	default:
	}
	if s.open.Load() >= int64(s.limits.Watchers) {
		return apierrors.NewTooManyRequests("too many watches are open", 5)
	}
	s.open.Add(1)
	s.watching.Add(1)
	return nil
}

func (s *Store) leave() {
	s.open.Add(-1)
	s.watching.Done()
}

// begin says where a watch begins.
type begin struct {
	// initial asks for the objects that there are.
	initial bool
	// now begins at the newest revision rather than at rev.
	now bool
	rev uint64
}

func (s *Store) join(w *watcher, b begin) error {
	for {
		t := s.lookup(w.selection.Workspace)
		if t == nil {
			t = s.ensureLocked(w.selection.Workspace)
		}
		joined, err := t.join(w, b, s.revisions)
		if err != nil {
			s.commit.Lock()
			s.release(t) // it may have been made for this watch alone
			s.commit.Unlock()
			return err
		}
		if joined {
			return nil
		}
	}
}

func (s *Store) ensureLocked(ws logicalcluster.Name) *tenant {
	s.commit.Lock()
	defer s.commit.Unlock()
	return s.ensure(ws)
}

// join plans the first events and adds the watcher at one revision. Changes up to it that are still being told are
// part of the plan, so the watcher ignores them.
func (t *tenant) join(w *watcher, b begin, revisions *Revisions) (joined bool, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.dead {
		return false, nil
	}
	if t.watchers.size() >= w.store.limits.WatchersPerWorkspace {
		return false, apierrors.NewTooManyRequests("too many watches are open in this workspace", 5)
	}
	w.tenant = t
	w.since = revisions.Current()
	items, err := t.plan(w, b, nil)
	if err != nil {
		return false, err
	}
	w.prime(items, b)
	t.watchers.add(w)
	return true, nil
}

func (s *Store) joinAll(w *watcher, b begin) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	w.since = s.revisions.Current()
	var items []*item
	s.index.RLock()
	floor := s.floor
	s.index.RUnlock()
	if !b.initial && !b.now && b.rev < floor {
		return expired(b.rev)
	}
	for _, t := range s.everyTenant() {
		var err error
		if items, err = t.plan(w, b, items); err != nil {
			return err
		}
	}
	w.prime(items, b)
	s.everyone.add(w)
	return nil
}

// plan appends the events that bring a client from where it begins to the present. The caller holds mu or commit.
func (t *tenant) plan(w *watcher, b begin, items []*item) ([]*item, error) {
	switch {
	case b.initial:
		return t.planInitial(w, items), nil
	case b.now:
		return items, nil
	case b.rev < t.floor:
		return nil, expired(b.rev)
	}
	selective := !w.selection.Labels.Empty()
	for _, e := range t.sorted {
		if e.object.rev <= b.rev {
			continue
		}
		known := e.added <= b.rev
		if known && selective && e.relabelled > b.rev {
			return nil, expired(b.rev) // whether the client knows the object depends on labels that are gone
		}
		if w.selection.matches(e.object) {
			items = append(items, &item{entry: e, object: e.object, known: known})
		}
	}
	return t.planDeleted(w, b, items)
}

// planInitial appends what there is.
func (t *tenant) planInitial(w *watcher, items []*item) []*item {
	for _, e := range t.sorted {
		if w.selection.matches(e.object) {
			items = append(items, &item{entry: e, object: e.object, initial: true})
		}
	}
	return items
}

// planDeleted appends what the client knows and is there no more.
func (t *tenant) planDeleted(w *watcher, b begin, items []*item) ([]*item, error) {
	selective := !w.selection.Labels.Empty()
	for _, dead := range t.tombstones {
		if dead.rev <= b.rev || dead.entry.added > b.rev {
			continue
		}
		if selective && dead.entry.relabelled > b.rev {
			return nil, expired(b.rev)
		}
		if w.selection.matches(dead.last) {
			items = append(items, &item{entry: dead.entry, object: dead.last, known: true, gone: true})
		}
	}
	return items, nil
}

// prime sets the first events, in the order of their revisions.
func (w *watcher) prime(items []*item, b begin) {
	slices.SortFunc(items, func(a, b *item) int {
		if a.object.rev < b.object.rev {
			return -1
		}
		return 1
	})
	for _, i := range items {
		w.push(i)
	}
	w.delivered = w.since
	if !b.initial && !b.now {
		w.delivered = b.rev
	}
	if b.initial {
		w.initialLeft = len(items)
		w.initialEnd = w.bookmarks
	}
}
