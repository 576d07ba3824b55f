// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	restclient "k8s.io/client-go/rest"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/apiserver"
	"github.com/kcp-dev/tmc/pkg/controller/sync"
	"github.com/kcp-dev/tmc/pkg/fleet"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

var (
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	configmaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

	all  = workspace.Key{Workspace: "acme1", Namespace: "shop", Name: "all"}
	web  = workspace.Key{Workspace: "acme1", Namespace: "shop", Name: "web"}
	east = workspace.Key{Workspace: "acme1", Name: "east"}
)

// placingKCP is a kcp with both exports. The workspace acme1 binds both, has a registration without its Secret, a
// Deployment, a ConfigMap, and a Placement that chose the member once.
type placingKCP struct {
	*httptest.Server
	without bool // the export kubernetes

	mu      gosync.Mutex
	patches []string
}

func newPlacingKCP(t *testing.T) *placingKCP {
	t.Helper()
	f := &placingKCP{}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *placingKCP) config() Config {
	return Config{
		Provider:   &restclient.Config{Host: f.URL + "/clusters/root:tmc", TLSClientConfig: restclient.TLSClientConfig{Insecure: true}},
		ExportName: "tmc.kcp.io", WorkloadExportName: "kubernetes", PathPrefix: "/services/tmc", StartGrace: 2 * time.Second, DetachAfter: time.Minute,
		Clock: clock.RealClock{}, Metrics: metrics.NewKubeRegistry(),
	}
}

