// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func (w *world) settings(value string) {
	w.put(settings, "ConfigMap", map[string]any{"data": map[string]any{"a": value}})
}

// What a workload refers to is there before it, follows it, and leaves with it.
func TestDependenciesComeFirstAndLeaveLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings("b")
	w.deployment(1, withSettings(image("nginx")))
	w.place("all", "east")
	w.settle()
	writes := w.took()
	config, workload := slices.Index(writes, "east apply configmaps settings"), slices.Index(writes, "east apply deployments web")
	if config < 0 || workload < config {
		t.Errorf("the writes are %q", writes)
	}
	wantDiff(t, "owner of the rows", all, w.c.states.rows[settings][0].Owner)

	w.settings("c")
	w.wait(time.Second)
	wantDiff(t, "writes of an edit", []string{"east force configmaps settings"}, w.took())

	// It follows to another member before it leaves the first.
	w.run(east, web)
	w.place("all", "(east)", "west")
	w.wait(time.Second)
	if w.copy(west, settings) == nil || w.copy(east, settings) == nil {
		t.Fatal("both members need it now")
	}
	w.run(west, web)
	w.wait(time.Minute)
	w.place("all", "west") // as decided once nothing is left there
	w.wait(time.Minute)
	if w.copy(east, web) != nil || w.copy(east, settings) != nil {
		t.Error("something is left on the former member")
	}

	// It goes once nobody needs it.
	w.deployment(1, image("nginx"))
	w.wait(time.Minute)
	if w.copy(west, settings) != nil || w.copy(west, web) == nil {
		t.Error("it is not what is needed")
	}
	wantDiff(t, "needs", 0, len(w.c.states.needs)+len(w.c.states.neededBy))
}

// The informer may show the dependency long after the write has ended.
func TestWorkloadIsNotForgottenWhileItWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings("b")
	w.deployment(1, withSettings(image("nginx")))
	w.place("all", "east")
	w.members[east].lagging = true
	w.settle()
	if w.copy(east, settings) == nil || w.copy(east, web) != nil {
		t.Fatal("the dependency does not come first")
	}
	wantDiff(t, "rows", []string{"east False Progressing Syncing"}, w.rows(web))
	w.members[east].lagging = false
	w.settle()
	if w.copy(east, web) == nil {
		t.Error("nobody noticed that the dependency is there")
	}
}

// A workload that is gone without a farewell leaves nothing behind that only it needed.
func TestDependenciesOfWhatIsGoneLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings("b")
	w.deployment(1, withSettings(image("nginx")))
	w.place("all", "east")
	w.settle()
	delete(w.objects, web)
	w.c.Enqueue(web.Resource, web.Object)
	w.wait(time.Minute)
	for _, key := range []Key{web, settings} {
		if w.copy(east, key) != nil {
			t.Errorf("%s is left behind", key)
		}
	}
}

func TestDependenciesThatAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*world){
		"not in the workspace":        func(*world) {},
		"never synced":                func(w *world) { w.settings("b"); w.objects[settings].SetName("kube-root-ca.crt") },
		"of a kind that is not known": func(w *world) { w.settings("b"); delete(w.kinds, configmapsGR) },
		"member does not show them":   func(w *world) { w.settings("b"); w.members[east].missing[configmapsGR] = "no right to list configmaps" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			prepare(w)
			w.deployment(1, withSettings(image("nginx")))
			w.place("all", "east")
			w.wait(time.Second)
			if w.copy(east, web) == nil {
				t.Errorf("it is not on the member: %v", w.rows(web))
			}
		})
	}
}

func TestKindThatAMemberLacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.members[east].missing[deploymentsGR] = "no right to create deployments"
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.wait(time.Minute)
	wantDiff(t, "rows", []string{"east False Unknown APIMissing"}, w.rows(web))
	wantDiff(t, "writes", []string(nil), w.took())
	wantDiff(t, "events", 1, len(w.events))
	if _, certain := w.c.On(east); !certain {
		t.Error("what a member cannot have is waited for")
	}
	delete(w.members[east].missing, deploymentsGR)
	w.c.EnqueueMember(east)
	w.wait(time.Minute)
	if w.copy(east, web) == nil {
		t.Error("it is not on the member that has the kind now")
	}
	w.members[east].unread[deploymentsGR.WithVersion("v1")] = true
	w.c.Enqueue(web.Resource, web.Object)
	w.settle()
	wantDiff(t, "rows", []string{"east Unknown Progressing Syncing"}, w.rows(web))
	if _, certain := w.c.On(east); certain {
		t.Error("the member's copies are known although they are being read")
	}
}

