// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// T8: a resource that is served, removed and quickly served again is followed all the same.
func TestT8ResourceThatIsBackAtOnceIsFollowed(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.set(at("a", deployments), deployment("one", "shop", "web"))
	var deleted atomic.Bool
	w := followWith(t, f, Config{RetireGrace: time.Minute}, func(w *Workloads) {
		w.AddHandler(func(resource schema.GroupResource, key workspace.Key) {
			synced := w.Synced(resource, key.Workspace)
			if _, found := w.Find(resource, key); !found && synced {
				deleted.Store(true)
			}
		})
	})
	eventually(t, "found", has(w, deploymentsGR, in("one", "shop", "web")))
	before := w.followedAt(f, "a", deploymentsGR)

	f.fail(at("a", deployments), http.StatusNotFound)
	f.offer("a", "v1/ConfigMap/configmaps")
	eventually(t, "discovery lost it", func() bool { return before.missing.Load() && w.lost(f, "a", deploymentsGR) })
	if !has(w, deploymentsGR, in("one", "shop", "web"))() || namesOf(w.Resources()) != "configmaps/v1 deployments.apps/v1" {
		t.Error("the last known objects are not kept")
	}
	f.fail(at("a", deployments), 0)
	f.offer("a", "apps/v1/Deployment/deployments", "v1/ConfigMap/configmaps")
	f.set(at("a", deployments), deployment("one", "shop", "new"))
	f.set(at("a", bindings), bound("two")) // what has it look at once
	eventually(t, "the new object is found", has(w, deploymentsGR, in("one", "shop", "new")))
	if deleted.Load() {
		t.Error("an object counts as deleted in between")
	}
	eventually(t, "it is read anew", func() bool { return w.followedAt(f, "a", deploymentsGR) != before })
	eventually(t, "synced", func() bool {
		return w.Synced(deploymentsGR, "one") && has(w, deploymentsGR, in("one", "shop", "new"))()
	})
	select {
	case <-before.done:
	default:
		t.Error("the one from before goes on")
	}
}

// followedAt and lost look at one resource of one shard.
func (w *Workloads) followedAt(f *fakeKCP, shard string, resource schema.GroupResource) *followed {
	w.state.RLock()
	defer w.state.RUnlock()
	if at := w.shards[f.URL+"/"+shard]; at != nil {
		return at.following[resource]
	}
	return nil
}

// lost reports whether a look has ended that did not find the resource: the newest look asked for all groups.
func (w *Workloads) lost(f *fakeKCP, shard string, resource schema.GroupResource) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := len(f.queries) - 1; n >= 0; n-- {
		if strings.HasPrefix(f.queries[n], at(shard, "/apis/"+resource.Group+"/v1?")) {
			return false
		}
		if strings.HasPrefix(f.queries[n], at(shard, "/apis?")) {
			return n < len(f.queries)-1
		}
	}
	return false
}

func TestResourcesComeAndGoWithoutARestart(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.set(at("a", deployments), deployment("one", "shop", "web"))
	f.set(at("a", jobs), object("batch/v1", "Job", "one", "shop", "once", nil))
	var told atomic.Int32
	var deleted atomic.Bool
	w := follow(t, f, func(w *Workloads) {
		w.AddResourceHandler(func() { told.Add(1) })
		w.AddHandler(func(resource schema.GroupResource, key workspace.Key) {
			synced := w.Synced(resource, key.Workspace)
			if _, found := w.Find(resource, key); !found && synced {
				deleted.Store(true)
			}
		})
	})
	eventually(t, "synced", func() bool { return w.HasSynced() && w.Synced(deploymentsGR, "one") })
	if told.Load() != 1 {
		t.Errorf("told %d times of the first resources", told.Load())
	}
	f.offer("a", "apps/v1/Deployment/deployments/status", "v1/ConfigMap/configmaps", "batch/v1/Job/jobs")
	f.export(deploymentsGR, jobsGR) // the export differs, and so it looks at once
	eventually(t, "the new resource is read", has(w, jobsGR, in("one", "shop", "once")))

	gone := w.followedAt(f, "a", deploymentsGR)
	f.offer("a", "v1/ConfigMap/configmaps", "batch/v1/Job/jobs")
	f.fail(at("a", deployments), http.StatusNotFound)
	eventually(t, "what is gone for good is left", func() bool { return namesOf(w.Resources()) == "configmaps/v1 jobs.batch/v1" })
	eventually(t, "its objects are forgotten", not(has(w, deploymentsGR, in("one", "shop", "web"))))
	if w.Synced(deploymentsGR, "one") || deleted.Load() {
		t.Error("objects of a resource that is gone count as deleted")
	}
	select {
	case <-gone.done:
	default:
		t.Error("it goes on being read")
	}
	if err := w.PatchStatus(t.Context(), deploymentsGR, in("one", "shop", "web"), nil); err == nil {
		t.Error("a resource that is gone is written")
	}
	f.fail(at("a", deployments), 0)
	f.offer("a", "apps/v1/Deployment/deployments", "v1/ConfigMap/configmaps", "batch/v1/Job/jobs")
	f.export(deploymentsGR)
	eventually(t, "it is read once it is back", has(w, deploymentsGR, in("one", "shop", "web")))
	if told.Load() < 4 {
		t.Errorf("told %d times", told.Load())
	}
}

