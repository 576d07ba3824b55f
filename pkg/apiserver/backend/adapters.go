// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/fleet"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// observedFleet is the fleet as the controllers see it. The two types have the same fields on purpose; the compiler
// says when they do not.
type observedFleet struct{ *fleet.Fleet }

func (f observedFleet) State(key workspace.Key) (view.Observation, bool) {
	state, found := f.Fleet.State(key)
	return view.Observation(state), found
}

// rows is the view store as the publisher sees it. It also knows which registrations have been published once.
type rows struct {
	store *viewstore.Store

	mu        sync.Mutex
	published sets.Set[workspace.Key]
}

func newRows(store *viewstore.Store) *rows {
	return &rows{store: store, published: sets.New[workspace.Key]()}
}

func (r *rows) SetContent(source workspace.Key, status *tmcv1alpha1.ClusterStatusStatus) {
	r.store.SetContent(source, status)
}

func (r *rows) SetEntries(source workspace.Key, entries []view.Entry) {
	converted := make([]viewstore.Entry, 0, len(entries))
	for _, entry := range entries {
		converted = append(converted, viewstore.Entry(entry))
	}
	r.store.SetEntries(source, converted)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.published.Insert(source)
}

func (r *rows) DeleteSource(source workspace.Key) {
	r.store.DeleteSource(source)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.published.Delete(source)
}

// has reports whether the rows of a registration are in the store.
func (r *rows) has(source workspace.Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.published.Has(source)
}

// leader is who writes to kcp.
type leader interface{ IsLeader() bool }

// syncedLeader does not write before kcp has been read: what is not known yet would look as if it did not exist.
type syncedLeader struct {
	leader
	synced func() bool
}

func (l syncedLeader) IsLeader() bool { return l.synced() && l.leader.IsLeader() }