func autoscaler(w *world, scales string) Key {
	key := Key{Resource: autoscalers(), Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "hpa"}}
	w.put(key, "HorizontalPodAutoscaler", map[string]any{"spec": map[string]any{"scaleTargetRef": map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "name": scales,
	}}})
	return key
}

func replicasOn(w *world, member workspace.Key) int64 {
	replicas, _, _ := unstructured.NestedInt64(w.copy(member, web).Object, "spec", "replicas")
	return replicas
}

func scaleTo(replicas int64) func(*unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, replicas, "spec", "replicas")
	}
}

// The replicas of what an autoscaler scales are what it made of them, until it is gone or scales something else.
func TestReplicasUnderAnAutoscalerAreKept(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*world, Key){
		"gone":                  func(w *world, hpa Key) { delete(w.objects, hpa); w.c.Enqueue(hpa.Resource, hpa.Object) },
		"scales something else": func(w *world, _ Key) { autoscaler(w, "other") },
		"placed no more": func(w *world, _ Key) {
			w.selects = func(_ *tmcv1alpha1.Placement, gr schema.GroupResource, _ *unstructured.Unstructured) bool {
				return gr == deploymentsGR
			}
			w.c.EnqueueAll()
		},
		"scales nothing": func(w *world, hpa Key) { w.put(hpa, "", map[string]any{"spec": "nothing"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			hpa := autoscaler(w, "web")
			w.deployment(2, image("nginx"))
			w.place("all", "east")
			w.settle()
			wantDiff(t, "replicas at first", int64(2), replicasOn(w, east))
			w.edit(east, web, scaleTo(9))
			w.took()
			w.wait(time.Minute)
			wantDiff(t, "writes after it was scaled", []string(nil), w.took())
			w.deployment(3, image("nginx:2"))
			w.wait(time.Minute)
			wantDiff(t, "writes of an edit", []string{"east force deployments web"}, w.took())
			wantDiff(t, "replicas after an edit", int64(9), replicasOn(w, east))
			end(w, hpa)
			w.wait(time.Minute)
			wantDiff(t, "replicas without the autoscaler", int64(3), replicasOn(w, east))
		})
	}
}

func TestReplicasAreDivided(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(7, image("nginx"))
	p := w.place("all", "east", "west")
	p.Spec.ReplicaScheduling = &tmcv1alpha1.ReplicaScheduling{Type: tmcv1alpha1.ReplicasDivided}
	w.settle()
	if a, b := replicasOn(w, east), replicasOn(w, west); a+b != 7 || a < 3 || b < 3 {
		t.Errorf("the members run %d and %d", a, b)
	}
	w.run(east, web)
	w.run(west, web)
	w.wait(time.Second)
	replicas, _, _ := unstructured.NestedInt64(w.objects[web].Object, "status", "readyReplicas")
	wantDiff(t, "ready", int64(7), replicas)
	wantDiff(t, "replicas that were made", []any{int32(7), true}, func() []any {
		a, found := w.c.Replicas(east, deploymentsGR, web.Object)
		b, _ := w.c.Replicas(west, deploymentsGR, web.Object)
		return []any{a + b, found}
	}())
	// Without a number Kubernetes takes one, and so do we; nonsense is none of ours.
	for _, spec := range []map[string]any{{}, {"replicas": "many"}, {"replicas": int64(-5)}} {
		w.put(web, "Deployment", map[string]any{"spec": spec})
		w.wait(time.Second)
	}
}

