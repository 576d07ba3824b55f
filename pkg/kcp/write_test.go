// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestWorkloadsAreWrittenWhereTheyAre(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	w := follow(t, f, nil)
	eventually(t, "synced", func() bool { return w.HasSynced() && w.Bound("one") && w.Synced(configmapsGR, "one") })
	if w.Requests() != 0 {
		t.Fatalf("%d requests were written without a reason", w.Requests())
	}
	key := in("one", "shop", "web")
	if err := w.PatchMetadata(t.Context(), deploymentsGR, key, []byte(`{"metadata":{"uid":"u"}}`)); err != nil {
		t.Fatal(err)
	}
	if err := w.PatchStatus(t.Context(), deploymentsGR, key, []byte(`{"status":{}}`)); err != nil {
		t.Fatal(err)
	}
	if err := w.PatchMetadata(t.Context(), configmapsGR, in("one", "shop", "config"), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web.1"}, Reason: "Placed"}
	if err := w.CreateEvent(t.Context(), "one", event); err != nil {
		t.Fatal(err)
	}
	if event.Kind != "" {
		t.Error("the caller's event was changed")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	const merge = "application/merge-patch+json"
	want := []patched{
		{"/a/clusters/one/apis/apps/v1/namespaces/shop/deployments/web", merge, `{"metadata":{"uid":"u"}}`},
		{"/a/clusters/one/apis/apps/v1/namespaces/shop/deployments/web/status", merge, `{"status":{}}`},
		{"/a/clusters/one/api/v1/namespaces/shop/configmaps/config", merge, `{}`},
	}
	if diff := cmp.Diff(want, f.patches, cmp.AllowUnexported(patched{})); diff != "" {
		t.Errorf("patches (-want +got):\n%s", diff)
	}
	if len(f.posts) != 1 || f.posts[0].path != "/a/clusters/one/api/v1/namespaces/shop/events" || f.posts[0].contentType != "application/json" {
		t.Fatalf("got posts %v", f.posts)
	}
	var sent corev1.Event
	if err := json.Unmarshal([]byte(f.posts[0].body), &sent); err != nil || sent.Kind != "Event" || sent.APIVersion != "v1" || sent.Reason != "Placed" {
		t.Errorf("got event %s, %v", f.posts[0].body, err)
	}
	if w.Requests() != 4 {
		t.Errorf("got %d requests, want 4", w.Requests())
	}
}

func TestPlacementsAreFollowedAndTheirStatusIsWritten(t *testing.T) {
	t.Parallel()
	const placements = "/apis/tmc.kcp.io/v1alpha1/placements"
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.set(at("a", placements), object("tmc.kcp.io/v1alpha1", "Placement", "one", "shop", "all", map[string]any{"spec": map[string]any{}}))
	f.endpoints("a")
	var mu sync.Mutex
	told := map[workspace.Key]int{}
	s := start(t, f, nil)
	s.Placements().AddHandler(func(key workspace.Key) { mu.Lock(); defer mu.Unlock(); told[key]++ })
	eventually(t, "found", func() bool { _, found := s.Placements().Find(in("one", "shop", "all")); return found })
	eventually(t, "read", func() bool { return s.PlacementsRead("one") && s.Complete() })
	if s.PlacementsRead("two") {
		t.Error("the Placements of a workspace that is not bound are read")
	}
	if got := s.Placements().InNamespace("one", "shop"); len(got) != 1 || len(s.Placements().InNamespace("one", "other")) != 0 {
		t.Errorf("got placements %v", got)
	}
	if err := s.PlacementStatus().PatchStatus(t.Context(), in("one", "shop", "all"), []byte(`{"status":{}}`)); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	got := f.patches[0]
	f.mu.Unlock()
	if want := "/a/clusters/one/apis/tmc.kcp.io/v1alpha1/namespaces/shop/placements/all/status"; got.path != want {
		t.Errorf("patched %s, want %s", got.path, want)
	}
	if err := s.RegistrationMetadata().PatchMetadata(t.Context(), key("one", "east"), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	got = f.patches[1]
	f.mu.Unlock()
	if want := "/a/clusters/one/apis/tmc.kcp.io/v1alpha1/clusterregistrations/east"; got.path != want {
		t.Errorf("patched %s, want %s", got.path, want)
	}
	f.fail("/a/clusters/one", 403)
	if err := s.RegistrationMetadata().PatchMetadata(t.Context(), key("one", "east"), nil); !apierrors.IsForbidden(err) {
		t.Errorf("got error %v", err)
	}
	mu.Lock()
	before := told[in("one", "shop", "all")]
	mu.Unlock()
	f.remove(at("a", bindings), binding("one"))
	eventually(t, "told that the workspace is no longer bound", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return told[in("one", "shop", "all")] > before && len(s.Placements().InNamespace("one", "shop")) == 0
	})
}

// SEC-13: no name leads to another path.
func TestSEC13WritesStayInTheirPath(t *testing.T) {
	t.Parallel()
	f := newWorkloads(t)
	f.set(at("a", bindings), bound(".."))
	w := follow(t, f, nil)
	eventually(t, "synced", func() bool { return w.Synced(deploymentsGR, "one") && w.Bound("..") })
	for name, key := range map[string]workspace.Key{
		"name": in("one", "shop", ".."), "nothing": in("one", "shop", ""), "namespace": in("one", "../../..", "web"),
		"escape": in("one", "shop", "%2e%2e"), "workspace": in("..", "shop", "web"),
	} {
		if err := w.PatchMetadata(t.Context(), deploymentsGR, key, []byte(`{}`)); err == nil || errors.Is(err, ErrNotBound) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	for _, ws := range []string{"two", "*"} {
		if err := w.PatchStatus(t.Context(), deploymentsGR, in(ws, "shop", "web"), []byte(`{}`)); !errors.Is(err, ErrNotBound) {
			t.Errorf("workspace %s: got error %v, want ErrNotBound", ws, err)
		}
	}
	if err := w.PatchStatus(t.Context(), jobsGR, in("one", "shop", "web"), []byte(`{}`)); !errors.Is(err, ErrNotShown) {
		t.Errorf("got error %v, want ErrNotShown", err)
	}
	if err := w.CreateEvent(t.Context(), "two", &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}}); !errors.Is(err, ErrNotBound) {
		t.Errorf("got error %v, want ErrNotBound", err)
	}
	if w.Requests() != 0 {
		t.Errorf("%d requests were sent", w.Requests())
	}
}

