// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
)

func wantDiff(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// hash is the name of the namespace shop on members, as writes are noted.
var hash = strings.TrimPrefix(transform.NamespaceName("acme", "shop"), "tmc-")

func marked(u *unstructured.Unstructured) bool {
	return u != nil && cmp.Equal(u.GetFinalizers(), []string{tmcv1alpha1.SyncFinalizer})
}

// The whole way: one metadata patch up before anything goes down, one write per member, one status back.
func TestObjectGoesDownAndItsStatusUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(2, image("nginx"))
	w.place("all", "east", "west")
	w.settle()

	wantDiff(t, "writes", []string{
		"east create namespaces " + hash, "east get deployments web", "east apply deployments web",
		"west create namespaces " + hash, "west get deployments web", "west apply deployments web",
	}, w.took())
	if !marked(w.objects[web]) || w.objects[web].GetAnnotations()[tmcv1alpha1.PlacedByAnnotation] != "all" {
		t.Errorf("the object is not marked: %v", w.objects[web].Object["metadata"])
	}
	wantDiff(t, "patches", 1, len(w.tookPatches()))
	wantDiff(t, "rows", []string{"east True Progressing Progressing", "west True Progressing Progressing"}, w.rows(web))

	w.run(east, web)
	w.run(west, web)
	w.wait(time.Second)
	wantDiff(t, "rows", []string{"east True Healthy", "west True Healthy"}, w.rows(web))
	observed, _, _ := unstructured.NestedInt64(w.objects[web].Object, "status", "observedGeneration")
	wantDiff(t, "observed generation", w.objects[web].GetGeneration(), observed)
	wantDiff(t, "writes in peace", []string(nil), w.took())

	w.tookPatches()
	for range 3 {
		w.c.Enqueue(web.Resource, web.Object)
		w.wait(time.Minute)
	}
	wantDiff(t, "writes in peace", []string(nil), w.took())
	wantDiff(t, "patches in peace", []string(nil), w.tookPatches())
}

// An edit costs one write per member, and the observed generation waits for all of them.
func TestEditCostsOneWritePerMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(2, image("nginx"))
	w.place("all", "east", "west")
	w.settle()
	w.run(east, web)
	w.run(west, web)
	w.wait(time.Second)
	w.took()

	w.deployment(2, image("nginx:2"))
	w.wait(time.Second)
	wantDiff(t, "writes", []string{"east force deployments web", "west force deployments web"}, w.took())
	generation := func() int64 {
		w.wait(time.Second)
		observed, _, _ := unstructured.NestedInt64(w.objects[web].Object, "status", "observedGeneration")
		return observed
	}
	wantDiff(t, "observed generation before any member has observed", int64(1), generation())
	w.run(east, web)
	wantDiff(t, "observed generation after the first member", int64(1), generation())
	w.run(west, web)
	wantDiff(t, "observed generation after all members", int64(2), generation())
}

func TestFinalizerComesBeforeTheFirstCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.patchErr = apierrors.NewInternalError(errors.New("away"))
	if _, err := w.c.Reconcile(t.Context(), web); err == nil {
		t.Error("the failure is lost")
	}
	w.work()
	wantDiff(t, "writes although the object could not be marked", []string(nil), w.took())
}

// An object that changed before it could be marked gets no copy: it might go without it.
func TestObjectThatCouldNotBeMarkedGetsNoCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.patchErr = apierrors.NewConflict(deploymentsGR, "web", nil)
	w.settle()
	wantDiff(t, "writes", []string(nil), w.took())
	w.patchErr = nil
	w.c.Enqueue(web.Resource, web.Object) // the next event
	w.settle()
	if w.copy(east, web) == nil || !marked(w.objects[web]) {
		t.Error("it is not on the member, or not marked")
	}
}

