// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestWorkloadsFollowsWhatIsDiscovered(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.offer("a", "apps/v1/Deployment/deployments/status/scale", "v1/ConfigMap/configmaps", "v1/Event/events", "v1/Namespace/namespaces/cluster",
		"events.k8s.io/v1/Event/events", "coordination.k8s.io/v1/Lease/leases", "apis.kcp.io/v1alpha2/APIBinding/apibindings/cluster",
		"core.kcp.io/v1/Thing/things", "rbac.authorization.k8s.io/v1/Role/roles", "authorization.k8s.io/v1/SAR/localsubjectaccessreviews",
		"authentication.k8s.io/v1/TokenReview/tokenreviews", "example.org/v1/Silent/silents/silent")
	f.offer("b", "apps/v1/Deployment/deployments/status", "v1/Service/services/status", "batch/v1/Job/jobs")
	f.set(at("b", bindings), bound("two"))
	f.set(at("a", deployments), deployment("one", "shop", "web"))
	f.set(at("b", services), object("v1", "Service", "two", "shop", "web", nil))
	f.workloadEndpoints("a", "b")
	w := follow(t, f, nil)
	eventually(t, "synced", w.HasSynced)

	want := []Resource{
		{GVR: schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, Kind: "ConfigMap", Claimed: true},
		{GVR: schema.GroupVersionResource{Version: "v1", Resource: "services"}, Kind: "Service", Status: true},
		{GVR: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, Kind: "Deployment", Status: true, Scale: true},
		{GVR: schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}, Kind: "Job"},
	}
	if diff := cmp.Diff(want, w.Resources()); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	if one, found := w.Resource(configmapsGR); !found || !one.Claimed {
		t.Errorf("got resource %+v, %t", one, found)
	}
	if _, found := w.Resource(schema.GroupResource{Resource: "events"}); found {
		t.Error("events are followed")
	}
	for resource, key := range map[schema.GroupResource]workspace.Key{deploymentsGR: in("one", "shop", "web"), servicesGR: in("two", "shop", "web")} {
		if !has(w, resource, key)() {
			t.Errorf("%s %s is not found", resource, key)
		}
	}
	if has(w, deploymentsGR, in("two", "shop", "web"))() || has(w, jobsGR, in("one", "shop", "web"))() || has(w, schema.GroupResource{Resource: "pods"}, in("one", "shop", "web"))() {
		t.Error("an object is found that is not there")
	}
	if !w.Synced(servicesGR, "two") || w.Synced(servicesGR, "one") || w.Synced(deploymentsGR, "three") {
		t.Error("a resource is not synced exactly where it is shown")
	}
}

func TestWorkloadsHoldsObjectsAsTheyAreWanted(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	var mu sync.Mutex
	told := map[string]int{}
	w := follow(t, f, func(w *Workloads) {
		w.AddHandler(func(resource schema.GroupResource, key workspace.Key) {
			mu.Lock()
			defer mu.Unlock()
			told[resource.String()+" "+key.String()]++
		})
	})
	eventually(t, "synced", w.HasSynced)
	toldOf := func(what string) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return told[what] > 0 }
	}
	web := deployment("one", "shop", "web")
	maps.Copy(web["metadata"].(map[string]any)["annotations"].(map[string]any), map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"})
	f.set(at("a", deployments), web)
	eventually(t, "found", has(w, deploymentsGR, in("one", "shop", "web")))
	found, _ := w.Find(deploymentsGR, in("one", "shop", "web"))
	if diff := cmp.Diff(map[string]string{"kcp.io/cluster": "one", "kcp.io/path": "root:one", "kept": "yes"}, found.GetAnnotations()); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if found.GetManagedFields() != nil || found.GetKind() != "Deployment" {
		t.Errorf("got object %v", found.Object)
	}

	for _, name := range []string{"c", "a", "b"} {
		f.set(at("a", deployments), deployment("one", "many", name))
	}
	eventually(t, "all are there", func() bool { return len(w.InNamespace(deploymentsGR, "one", "many")) == 3 })
	var names []string
	for _, one := range w.InNamespace(deploymentsGR, "one", "many") {
		names = append(names, one.GetName())
	}
	if !slices.IsSorted(names) || len(w.InNamespace(deploymentsGR, "two", "many")) != 0 || w.InNamespace(jobsGR, "one", "many") != nil {
		t.Errorf("got names %v", names)
	}
	f.remove(at("a", deployments), deployment("one", "many", "b"))
	eventually(t, "one is gone", func() bool { return len(w.InNamespace(deploymentsGR, "one", "many")) == 2 })
	eventually(t, "told of what appeared and of what went", func() bool {
		return toldOf("deployments.apps one|shop/web")() && told["deployments.apps one|many/b"] >= 2
	})
}