// Weights that leave no replica a place contradict what is asked for: they are said, and stop nothing.
func TestReplicasWithoutAPlaceKeepWhatRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(7, image("nginx"))
	p := w.place("all", "east", "west")
	weights := func(weight, most int32) *tmcv1alpha1.ReplicaScheduling {
		entry := tmcv1alpha1.ClusterWeight{ClusterNames: []string{"east", "west"}, Weight: &weight}
		if most > 0 {
			entry.MaxReplicas = &most
		}
		return &tmcv1alpha1.ReplicaScheduling{Type: tmcv1alpha1.ReplicasDivided, Weights: []tmcv1alpha1.ClusterWeight{entry}}
	}
	replicas := func() []int64 { return []int64{replicasOn(w, east), replicasOn(w, west)} }
	p.Spec.ReplicaScheduling = weights(1, 2)
	w.settle()
	wantDiff(t, "replicas within the bounds", []int64{2, 2}, replicas())
	p.Spec.ReplicaScheduling = weights(0, 0)
	w.took()
	for range 2 {
		w.c.EnqueueAll()
		w.settle()
		wantDiff(t, "replicas without a place", []int64{2, 2}, replicas())
		if writes := w.took(); len(writes) > 0 {
			t.Errorf("there was %v", writes)
		}
		w.restart()
		w.show() // members are read before anything is written to them
	}
	w.deployment(7, image("nginx:2"))
	w.wait(time.Second)
	wantDiff(t, "replicas after an edit", []int64{2, 2}, replicas())
	if containers, _, _ := unstructured.NestedSlice(w.copy(east, web).Object, "spec", "template", "spec", "containers"); containers[0].(map[string]any)["image"] != "nginx:2" {
		t.Errorf("the edit did not arrive: %v", containers)
	}
	p.Spec.ReplicaScheduling = weights(1, 0)
	w.c.EnqueueAll()
	w.settle()
	if got := replicas(); got[0]+got[1] != 7 {
		t.Errorf("with a place again the members run %v", got)
	}
}

// What has no place from the start is made without replicas.
func TestReplicasWithoutAPlaceStartNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(7, image("nginx"))
	p := w.place("all", "east")
	p.Spec.ReplicaScheduling = &tmcv1alpha1.ReplicaScheduling{
		Type: tmcv1alpha1.ReplicasDivided, Weights: []tmcv1alpha1.ClusterWeight{{ClusterNames: []string{"east"}, Weight: new(int32)}},
	}
	w.settle()
	wantDiff(t, "replicas", int64(0), replicasOn(w, east))
}

func TestReplicasOfOtherKinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, found := w.c.Replicas(east, schema.GroupResource{Resource: "unknown"}, web.Object); found {
		t.Error("a kind that nobody knows has replicas")
	}
	if _, found := w.c.Replicas(east, deploymentsGR, web.Object); found {
		t.Error("what is not there has replicas")
	}
	for name, tc := range map[string]struct {
		gr     schema.GroupResource
		status any
		want   int32
	}{
		"job":              {gr: jobsGR, status: map[string]any{"active": int64(1), "succeeded": int64(2), "failed": int64(4), "replicas": int64(8)}, want: 7},
		"daemon set":       {gr: schema.GroupResource{Group: "apps", Resource: "daemonsets"}, status: map[string]any{"currentNumberScheduled": int64(5)}, want: 5},
		"too many":         {gr: jobsGR, status: map[string]any{"active": int64(1 << 60), "succeeded": int64(1 << 60), "failed": int64(1 << 60)}, want: 1 << 30},
		"fewer than none":  {gr: deploymentsGR, status: map[string]any{"replicas": int64(-9)}},
		"no number":        {gr: deploymentsGR, status: map[string]any{"replicas": "x"}},
		"no map":           {gr: deploymentsGR, status: []any{}},
		"nothing was told": {gr: deploymentsGR},
	} {
		if got := made(tc.gr, &unstructured.Unstructured{Object: map[string]any{"status": tc.status}}); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

// A status is written at most once per interval, and the last one is.
func TestStatusIsWrittenOncePerInterval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.wait(time.Second)
	w.tookPatches()
	for i := range 50 {
		w.edit(east, web, func(u *unstructured.Unstructured) {
			u.Object["status"] = map[string]any{"observedGeneration": int64(1), "replicas": int64(i)}
		})
		w.wait(DefaultStatusInterval / 10)
	}
	if got := len(w.tookPatches()); got < 3 || got > 6 {
		t.Errorf("the status was written %d times in five intervals", got)
	}
	w.wait(time.Second)
	replicas, _, _ := unstructured.NestedInt64(w.objects[web].Object, "status", "replicas")
	wantDiff(t, "replicas", int64(49), replicas)
}

func TestStatusThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		fails bool
	}{
		"gone":        {err: apierrors.NewNotFound(deploymentsGR, "web")},
		"conflict":    {err: apierrors.NewConflict(deploymentsGR, "web", errors.New("x"))},
		"kcp is away": {err: errors.New("away"), fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(1, image("nginx"))
			w.place("all", "east")
			w.settle()
			w.wait(time.Second)
			w.run(east, web)
			w.show()
			w.queued()
			w.patchErr = tc.err
			if _, err := w.c.Reconcile(t.Context(), web); (err != nil) != tc.fails {
				t.Errorf("got error %v", err)
			}
			w.patchErr = nil
			w.wait(time.Second)
			w.c.Enqueue(web.Resource, web.Object)
			w.wait(time.Second)
			ready, _, _ := unstructured.NestedInt64(w.objects[web].Object, "status", "readyReplicas")
			wantDiff(t, "ready in the end", int64(1), ready)
		})
	}
}

