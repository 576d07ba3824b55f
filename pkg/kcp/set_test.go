// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/component-base/metrics"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

func pemOf(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

func key(ws, name string) workspace.Key {
	return workspace.Key{Workspace: logicalcluster.Name(ws), Name: name}
}

func secretKey(ws, name string) workspace.Key {
	return workspace.Key{Workspace: logicalcluster.Name(ws), Namespace: "default", Name: name}
}

func start(t *testing.T, f *fakeKCP, change func(*Config)) *Set {
	t.Helper()
	m, err := NewMetrics(metrics.NewKubeRegistry())
	if err != nil {
		t.Fatal(err)
	}
	config := Config{ProviderConfig: f.config(), ExportName: exportName, Metrics: m, RetireGrace: 2 * time.Second}
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		f.cut("/")
		if err := <-done; err != nil {
			t.Errorf("running the set: %v", err)
		}
	})
	return s
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
		time.Sleep(10 * time.Millisecond) // polls what other goroutines do
	}
}

func TestSetMergesTwoShards(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.set(at("b", bindings), binding("two"))
	f.set(at("a", registrations), registration("one", "east"))
	f.set(at("b", registrations), registration("two", "east"))
	f.set(at("a", secrets), secret("one", "east"))
	f.endpoints("a", "b")
	s := start(t, f, nil)
	eventually(t, "synced", s.HasSynced)

	for _, ws := range []string{"one", "two"} {
		found, ok := s.Registrations().Find(key(ws, "east"))
		if !ok {
			t.Fatalf("registration of workspace %s is not found", ws)
		}
		if found.ManagedFields != nil || found.Spec.KubeconfigSecretRef.Name != "east" {
			t.Errorf("registration is not as expected: %+v", found)
		}
	}
	if got := len(s.Registrations().List()); got != 2 {
		t.Errorf("got %d registrations, want 2", got)
	}
	if found, ok := s.Secrets().Find(secretKey("one", "east")); !ok || string(found.Data["kubeconfig"]) != "a" {
		t.Errorf("secret is not as expected: %v", ok)
	}
	if name, ok := s.Name(logicalcluster.NewPath("root:two")); !ok || name != "two" {
		t.Errorf("path root:two is workspace %q", name)
	}
	if path, ok := s.Path("one"); !ok || path.String() != "root:one" {
		t.Errorf("workspace one is at path %q", path)
	}
	config, ok := s.ConfigFor("two")
	if !ok || config.Host != f.URL+"/b/clusters/two" {
		t.Errorf("workspace two is reached at %v", config)
	}
	if _, ok := s.ConfigFor("three"); ok {
		t.Error("a workspace without a binding can be reached")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, query := range f.queries {
		if strings.Contains(query, "/secrets?") && !strings.Contains(query, "labelSelector=tmc.kcp.io%2Fcredentials%3Dmember") {
			t.Errorf("secrets are read without the selector: %s", query)
		}
	}
}

func TestSetFollowsObjects(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.endpoints("a")
	var told atomic.Int32
	s, err := New(Config{ProviderConfig: f.config(), ExportName: exportName})
	if err != nil {
		t.Fatal(err)
	}
	s.Registrations().AddHandler(func(workspace.Key) { told.Add(1) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	eventually(t, "synced", s.HasSynced)
	east := registration("one", "east")
	f.set(at("a", registrations), east)
	eventually(t, "added", func() bool { _, ok := s.Registrations().Find(key("one", "east")); return ok })
	bad := registration("one", "bad")
	bad["spec"] = map[string]any{"unschedulable": "not a boolean"}
	f.set(at("a", registrations), bad)
	f.set(at("a", registrations), registration("one", "west"))
	eventually(t, "an undecodable object keeps out no other", func() bool { return len(s.Registrations().ByWorkspace("one")) == 2 })
	f.remove(at("a", registrations), east)
	eventually(t, "removed", func() bool { _, ok := s.Registrations().Find(key("one", "east")); return !ok })
	if told.Load() < 3 {
		t.Errorf("the handler was told %d changes, want at least 3", told.Load())
	}
	cancel()
	f.cut("/")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// SEC-04: kcp goes on showing claimed objects after the binding is gone.
func TestSEC04ObjectsOfUnboundWorkspacesAreInvisible(t *testing.T) {
	t.Parallel()
	tests := map[string]func(map[string]any){
		"another export": func(b map[string]any) {
			b["spec"] = map[string]any{"reference": map[string]any{"export": map[string]any{"name": "other"}}}
		},
		"not bound yet": func(b map[string]any) { b["status"] = map[string]any{"phase": "Binding"} },
		"deleting": func(b map[string]any) {
			b["metadata"].(map[string]any)["deletionTimestamp"] = "2026-01-02T00:00:00Z"
		},
		"no reference": func(b map[string]any) { b["spec"] = map[string]any{} },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeKCP(t)
			f.set(at("a", bindings), binding("one"))
			f.set(at("a", secrets), secret("one", "east"))
			f.set(at("a", registrations), registration("one", "east"))
			f.endpoints("a")
			s := start(t, f, nil)
			eventually(t, "bound", func() bool { return s.HasSynced() && s.Bound("one") })
			spoiled := binding("one")
			spoil(spoiled)
			f.set(at("a", bindings), spoiled)
			eventually(t, "not bound", func() bool { return !s.Bound("one") })
			if _, ok := s.Secrets().Find(secretKey("one", "east")); ok {
				t.Error("the secret is still visible")
			}
			if len(s.Registrations().List()) != 0 || len(s.Registrations().ByWorkspace("one")) != 0 {
				t.Error("the registration is still visible")
			}
			if _, ok := s.ConfigFor("one"); ok {
				t.Error("the workspace can still be reached")
			}
			if _, ok := s.Name(logicalcluster.NewPath("root:one")); ok {
				t.Error("the path still has a workspace")
			}
			err := s.RegistrationStatus().PatchStatus(t.Context(), key("one", "east"), []byte(`{}`))
			if !errors.Is(err, ErrNotBound) {
				t.Errorf("got error %v, want ErrNotBound", err)
			}
		})
	}
}

// SEC-07: a claim that is rejected, or a resource that is missing, holds up nothing else.
func TestSEC07DeniedResourceBlocksNoOther(t *testing.T) {
	t.Parallel()
	for _, code := range []int{403, 404} {
		f := newFakeKCP(t)
		f.fail(at("a", secrets), code)
		f.set(at("a", bindings), binding("one"))
		f.set(at("a", registrations), registration("one", "east"))
		f.endpoints("a")
		s := start(t, f, func(c *Config) { c.StartupGrace = time.Hour })
		eventually(t, "synced without secrets", s.HasSynced)
		if _, ok := s.Registrations().Find(key("one", "east")); !ok {
			t.Error("the registration is not found")
		}
		f.set(at("a", secrets), secret("one", "east"))
		f.fail(at("a", secrets), 0)
		eventually(t, "secret read once it may be", func() bool { _, ok := s.Secrets().Find(secretKey("one", "east")); return ok })
	}
}

// FLT-08: a shard that goes away keeps its last objects and blinds no other.
func TestFLT08LostShardBlindsNoOther(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.set(at("b", bindings), binding("two"))
	f.set(at("b", registrations), registration("two", "east"))
	f.endpoints("a", "b")
	s := start(t, f, nil)
	eventually(t, "synced", s.HasSynced)
	f.fail("/b", 503)
	f.set(at("a", registrations), registration("one", "west"))
	eventually(t, "the other shard is followed", func() bool { _, ok := s.Registrations().Find(key("one", "west")); return ok })
	if _, ok := s.Registrations().Find(key("two", "east")); !ok {
		t.Error("the lost shard's objects are gone")
	}
	f.remove(at("b", registrations), registration("two", "east"))
	f.fail("/b", 0)
	eventually(t, "what was missed is caught up with", func() bool { _, ok := s.Registrations().Find(key("two", "east")); return !ok })
}

func TestDeadShardAtStartHoldsUpForTheGraceOnly(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.fail("/b", 503)
	f.set(at("a", bindings), binding("one"))
	f.endpoints("a", "b")
	s := start(t, f, func(c *Config) { c.StartupGrace = 3 * time.Second })
	eventually(t, "the living shard is read", func() bool { return s.Bound("one") })
	if s.HasSynced() {
		t.Error("synced before the grace was over")
	}
	eventually(t, "synced after the grace", s.HasSynced)
}

func TestEndpointsComeAndGo(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.set(at("a", registrations), registration("one", "east"))
	s := start(t, f, func(c *Config) { c.RetireGrace = time.Minute })
	if urls, known := s.Endpoints(); known || s.HasSynced() {
		t.Errorf("endpoints %v are known without a slice", urls)
	}
	f.endpoints("a")
	eventually(t, "synced", s.HasSynced)

	// The shard gets another address: its rows do not go in between.
	var gone atomic.Bool
	f.set(at("a2", bindings), binding("one"))
	f.set(at("a2", registrations), registration("one", "east"))
	f.fail("/a2", 503)
	f.endpoints("a2")
	eventually(t, "the new endpoint is tried", func() bool { urls, _ := s.Endpoints(); return len(urls) == 1 && strings.HasSuffix(urls[0], "/a2") })
	s.Registrations().AddHandler(func(k workspace.Key) {
		if _, ok := s.Registrations().Find(k); !ok {
			gone.Store(true)
		}
	})
	f.fail("/a2", 0)
	eventually(t, "the workspace is reached at the new address", func() bool {
		config, ok := s.ConfigFor("one")
		return ok && strings.Contains(config.Host, "/a2/")
	})
	if gone.Load() {
		t.Error("the registration went away in between")
	}

	// A shard leaves for good.
	f.set(at("b", bindings), binding("two"))
	f.endpoints("a2", "b")
	eventually(t, "the second shard is followed", func() bool { return s.Bound("two") })
	f.endpoints("a2")
	eventually(t, "what left is dropped", func() bool { return !s.Bound("two") })
	if !s.Bound("one") {
		t.Error("the other shard's workspace is gone")
	}
}

func TestSliceThatIsDeletedDropsEverythingAfterTheGrace(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.endpoints("a")
	s := start(t, f, nil)
	eventually(t, "bound", func() bool { return s.Bound("one") })
	f.remove(slicesPath, map[string]any{"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExportEndpointSlice", "metadata": map[string]any{"name": exportName}})
	eventually(t, "dropped", func() bool { return !s.Bound("one") })
}

func TestPatchStatusGoesToTheShardOfTheWorkspace(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("b", bindings), binding("two"))
	f.endpoints("a", "b")
	s := start(t, f, nil)
	eventually(t, "bound", func() bool { return s.Bound("two") })
	if err := s.GrantStatus().PatchStatus(t.Context(), key("two", "g"), []byte(`{"status":{}}`)); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	got := f.patches
	f.mu.Unlock()
	want := patched{"/b/clusters/two" + grants + "/g/status", "application/merge-patch+json", `{"status":{}}`}
	if len(got) != 1 || got[0] != want {
		t.Errorf("got patches %v, want %v", got, want)
	}
	f.fail("/b/clusters/two", 403)
	err := s.RegistrationStatus().PatchStatus(t.Context(), key("two", "r"), []byte(`{}`))
	if err == nil || strings.Contains(err.Error(), "secret-of-ours") {
		t.Errorf("got error %v", err)
	}
}

func TestNewRefusesIncompleteConfig(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("an empty config is accepted")
	}
	f := newFakeKCP(t)
	broken := f.config()
	broken.CAFile = "/does/not/exist"
	broken.CAData = nil
	if _, err := New(Config{ProviderConfig: broken, ExportName: "x"}); err == nil {
		t.Error("a missing certificate authority is accepted")
	}
}

