// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// far is a member that another workspace lends.
var far = workspace.Key{Workspace: "globex", Name: "far"}

// borrowing is a world in which web is divided between far and east, and runs there.
func borrowing(t *testing.T, weights ...tmcv1alpha1.ClusterWeight) *world {
	t.Helper()
	w := newWorld(t)
	w.join(far)
	w.runOn(10, &tmcv1alpha1.ReplicaScheduling{Type: tmcv1alpha1.ReplicasDivided, Weights: weights}, far, east)
	return w
}

func weight(labels map[string]string, of int32) tmcv1alpha1.ClusterWeight {
	return tmcv1alpha1.ClusterWeight{ClusterSelector: &metav1.LabelSelector{MatchLabels: labels}, Weight: &of}
}

// loseLender starts the server anew while the shard of far's lender is away.
func (w *world) loseLender() {
	delete(w.names, "far")
	w.unlent = true
	w.restart()
	w.show()
}

// What was said stands while copies are read; but nothing was said of what is new, or was edited since.
func TestWhatIsNewIsNotDoneWhileCopiesAreRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*world)
		reading int32
	}{
		"nothing":             {func(*world) {}, 1},
		"an edit":             {func(w *world) { w.deployment(2, image("nginx:2")) }, 0},
		"an edit, at a start": {func(w *world) { w.restart(); w.show(); w.deployment(2, image("nginx:2")) }, 0},
		"a start":             {func(w *world) { w.restart(); w.show() }, 1},
		"a new object": {func(w *world) {
			created := metav1.NewTime(w.clock.Now())
			w.put(settings, "ConfigMap", map[string]any{"data": map[string]any{"a": "b"}}).SetCreationTimestamp(created)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := running(t, 2, east)
			lateCopies(w)
			tc.change(w)
			w.c.EnqueueMember(east)
			w.settle()
			sum := w.c.Summary(all)
			wantDiff(t, "copies whose reading is waited for", tc.reading, sum.Reading)
			wantDiff(t, "copies that are synced", int32(0), sum.Synced)
		})
	}
}

// Reading ends also where no pass gets as far as to say so.
func TestReadingEndsInDoubt(t *testing.T) {
	t.Parallel()
	w := running(t, 2, east)
	lateCopies(w)
	w.c.EnqueueMember(east)
	w.settle()
	wantDiff(t, "copies that are being read", int32(1), w.c.Summary(all).Reading)
	object := w.objects[web]
	delete(w.objects, web) // it is not found, and may be there all the same
	w.uncertain[web.Resource] = true
	w.wait(readingPatience - time.Second)
	wantDiff(t, "copies that are being read, later", int32(1), w.c.Summary(all).Reading)
	before := w.progress[all]
	w.wait(2 * time.Second)
	wantDiff(t, "copies that are being read, much later", int32(0), w.c.Summary(all).Reading)
	if w.progress[all] == before {
		t.Error("nobody is told")
	}
	w.objects[web] = object
}

// After a start beside a shard that is away, what is said of members that it lends stands, too.
func TestWhatRunsOnUnlentMembersCounts(t *testing.T) {
	t.Parallel()
	w := borrowing(t)
	ready := func() []any {
		count, _, _ := unstructured.NestedInt64(w.objects[web].Object, "status", "readyReplicas")
		observed, _, _ := unstructured.NestedInt64(w.objects[web].Object, "status", "observedGeneration")
		return []any{count, observed}
	}
	wantDiff(t, "status", []any{int64(10), int64(1)}, ready())
	w.members[far].away, w.unregistered[far] = true, true
	w.loseLender()
	w.tookPatches()
	w.wait(readingPatience - time.Second)
	wantDiff(t, "patches", []string(nil), w.tookPatches())
	sum := w.c.Summary(all)
	wantDiff(t, "copies that are desired, synced and being read", []int32{2, 1, 1}, []int32{sum.Desired, sum.Synced, sum.Reading})
	wantDiff(t, "who is away", "", sum.Away)
	w.wait(time.Minute)
	wantDiff(t, "status while it is not known", []any{int64(10), int64(1)}, ready())
	wantDiff(t, "who is away", "far", w.c.Summary(all).Away)
}

// Nor is what runs given to it, where weights give more to what has no labels.
func TestSharesDoNotShrinkWhileLoansAreNotKnown(t *testing.T) {
	t.Parallel()
	w := borrowing(t, weight(map[string]string{"known": "true"}, 1), weight(nil, 4))
	w.loseLender()
	w.wait(time.Minute)
	wantDiff(t, "share while it is not known", int64(5), replicasOn(w, east))
	w.deployment(10, image("nginx:2"))
	w.wait(time.Minute)
	wantDiff(t, "share after an edit", int64(5), replicasOn(w, east))
}

// The share of a member that is not known to be lent yet is not given to others, even if it goes by labels that are not known
// either: they would be scaled up and down again. What needs no labels is done, and what is not done is not said to be.
func TestSharesStayWhileLoansAreNotKnown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*world)
		want   int64
		synced string
	}{
		"nothing":               {func(*world) {}, 5, "True"},
		"scaled up":             {func(w *world) { w.deployment(20, image("nginx")) }, 5, "False"},
		"another image":         {func(w *world) { w.deployment(10, image("nginx:2")) }, 5, "False"},
		"scaled down":           {func(w *world) { w.deployment(2, image("nginx")) }, 2, "True"},
		"scaled to nothing":     {func(w *world) { w.deployment(0, image("nginx")) }, 0, "True"},
		"scaled down a little":  {func(w *world) { w.deployment(6, image("nginx")) }, 5, "True"},
		"removed on the member": {func(w *world) { delete(w.members[east].truth, w.at(web)); w.show() }, 8, "True"},
		"known again and scaled": {func(w *world) {
			w.names["far"], w.unlent = far, false
			w.deployment(20, image("nginx"))
		}, 10, "True"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := borrowing(t, weight(map[string]string{"known": "true"}, 4))
			wantDiff(t, "share", int64(5), replicasOn(w, east))
			w.loseLender()
			w.wait(time.Minute)
			wantDiff(t, "share while it is not known", int64(5), replicasOn(w, east))
			tc.change(w)
			w.wait(time.Minute)
			wantDiff(t, "share", tc.want, replicasOn(w, east))
			if rows := w.rows(web); !slices.ContainsFunc(rows, func(row string) bool { return len(row) > 5 && row[:5+len(tc.synced)] == "east "+tc.synced }) {
				t.Errorf("the rows are %q, want east %s", rows, tc.synced)
			}
		})
	}
}