// SEC-05: what one tenant manages to store keeps out no other tenant's objects.
func TestSEC05UndecodableObjectsAreLeftOut(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	nowhere := deployment("one", "shop", "nowhere")
	delete(nowhere["metadata"].(map[string]any), "annotations")
	unnamed := deployment("one", "", "unnamed")
	wrong := deployment("one", "shop", "wrong")
	wrong["metadata"].(map[string]any)["annotations"] = map[string]any{"kcp.io/cluster": int64(1)}
	odd := deployment("one", "shop", "odd")
	odd["spec"], odd["status"] = "no object", []any{int64(1)}
	for _, one := range []map[string]any{nowhere, unnamed, wrong, odd, deployment("one", "shop", "web")} {
		f.set(at("a", deployments), one)
	}
	w := follow(t, f, nil)
	eventually(t, "the good one is found", has(w, deploymentsGR, in("one", "shop", "web")))
	var names []string
	for _, one := range w.InNamespace(deploymentsGR, "one", "shop") {
		names = append(names, one.GetName())
	}
	if diff := cmp.Diff([]string{"odd", "web"}, names); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

// SEC-07: objects of a claimed resource are seen only while the claim is accepted, and an absence counts only once kcp
// shows all of them.
func TestSEC07ClaimsAreHonoured(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.set(at("a", configmaps), configmap("one", "shop", "config"))
	f.set(at("a", namespaces), object("v1", "Namespace", "one", "", "shop", nil))
	f.set(at("a", bindings), workloadBinding("one", nil, nil))
	var told atomic.Int32
	w := follow(t, f, func(w *Workloads) {
		w.AddHandler(func(resource schema.GroupResource, _ workspace.Key) {
			if resource == configmapsGR {
				told.Add(1)
			}
		})
	})
	eventually(t, "synced", func() bool { return w.HasSynced() && w.Bound("one") })
	type seen struct{ found, synced, exists, known, read bool }
	look := func() seen {
		exists, _, known := w.Namespace("one", "shop")
		return seen{has(w, configmapsGR, in("one", "shop", "config"))(), w.Synced(configmapsGR, "one"), exists, known, w.Read("one")}
	}
	if got := look(); got != (seen{read: true}) {
		t.Errorf("without an answer: got %+v", got)
	}
	all := []string{"configmaps", "namespaces"}
	steps := []struct {
		name              string
		accepted, applied []string
		want              seen
	}{
		{"accepted", all, nil, seen{found: true, exists: true}},
		{"applied", all, all, seen{true, true, true, true, true}},
		{"one taken back, not yet undone", []string{"namespaces"}, all, seen{exists: true, known: true, read: true}},
		{"applied again", all, all, seen{true, true, true, true, true}},
		{"all taken back", nil, nil, seen{read: true}},
	}
	for _, step := range steps {
		before := told.Load()
		f.set(at("a", bindings), workloadBinding("one", step.accepted, step.applied))
		eventually(t, step.name, func() bool { return look() == step.want && told.Load() > before })
	}
	if !w.Synced(deploymentsGR, "one") {
		t.Error("claims matter to what the export holds")
	}
}

// What is decided from all objects of a workspace waits for the last kind of them.
func TestWorkloadsAreReadOnceEveryKindIs(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.fail(at("a", deployments), 503)
	w := follow(t, f, nil)
	all := []string{"configmaps", "namespaces"}
	f.set(at("a", bindings), workloadBinding("one", all, all))
	eventually(t, "other kinds are read", func() bool { return w.Synced(configmapsGR, "one") })
	if w.Read("one") || w.Read("nobody") {
		t.Error("read before one kind is")
	}
	f.fail(at("a", deployments), 0)
	eventually(t, "read", func() bool { return w.Read("one") })
}

func TestClaimsThatAreKeptAreBounded(t *testing.T) {
	t.Parallel()
	var many []string
	for n := range 1000 {
		many = append(many, strings.Repeat("x", n+1), "same")
	}
	f := newWorkloads(t)
	f.set(at("a", bindings), workloadBinding("one", many, nil))
	w := follow(t, f, nil)
	eventually(t, "bound", func() bool { return w.Bound("one") })
	w.workspaces.mu.RLock()
	defer w.workspaces.mu.RUnlock()
	if got := len(w.workspaces.bound["one"].claims.accepted); got != maxClaims {
		t.Errorf("got %d claims, want %d", got, maxClaims)
	}
}

func TestNamespacesAreKnown(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.set(at("a", namespaces), object("v1", "Namespace", "one", "", "shop", nil))
	var told atomic.Int32
	w := follow(t, f, func(w *Workloads) { w.AddNamespaceHandler(func(workspace.Key) { told.Add(1) }) })
	is := func(name string, want ...bool) func() bool {
		return func() bool {
			exists, terminating, known := w.Namespace("one", name)
			return slices.Equal([]bool{exists, terminating, known}, want)
		}
	}
	eventually(t, "exists", is("shop", true, false, true))
	eventually(t, "does not exist", is("other", false, false, true))
	if _, _, known := w.Namespace("two", "shop"); known {
		t.Error("the namespaces of a workspace that is not bound are known")
	}
	going := object("v1", "Namespace", "one", "", "shop", nil)
	going["metadata"].(map[string]any)["deletionTimestamp"] = "2026-01-02T00:00:00Z"
	f.set(at("a", namespaces), going)
	eventually(t, "terminating", is("shop", true, true, true))
	f.remove(at("a", namespaces), going)
	eventually(t, "gone", is("shop", false, false, true))
	if told.Load() < 3 {
		t.Errorf("told %d times", told.Load())
	}
}

// SEC-04: a binding gives access until it is gone, so that copies can be removed, and not any longer.
func TestSEC04LeavingWorkspacesAreBoundToTheEnd(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.set(at("a", deployments), deployment("one", "shop", "web"))
	var told atomic.Int32
	w := follow(t, f, func(w *Workloads) { w.AddWorkspaceHandler(func(logicalcluster.Name) { told.Add(1) }) })
	eventually(t, "found", has(w, deploymentsGR, in("one", "shop", "web")))
	if w.Leaving("one") || told.Load() != 1 {
		t.Errorf("a bound workspace is leaving, or %d changes of it were told", told.Load())
	}
	leaving := bound("one")
	leaving["metadata"].(map[string]any)["deletionTimestamp"] = "2026-01-02T00:00:00Z"
	f.set(at("a", bindings), leaving)
	eventually(t, "leaving", func() bool { return w.Leaving("one") && told.Load() == 2 })
	if !w.Bound("one") || !w.Synced(deploymentsGR, "one") || !has(w, deploymentsGR, in("one", "shop", "web"))() {
		t.Error("a workspace that leaves is not bound")
	}
	if err := w.PatchMetadata(t.Context(), deploymentsGR, in("one", "shop", "web"), []byte(`{}`)); err != nil {
		t.Error(err)
	}
	f.remove(at("a", bindings), leaving)
	eventually(t, "gone", func() bool { return !w.Bound("one") && told.Load() == 3 })
	if w.Leaving("one") || w.Synced(deploymentsGR, "one") || has(w, deploymentsGR, in("one", "shop", "web"))() {
		t.Error("a workspace that left is shown")
	}
}

// A second binding that stays counts more than one that goes, whatever their names.
func TestStayingBindingCountsMoreThanOneThatLeaves(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	leaving := bound("one")
	leaving["metadata"].(map[string]any)["deletionTimestamp"] = "2026-01-02T00:00:00Z"
	staying := bound("one")
	staying["metadata"].(map[string]any)["name"] = "later"
	f.set(at("a", bindings), leaving)
	f.set(at("a", bindings), staying)
	w := follow(t, f, nil)
	eventually(t, "bound", func() bool { return w.Bound("one") && !w.Leaving("one") })
}

// Nothing is shown before it is known what is claimed, since that would be written to.
func TestNothingIsShownBeforeTheExportIsRead(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.remove(exportsPath, map[string]any{"metadata": map[string]any{"name": workloadExport}})
	f.set(at("a", deployments), deployment("one", "shop", "web"))
	var told atomic.Int32
	w := follow(t, f, func(w *Workloads) { w.AddResourceHandler(func() { told.Add(1) }) })
	eventually(t, "endpoints are read", w.export.HasSynced)
	if w.HasSynced() || w.Synced(deploymentsGR, "one") || len(w.Resources()) != 0 || has(w, deploymentsGR, in("one", "shop", "web"))() {
		t.Error("something is shown without the export")
	}
	f.set(exportsPath, map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": map[string]any{"name": workloadExport}, "spec": "none",
	})
	f.export(deploymentsGR)
	eventually(t, "shown", func() bool {
		return w.HasSynced() && w.Synced(deploymentsGR, "one") && has(w, deploymentsGR, in("one", "shop", "web"))()
	})
	if told.Load() != 1 || namesOf(w.Resources()) != "configmaps/v1 deployments.apps/v1" {
		t.Errorf("told %d times of %s", told.Load(), namesOf(w.Resources()))
	}
	f.remove(exportsPath, map[string]any{"metadata": map[string]any{"name": workloadExport}})
	f.export(deploymentsGR, configmapsGR)
	eventually(t, "no longer claimed", func() bool { one, _ := w.Resource(configmapsGR); return !one.Claimed })
}