func TestValidEndpoint(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"https://host/path/":       "https://host/path",
		"http://host/path":         "",
		"https://user:pw@host/":    "",
		"https://host/?a=b":        "",
		"https://host/#f":          "",
		"https://":                 "",
		"https://host\x7f/":        "",
		"https://host:6443/a/b/c/": "https://host:6443/a/b/c",
	}
	for raw, want := range tests {
		got, err := validEndpoint(raw)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("endpoint %q: got %q, %v, want %q", raw, got, err, want)
		}
	}
}

// SEC-19: a workspace that says to be where another one is gets nothing by it.
func TestSEC19FirstWorkspaceHasThePath(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	older, newer := binding("older"), binding("newer")
	for ws, b := range map[string]map[string]any{"2025-01-01T00:00:00Z": older, "2026-01-01T00:00:00Z": newer} {
		metadata := b["metadata"].(map[string]any)
		metadata["creationTimestamp"] = ws
		metadata["annotations"].(map[string]any)["kcp.io/path"] = "root:same"
	}
	f.set(at("a", bindings), older)
	f.set(at("a", bindings), newer)
	f.endpoints("a")
	s := start(t, f, nil)
	eventually(t, "synced", s.HasSynced)
	if name, _ := s.Name(logicalcluster.NewPath("root:same")); name != "older" {
		t.Errorf("the path is workspace %q", name)
	}
	if all := s.Workspaces().All(); !all["newer"].Empty() || all["older"].String() != "root:same" {
		t.Errorf("got workspaces %v", all)
	}
	f.remove(at("a", bindings), older)
	eventually(t, "the path goes on", func() bool { name, _ := s.Name(logicalcluster.NewPath("root:same")); return name == "newer" })
}

// A workspace that is not known may have a binding at an endpoint that has not been read.
func TestSetIsCompleteOnceAllBindingsAreRead(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.fail(at("b", bindings), 503)
	f.set(at("a", bindings), binding("one"))
	f.endpoints("a", "b")
	s := start(t, f, func(c *Config) { c.StartupGrace = time.Second })
	eventually(t, "synced without the other", func() bool { return s.HasSynced() && s.Bound("one") })
	if s.Complete() {
		t.Error("complete without the bindings of an endpoint")
	}
	f.fail(at("b", bindings), 0)
	eventually(t, "complete", s.Complete)
}