// What could not be asked for is not gone.
func TestDiscoveryThatFailsTakesNothingAway(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"all": "/apis", "one group": "/apis/apps/v1", "core": "/api/v1"} {
		for _, code := range []int{http.StatusForbidden, http.StatusInternalServerError} {
			t.Run(fmt.Sprintf("%s %d", name, code), func(t *testing.T) {
				t.Parallel()
				f := newWorkloads(t)
				w := followWith(t, f, Config{RetireGrace: time.Nanosecond}, nil)
				eventually(t, "synced", func() bool { return w.HasSynced() && w.Synced(deploymentsGR, "one") })
				// The collections go on, since only documents are asked for without a query.
				f.mu.Lock()
				delete(f.documents, at("a", path))
				asked := len(f.queries)
				f.mu.Unlock()
				f.failExactly(at("a", path), code)
				f.set(at("a", bindings), bound("two"))
				eventually(t, "asked again, and again", func() bool { return f.asked(at("a", path), asked) >= 3 })
				if got := namesOf(w.Resources()); got != "configmaps/v1 deployments.apps/v1" || !w.Synced(deploymentsGR, "one") || !w.Synced(configmapsGR, "one") {
					t.Errorf("got resources %s", got)
				}
			})
		}
	}
}

func (f *fakeKCP) failExactly(path string, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused[path] = code
}

func (f *fakeKCP) asked(path string, since int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := 0
	for _, query := range f.queries[since:] {
		if query == path+"?" {
			count++
		}
	}
	return count
}

// An endpoint whose discovery answers with nonsense is away; the others are not.
func TestHostileDiscoveryIsSurvived(t *testing.T) {
	t.Parallel()
	many := make([]string, 0, 2*maxResources)
	for n := range cap(many) {
		many = append(many, fmt.Sprintf("example.org/v1/Kind/resources%d", n))
	}
	tests := map[string]func(f *fakeKCP){
		"no document": func(f *fakeKCP) { f.documents[at("b", "/apis")] = "text" },
		"wrong types": func(f *fakeKCP) { f.documents[at("b", "/apis")] = map[string]any{"groups": "none"} },
		"odd versions": func(f *fakeKCP) {
			f.documents[at("b", "/apis")] = map[string]any{"groups": []any{map[string]any{"name": "%zz\x00", "versions": []any{map[string]any{"version": "\n"}}}}}
		},
		"too large": func(f *fakeKCP) {
			f.documents[at("b", "/apis")] = map[string]any{"more": strings.Repeat("x", maxDiscovery)}
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newWorkloads(t)
			f.set(at("a", deployments), deployment("one", "shop", "web"))
			f.offer("b", "apps/v1/Deployment/deployments")
			f.mu.Lock()
			spoil(f)
			f.mu.Unlock()
			f.workloadEndpoints("a", "b")
			w := followWith(t, f, Config{StartupGrace: time.Second}, nil)
			eventually(t, "the other is read", func() bool {
				return w.HasSynced() && has(w, deploymentsGR, in("one", "shop", "web"))()
			})
			if w.followedAt(f, "b", deploymentsGR) != nil {
				t.Error("something is followed there")
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		t.Parallel()
		f := newWorkloads(t)
		f.offer("a", many...)
		w := follow(t, f, nil)
		eventually(t, "followed", func() bool { return len(w.Resources()) > 0 }) // they are published together
		if got := len(w.Resources()); got != maxResources {
			t.Errorf("got %d resources, want %d", got, maxResources)
		}
	})
}

func TestVersionsAreChosenByEndpoint(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.offer("a", "apps/v2/Deployment/deployments", "apps/v1/Deployment/deployments/status", "apps/v1/StatefulSet/statefulsets")
	f.offer("b", "apps/v1/Deployment/deployments", "apps/v1/StatefulSet/statefulsets/status", "v1/ConfigMap/configmaps")
	f.set(at("b", bindings), bound("two"))
	f.workloadEndpoints("a", "b")
	w := follow(t, f, nil)
	eventually(t, "synced", func() bool { return w.HasSynced() && w.Bound("one") && w.Bound("two") })
	if got := namesOf(w.Resources()); got != "configmaps/v1 deployments.apps/v2 statefulsets.apps/v1" {
		t.Errorf("got resources %s", got)
	}
	for ws, want := range map[string]string{"one": "/a/clusters/one/apis/apps/v2/", "two": "/b/clusters/two/apis/apps/v1/"} {
		if err := w.PatchMetadata(t.Context(), deploymentsGR, in(ws, "shop", "web"), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		last := f.patches[len(f.patches)-1]
		f.mu.Unlock()
		if last.path != want+"namespaces/shop/deployments/web" {
			t.Errorf("the patch went to %s", last.path)
		}
	}
	// The shard is upgraded, and shows the other version from now on.
	before := w.followedAt(f, "b", deploymentsGR)
	f.offer("b", "apps/v2/Deployment/deployments", "v1/ConfigMap/configmaps")
	f.set(at("b", bindings), bound("three"))
	eventually(t, "read in the other version", func() bool {
		after := w.followedAt(f, "b", deploymentsGR)
		return after != before && w.Synced(deploymentsGR, "two")
	})
}

// kcp refuses a resource for some seconds after the first binding, and discovery may be ahead of it.
func TestResourceThatIsMissingAtFirstIsReadSoon(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.fail(at("a", deployments), http.StatusNotFound)
	f.set(at("a", deployments), deployment("one", "shop", "web"))
	w := follow(t, f, nil)
	eventually(t, "synced without it", w.HasSynced)
	if w.Synced(deploymentsGR, "one") || !w.Synced(configmapsGR, "one") {
		t.Error("a resource that could not be read is synced, or another one is not")
	}
	first := w.followedAt(f, "a", deploymentsGR)
	eventually(t, "read anew, though its pauses are long by now", func() bool { return w.followedAt(f, "a", deploymentsGR) != first })
	f.fail(at("a", deployments), 0)
	eventually(t, "read", func() bool {
		return w.Synced(deploymentsGR, "one") && has(w, deploymentsGR, in("one", "shop", "web"))()
	})
}