func (f *placingKCP) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case req.Method == http.MethodPatch:
		f.mu.Lock()
		f.patches = append(f.patches, req.URL.Path)
		f.mu.Unlock()
		_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"Thing","metadata":{"name":"x"}}`))
	case req.URL.Query().Get("watch") != "":
		w.WriteHeader(http.StatusOK)
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		<-req.Context().Done()
	default:
		document, known := f.document(req.URL.Path)
		if !known {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(document)
	}
}

func listOf(items ...any) map[string]any {
	if items == nil {
		items = []any{}
	}
	return map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": items}
}

func inAcme(apiVersion, kind, namespace, name string, more map[string]any) map[string]any {
	metadata := map[string]any{
		"name": name, "uid": "u-" + name, "resourceVersion": "1", "generation": int64(1), "creationTimestamp": "2026-01-01T00:00:00Z",
		"annotations": map[string]any{"kcp.io/cluster": "acme1", "kcp.io/path": "root:acme"},
	}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	out := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
	maps.Copy(out, more)
	return out
}

func (f *placingKCP) document(path string) (any, bool) {
	export, rest := "", path
	for _, name := range []string{"tmc.kcp.io", "kubernetes"} {
		if after, found := strings.CutPrefix(path, "/services/apiexport/tmc1/"+name+"/clusters/*"); found {
			export, rest = name, after
		}
	}
	last := path[strings.LastIndex(path, "/")+1:]
	switch {
	case last == "apiexportendpointslices":
		slices := []any{f.slice("tmc.kcp.io")}
		if !f.without {
			slices = append(slices, f.slice("kubernetes"))
		}
		return listOf(slices...), true
	case last == "apiexports":
		if f.without {
			return listOf(), true
		}
		return listOf(map[string]any{"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": map[string]any{"name": "kubernetes", "resourceVersion": "1"}, "spec": map[string]any{
			"resources": []any{map[string]any{"group": "apps", "name": "deployments", "schema": "v1.deployments.apps"}},
		}}), true
	case export == "kubernetes":
		return workloadDocument(rest)
	case export == "tmc.kcp.io":
		return tmcDocument(last)
	}
	return nil, false
}

func (f *placingKCP) slice(name string) map[string]any {
	return map[string]any{"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExportEndpointSlice", "metadata": map[string]any{"name": name, "resourceVersion": "1"}, "status": map[string]any{
		"endpoints": []any{map[string]any{"url": f.URL + "/services/apiexport/tmc1/" + name}},
	}}
}

func binding(name string) map[string]any {
	claims := []any{}
	for _, resource := range []string{"namespaces", "configmaps"} {
		claims = append(claims, map[string]any{"group": "", "resource": resource, "verbs": []any{"get"}, "selector": map[string]any{"matchAll": true}, "state": "Accepted"})
	}
	return inAcme("apis.kcp.io/v1alpha2", "APIBinding", "", name, map[string]any{
		"spec":   map[string]any{"reference": map[string]any{"export": map[string]any{"path": "root:tmc", "name": name}}, "permissionClaims": claims},
		"status": map[string]any{"phase": "Bound", "appliedPermissionClaims": claims},
	})
}

func workloadDocument(path string) (any, bool) {
	verbs := []any{"get", "list", "watch", "patch"}
	switch path {
	case "/apis":
		return map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{map[string]any{"name": "apps", "versions": []any{map[string]any{"groupVersion": "apps/v1", "version": "v1"}}}}}, true
	case "/apis/apps/v1":
		return map[string]any{"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": []any{
			map[string]any{"name": "deployments", "kind": "Deployment", "namespaced": true, "verbs": verbs}, map[string]any{"name": "deployments/status", "kind": "Deployment", "namespaced": true, "verbs": verbs},
		}}, true
	case "/api/v1":
		return map[string]any{"kind": "APIResourceList", "groupVersion": "v1", "resources": []any{
			map[string]any{"name": "configmaps", "kind": "ConfigMap", "namespaced": true, "verbs": verbs}, map[string]any{"name": "namespaces", "kind": "Namespace", "namespaced": false, "verbs": verbs},
		}}, true
	case "/apis/apis.kcp.io/v1alpha2/apibindings":
		return listOf(binding("kubernetes")), true
	case "/api/v1/namespaces":
		return listOf(inAcme("v1", "Namespace", "", "shop", nil), inAcme("v1", "Namespace", "", "default", nil)), true
	case "/api/v1/configmaps":
		return listOf(inAcme("v1", "ConfigMap", "shop", "settings", nil)), true
	case "/apis/apps/v1/deployments":
		return listOf(inAcme("apps/v1", "Deployment", "shop", "web", map[string]any{"spec": map[string]any{"replicas": int64(1)}})), true
	}
	return nil, false
}

func tmcDocument(resource string) (any, bool) {
	switch resource {
	case "apibindings":
		return listOf(binding("tmc.kcp.io")), true
	case "clusterregistrations":
		return listOf(inAcme("tmc.kcp.io/v1alpha1", "ClusterRegistration", "", "east", nil)), true
	case "placements":
		return listOf(inAcme("tmc.kcp.io/v1alpha1", "Placement", "shop", "all", map[string]any{
			"spec": map[string]any{"numberOfClusters": int64(1)}, "status": map[string]any{"decisions": []any{map[string]any{"clusterName": "east", "phase": "Active"}}},
		})), true
	case "clustergrants", "secrets":
		return listOf(), true
	}
	return nil, false
}

// build makes the parts as New does, to look into.
func build(t *testing.T, config Config) *parts {
	t.Helper()
	p := &parts{config: config}
	for _, step := range []func() error{p.makeKCP, p.makeViews, p.makeLeader, p.makeControllers} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	p.connect()
	p.connectPlacing()
	return p
}

func runAll(t *testing.T, p *parts) apiserver.Backend {
	t.Helper()
	b := p.backend()
	ctx, stop := context.WithCancel(t.Context())
	var group gosync.WaitGroup
	for _, component := range b.Components {
		group.Go(func() {
			if err := component.Run(ctx); err != nil {
				t.Errorf("component %s: %v", component.Name, err)
			}
		})
	}
	t.Cleanup(func() { b.EndWatches(); stop(); group.Wait() })
	return b
}

func statusOf(t *testing.T, b apiserver.Backend) (*tmcv1alpha1.PlacementStatus, error) {
	t.Helper()
	getter, ok := b.Storage["placementstatuses"].(rest.Getter)
	if !ok {
		t.Fatalf("%T does not get", b.Storage["placementstatuses"])
	}
	object, err := getter.Get(genericapirequest.WithNamespace(workspace.With(t.Context(), "acme1"), "shop"), "all", &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	shown, ok := object.(runtime.CacheableObject)
	if !ok {
		t.Fatalf("got %T", object)
	}
	status, ok := shown.GetObject().(*tmcv1alpha1.PlacementStatus)
	if !ok {
		t.Fatalf("got %T", shown.GetObject())
	}
	return status, nil
}

// The whole of placing, from kcp's objects to the view and to what is written to kcp.
func TestPlacingFromKCPToTheView(t *testing.T) {
	t.Parallel()
	f := newPlacingKCP(t)
	p := build(t, f.config())
	if _, err := statusOf(t, p.backend()); err == nil {
		t.Error("a view that is not filled answers")
	}
	b := runAll(t, p)
	eventually(t, "everything is read and the status is shown", func() bool {
		status, err := statusOf(t, b)
		return readyNow(b) && err == nil && len(status.Status.Conditions) > 0
	})
	status, _ := statusOf(t, b)
	if scheduled := meta.FindStatusCondition(status.Status.Conditions, tmcv1alpha1.ConditionScheduled); scheduled == nil {
		t.Errorf("the status is %+v", status.Status)
	}
	// What was decided for a member that does not answer stays.
	if len(status.Status.Clusters) != 1 || status.Status.Clusters[0].ClusterName != "east" || status.Status.Clusters[0].Reachable == metav1.ConditionTrue {
		t.Errorf("the members are %+v", status.Status.Clusters)
	}
	eventually(t, "the Placement's status and the object's marks are written", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		placed, marked := false, false
		for _, path := range f.patches {
			placed = placed || path == "/services/apiexport/tmc1/tmc.kcp.io/clusters/acme1/apis/tmc.kcp.io/v1alpha1/namespaces/shop/placements/all/status"
			marked = marked || path == "/services/apiexport/tmc1/kubernetes/clusters/acme1/apis/apps/v1/namespaces/shop/deployments/web"
		}
		return placed && marked
	})
	testUpstream(t, p)
	testFacts(t, p)
}

func testUpstream(t *testing.T, p *parts) {
	t.Helper()
	up := upstream{p.placing.workloads, p.set, p.grants}
	kinds := map[schema.GroupResource]bool{}
	for _, kind := range up.Kinds() {
		kinds[kind] = true
	}
	if diff := cmp.Diff(map[schema.GroupResource]bool{deployments.GroupResource(): true, configmaps.GroupResource(): true}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	for gvr, want := range map[schema.GroupVersionResource]sync.Kind{deployments: {GVR: deployments, Status: true}, configmaps: {GVR: configmaps, Claimed: true}} {
		if kind, found := up.Kind(gvr.GroupResource()); !found || kind != want {
			t.Errorf("%s is %+v, %v", gvr.Resource, kind, found)
		}
	}
	if got := up.Path("acme1"); got != "root:acme" {
		t.Errorf("the path is %q", got)
	}
	for name, tc := range map[string]struct {
		gr   schema.GroupResource
		ws   string
		want bool
	}{
		"what was read": {deployments.GroupResource(), "acme1", true}, "a claim that is accepted": {configmaps.GroupResource(), "acme1", true},
		"namespaces": {schema.GroupResource{Resource: "namespaces"}, "acme1", true}, "a kind that nobody knows": {schema.GroupResource{Resource: "x"}, "acme1", false},
		"a workspace that nothing was ever seen of": {deployments.GroupResource(), "globex1", false},
	} {
		if got := up.Certain(tc.gr, logicalcluster.Name(tc.ws)); got != tc.want {
			t.Errorf("certain about %s: %v", name, got)
		}
	}
	// The bindings of both exports count.
	if up.placementsCertain("globex1") || !up.placementsCertain("acme1") {
		t.Error("placements are certain where they are not, or not where they are")
	}
	if up.decidable("globex1") || !up.decidable("acme1") || !up.LoansKnown() {
		t.Error("decisions can be made where they cannot, or not where they can")
	}
}

func testFacts(t *testing.T, p *parts) {
	t.Helper()
	f := facts{p}
	placement, _ := p.set.Placements().Find(all)
	eventually(t, "the copy that should be there is told of", func() bool {
		got, known := f.Facts(placement)
		return known && len(got.Copies) > 0
	})
	got, _ := f.Facts(placement)
	if got.Copies[0].Cluster != "east" || *got.Wanted != 1 || len(got.Clusters) != 1 || got.Clusters["east"].Reachable == metav1.ConditionTrue {
		t.Errorf("the facts are %+v", got)
	}
	other := placement.DeepCopy()
	other.Name = "other"
	if _, known := f.Facts(other); known {
		t.Error("something is known of a Placement that does not exist")
	}
	for _, key := range []workspace.Key{all, {Workspace: "acme1", Namespace: "shop", Name: "other"}} {
		if at, confirmed := f.ConfirmedAt(key); confirmed {
			t.Errorf("a member that never answered confirmed %s at %v", key, at)
		}
	}
	before := len(got.Clusters)
	f.addCluster(&got, "acme1", "nobody")
	f.addCluster(&got, "acme1", "east")
	if len(got.Clusters) != before {
		t.Errorf("the members are %v", got.Clusters)
	}
	told := placed{p}
	if progress := told.Progress(all); progress.Desired == 0 || !progress.Occupied["east"] {
		t.Errorf("the progress is %+v", progress)
	}
	if _, found := told.Replicas(east, deployments.GroupResource(), web); found {
		t.Error("a member that never answered has replicas")
	}
	apis := told.APIs(east)
	if !apis.Unknown.Has(deployments.GroupResource()) || len(apis.Missing) != 0 || len(told.Assumed(east)) != 0 {
		t.Errorf("of what a member serves that never answered this is known: %+v", apis)
	}
}

// Without the second export, everything else works as before.
func TestWithoutTheWorkloadExport(t *testing.T) {
	t.Parallel()
	f := newPlacingKCP(t)
	f.without = true
	p := build(t, f.config())
	b := runAll(t, p)
	eventually(t, "the views of members are there", func() bool { return readyNow(b) })
	if kinds := (upstream{p.placing.workloads, p.set, p.grants}).Kinds(); len(kinds) != 0 {
		t.Errorf("the kinds are %v", kinds)
	}
	eventually(t, "the view of placements answers", func() bool { status, err := statusOf(t, b); return err == nil && status.Name == "all" })
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, path := range f.patches {
		if strings.Contains(path, "/kubernetes/") {
			t.Errorf("%s was written", path)
		}
	}
}

// What members do is told to those whom it concerns.
func TestCopiesAreToldOf(t *testing.T) {
	t.Parallel()
	p := build(t, newPlacingKCP(t).config())
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("apps/v1")
	object.SetKind("Deployment")
	object.SetNamespace("shop")
	object.SetName("web")
	object.SetUID("u")
	copied, err := transform.Down(object, transform.Target{Workspace: "acme1"})
	if err != nil {
		t.Fatal(err)
	}
	p.copyDiffers(east, fleet.ObjectKey{Resource: deployments, Namespace: copied.GetNamespace(), Name: "web"}, copied)
	if got := p.placing.sync.Len(); got != 2 { // itself and its namespace, since the fleet does not have it
		t.Errorf("%d are looked at", got)
	}
	p.copiesDiffer(east)
	p.memberDiffers(east)
	p.lendingDiffers(east)
	p.writeAll()
}

// No call reaches a member that is not connected, and what is told of that is fit for tenants.
func TestDownstreamWithoutItsMember(t *testing.T) {
	t.Parallel()
	p := build(t, newPlacingKCP(t).config())
	down := downstream{p.fleet, p.members}
	at := sync.Location{Resource: deployments, Namespace: "shop", Name: "web"}
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web", "namespace": "shop"}}}
	answers, called := down.Reachable(east)
	if _, found := down.Copy(east, at); found || down.Synced(east, deployments) || answers || called {
		t.Error("something is known of a member that is not connected")
	}
	if _, missing := down.Missing(east, deployments.GroupResource()); missing {
		t.Error("it is known what a member lacks that is not connected")
	}
	for name, call := range map[string]func() error{
		"apply":  func() error { _, err := down.Apply(t.Context(), east, at, object, true); return err },
		"get":    func() error { _, err := down.Get(t.Context(), east, at); return err },
		"create": func() error { _, err := down.Create(t.Context(), east, at, object); return err },
		"delete": func() error { return down.Delete(t.Context(), east, at, "u") },
	} {
		var problem *sync.CallProblem
		if err := call(); !errors.As(err, &problem) || problem.Reason != tmcv1alpha1.ReasonMemberUnreachable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// noted are members that the member controller has looked at.
type noted map[workspace.Key]view.Observation

func (n noted) Observation(key workspace.Key) (view.Observation, bool) {
	found, ok := n[key]
	return found, ok
}

// A member that is not connected is away if that is because of its registration, and not known if that was not read yet.
func TestCalledWithoutAConnection(t *testing.T) {
	t.Parallel()
	p := build(t, newPlacingKCP(t).config())
	ready := func(reason string) view.Observation {
		return view.Observation{Conditions: []metav1.Condition{{Type: tmcv1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: reason}}}
	}
	for name, tc := range map[string]struct {
		members noted
		want    bool
	}{
		"not looked at":      {noted{}, false},
		"looked at":          {noted{east: {}}, false},
		"its Secret is read": {noted{east: ready(tmcv1alpha1.ReasonPending)}, false},
		"its Secret is bad":  {noted{east: ready(tmcv1alpha1.ReasonInvalidCredentials)}, true},
	} {
		if answers, called := (downstream{p.fleet, tc.members}).Reachable(east); answers || called != tc.want {
			t.Errorf("%s: %t, %t, want %t", name, answers, called, tc.want)
		}
	}
}

func TestCallProblem(t *testing.T) {
	t.Parallel()
	other := errors.New("x")
	tests := map[string]struct {
		err, want error
	}{
		"none":    {},
		"another": {err: other, want: other},
		"refused": {err: &fleet.CallError{Reason: "r", Message: "m", Code: http.StatusForbidden}, want: &sync.CallProblem{Reason: "r", Message: "m"}},
		"exists":  {err: &fleet.CallError{Reason: "r", Message: "m", Code: http.StatusConflict, RetryAfter: time.Second}, want: &sync.CallProblem{Reason: "r", Message: "m", Exists: true, RetryAfter: time.Second}},
	}
	for name, tc := range tests {
		got := callProblem(tc.err)
		var problem, want *sync.CallProblem
		if errors.As(tc.want, &want) {
			if !errors.As(got, &problem) || *problem != *want {
				t.Errorf("%s: got %#v", name, got)
			}
		} else if !errors.Is(got, tc.want) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestStoresKnowWhatTheyHave(t *testing.T) {
	t.Parallel()
	p := build(t, newPlacingKCP(t).config())
	for name, store := range map[string]interface {
		SetEntries(source workspace.Key, entries []view.Entry)
		DeleteSource(source workspace.Key)
		has(source workspace.Key) bool
	}{"members": p.rows, "placements": p.placing.statuses} {
		store.SetEntries(all, []view.Entry{{Key: all}})
		if !store.has(all) {
			t.Errorf("%s: it is not there", name)
		}
		store.DeleteSource(all)
		if store.has(all) {
			t.Errorf("%s: it is still there", name)
		}
	}
	p.placing.statuses.SetContent(all, &tmcv1alpha1.PlacementStatusStatus{})
	p.rows.SetContent(all, &tmcv1alpha1.ClusterStatusStatus{Allocatable: corev1.ResourceList{}})
}
