// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kcp-dev/logicalcluster/v3"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Store holds the objects of one view in all workspaces. All of its methods are safe for concurrent use.
type Store struct {
	codec     *codec
	revisions *Revisions
	options   Options
	limits    Limits
	clock     clock.Clock
	pages     *pages

	synced atomic.Bool
	// settled is the newest revision up to which every watcher has been told of everything.
	settled atomic.Uint64

	// commit makes publishers serial. It is never held while something is encoded.
	commit sync.Mutex
	// sources, waiting and graves are guarded by commit.
	sources map[SourceKey]*source
	waiting map[workspace.Key][]*source
	graves  []grave
	// floor is the revision below which nothing is known of workspaces without a tenant. Guarded by index.
	floor uint64

	// index guards tenants, and is held for map accesses only.
	index   sync.RWMutex
	tenants map[logicalcluster.Name]*tenant

	everyone hub
	watching sync.WaitGroup
	open     atomic.Int64
	closed   chan struct{}
	closing  sync.Once
}

// source is what is known of a source: its content and the objects that show it.
type source struct {
	key     SourceKey
	content *content
	// heads is replaced as a whole, never changed.
	heads map[workspace.Key]*head
}

// New returns an empty store.
func New(o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("making a view store of %s: %w", o.GVK.Kind, err)
	}
	codec, err := newCodec(&o)
	if err != nil {
		return nil, fmt.Errorf("making a view store: %w", err)
	}
	limits := o.Limits.withDefaults()
	pages, err := newPages(limits, o.Clock)
	if err != nil {
		return nil, fmt.Errorf("making a view store: %w", err)
	}
	s := &Store{
		codec: codec, revisions: o.Revisions, options: o, limits: limits, clock: o.Clock, pages: pages,
		sources: map[SourceKey]*source{}, waiting: map[workspace.Key][]*source{},
		floor: o.Revisions.Start(), tenants: map[logicalcluster.Name]*tenant{}, closed: make(chan struct{}),
	}
	s.settled.Store(o.Revisions.Start())
	return s, nil
}

// MarkSynced says that the store holds what there is, so that absence means absence.
func (s *Store) MarkSynced() { s.synced.Store(true) }

// Synced returns whether MarkSynced was called.
func (s *Store) Synced() bool { return s.synced.Load() }

// SetContent sets the body of all objects that show the source. The store keeps body, which must not change any
// more. Nothing happens if it encodes as before. A body that cannot be encoded leaves the objects as they are.
func (s *Store) SetContent(src SourceKey, body any) {
	encoded, err := s.codec.newContent(body)
	if err != nil {
		utilruntime.HandleError(fmt.Errorf("setting the content of %s: %w", src, err)) // no request is behind it
		return
	}
	s.commit.Lock()
	defer s.commit.Unlock()
	known := s.source(src)
	if known.content != nil && slices.Equal(known.content.tail, encoded.tail) {
		return
	}
	known.content = encoded
	for _, key := range sortedKeys(known.heads) {
		s.show(key, known)
	}
	s.settle()
}

// SetEntries sets which objects show the source: those, and no others.
func (s *Store) SetEntries(src SourceKey, entries []Entry) {
	s.commit.Lock()
	before := s.source(src).heads
	s.commit.Unlock()
	heads := make(map[workspace.Key]*head, len(entries))
	for i := range entries {
		if known, ok := before[entries[i].Key]; ok && known.entry.equal(&entries[i]) {
			heads[entries[i].Key] = known
			continue
		}
		encoded, err := s.codec.newHead(entries[i])
		if err != nil {
			utilruntime.HandleError(fmt.Errorf("setting the entries of %s: %w", src, err))
			continue
		}
		heads[entries[i].Key] = encoded
	}
	s.commit.Lock()
	defer s.commit.Unlock()
	s.replaceHeads(s.source(src), heads)
	if len(heads) == 0 && s.sources[src].content == nil {
		delete(s.sources, src)
	}
	s.settle()
}

// DeleteSource removes the source and every object that shows it.
func (s *Store) DeleteSource(src SourceKey) {
	s.commit.Lock()
	defer s.commit.Unlock()
	if known, ok := s.sources[src]; ok {
		s.replaceHeads(known, nil)
		delete(s.sources, src)
		s.settle()
	}
}

// source returns the source, made if need be. The caller holds commit.
func (s *Store) source(key SourceKey) *source {
	known, ok := s.sources[key]
	if !ok {
		known = &source{key: key}
		s.sources[key] = known
	}
	return known
}

func (s *Store) replaceHeads(src *source, heads map[workspace.Key]*head) {
	before := src.heads
	src.heads = heads
	for _, key := range sortedKeys(before) {
		if _, stays := heads[key]; !stays {
			s.hide(key, src)
		}
	}
	for _, key := range sortedKeys(heads) {
		if heads[key] != before[key] {
			s.show(key, src)
		}
	}
}

// settle ends a publication: all watchers have been told.
func (s *Store) settle() { s.settled.Store(max(s.settled.Load(), s.newest())) }

func (s *Store) newest() uint64 { return s.revisions.Current() }

// Shutdown ends all watches and returns when they have ended. Later watches are refused.
func (s *Store) Shutdown() {
	s.closing.Do(func() {
		s.commit.Lock()
		defer s.commit.Unlock()
		close(s.closed)
	})
	s.watching.Wait()
}

func sortedKeys(heads map[workspace.Key]*head) []workspace.Key {
	return slices.SortedFunc(maps.Keys(heads), workspace.Key.Compare)
}
