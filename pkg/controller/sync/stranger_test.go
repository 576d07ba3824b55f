// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// forge puts what looks like a copy of an object onto a member, as the member's owner can.
func (w *world) forge(on workspace.Key, key Key) {
	w.t.Helper()
	source := w.objects[key]
	forged, err := transform.Down(source, transform.Target{Workspace: key.Object.Workspace})
	if err != nil {
		w.t.Fatal(err)
	}
	marks := forged.GetAnnotations()
	marks[transform.UIDAnnotation] = "guessed"
	forged.SetAnnotations(marks)
	m := w.members[on]
	for at, object := range map[Location]*unstructured.Unstructured{
		w.at(shop): transform.Namespace("acme", "", "shop", ""), w.at(key): forged,
	} {
		w.version++
		object.SetResourceVersion(fmt.Sprint(w.version))
		object.SetUID(types.UID(fmt.Sprint("forged-", w.version)))
		m.truth[at] = object
	}
}

// The owner of a member makes there what looks like a copy of another workspace's Deployment, so as to be given the
// configuration that it refers to, or to hold it. It makes no difference whether the member is lent to that workspace.
func TestSEC19ForgedCopyGetsNothing(t *testing.T) {
	t.Parallel()
	for name, lent := range map[string]bool{"a member that is not lent": false, "a member that is lent and not chosen": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			thief := workspace.Key{Workspace: "mallory", Name: "trap"}
			w.join(thief)
			if !lent {
				delete(w.names, "trap")
			}
			w.settings("secret")
			w.deployment(1, withSettings(image("nginx")))
			w.place("all", "east")
			w.settle()
			w.run(east, web)
			w.wait(time.Second)
			w.took()
			w.forge(thief, web)
			w.wait(time.Second)
			w.restart()
			w.wait(time.Minute)
			if w.copy(thief, settings) != nil {
				t.Error("the member was given the configuration")
			}
			for _, write := range w.took() {
				if write == "trap apply configmaps settings" || write == "trap force configmaps settings" {
					t.Errorf("it was sent: %s", write)
				}
			}
			wantDiff(t, "rows", []string{"east True Healthy"}, w.rows(web))
			if w.copy(thief, web) != nil {
				t.Error("the forged copy was not removed")
			}
		})
	}
}

// A forged copy that its member does not let go holds nothing of a workspace that does not have the member, or was lent it
// unasked.
func TestSEC19ForgedCopyHoldsNothing(t *testing.T) {
	t.Parallel()
	for name, lent := range map[string]bool{"a member that is not lent": false, "a member that is lent unasked": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forgedCopyHoldsNothing(t, lent)
		})
	}
}

func forgedCopyHoldsNothing(t *testing.T, lent bool) {
	t.Helper()
	w := newWorld(t)
	thief := workspace.Key{Workspace: "mallory", Name: "trap"}
	trap := w.join(thief)
	if !lent {
		delete(w.names, "trap")
	}
	trap.refuse = func(verb string, _ Location) error {
		if verb == "delete" {
			return &CallProblem{Reason: tmcv1alpha1.ReasonMemberDenied, Message: "no"}
		}
		return nil
	}
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.run(east, web)
	w.forge(thief, web)
	w.wait(time.Minute)
	wantDiff(t, "rows", []string{"east True Healthy"}, w.rows(web))
	w.placements = nil
	w.c.EnqueueAll()
	w.wait(time.Minute)
	if marked(w.objects[web]) || w.copy(east, web) != nil {
		t.Error("the object is held after its Placement went")
	}
	w.place("all", "east")
	w.wait(time.Minute)
	w.remove(web)
	w.wait(time.Second)
	if w.objects[web] != nil {
		t.Error("the object is held")
	}
}

// A decision names a member as the workspace does. Somebody else's member that has that name now gets nothing by it.
func TestSEC19NameOfAMemberIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	thief := workspace.Key{Workspace: "mallory", Name: "trap"}
	w.join(thief)
	delete(w.names, "trap")
	w.settings("secret")
	lent := workspace.Key{Workspace: "globex", Name: "far"}
	w.join(lent)
	w.deployment(1, withSettings(image("nginx")))
	w.place("all", "far")
	w.settle()
	if w.copy(lent, web) == nil {
		t.Fatal("it is not where it was placed")
	}
	w.names["far"] = thief
	w.c.EnqueueAll()
	w.wait(time.Hour)
	w.restart()
	w.wait(time.Hour)
	for at := range w.members[thief].truth {
		t.Errorf("the other member was given %v", at)
	}
	// What he makes there, and does not let go, holds nothing.
	w.members[thief].refuse = func(string, Location) error { return &CallProblem{Reason: tmcv1alpha1.ReasonMemberDenied} }
	for _, phase := range []string{"far", "(far)"} {
		w.place("all", phase)
		w.forge(thief, web)
		w.wait(time.Minute)
		wantDiff(t, "rows", []string(nil), w.rows(web))
	}
	w.remove(web)
	w.wait(time.Second)
	if w.objects[web] != nil {
		t.Error("the object is held")
	}
}