func TestWorkloadsKeepWhatAnEndpointHadWhileItMoves(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.set(at("a", deployments), deployment("one", "shop", "web"))
	var seen, gone atomic.Bool // a handler may be called before the object is shown
	w := followWith(t, f, Config{RetireGrace: time.Minute}, func(w *Workloads) {
		w.AddHandler(func(resource schema.GroupResource, key workspace.Key) {
			if _, found := w.Find(resource, key); !found && seen.Load() {
				gone.Store(true)
			}
		})
	})
	eventually(t, "found", has(w, deploymentsGR, in("one", "shop", "web")))
	seen.Store(true)
	f.fail("/a2", 503)
	f.offer("a2", "apps/v1/Deployment/deployments", "v1/ConfigMap/configmaps", "v1/Namespace/namespaces/cluster")
	f.set(at("a2", bindings), bound("one"))
	f.set(at("a2", deployments), deployment("one", "shop", "web"))
	f.workloadEndpoints("a2")
	eventually(t, "the new address is tried", func() bool { urls, _ := w.Endpoints(); return len(urls) == 1 && strings.HasSuffix(urls[0], "/a2") })
	f.fail("/a2", 0)
	eventually(t, "the workspace is reached at the new address", func() bool {
		config, found := w.ConfigFor("one")
		return found && strings.Contains(config.Host, "/a2/") && w.Synced(deploymentsGR, "one")
	})
	eventually(t, "the old address is left", func() bool { w.state.RLock(); defer w.state.RUnlock(); return len(w.shards) == 1 })
	if gone.Load() || !has(w, deploymentsGR, in("one", "shop", "web"))() {
		t.Error("the object went in between")
	}
	f.workloadEndpoints()
	f.fail("/a2", 503)
	if !has(w, deploymentsGR, in("one", "shop", "web"))() {
		t.Error("the object went with its endpoint at once")
	}
}