// What was written last counts while what is stored does not show it yet.
func TestStatusIsNotWrittenTwiceWhileKCPIsBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.wait(time.Second)
	w.stale[web] = w.objects[web]
	w.run(east, web)
	w.tookPatches()
	w.wait(time.Minute)
	for range 3 {
		w.c.Enqueue(web.Resource, web.Object)
		w.wait(time.Second)
	}
	if got := w.tookPatches(); len(got) != 1 || !strings.HasPrefix(got[0], "status ") {
		t.Errorf("the patches are %q", got)
	}
	delete(w.stale, web)
	w.c.Enqueue(web.Resource, web.Object)
	w.wait(time.Minute)
	wantDiff(t, "patches afterwards", []string(nil), w.tookPatches())
}

// suspension.dispatching keeps members as they are; status goes on coming back, and what is deleted is deleted.
func TestSuspendedDispatching(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	p := w.place("all", "east")
	w.settle()
	p.Spec.Suspension = &tmcv1alpha1.Suspension{Dispatching: true}
	w.took()
	w.deployment(1, image("nginx:2"))
	fresh := Key{Resource: deploymentsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "fresh"}}
	w.put(fresh, "Deployment", map[string]any{"spec": map[string]any{}})
	w.run(east, web)
	w.wait(time.Minute)
	wantDiff(t, "writes", []string(nil), w.took())
	if len(w.objects[fresh].GetFinalizers()) != 0 {
		t.Error("an object is held for nothing")
	}
	ready, _, _ := unstructured.NestedInt64(w.objects[web].Object, "status", "readyReplicas")
	wantDiff(t, "ready", int64(1), ready)
	p.Spec.Suspension = nil
	w.c.EnqueuePlacement(all)
	w.wait(time.Minute)
	wantDiff(t, "writes when it ends", true, slices.Contains(w.took(), "east force deployments web") && w.copy(east, fresh) != nil)
	p.Spec.Suspension = &tmcv1alpha1.Suspension{Dispatching: true}
	w.remove(web)
	w.wait(time.Minute)
	if w.objects[web] != nil || w.copy(east, web) != nil {
		t.Error("a deleted object stays")
	}
}

// What follows a suspended Placement's workloads is suspended with them.
func TestSuspendedDispatchingHoldsDependencies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings("b")
	w.deployment(1, withSettings(image("nginx")))
	p := w.place("all", "east")
	w.settle()
	p.Spec.Suspension = &tmcv1alpha1.Suspension{Dispatching: true}
	w.c.EnqueuePlacement(all)
	w.settle()
	w.took()
	w.settings("c")
	w.wait(time.Minute)
	wantDiff(t, "writes", []string(nil), w.took())
	p.Spec.Suspension = nil
	w.c.EnqueuePlacement(all)
	w.wait(time.Minute)
	wantDiff(t, "writes when it ends", []string{"east force configmaps settings"}, w.took())
}

// Only the leader writes, and a new one does what was left.
func TestOnlyTheLeaderWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.follower = true
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.wait(time.Minute)
	wantDiff(t, "writes", 0, len(w.took())+len(w.tookPatches())+len(w.events))
	w.follower = false
	w.c.EnqueueAll()
	w.settle()
	if w.copy(east, web) == nil {
		t.Fatal("the new leader did nothing")
	}
	w.follower = true
	w.took()
	w.tookPatches()
	w.run(east, web)
	w.remove(web)
	w.removeNamespace()
	w.wait(time.Hour)
	wantDiff(t, "writes", 0, len(w.took())+len(w.tookPatches())+len(w.events))
	wantDiff(t, "rows", 1, len(w.rows(web)))
	w.follower = false
	w.c.EnqueueAll()
	w.wait(time.Minute)
	if w.objects[web] != nil || w.copy(east, shop) != nil {
		t.Error("something is left")
	}
}

