// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// The tests of this file let something change between a pass's look and what it notes of it: nobody tells again.

// settingsOnly is a world in which a ConfigMap is placed, which is not marked, so that no event of its own comes after.
func settingsOnly(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.selects = func(*tmcv1alpha1.Placement, schema.GroupResource, *unstructured.Unstructured) bool { return true }
	w.settings("b")
	return w
}

// The registration is held after a pass saw that it is not, and before it tells that it waits for that.
func TestHoldThatComesDuringAPass(t *testing.T) {
	t.Parallel()
	w := settingsOnly(t)
	w.unheld[east] = true
	w.c.config.OnCopies = func(member workspace.Key) {
		if w.unheld[member] {
			delete(w.unheld, member)
			w.c.RegistrationChanged(member)
		}
	}
	w.place("all", "east")
	w.wait(24 * time.Hour)
	if w.copy(east, settings) == nil {
		t.Errorf("the copy is never made: %v", w.rows(settings))
	}
}

// heldInBetween are decisions that know of a hold from the second question on.
type heldInBetween struct {
	*world
	asked int
}

func (h *heldInBetween) Held(key workspace.Key) bool {
	if h.asked++; h.asked == 2 {
		delete(h.unheld, key)
	}
	return h.world.Held(key)
}

// Whoever sees first that the registration is held ends the wait of all.
func TestHoldThatAnotherPassSees(t *testing.T) {
	t.Parallel()
	w := settingsOnly(t)
	w.unheld[east] = true
	w.place("all", "east")
	w.settle() // it waits
	other := settings
	other.Object.Name = "other"
	w.put(other, "ConfigMap", map[string]any{"data": map[string]any{"a": "b"}})
	w.c.config.Decisions = &heldInBetween{world: w}
	for _, key := range w.queued() {
		w.reconcile(key)
	}
	w.c.RegistrationChanged(east)
	w.wait(24 * time.Hour)
	if w.copy(east, settings) == nil || w.copy(east, other) == nil {
		t.Errorf("a copy is never made: %v, %v", w.rows(settings), w.rows(other))
	}
}

// readInBetween is a member whose copies have been read right after it was asked.
type readInBetween struct {
	downstream
	told bool
}

func (r *readInBetween) Synced(key workspace.Key, gvr schema.GroupVersionResource) bool {
	was := r.downstream.Synced(key, gvr)
	if !was && !r.told {
		r.told = true
		r.members[key].unread[gvr] = false
		r.c.EnqueueMember(key) // as the fleet tells
	}
	return was
}

func TestMemberThatIsReadDuringAPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "west")
	w.wait(time.Minute)
	w.members[east].unread[deploymentsGR.WithVersion("v1")] = true
	w.c.config.Downstream = &readInBetween{downstream: downstream{w}}
	w.place("all", "west", "east")
	w.wait(24 * time.Hour)
	if w.copy(east, web) == nil {
		t.Errorf("the copy is never made: %v", w.rows(web))
	}
}

// A registration is deleted whose member is being left already, for one that does not get healthy.
func TestMemberThatIsTakenAwayWhileItIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.place("all", "(east)", "west")
	w.wait(time.Minute)
	if w.copy(east, web) == nil {
		t.Fatal("the copy left before it was replaced")
	}
	w.retiring[east] = w.clock.Now()
	w.c.RegistrationChanged(east)
	w.wait(DefaultDetachAfter)
	if w.copy(east, web) != nil {
		t.Error("the copy stays on a member that is taken away")
	}
}

// The lease comes back while a lane drops what it had from before: it must not drop what is handed in then.
func TestLanesAskWhoLeadsAndTakeTheTaskAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	for _, key := range w.queued() {
		w.reconcile(key)
	}
	at, found := w.c.lanes.find(east)
	if !found {
		t.Fatal("nothing was handed in")
	}
	w.c.lanes.may = func() bool {
		if at.mu.TryLock() {
			at.mu.Unlock()
			t.Error("a task can be handed in between the question and what is made of the answer")
		}
		return true
	}
	w.wait(time.Minute)
	if w.copy(east, web) == nil {
		t.Errorf("the copy is not made: %v", w.rows(web))
	}
}

// Another cluster answers under the member's name: the fleet tells of the member, and not of each object that is gone.
func TestNamespaceOfAnotherClusterIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.wait(time.Minute)
	clear(w.members[east].truth)
	clear(w.members[east].seen)
	w.place("all", "west")
	w.c.EnqueueMember(east)
	w.wait(time.Minute)
	w.run(west, web)
	w.wait(time.Hour)
	if copies, _ := w.c.On(east); copies != 0 {
		t.Errorf("%d copies are counted on a member that has none: %v", copies, w.c.states.copiesOn(east))
	}
}

// While not everything was read, an object that was placed once is looked at again, even if no copy of it is known.
func TestMarkedObjectIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.change(web, func(u *unstructured.Unstructured) { u.SetFinalizers([]string{tmcv1alpha1.SyncFinalizer}) })
	w.uncertain[deploymentsGR] = true
	w.settle()
	w.uncertain[deploymentsGR] = false
	w.wait(time.Minute)
	if left := w.objects[web].GetFinalizers(); len(left) > 0 {
		t.Errorf("it keeps the finalizers %v, and nothing places it", left)
	}
}