// What a claim shares is read, and never written.
func TestClaimedKindsAreNotMarked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.selects = func(*tmcv1alpha1.Placement, schema.GroupResource, *unstructured.Unstructured) bool { return true }
	w.put(settings, "ConfigMap", map[string]any{"data": map[string]any{"a": "b"}})
	w.place("all", "east")
	w.settle()
	if w.copy(east, settings) == nil {
		t.Fatal("it is not on the member")
	}
	wantDiff(t, "patches", []string(nil), w.tookPatches())
	// It goes when it is seen to be gone.
	delete(w.objects, settings)
	w.c.Enqueue(settings.Resource, settings.Object)
	w.settle()
	if w.copy(east, settings) != nil {
		t.Error("it is still on the member")
	}
}

// A marking that meets another version of the object changes nothing anywhere: the next event brings that version.
func TestStaleMarkRemovesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.took()
	for name, err := range map[string]error{
		"conflict": apierrors.NewConflict(deploymentsGR, "web", nil), "not found": apierrors.NewNotFound(deploymentsGR, "web"),
	} {
		w.placements = nil
		w.place("other "+name, "east") // so that the annotation has to change
		w.patchErr = err
		w.settle()
		wantDiff(t, name+": writes", []string(nil), w.took())
		w.patchErr = nil
	}
	if w.copy(east, web) == nil {
		t.Error("the copy is gone")
	}
}

// Nothing is taken away before it is certain that it should not be there.
func TestNothingIsRemovedInDoubt(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*world){
		"the object is not found":     func(w *world) { delete(w.objects, web) },
		"its Placement is not found":  func(w *world) { w.placements = nil },
		"both after a restart":        func(w *world) { delete(w.objects, web); w.placements = nil; w.restart() },
		"its Placement after restart": func(w *world) { w.placements = nil; w.restart() },
	}
	for name, lose := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(1, withSettings(image("nginx")))
			w.put(settings, "ConfigMap", map[string]any{"data": map[string]any{"a": "b"}})
			w.place("all", "east")
			w.settle()
			w.took()
			w.uncertain[deploymentsGR] = true
			lose(w)
			w.c.EnqueueAll()
			w.c.Enqueue(settings.Resource, settings.Object)
			w.removeNamespace()
			w.wait(time.Minute)
			wantDiff(t, "deletions in doubt", []string(nil), deletes(w.took()))

			w.uncertain[deploymentsGR] = false
			w.c.EnqueueAll()
			w.wait(time.Minute)
			for _, key := range []Key{web, settings, shop} {
				if w.copy(east, key) != nil {
					t.Errorf("%s is still there when it is certain", key)
				}
			}
		})
	}
}

// After a restart, everything stays where it is, whatever is looked at first.
func TestRestartRemovesNothing(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*world) func(){
		"all at once": func(*world) func() { return func() {} },
		"workloads are read later": func(w *world) func() {
			w.uncertain[deploymentsGR] = true
			return func() { w.uncertain[deploymentsGR] = false }
		},
		"copies are read later":     lateCopies,
		"the member comes up later": func(w *world) func() { w.members[east].away = true; return func() { w.members[east].away = false } },
		"members are not known yet": func(w *world) func() { names := w.names; w.names = nil; return func() { w.names = names } },
		"decisions are not read yet": func(w *world) func() {
			p := w.placements[0]
			d := p.Status.Decisions
			p.Status.Decisions = nil
			return func() { p.Status.Decisions = d }
		},
	}
	for name, late := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(1, withSettings(image("nginx")))
			w.put(settings, "ConfigMap", map[string]any{"data": map[string]any{"a": "b"}})
			w.place("all", "east")
			w.settle()
			w.run(east, web)
			w.wait(time.Second)
			w.took()
			w.restart()
			come := late(w)
			w.show()
			w.wait(time.Second)
			come()
			w.show() // who says that copies have been read has them
			w.c.EnqueueMember(east)
			w.c.EnqueueAll()
			w.wait(time.Minute)
			wantDiff(t, "writes after a restart", []string(nil), w.took())
		})
	}
}