// FLT-21: a workspace that gives up its binding gets nothing back any more, and is left clean.
func TestFLT21LeavingWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings("b")
	w.deployment(1, withSettings(image("nginx")))
	w.place("all", "east")
	w.settle()
	w.change(web, func(u *unstructured.Unstructured) { u.SetFinalizers(append(u.GetFinalizers(), "example.com/theirs")) })
	w.settle()
	w.wait(time.Second)
	w.leaving = true
	w.edit(east, web, func(u *unstructured.Unstructured) { u.Object["status"] = map[string]any{"replicas": int64(3)} })
	w.tookPatches()
	w.c.EnqueueWorkspace("acme")
	w.wait(time.Minute)
	for _, key := range []Key{web, settings, shop} {
		if w.copy(east, key) != nil {
			t.Errorf("%s is left on the member", key)
		}
	}
	wantDiff(t, "finalizers", []string{"example.com/theirs"}, w.objects[web].GetFinalizers())
	for _, patch := range w.tookPatches() {
		if strings.HasPrefix(patch, "status") {
			t.Errorf("a leaving workspace got %s", patch)
		}
	}
	wantDiff(t, "events", 0, len(w.events))
	if _, has := w.objects[web].GetAnnotations()[tmcv1alpha1.PlacedByAnnotation]; has {
		t.Error("the annotation is left")
	}
}

// An object that no Placement selects any more is released.
func TestObjectThatIsNotSelectedAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.placements = nil
	w.c.EnqueuePlacement(all)
	w.wait(time.Minute)
	if w.copy(east, web) != nil || len(w.objects[web].GetFinalizers()) != 0 {
		t.Error("it is still there, or held")
	}
	wantDiff(t, "rows", 0, len(w.c.states.rows)+len(w.c.states.byPlacement))
	if w.progress[all] == 0 {
		t.Error("nobody was told")
	}
}

// Of objects that are gone nothing is remembered.
func TestNothingIsRememberedOfWhatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings("b")
	w.deployment(1, withSettings(image("nginx")))
	hpa := autoscaler(w, "web")
	w.place("all", "east", "west")
	w.settle()
	w.run(east, web)
	w.wait(time.Second)
	for _, key := range []Key{hpa, web} {
		w.remove(key)
	}
	delete(w.objects, settings)
	w.c.Enqueue(settings.Resource, settings.Object)
	w.removeNamespace()
	w.wait(time.Minute)
	s := w.c.states
	for name, left := range map[string]int{
		"objects": len(s.objects), "outcomes": len(s.outcomes), "rows": len(s.rows), "placedBy": len(s.placedBy), "byPlacement": len(s.byPlacement),
		"located": len(s.located), "counts": len(s.counts), "needs": len(s.needs), "neededBy": len(s.neededBy), "reach": len(s.reach),
		"heard": len(s.heard), "scaled": len(s.scaled), "looked": len(s.looked),
	} {
		if left != 0 {
			t.Errorf("%s has %d entries", name, left)
		}
	}
}

// A member whose registration is gone is out of reach: what was there is not waited for, and nothing of it is kept.
func TestRemovedMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east", "west")
	w.settle()
	wantDiff(t, "told of first copies", map[workspace.Key]int{east: 1, west: 1}, w.copies)
	live := w.copy(east, web)
	delete(w.members, east)
	w.unregistered[east] = true
	w.c.RemoveMember(east)
	// Its watches and writes end later than its registration, and who sees it is found out later.
	w.c.EnqueueCopy(east, deploymentsGR.WithVersion("v1"), live, false)
	w.c.wrote(east, web, outcome{task: task{at: w.at(web), desired: live, hash: "late"}, live: live})
	w.c.EnqueueNamespace("acme", "shop")
	w.wait(time.Minute)
	delete(w.names, "east")
	w.place("all", "west")
	w.wait(time.Minute)
	if copies, _ := w.c.On(east); copies != 0 {
		t.Errorf("it has %d copies", copies)
	}
	if _, has := w.c.lanes.all[east]; has {
		t.Error("it has a lane")
	}
	w.remove(web)
	w.wait(time.Minute)
	if w.objects[web] != nil {
		t.Error("the object is held by a member that is gone")
	}
	w.c.RemoveMember(east) // once more
}

func TestNamespaceThatIsBeingRemovedIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	home := transform.Namespace("acme", "", "shop", "")
	now := metav1.NewTime(w.clock.Now())
	home.SetDeletionTimestamp(&now)
	home.SetResourceVersion("1")
	w.members[east].truth[w.at(shop)] = home
	w.place("all", "east")
	w.wait(time.Second / 2)
	wantDiff(t, "rows", []string{"east False Progressing Syncing"}, w.rows(web))
	delete(w.members[east].truth, w.at(shop))
	w.wait(time.Minute)
	if w.copy(east, web) == nil {
		t.Error("it is not on the member")
	}
	wantDiff(t, "events", 0, len(w.events))
}