// Right after a start, or while a shard is read anew, it may not be known where a lender is, and so whether it is trusted.
func TestTrustThatIsNotKnownYetMovesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lent := workspace.Key{Workspace: "globex", Name: "far"}
	w.join(lent)
	w.settings("b")
	w.deployment(1, withSettings(image("nginx")))
	w.place("all", "east", "far")
	w.settle()
	for _, member := range []workspace.Key{east, lent} {
		w.run(member, web)
	}
	w.wait(time.Second)
	w.took()
	w.distrusts, w.unlent = true, true
	w.restart()
	w.show()
	w.reconcile(settings) // before what needs it
	w.work()
	w.c.EnqueueAll()
	w.wait(time.Hour)
	wantDiff(t, "writes while it is not known", []string(nil), w.took())
	w.unlent = false // and known not to be trusted
	w.c.EnqueueAll()
	w.wait(time.Hour)
	wantDiff(t, "writes before another decision", []string(nil), w.took())
	if !marked(w.objects[web]) || w.objects[web].Object["status"] == nil {
		t.Error("the object was let go")
	}
	w.place("all", "east", "(far)")
	w.wait(time.Hour)
	if w.copy(lent, web) != nil || w.copy(east, web) == nil {
		t.Error("it is to leave the member for the other one")
	}
}

// After a start nothing is known of what workloads on lent members need, which may be looked at before they are.
func TestRestartKeepsWhatIsNeededOnLentMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings("b")
	w.join(workspace.Key{Workspace: "globex", Name: "far"})
	w.deployment(1, withSettings(image("nginx")))
	w.place("all", "far")
	w.settle()
	w.restart()
	w.show()
	w.took()
	w.reconcile(settings)
	w.work()
	wantDiff(t, "writes", []string(nil), w.took())
}

// A chosen member of which it is not known who lends it has not replaced another one.
func TestMemberThatIsNotKnownToBeLentReplacesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "west")
	w.settle()
	w.run(west, web)
	w.place("all", "east", "far", "(west)")
	w.unlent = true
	w.settle()
	w.run(east, web)
	w.wait(time.Hour)
	if w.copy(west, web) == nil {
		t.Fatal("the former copy is gone")
	}
	w.unlent = false
	w.c.EnqueueAll()
	w.wait(time.Hour)
	if w.copy(west, web) != nil {
		t.Error("the former copy stays")
	}
}

// The owner of a member that is being left makes there what looks like a copy of what was never there.
func TestSEC19ForgedCopyOnAMemberThatIsBeingLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lent := w.placeOnLent()
	w.settings("secret")
	w.place("all", "(far)", "east")
	bank := Key{Resource: deploymentsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "bank"}}
	w.put(bank, "Deployment", map[string]any{"spec": map[string]any{"replicas": int64(1), "template": map[string]any{"spec": withSettings(image("nginx"))}}})
	w.settle()
	w.forge(lent, bank)
	w.wait(time.Hour)
	if w.copy(lent, settings) != nil {
		t.Error("the member was given the configuration")
	}
}

// What is left of a loan that ended before this process began is removed all the same.
func TestCopyOnAMemberThatIsLentNoMoreGoesAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lent := w.placeOnLent()
	delete(w.names, "far")
	w.place("all", "east")
	w.restart()
	w.wait(time.Minute)
	for _, key := range []Key{web, shop} {
		if w.copy(lent, key) != nil {
			t.Errorf("%s is left on the member", key)
		}
	}
}

// What the members made in a namespace, such as claims for volumes, stays as long as the workspace's namespace does.
func TestNamespaceStaysWithTheWorkspaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.placements = nil
	w.c.EnqueueAll()
	w.wait(time.Hour)
	if w.copy(east, web) != nil || w.copy(east, shop) == nil {
		t.Fatal("the copy is to go, and the namespace to stay")
	}
	w.restart()
	w.wait(time.Hour)
	if w.copy(east, shop) == nil {
		t.Fatal("the namespace went after a restart")
	}
	w.retiring[east] = w.clock.Now()
	w.c.RegistrationChanged(east)
	w.wait(time.Minute)
	if w.copy(east, shop) != nil {
		t.Error("the namespace stays although its member is being let go")
	}
}

