// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// Encodings returns how many encodings an object keeps besides the plain one.
func (o *Object) Encodings() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.encodings)
}

// Tenants returns how many workspaces have anything in the store.
func (s *Store) Tenants() int {
	s.index.RLock()
	defer s.index.RUnlock()
	return len(s.tenants)
}

// Watches returns how many watches are open.
func (s *Store) Watches() int { return int(s.open.Load()) }

// Graves returns how many deletions are remembered.
func (s *Store) Graves() int {
	s.commit.Lock()
	defer s.commit.Unlock()
	return len(s.graves)
}

// Snapshots returns how many paged lists are kept.
func (s *Store) Snapshots() int {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	return s.pages.order.Len()
}

// FrameIdentifier names the encoder of a watch event.
func FrameIdentifier(plain runtime.Identifier, eventType watch.EventType) (runtime.Identifier, error) {
	return frameIdentifier(plain, eventType)
}