// Namespaces go only when they are empty, are ours, and it is certain.
func TestNamespaceStaysWhileItIsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.took()
	for range 3 {
		w.c.EnqueueNamespace("acme", "shop")
		w.wait(time.Minute)
	}
	wantDiff(t, "writes", []string(nil), w.took())
	w.members[east].refuse = func(_ string, at Location) error {
		if at.Resource == namespaces() {
			return &CallProblem{Reason: tmcv1alpha1.ReasonMemberForbidden}
		}
		return nil
	}
	w.remove(web)
	w.removeNamespace()
	w.wait(10 * time.Minute)
	if tries := len(w.took()); tries < 3 || tries > 25 {
		t.Errorf("there were %d tries", tries)
	}
	w.members[east].refuse = nil
	w.wait(10 * time.Minute)
	if w.copy(east, shop) != nil {
		t.Error("the namespace is left")
	}
}

// Weird content makes no panic, and reaches no member.
func TestHostileContent(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]map[string]any{
		"spec is text":             {"spec": "x"},
		"spec is a list":           {"spec": []any{map[string]any{}}},
		"replicas are text":        {"spec": map[string]any{"replicas": "x"}},
		"replicas are a fraction":  {"spec": map[string]any{"replicas": 1.5}},
		"replicas are huge":        {"spec": map[string]any{"replicas": int64(1) << 62}},
		"status is a list":         {"spec": map[string]any{}, "status": []any{"x"}},
		"status holds other types": {"spec": map[string]any{}, "status": map[string]any{"conditions": "x", "replicas": []any{}, "observedGeneration": "y"}},
		"template is a number":     {"spec": map[string]any{"template": int64(4)}},
		"deeply nested":            {"spec": deep(500)},
		"no kind":                  {"kind": "", "spec": map[string]any{}},
		"volumes that refer to ..": {"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"volumes": []any{map[string]any{"configMap": map[string]any{"name": "../../x"}}}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.put(web, "Deployment", content)
			w.place("all", "east")
			w.wait(time.Second)
			if live := w.copy(east, web); live != nil {
				w.edit(east, web, func(u *unstructured.Unstructured) { u.Object["status"], u.Object["spec"] = content["status"], "x" })
				w.wait(time.Second)
			}
			w.remove(web)
			w.wait(time.Minute)
			if w.objects[web] != nil {
				t.Error("the object is held")
			}
		})
	}
}

func deep(levels int) any {
	value := any("x")
	for range levels {
		value = map[string]any{"a": value}
	}
	return value
}

func TestDifference(t *testing.T) {
	t.Parallel()
	before := map[string]any{"same": int64(1), "gone": "x", "inner": map[string]any{"a": "1", "b": "2"}, "list": []any{"a"}, "type": map[string]any{"a": "b"}}
	after := map[string]any{"same": int64(1), "new": "y", "inner": map[string]any{"a": "1", "b": "3"}, "list": []any{"a", "b"}, "type": "text"}
	wantDiff(t, "patch", map[string]any{
		"gone": nil, "new": "y", "inner": map[string]any{"b": "3"}, "list": []any{"a", "b"}, "type": "text",
	}, difference(before, after))
	wantDiff(t, "patch of nothing", map[string]any{}, difference(after, after))
}