func lateCopies(w *world) func() {
	for key := range w.kinds {
		w.members[east].unread[w.kinds[key].GVR] = true
	}
	return func() { clear(w.members[east].unread) }
}

// A copy of a former object of the same name goes first, by its own UID; then comes the new one's.
func TestFormerCopyGoesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.took()
	former := w.copy(east, web).GetUID()
	delete(w.objects, web) // without a finalizer, as after a forced detach
	w.deployment(1, image("nginx:new"))
	w.reconcile(web)
	w.work()
	wantDiff(t, "writes", []string{"east delete deployments web"}, w.took())
	w.settle()
	if live := w.copy(east, web); live == nil || live.GetUID() == former || live.GetAnnotations()[transform.UIDAnnotation] != string(w.objects[web].GetUID()) {
		t.Errorf("the member has %v", live)
	}

	// The UID protects what came in between.
	former = w.copy(east, web).GetUID()
	delete(w.objects, web)
	w.deployment(1, image("nginx:newer"))
	w.reconcile(web)
	w.edit(east, web, func(u *unstructured.Unstructured) { u.SetUID("somebody-elses") })
	w.work()
	if live := w.copy(east, web); live == nil || live.GetUID() == former {
		t.Errorf("the member has %v", live)
	}
}

// A deletion is sent once, and awaited; so is a write.
func TestDeletionIsSentOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.took()
	w.members[east].lagging = true
	w.remove(web)
	w.removeNamespace()
	w.settle()
	wantDiff(t, "writes before the informer shows the deletion", []string{"east delete deployments web"}, w.took())
	if w.objects[web] == nil {
		t.Error("the object was released before its copy was seen to be gone")
	}
	w.members[east].lagging = false
	w.settle()
	if w.objects[web] != nil {
		t.Error("the object is held although its copy is gone")
	}
	wantDiff(t, "writes", []string{"east delete namespaces " + hash}, w.took())
}

func TestWritesAreAwaited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.took()
	for name, change := range map[string]func(){
		"edit": func() { w.deployment(1, image("nginx:2")) },
		"drift": func() {
			w.edit(east, web, func(u *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(u.Object, int64(7), "spec", "replicas")
			})
			w.show()
		},
	} {
		w.members[east].lagging = false
		change()
		w.members[east].lagging = true
		for range 3 {
			w.c.Enqueue(web.Resource, web.Object)
			w.settle()
		}
		wantDiff(t, name+": writes before the informer shows the first", []string{"east force deployments web"}, w.took())
		w.members[east].lagging = false
		w.settle()
		wantDiff(t, name+": writes after it", []string(nil), w.took())
	}
	// What never shows is written again in the end.
	w.deployment(1, image("nginx:3"))
	w.members[east].lagging = true
	w.settle()
	w.took()
	w.wait(echoWait + time.Second)
	wantDiff(t, "writes when the first was lost", []string{"east force deployments web"}, w.took())
}

// An object whose first copy is on its way is not released before that copy shows and is gone.
func TestObjectIsHeldWhileItsCopyIsOnItsWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.members[east].lagging = true
	w.settle()
	w.remove(web)
	for range 3 {
		w.settle()
		w.c.Enqueue(web.Resource, web.Object)
	}
	if w.objects[web] == nil {
		t.Fatal("the object was released while its copy was on its way")
	}
	w.members[east].lagging = false
	w.wait(time.Minute)
	if w.objects[web] != nil || w.copy(east, web) != nil {
		t.Error("the object or its copy is still there")
	}
}

func TestTaskThatWaitsIsTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.reconcile(web) // marks it
	w.queued()
	w.reconcile(web)
	w.remove(web)
	w.settle()
	wantDiff(t, "deployment writes", false, strings.Contains(strings.Join(w.took(), " "), "apply"))
	if w.objects[web] != nil {
		t.Error("the object is held")
	}
}
