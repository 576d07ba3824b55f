// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

var all = workspace.Key{Workspace: "acme", Namespace: "shop", Name: "all"}

// world has one Placement, what is known of it, and the store.
type world struct {
	placement *tmcv1alpha1.Placement
	facts     *view.PlacementFacts
	contents  []tmcv1alpha1.PlacementStatusStatus
	entries   []view.Entry
	deleted   int
	clock     *testingclock.FakeClock
	c         *Controller
	shown     chan struct{}
}

func newWorld() *world {
	w := &world{
		placement: &tmcv1alpha1.Placement{ObjectMeta: metav1.ObjectMeta{Name: "all", Namespace: "shop", UID: types.UID("u"), Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"secret": "x"}}},
		facts:     &view.PlacementFacts{},
		clock:     testingclock.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
		shown:     make(chan struct{}, 100),
	}
	w.c = New(Config{Placements: w, Facts: w, Store: w, Clock: w.clock})
	return w
}

func (w *world) Find(key workspace.Key) (*tmcv1alpha1.Placement, bool) {
	return w.placement, w.placement != nil && key == all
}

func (w *world) Facts(*tmcv1alpha1.Placement) (view.PlacementFacts, bool) {
	if w.facts == nil {
		return view.PlacementFacts{}, false
	}
	return *w.facts, true
}

func (w *world) SetContent(source workspace.Key, status *tmcv1alpha1.PlacementStatusStatus) {
	if source == all {
		w.contents = append(w.contents, *status)
	}
}

func (w *world) SetEntries(_ workspace.Key, entries []view.Entry) {
	w.entries = entries
	w.shown <- struct{}{}
}

func (w *world) DeleteSource(workspace.Key) { w.deleted++ }

func (w *world) reconcile(t *testing.T) time.Duration {
	t.Helper()
	result, err := w.c.Reconcile(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	return result.After
}

// copies makes what is known of the Placement have so many copies.
func (w *world) copies(count int) {
	w.facts.Copies = make([]view.PlacedCopy, count)
	for i := range w.facts.Copies {
		w.facts.Copies[i].Cluster = "east"
	}
}

func (w *world) confirm(after time.Duration) {
	w.facts.Clusters = map[string]view.ClusterFacts{"east": {Reachable: metav1.ConditionTrue, ConfirmedAt: w.clock.Now().Add(after)}}
}

func TestChangesAreGathered(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		copies int
		change func(w *world)
		want   time.Duration // after the last report; 0 is at once
	}{
		"nothing differs":         {copies: 1, change: func(*world) {}, want: DefaultRefreshInterval},
		"only the time":           {copies: 1, change: func(w *world) { w.confirm(time.Hour) }, want: DefaultRefreshInterval},
		"another copy":            {copies: 1, change: func(w *world) { w.copies(2) }, want: DefaultCoalesceWindow},
		"another copy among many": {copies: 5000, change: func(w *world) { w.copies(5001) }, want: 5001 * perCopy},
		"a condition": {copies: 5000, change: func(w *world) {
			w.facts.Outcome.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue}}
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.copies(tc.copies)
			w.confirm(0)
			if after := w.reconcile(t); after != DefaultRefreshInterval || len(w.contents) != 1 {
				t.Fatalf("reported %d times at first, again after %s", len(w.contents), after)
			}
			w.clock.Step(time.Millisecond)
			tc.change(w)
			after := w.reconcile(t)
			if tc.want == 0 {
				if len(w.contents) != 2 || after != DefaultRefreshInterval {
					t.Errorf("reported %d times, again after %s", len(w.contents), after)
				}
				return
			}
			if len(w.contents) != 1 || after != tc.want-time.Millisecond {
				t.Errorf("reported %d times, again after %s, want %s", len(w.contents), after, tc.want-time.Millisecond)
			}
			w.clock.Step(after)
			w.reconcile(t)
			if want := map[bool]int{true: 1, false: 2}[name == "nothing differs"]; len(w.contents) != want {
				t.Errorf("reported %d times when it was due, want %d", len(w.contents), want)
			}
		})
	}
}

func TestEntryIsThatOfThePlacement(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.reconcile(t)
	want := []view.Entry{{Key: all, UID: "u", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"kcp.io/cluster": "acme"}}}
	if diff := cmp.Diff(want, w.entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestPlacementThatIsNotKnown(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.facts = nil
	if after := w.reconcile(t); after != 0 || len(w.contents) != 0 || w.entries != nil {
		t.Errorf("something is told of what was not looked at: %v %v", w.contents, w.entries)
	}
	w.facts = &view.PlacementFacts{}
	w.reconcile(t)
	w.placement = nil
	w.reconcile(t)
	if w.deleted != 1 || len(w.c.reported) != 0 {
		t.Errorf("it was deleted %d times, and %v is remembered", w.deleted, w.c.reported)
	}
	// One of the same name is told of at once.
	w.placement = &tmcv1alpha1.Placement{}
	w.reconcile(t)
	if len(w.contents) != 2 {
		t.Errorf("reported %d times", len(w.contents))
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	w := newWorld()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	c := New(Config{Placements: w, Facts: w, Store: w})
	c.Enqueue(all)
	go func() { defer close(done); c.Run(ctx) }()
	select {
	case <-w.shown:
	case <-time.After(20 * time.Second):
		t.Error("nothing was reported")
	}
	cancel()
	<-done
}