// A deletion that waits is not carried out once the copy is wanted again; neither is an edit that was reverted.
func TestWhatWaitsIsTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east", "west")
	w.settle()
	for _, key := range []workspace.Key{east, west} {
		w.run(key, web)
	}
	w.wait(time.Second)
	w.took()
	w.place("all", "east", "(west)")
	w.reconcile(web) // hands out the deletion
	if !w.c.lanes.pending(west, web) {
		t.Fatal("no deletion waits")
	}
	w.place("all", "east", "west")
	w.reconcile(web)
	w.settle()
	wantDiff(t, "writes after the member was chosen again", []string(nil), w.took())

	w.deployment(1, image("broken"))
	w.reconcile(web)
	w.deployment(1, image("nginx"))
	w.reconcile(web)
	w.settle()
	wantDiff(t, "writes after the edit was reverted", []string(nil), w.took())

	w.deployment(1, image("broken"))
	w.reconcile(web)
	w.placements[0].Spec.Suspension = &tmcv1alpha1.Suspension{Dispatching: true}
	w.c.Enqueue(web.Resource, web.Object)
	w.settle()
	wantDiff(t, "writes after dispatching was suspended", []string(nil), w.took())
	if synced := w.c.states.rows[web][0].Object.Synced; synced == metav1.ConditionTrue {
		t.Error("what is held back counts as synced")
	}
}

// A namespace whose deletion waits stays if something is to be in it by then.
func TestNamespaceThatIsUsedAgainStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.remove(web)
	w.removeNamespace()
	for range 20 { // up to where the deletion of the namespace waits
		if w.c.lanes.pending(east, shop) {
			break
		}
		for _, key := range w.queued() {
			w.reconcile(key)
		}
		if !w.c.lanes.pending(east, shop) {
			w.work()
			w.show()
		}
	}
	if !w.c.lanes.pending(east, shop) {
		t.Fatal("no deletion waits")
	}
	w.homeless = false
	w.took()
	w.deployment(1, image("nginx"))
	w.reconcile(web)
	w.settle()
	wantDiff(t, "deletions", []string(nil), deletes(w.took()))
	if w.copy(east, web) == nil {
		t.Error("the copy was not made")
	}
}

// While a selector cannot be parsed that may have selected an object, its copies stay; what it needs is kept up to date.
func TestCopiesStayWhileItIsUnclearWhoseTheyAre(t *testing.T) {
	t.Parallel()
	w := running(t, 1, east)
	w.took()
	w.placements, w.unclear = nil, true
	w.c.EnqueueAll()
	w.wait(time.Hour)
	wantDiff(t, "writes", []string(nil), w.took())
	wantDiff(t, "rows", []string{"(east) Unknown Healthy Syncing"}, w.rows(web))
	if !marked(w.objects[web]) {
		t.Error("the finalizer is gone")
	}
	w.remove(web)
	w.wait(time.Minute)
	if w.objects[web] != nil {
		t.Error("it cannot be deleted")
	}
}

// What runs nowhere any more does not say that it runs, and what ran to its end goes on saying so.
func TestStatusEndsWithTheLastCopy(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*world){
		"Placement deleted": func(w *world) { w.placements = nil; w.c.EnqueueAll() },
		"selected no more": func(w *world) {
			w.selects = func(*tmcv1alpha1.Placement, schema.GroupResource, *unstructured.Unstructured) bool { return false }
			w.c.EnqueueAll()
		},
		"Placement deleted while the server was down": func(w *world) { w.placements = nil; w.restart() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(1, image("nginx"))
			job := Key{Resource: jobsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "once"}}
			w.put(job, "Job", map[string]any{"spec": map[string]any{}})
			w.place("all", "east", "west")
			w.settle()
			for _, member := range []workspace.Key{east, west} {
				w.run(member, web)
				w.edit(member, job, func(u *unstructured.Unstructured) {
					u.Object["status"] = map[string]any{"succeeded": int64(1), "conditions": []any{map[string]any{"type": "Complete", "status": "True"}}}
				})
			}
			w.wait(time.Minute)
			if status, _, _ := unstructured.NestedMap(w.objects[web].Object, "status"); len(status) == 0 {
				t.Fatal("it has no status")
			}
			end(w)
			w.wait(time.Hour)
			if status, has := w.objects[web].Object["status"]; has || marked(w.objects[web]) {
				t.Errorf("the finalizers are %v, and the status is %v", w.objects[web].GetFinalizers(), status)
			}
			if status, _, _ := unstructured.NestedMap(w.objects[job].Object, "status"); status["succeeded"] == nil {
				t.Errorf("the Job says %v", status)
			}
			w.tookPatches()
			w.c.EnqueueAll()
			w.wait(time.Hour)
			wantDiff(t, "patches later", []string(nil), w.tookPatches())
		})
	}
}