func TestSummary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	row := func(cluster string, synced metav1.ConditionStatus, health tmcv1alpha1.Health, reason string, leaving bool) Row {
		return Row{Cluster: cluster, Member: workspace.Key{Workspace: "acme", Name: cluster}, Owner: all, Leaving: leaving, Object: tmcv1alpha1.PlacedObject{Kind: "Deployment", Name: "web", Synced: synced, Health: health, Reason: reason, Message: reason + " it is."}}
	}
	w.c.states.publish(web, all, []Row{
		row("a", metav1.ConditionTrue, tmcv1alpha1.HealthHealthy, "", false),
		row("b", metav1.ConditionTrue, tmcv1alpha1.HealthDegraded, "Broken", false),
		row("c", metav1.ConditionFalse, tmcv1alpha1.HealthProgressing, tmcv1alpha1.ReasonSyncing, false),
		row("d", metav1.ConditionFalse, tmcv1alpha1.HealthUnknown, tmcv1alpha1.ReasonMemberDenied, false),
		row("e", metav1.ConditionUnknown, tmcv1alpha1.HealthUnknown, tmcv1alpha1.ReasonDetachPending, true),
	})
	wantDiff(t, "summary", Summary{
		Desired: 4, Synced: 2, Ready: 1, Failed: 2, Reason: tmcv1alpha1.ReasonMemberDenied,
		Problem: "Deployment web on member d: MemberDenied it is", Degraded: "Deployment web on member b: Broken it is",
		Occupied: map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": true},
	}, w.c.Summary(all))
	w.c.states.publish(web, all, []Row{row("e", metav1.ConditionUnknown, tmcv1alpha1.HealthUnknown, tmcv1alpha1.ReasonDetachPending, true)})
	wantDiff(t, "problem", tmcv1alpha1.ReasonDetachPending, w.c.Summary(all).Reason)
	wantDiff(t, "rows", 1, len(w.c.Rows(all)[web]))
	if got := describe(&Row{Cluster: "a", Object: tmcv1alpha1.PlacedObject{Kind: "Job", Name: "x"}}); got != "Job x on member a" {
		t.Errorf("got %q", got)
	}
	away := row("e", metav1.ConditionUnknown, tmcv1alpha1.HealthUnknown, tmcv1alpha1.ReasonMemberUnreachable, false)
	w.c.states.publish(web, all, []Row{away})
	wantDiff(t, "away", "e", w.c.Summary(all).Away)
	if w.c.Len() != 0 {
		t.Error("something waits")
	}
	problem := problemOf(errors.New("secret detail"))
	if problem.Error() == "secret detail" || problem.Reason != tmcv1alpha1.ReasonApplyFailed {
		t.Errorf("a tenant is told %q", problem)
	}
	if got := web.String(); got != "deployments.apps acme|shop/web" {
		t.Errorf("got %q", got)
	}
}

// FLT-02: lanes with real workers. A member that hangs holds up nobody else, and the end waits for nothing for long.
func TestFLT02LanesKeepMembersApart(t *testing.T) {
	t.Parallel()
	const objects = 200
	u := &busy{world: newWorld(t), hang: make(chan struct{}), done: map[string]int{}}
	c := New(Config{Upstream: u, Downstream: u, Decisions: u, Leader: u, Workers: 4, WritesPerMember: 3})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	u.c = c
	var group gosync.WaitGroup
	for i := range objects {
		group.Go(func() {
			key := workspace.Key{Workspace: "acme", Namespace: "shop", Name: fmt.Sprint("web-", i)}
			for range 3 {
				c.Enqueue(deploymentsGR, key)
				c.EnqueueNamespace("acme", "shop")
				c.EnqueueMember(west)
			}
			c.EnqueueAll()
			c.EnqueueWorkspace("acme")
			c.On(east)
			c.Summary(all)
		})
	}
	group.Wait()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for u.applied("west") < objects {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("only %d writes went to the other member", u.applied("west"))
		}
	}
	if got := u.applied("east"); got != 0 {
		t.Errorf("%d writes went to the member that hangs", got)
	}
	c.RemoveMember(east)
	cancel()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
}

// busy is a world for many goroutines: every object is there, marked, and on no member; east hangs.
type busy struct {
	*world

	lock gosync.Mutex
	hang chan struct{}
	done map[string]int
}

func (b *busy) applied(member string) int {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.done[member]
}

func (b *busy) Find(gr schema.GroupResource, key workspace.Key) (*unstructured.Unstructured, bool) {
	if gr != deploymentsGR {
		return nil, false
	}
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "spec": map[string]any{}}}
	object.SetName(key.Name)
	object.SetNamespace(key.Namespace)
	object.SetUID("u")
	object.SetResourceVersion("1")
	object.SetFinalizers([]string{tmcv1alpha1.SyncFinalizer})
	object.SetAnnotations(map[string]string{tmcv1alpha1.PlacedByAnnotation: "all", logicalcluster.AnnotationKey: "acme"})
	return object, true
}

func (b *busy) InNamespace(schema.GroupResource, logicalcluster.Name, string) []*unstructured.Unstructured {
	return nil
}

func (b *busy) Accepts(*tmcv1alpha1.Placement, workspace.Key) bool { return true }

func (b *busy) PlacementOf(schema.GroupResource, *unstructured.Unstructured) (*tmcv1alpha1.Placement, bool) {
	p := &tmcv1alpha1.Placement{ObjectMeta: metav1.ObjectMeta{Name: "all", Namespace: "shop"}}
	p.Status.Decisions = decisions("east", "west")
	return p, true
}

