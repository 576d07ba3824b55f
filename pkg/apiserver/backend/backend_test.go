// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	apisv1alpha1 "github.com/kcp-dev/sdk/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/kcp-dev/sdk/apis/apis/v1alpha2"
	"github.com/kcp-dev/sdk/apis/core"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	restclient "k8s.io/client-go/rest"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/apiserver"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// fakeKCP has one shard with one workspace, which is bound and has one registration without its Secret.
type fakeKCP struct {
	*httptest.Server
	mu      sync.Mutex
	patches []string
}

func newFakeKCP(t *testing.T) *fakeKCP {
	t.Helper()
	f := &fakeKCP{}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeKCP) serve(w http.ResponseWriter, req *http.Request) {
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
		list, known := f.list(req.URL.Path)
		if !known {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(list)
	}
}

func (f *fakeKCP) list(path string) (any, bool) {
	inAcme := metav1.ObjectMeta{Annotations: map[string]string{logicalcluster.AnnotationKey: "acme1", core.LogicalClusterPathAnnotationKey: "root:acme"}, ResourceVersion: "1", UID: "u1"}
	meta := metav1.ListMeta{ResourceVersion: "1"}
	switch path[strings.LastIndex(path, "/")+1:] {
	case "apiexportendpointslices":
		slice := apisv1alpha1.APIExportEndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "tmc.kcp.io", ResourceVersion: "1"}}
		slice.Status.APIExportEndpoints = []apisv1alpha1.APIExportEndpoint{{URL: f.URL + "/services/apiexport/tmc1/tmc.kcp.io"}}
		return &apisv1alpha1.APIExportEndpointSliceList{TypeMeta: metav1.TypeMeta{APIVersion: "apis.kcp.io/v1alpha1", Kind: "APIExportEndpointSliceList"}, ListMeta: meta, Items: []apisv1alpha1.APIExportEndpointSlice{slice}}, true
	case "apibindings":
		binding := apisv1alpha2.APIBinding{ObjectMeta: *inAcme.DeepCopy()}
		binding.Name = "tmc"
		binding.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: "root:tmc", Name: "tmc.kcp.io"}
		binding.Status.Phase = apisv1alpha2.APIBindingPhaseBound
		binding.Status.APIExportClusterName = "tmc1"
		return &apisv1alpha2.APIBindingList{TypeMeta: metav1.TypeMeta{APIVersion: "apis.kcp.io/v1alpha2", Kind: "APIBindingList"}, ListMeta: meta, Items: []apisv1alpha2.APIBinding{binding}}, true
	case "clusterregistrations":
		registration := tmcv1alpha1.ClusterRegistration{ObjectMeta: *inAcme.DeepCopy()}
		registration.Name = "east"
		return &tmcv1alpha1.ClusterRegistrationList{TypeMeta: metav1.TypeMeta{APIVersion: "tmc.kcp.io/v1alpha1", Kind: "ClusterRegistrationList"}, ListMeta: meta, Items: []tmcv1alpha1.ClusterRegistration{registration}}, true
	case "clustergrants":
		return &tmcv1alpha1.ClusterGrantList{TypeMeta: metav1.TypeMeta{APIVersion: "tmc.kcp.io/v1alpha1", Kind: "ClusterGrantList"}, ListMeta: meta}, true
	case "secrets":
		return &corev1.SecretList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "SecretList"}, ListMeta: meta}, true
	}
	return nil, false
}

func (f *fakeKCP) patched(suffix string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, path := range f.patches {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return false
}

func (f *fakeKCP) config(election bool) Config {
	return Config{
		Provider:   &restclient.Config{Host: f.URL + "/clusters/root:tmc", TLSClientConfig: restclient.TLSClientConfig{Insecure: true}},
		ExportName: "tmc.kcp.io", WorkloadExportName: "kubernetes", PathPrefix: "/services/tmc", StartGrace: 10 * time.Second, PublishEndpoints: true,
		Election: Election{Enabled: election, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: time.Second},
		Clock:    clock.RealClock{}, Metrics: metrics.NewKubeRegistry(),
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func readyNow(b apiserver.Backend) bool {
	for _, check := range b.ReadyChecks {
		if check.Check(nil) != nil {
			return false
		}
	}
	return true
}

// The whole, from kcp's objects to a row in a view and to statuses in kcp.
func TestBackendShowsWhatIsInKCP(t *testing.T) {
	t.Parallel()
	kcp := newFakeKCP(t)
	b, err := New(kcp.config(false))
	if err != nil {
		t.Fatal(err)
	}
	storage := b.Storage["clusterstatuses"]
	getter, ok := storage.(rest.Getter)
	if !ok {
		t.Fatalf("%T does not get", storage)
	}
	ctx := workspace.With(t.Context(), "acme1")
	if _, err := getter.Get(ctx, "east", &metav1.GetOptions{}); readyNow(b) || err == nil {
		t.Fatalf("ready before anything ran, %v", err)
	}
	running, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, component := range b.Components {
		group.Go(func() {
			if err := component.Run(running); err != nil {
				t.Errorf("component %s: %v", component.Name, err)
			}
		})
	}
	eventually(t, "the backend is ready", func() bool { return readyNow(b) })
	// Ready means complete: the row is there at once.
	var object runtime.Object
	if object, err = getter.Get(ctx, "east", &metav1.GetOptions{}); err != nil || object == nil {
		t.Errorf("getting the row: %v", err)
	}
	if _, err := getter.Get(workspace.With(t.Context(), "globex1"), "east", &metav1.GetOptions{}); err == nil {
		t.Error("another workspace sees the row")
	}
	if name, found := b.Workspaces.Name(logicalcluster.NewPath("root:acme")); !found || name != "acme1" || !b.Workspaces.Bound("acme1") {
		t.Errorf("the workspace is %q, %v", name, found)
	}
	eventually(t, "the registration's status is written", func() bool {
		return kcp.patched("/clusters/acme1/apis/tmc.kcp.io/v1alpha1/clusterregistrations/east/status")
	})
	b.EndWatches()
	stop()
	group.Wait()
}

func TestBackendWithElection(t *testing.T) {
	t.Parallel()
	b, err := New(newFakeKCP(t).config(true))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, component := range b.Components {
		names[component.Name] = true
	}
	for _, name := range []string{"kcp", "fleet", "members", "grants", "publisher", "start", "endpoints", "election"} {
		if !names[name] {
			t.Errorf("component %s is missing", name)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	kcp := newFakeKCP(t)
	for name, change := range map[string]func(*Config){
		"no export":     func(c *Config) { c.ExportName = "" },
		"metrics twice": func(c *Config) { _, _ = New(*c) },
		"election too fast": func(c *Config) {
			c.Election = Election{Enabled: true, LeaseDuration: 1, RenewDeadline: 2, RetryPeriod: 3}
		},
		"certificates gone": func(c *Config) { c.Provider.TLSClientConfig = restclient.TLSClientConfig{CAFile: "/no/such/file"} },
	} {
		config := kcp.config(true)
		change(&config)
		if _, err := New(config); err == nil {
			t.Errorf("%s: it was accepted", name)
		}
	}
}

type always bool

func (a always) IsLeader() bool { return bool(a) }

func TestSyncedLeaderWaits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ synced, leads, want bool }{{true, true, true}, {false, true, false}, {true, false, false}} {
		if got := (syncedLeader{always(tc.leads), func() bool { return tc.synced }}).IsLeader(); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}
