// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"context"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// resultBuffer is how many events wait for the handler, so that it flushes once for many.
const resultBuffer = 16

// change is one change of one entry.
type change struct {
	entry *entry
	// before and now are the object before and after; nil is absence.
	before, now *Object
	// gone is the deleted object with the revision of the deletion.
	gone *Object
	rev  uint64
}

// leaving returns what a watcher gets whose selectors no longer select the object: the last version that they did
// select, at the revision of the change. It is made once for all watchers.
func (c *change) leaving() *Object {
	if c.gone == nil {
		c.gone = c.before.at(c.rev)
	}
	return c.gone
}

// item is what a watcher has still to tell its client of one entry; there is at most one per entry.
type item struct {
	entry  *entry
	object *Object
	// known says that the client has the entry.
	known bool
	// gone says that the client is to drop the entry.
	gone bool
	// initial says that the item is one of the objects that there were at the beginning.
	initial    bool
	prev, next *item
}

// watcher is one watch. Publishers put items into its queue and never wait; run takes them out.
type watcher struct {
	store     *Store
	tenant    *tenant // nil for a watch of all workspaces
	selection Selection
	bookmarks bool
	// since is the revision at which it joined; slot is its place in its hub, guarded by the hub.
	since uint64
	slot  int

	result chan watch.Event
	wake   chan struct{}
	done   chan struct{}
	stop   sync.Once

	mu          sync.Mutex
	pending     map[*entry]*item
	first, last *item
	initialLeft int
	// initialEnd says that the bookmark that ends the initial events is still due.
	initialEnd bool

	// delivered is the newest revision that the client was given. Used by run only.
	delivered uint64
}

var _ watch.Interface = (*watcher)(nil)

func newWatcher(s *Store, selection Selection, o WatchOptions) *watcher {
	return &watcher{
		store: s, selection: selection, bookmarks: o.AllowBookmarks,
		result: make(chan watch.Event, resultBuffer), wake: make(chan struct{}, 1), done: make(chan struct{}),
		pending: map[*entry]*item{},
	}
}

// Stop ends the watch.
func (w *watcher) Stop() { w.stop.Do(func() { close(w.done) }) }

// ResultChan returns the events. It is closed when the watch has ended.
func (w *watcher) ResultChan() <-chan watch.Event { return w.result }

// note puts a change into the queue. The newest state of an entry replaces an older one that has not been delivered
// yet, and moves to the end, so that revisions go out ascending.
func (w *watcher) note(c *change) {
	if c.rev <= w.since {
		return
	}
	selected := c.now != nil && w.selection.matches(c.now)
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting := w.pending[c.entry]
	next := &item{entry: c.entry, object: c.now}
	if waiting == nil {
		next.known = c.before != nil && w.selection.matches(c.before)
	} else {
		if waiting.gone && !selected {
			// The client is to drop it already, and must hear of it before anything newer: were it moved, a client
			// that resumes from something newer would never hear of it.
			return
		}
		next.known, next.initial = waiting.known, waiting.initial
		w.unlink(waiting)
	}
	if !selected {
		if !next.known {
			if next.initial {
				w.initialLeft--
				w.poke() // it may have been the last one before the bookmark
			}
			return
		}
		next.object, next.gone = c.leaving(), true
	}
	w.push(next)
	w.poke()
}

func (w *watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) push(i *item) {
	w.pending[i.entry] = i
	if w.last == nil {
		w.first, w.last = i, i
		return
	}
	i.prev, w.last.next = w.last, i
	w.last = i
}

func (w *watcher) unlink(i *item) {
	delete(w.pending, i.entry)
	if i.prev == nil {
		w.first = i.next
	} else {
		i.prev.next = i.next
	}
	if i.next == nil {
		w.last = i.prev
	} else {
		i.next.prev = i.prev
	}
	i.prev, i.next = nil, nil
}

// pop returns the next event, if there is one.
func (w *watcher) pop() (watch.Event, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.initialEnd && w.initialLeft == 0 {
		w.initialEnd = false
		return w.bookmark(map[string]string{metav1.InitialEventsAnnotationKey: "true"}), true
	}
	next := w.first
	if next == nil {
		return watch.Event{}, false
	}
	w.unlink(next)
	if next.initial {
		w.initialLeft--
	}
	w.delivered = max(w.delivered, next.object.rev)
	switch {
	case next.gone:
		return watch.Event{Type: watch.Deleted, Object: next.object}, true
	case next.known:
		return watch.Event{Type: watch.Modified, Object: next.object}, true
	default:
		return watch.Event{Type: watch.Added, Object: next.object}, true
	}
}

func (w *watcher) bookmark(annotations map[string]string) watch.Event {
	objectMeta := &metav1.ObjectMeta{Annotations: annotations}
	return watch.Event{Type: watch.Bookmark, Object: w.store.codec.typed(objectMeta, w.delivered, nil)}
}

// progress returns a bookmark if revisions have passed that the client has not heard of and nothing waits for it.
func (w *watcher) progress() (watch.Event, bool) {
	settled := w.store.settled.Load() // before the queue: all up to it have been put there
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first != nil || w.initialEnd || settled <= w.delivered {
		return watch.Event{}, false
	}
	w.delivered = settled
	return w.bookmark(nil), true
}

// run delivers events until the watch ends.
func (w *watcher) run(ctx context.Context) {
	defer w.retire()
	interval := w.store.limits.BookmarkInterval
	timer := w.store.clock.NewTimer(interval)
	defer timer.Stop()
	for {
		event, ok := w.pop()
		if !ok {
			select {
			case <-w.wake:
				continue
			case <-timer.C():
				timer.Reset(interval)
				if event, ok = w.progress(); !ok || !w.bookmarks {
					continue
				}
			case <-ctx.Done():
				return
			case <-w.done:
				return
			case <-w.store.closed:
				return
			}
		}
		select {
		case w.result <- event:
		case <-ctx.Done():
			return
		case <-w.done:
			return
		case <-w.store.closed:
			return
		}
	}
}

// retire leaves the hub and closes the result.
func (w *watcher) retire() {
	if w.tenant == nil {
		w.store.everyone.remove(w)
	} else {
		w.tenant.watchers.remove(w)
		w.store.commit.Lock()
		w.store.release(w.tenant)
		w.store.commit.Unlock()
	}
	close(w.result)
	w.store.leave()
}

var (
	_ runtime.CacheableObject = (*Object)(nil)
	_ runtime.Object          = (*Object)(nil)
)