func (b *busy) Copy(workspace.Key, Location) (*unstructured.Unstructured, bool)  { return nil, false }
func (b *busy) Synced(workspace.Key, schema.GroupVersionResource) bool           { return true }
func (b *busy) Reachable(workspace.Key) (answers, called bool)                   { return true, true }
func (b *busy) Missing(workspace.Key, schema.GroupResource) (string, bool)       { return "", false }
func (b *busy) Delete(context.Context, workspace.Key, Location, types.UID) error { return nil }

func (b *busy) Apply(_ context.Context, member workspace.Key, at Location, object *unstructured.Unstructured, _ bool) (*unstructured.Unstructured, error) {
	b.lock.Lock()
	b.done[member.Name]++
	b.lock.Unlock()
	b.c.EnqueueCopy(member, at.Resource, object, false)
	return object, nil
}

func (b *busy) Get(context.Context, workspace.Key, Location) (*unstructured.Unstructured, error) {
	return nil, notFound()
}

func (b *busy) Create(ctx context.Context, member workspace.Key, _ Location, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if member != east {
		return object, nil
	}
	select {
	case <-b.hang:
		return object, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A Job that has run is not run again because somebody cleaned up its copies.
func TestFinishedJobIsNotRunAgain(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"Complete", "Failed"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			job := Key{Resource: jobsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "once"}}
			w.put(job, "Job", map[string]any{"spec": map[string]any{}})
			w.place("all", "east")
			w.settle()
			condition := map[string]any{"type": end, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
			w.edit(east, job, func(u *unstructured.Unstructured) {
				u.Object["status"] = map[string]any{"succeeded": int64(1), "conditions": []any{condition}}
			})
			w.wait(time.Second)
			delete(w.members[east].truth, w.at(job))
			w.took()
			w.wait(time.Minute)
			wantDiff(t, "writes", []string(nil), w.took())
			wantDiff(t, "rows", []string{"east True Healthy"}, w.rows(job))
		})
	}
	// One that has not run is made anew.
	w := newWorld(t)
	job := Key{Resource: jobsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "once"}}
	w.put(job, "Job", map[string]any{"spec": map[string]any{}, "status": map[string]any{"conditions": []any{"x", map[string]any{"type": "Complete", "status": "False"}}}})
	w.place("all", "east")
	w.wait(time.Second)
	delete(w.members[east].truth, w.at(job))
	w.wait(time.Minute)
	if w.copy(east, job) == nil {
		t.Error("it is not on the member")
	}
}

// What another workspace lends no more is left, replaced or not; a member of one's own is not.
func TestMemberThatIsNotLentAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lent := w.placeOnLent()
	delete(w.names, "far")
	w.c.Enqueue(web.Resource, web.Object)
	w.wait(takeBackGrace - time.Second)
	if w.copy(lent, web) == nil {
		t.Fatal("the copy went at once")
	}
	w.names["far"] = lent
	w.c.Enqueue(web.Resource, web.Object)
	w.settle()
	delete(w.names, "far")
	w.c.Enqueue(web.Resource, web.Object)
	w.wait(takeBackGrace - time.Second)
	if w.copy(lent, web) == nil {
		t.Fatal("the time before it was lent again counts")
	}
	w.wait(time.Minute)
	if w.copy(lent, web) != nil {
		t.Error("the copy is still there")
	}
}

// While it is not known who lends what, as after a start beside a shard that does not answer, nothing is taken back.
func TestMemberOfWhichNobodyKnowsWhetherItIsLent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lent := w.placeOnLent()
	w.unlent = true
	delete(w.names, "far")
	w.c.Enqueue(web.Resource, web.Object)
	w.wait(time.Hour)
	if w.copy(lent, web) == nil {
		t.Fatal("the copy went")
	}
	w.unlent = false // nobody tells
	w.wait(takeBackGrace)
	if w.copy(lent, web) == nil {
		t.Fatal("the time in which it was not known counts")
	}
	w.wait(time.Minute)
	if w.copy(lent, web) != nil {
		t.Error("the copy is still there")
	}
}

// A forced detach may be asked for of all objects of a Placement.
func TestForcedDetachOfAPlacement(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	p := w.place("all", "east")
	w.settle()
	w.members[east].away = true
	w.remove(web)
	w.settle()
	p.Annotations[tmcv1alpha1.ForceDetachAnnotation] = tmcv1alpha1.ForceDetachValue
	w.c.EnqueuePlacement(all)
	w.settle()
	if w.objects[web] != nil {
		t.Error("the object is held")
	}
}
