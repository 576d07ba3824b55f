// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"
)

// FLT-08: workers that write statuses must not all wait for a shard that does not answer.
func TestFLT08LostShardHoldsUpOneWriterOnly(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.set(at("b", bindings), binding("two"))
	f.endpoints("a", "b")
	release := make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(release) }))
	f.hang("/b/clusters/two/", release)
	s := start(t, f, nil)
	eventually(t, "bound", func() bool { return s.Bound("one") && s.Bound("two") })
	patcher := s.RegistrationStatus()
	first, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := patcher.PatchStatus(first, key("two", "r"), []byte(`{}`)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got error %v, want that of the deadline", err)
	}

	leave, ok := s.lanes.enter(f.URL + "/b")
	if !ok {
		t.Fatal("nobody finds out whether the shard is back")
	}
	if err := patcher.PatchStatus(t.Context(), key("two", "r"), []byte(`{}`)); !errors.Is(err, ErrEndpointAway) {
		t.Errorf("got error %v while another write tries, want ErrEndpointAway", err)
	}
	if err := patcher.PatchStatus(t.Context(), key("one", "r"), []byte(`{}`)); err != nil {
		t.Errorf("writing to the other shard: %v", err)
	}
	leave(true)
	f.hang("/nowhere", release)
	for range 2 {
		if err := patcher.PatchStatus(t.Context(), key("two", "r"), []byte(`{}`)); err != nil {
			t.Errorf("writing to the shard that is back: %v", err)
		}
	}
}

// An answer that is an error is an answer.
func TestRefusedWritesDoNotCloseTheLane(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.endpoints("a")
	s := start(t, f, nil)
	eventually(t, "bound", func() bool { return s.Bound("one") })
	f.fail("/a/clusters/one/", http.StatusForbidden)
	for range 3 {
		if err := s.RegistrationStatus().PatchStatus(t.Context(), key("one", "r"), []byte(`{}`)); err == nil || errors.Is(err, ErrEndpointAway) {
			t.Errorf("got error %v, want that of kcp", err)
		}
	}
}
