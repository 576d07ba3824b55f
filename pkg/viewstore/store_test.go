// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func watchAll(t *testing.T, store *viewstore.Store, o viewstore.WatchOptions) watch.Interface {
	t.Helper()
	w, err := store.Watch(t.Context(), everything(acme), o)
	if err != nil {
		t.Fatalf("watching: %v", err)
	}
	return w
}

func TestEqualContentIsNoEvent(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	fill(store, acme, 1)
	before, _ := store.Get(workspace.Key{Workspace: acme, Name: "member-0000"})
	store.SetContent(source("member-0000"), status(0))
	store.SetEntries(source("member-0000"), []viewstore.Entry{entry(acme, "member-0000", "region", "r0")})
	after, _ := store.Get(workspace.Key{Workspace: acme, Name: "member-0000"})
	if before != after {
		t.Errorf("revision %d became %d, although nothing changed", before.Revision(), after.Revision())
	}
}

func TestANameBelongsToItsFirstSource(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	key := workspace.Key{Workspace: acme, Name: "shared"}
	for _, name := range []string{"one", "two"} {
		store.SetEntries(source(name), []viewstore.Entry{entry(acme, "shared")})
		store.SetContent(source(name), status(1))
	}
	if obj, _ := store.Get(key); obj == nil || obj.Source() != source("one") {
		t.Fatalf("the object shows %v, want the first source", obj)
	}
	store.DeleteSource(source("one"))
	if obj, _ := store.Get(key); obj == nil || obj.Source() != source("two") {
		t.Fatalf("the object shows %v, want the second source", obj)
	}
	store.DeleteSource(source("two"))
	if obj, found := store.Get(key); found {
		t.Errorf("the object shows %v, want none", obj.Source())
	}
}

func TestAnotherIdentityIsADeletionAndACreation(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	fill(store, acme, 1)
	w := watchAll(t, store, viewstore.WatchOptions{})
	next(t, w)
	again := entry(acme, "member-0000")
	again.UID = "another"
	store.SetEntries(source("member-0000"), []viewstore.Entry{again})
	if first, second := next(t, w), next(t, w); first.Type != watch.Deleted || second.Type != watch.Added {
		t.Errorf("events %s, %s; want DELETED, ADDED", first.Type, second.Type)
	}
}

func TestASlowWatcherGetsTheNewestState(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	fill(store, acme, 1)
	w := watchAll(t, store, viewstore.WatchOptions{})
	for i := range int64(1000) {
		store.SetContent(source("member-0000"), status(i+1))
	}
	newest, _ := store.Get(workspace.Key{Workspace: acme, Name: "member-0000"})
	for events := 1; ; events++ {
		obj, _ := next(t, w).Object.(*viewstore.Object)
		if obj.Revision() == newest.Revision() {
			if events > 30 {
				t.Errorf("it took %d events, want no more than wait for the handler", events)
			}
			return
		}
	}
}

func TestWatchesAreLimited(t *testing.T) {
	t.Parallel()
	store := newStore(t, func(o *viewstore.Options) { o.Limits = viewstore.Limits{Watchers: 3, WatchersPerWorkspace: 2} })
	first := watchAll(t, store, viewstore.WatchOptions{})
	watchAll(t, store, viewstore.WatchOptions{})
	if _, err := store.Watch(t.Context(), everything(acme), viewstore.WatchOptions{}); !apierrors.IsTooManyRequests(err) {
		t.Errorf("a third watch of the workspace: %v, want 429", err)
	}
	if _, err := store.Watch(t.Context(), everything(globex), viewstore.WatchOptions{}); err != nil {
		t.Errorf("a watch of another workspace: %v", err)
	}
	if _, err := store.Watch(t.Context(), everything("x"), viewstore.WatchOptions{}); !apierrors.IsTooManyRequests(err) {
		t.Errorf("a fourth watch: %v, want 429", err)
	}
	first.Stop()
	first.Stop()
	for range first.ResultChan() { // until it is closed
	}
	deadline := time.Now().Add(10 * time.Second)
	for store.Watches() > 2 && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	watchAll(t, store, viewstore.WatchOptions{})
}

func TestNothingStaysOfAWorkspaceThatHasNothing(t *testing.T) {
	t.Parallel()
	store := newStore(t, func(o *viewstore.Options) { o.Limits = viewstore.Limits{Tombstones: 1} })
	rev := list(t, store, everything(acme), viewstore.ListOptions{}).ResourceVersion
	fill(store, acme, 3)
	ctx, cancel := context.WithCancel(context.Background())
	w, err := store.Watch(ctx, everything(acme), viewstore.WatchOptions{})
	if err != nil {
		t.Fatalf("watching: %v", err)
	}
	for _, name := range []string{"member-0000", "member-0001", "member-0002"} {
		store.DeleteSource(source(name))
	}
	fill(store, globex, 1)
	store.DeleteSource(source(globex.String() + "-member-0000")) // its deletion pushes the last one of acme out
	cancel()
	for range w.ResultChan() { // until it is closed
	}
	deadline := time.Now().Add(10 * time.Second)
	for store.Tenants() > 1 && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	if tenants, graves := store.Tenants(), store.Graves(); tenants > 1 || graves > 1 {
		t.Errorf("%d workspaces and %d deletions are remembered, want one of each", tenants, graves)
	}
	if _, err := store.Watch(t.Context(), everything(acme), viewstore.WatchOptions{ResourceVersion: rev}); !apierrors.IsResourceExpired(err) {
		t.Errorf("resuming before the forgotten deletions: %v, want 410", err)
	}
}

func TestShutdownEndsWatchesAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	fill(store, acme, 1)
	w := watchAll(t, store, viewstore.WatchOptions{})
	all, err := store.Watch(t.Context(), everything(workspace.Wildcard), viewstore.WatchOptions{})
	if err != nil {
		t.Fatalf("watching: %v", err)
	}
	store.Shutdown()
	store.Shutdown()
	for _, watching := range []watch.Interface{w, all} {
		for range watching.ResultChan() { // until it is closed
		}
	}
	if _, err := store.Watch(t.Context(), everything(acme), viewstore.WatchOptions{}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("watching after the shutdown: %v, want 503", err)
	}
}

// TestEverythingAtOnce is for the race detector: publishers, readers and watchers of the same workspaces.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	store := newStore(t, func(o *viewstore.Options) {
		o.Limits = viewstore.Limits{BookmarkInterval: time.Millisecond, Tombstones: 20}
	})
	clients := population(t, store)
	var publishing, reading sync.WaitGroup
	for i := range 4 {
		publishing.Go(func() {
			for n := range int64(300) {
				src := source(string(rune('a' + i)))
				store.SetEntries(src, []viewstore.Entry{entry(acme, src.Name, "tier", string(rune('0'+n%3))), entry(globex, src.Name)})
				store.SetContent(src, status(n))
				if n%7 == 0 {
					store.DeleteSource(src)
				}
			}
		})
	}
	for _, c := range clients {
		c.relist()
		reading.Go(func() {
			for n := range 300 {
				c.read(4)
				store.Get(workspace.Key{Workspace: acme, Name: "a"})
				if n%50 == 49 {
					c.watch.Stop()
					c.relist()
				}
			}
		})
	}
	publishing.Wait()
	reading.Wait()
	for _, c := range clients {
		c.converge()
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*viewstore.Options){
		"no revisions": func(o *viewstore.Options) { o.Revisions = nil },
		"no kind":      func(o *viewstore.Options) { o.GVK = schema.GroupVersionKind{} },
		"no scheme":    func(o *viewstore.Options) { o.Scheme = nil },
		"no assemble":  func(o *viewstore.Options) { o.Assemble = nil },
		"no clock":     func(o *viewstore.Options) { o.Clock = nil },
	}
	for name, adjust := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			adjust(&o)
			if _, err := viewstore.New(o); err == nil {
				t.Error("the options were accepted")
			}
		})
	}
}

func TestAnObjectCannotBeChanged(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	fill(store, acme, 1)
	obj, _ := store.Get(workspace.Key{Workspace: acme, Name: "member-0000"})
	obj.SetName("x")
	obj.SetNamespace("x")
	obj.SetUID("x")
	obj.SetResourceVersion("1")
	obj.SetLabels(nil)
	obj.SetAnnotations(nil)
	obj.SetCreationTimestamp(metav1.Time{})
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	obj.GetLabels()["region"] = "changed"
	obj.GetAnnotations()["kcp.io/cluster"] = "changed"
	if obj.GetName() != "member-0000" || obj.GetUID() == "x" || obj.GetLabels()["region"] != "r0" || obj.GetAnnotations()["kcp.io/cluster"] != acme.String() ||
		obj.GetObjectKind().GroupVersionKind().Kind != "ClusterStatus" || obj.GetNamespace() != "" || obj.GetResourceVersion() == "1" {
		t.Errorf("a setter changed the shared object: %v", obj.GetObject())
	}
}

// A watch that is refused leaves nothing behind of a workspace that has nothing in the store.
func TestSEC20RefusedWatchesKeepNoWorkspace(t *testing.T) {
	t.Parallel()
	store := newStore(t, func(o *viewstore.Options) { o.Limits.Tombstones = 1 })
	fill(store, globex, 3)
	list, err := store.List(everything(globex), viewstore.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items { // deletions that are forgotten, so that older versions cannot be resumed from
		store.DeleteSource(item.Source())
	}
	fill(store, acme, 2)
	for _, name := range []string{"member-0000", "member-0001"} {
		store.DeleteSource(source(name))
	}
	before := store.Tenants()
	for i := range 100 {
		ws := logicalcluster.Name(fmt.Sprintf("nobody%d", i))
		if _, err := store.Watch(t.Context(), everything(ws), viewstore.WatchOptions{ResourceVersion: list.ResourceVersion}); !apierrors.IsResourceExpired(err) {
			t.Fatalf("watching from a forgotten version: %v, want 410", err)
		}
	}
	if after := store.Tenants(); after != before || store.Watches() != 0 {
		t.Errorf("%d workspaces in the store, want %d; %d watches open, want none", after, before, store.Watches())
	}
}