func TestWritesAreCountedByOutcome(t *testing.T) {
	t.Parallel()
	registry := metrics.NewKubeRegistry()
	m, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	f := newWorkloads(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	f.hang("/a/clusters/one/apis/apps/v1/namespaces/shop/deployments/hung", release)
	w := follow(t, f, func(w *Workloads) { w.config.Metrics = m })
	eventually(t, "synced", func() bool { return w.Synced(deploymentsGR, "one") })
	answers := map[string]int{"fine": 0, "conflict": 409, "gone": 404, "denied": 403, "invalid": 422}
	for name, code := range answers {
		if code != 0 {
			f.failExactly("/a/clusters/one/apis/apps/v1/namespaces/shop/deployments/"+name, code)
		}
		err := w.PatchMetadata(t.Context(), deploymentsGR, in("one", "shop", name), []byte(`{}`))
		if status := apierrors.APIStatus(nil); errors.As(err, &status) != (code != 0) || (code != 0 && int(status.Status().Code) != code) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	// As kcp answers while it starts, and later for a kind that it has not read yet: neither is said of the object.
	for name, page := range map[string]string{
		"starting": "404 page not found",
		"unread":   `{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"reason":"NotFound","details":{},"message":"the server could not find the requested resource"}`,
	} {
		f.mu.Lock()
		f.pages["/a/clusters/one/apis/apps/v1/namespaces/shop/deployments/"+name] = page
		f.mu.Unlock()
		err := w.PatchMetadata(t.Context(), deploymentsGR, in("one", "shop", name), []byte(`{}`))
		if status := apierrors.APIStatus(nil); !errors.Is(err, ErrNotServed) || errors.As(err, &status) || apierrors.IsNotFound(err) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	_ = w.PatchMetadata(t.Context(), deploymentsGR, in("two", "shop", "web"), []byte(`{}`))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.PatchMetadata(ctx, deploymentsGR, in("one", "shop", "hung"), []byte(`{}`)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v", err)
	}
	leave, _ := w.lanes.enter(f.URL + "/a")
	if err := w.PatchStatus(t.Context(), deploymentsGR, in("one", "shop", "web"), []byte(`{}`)); !errors.Is(err, ErrEndpointAway) {
		t.Errorf("got error %v, want ErrEndpointAway", err)
	}
	leave(true)
	want := `
# HELP tmc_kcp_writes_total [ALPHA] Writes to workspaces, by what was written and what came of it.
# TYPE tmc_kcp_writes_total counter
tmc_kcp_writes_total{outcome="away",verb="patch_status"} 1
tmc_kcp_writes_total{outcome="conflict",verb="patch_metadata"} 1
tmc_kcp_writes_total{outcome="forbidden",verb="patch_metadata"} 1
tmc_kcp_writes_total{outcome="not_bound",verb="patch_metadata"} 1
tmc_kcp_writes_total{outcome="not_found",verb="patch_metadata"} 1
tmc_kcp_writes_total{outcome="not_served",verb="patch_metadata"} 2
tmc_kcp_writes_total{outcome="ok",verb="patch_metadata"} 1
tmc_kcp_writes_total{outcome="refused",verb="patch_metadata"} 1
tmc_kcp_writes_total{outcome="unanswered",verb="patch_metadata"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "tmc_kcp_writes_total"); err != nil {
		t.Error(err)
	}
	if w.Requests() != uint64(len(answers)+3) {
		t.Errorf("got %d requests, want %d", w.Requests(), len(answers)+3)
	}
}