func TestWorkloadsForgetAnEndpointThatLeft(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.offer("b", "apps/v1/Deployment/deployments", "batch/v1/Job/jobs")
	f.set(at("b", bindings), bound("two"))
	f.set(at("b", jobs), object("batch/v1", "Job", "two", "shop", "once", nil))
	f.workloadEndpoints("a", "b")
	var certain atomic.Bool // that the job is deleted
	w := follow(t, f, func(w *Workloads) {
		w.AddHandler(func(resource schema.GroupResource, key workspace.Key) {
			synced := w.Synced(resource, key.Workspace)
			if _, found := w.Find(resource, key); !found && synced {
				certain.Store(true)
			}
		})
	})
	eventually(t, "found", has(w, jobsGR, in("two", "shop", "once")))
	f.workloadEndpoints("a")
	eventually(t, "gone", not(has(w, jobsGR, in("two", "shop", "once"))))
	eventually(t, "forgotten", func() bool {
		_, found := w.index(jobsGR)
		return !found && namesOf(w.Resources()) == "configmaps/v1 deployments.apps/v1"
	})
	if certain.Load() {
		t.Error("an object of an endpoint that left counts as deleted")
	}
}

func TestNewWorkloadsRefusesIncompleteConfig(t *testing.T) {
	t.Parallel()
	if _, err := NewWorkloads(Config{}); err == nil {
		t.Error("an empty config is accepted")
	}
}
