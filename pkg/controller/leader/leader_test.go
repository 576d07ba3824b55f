// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// fakeLeases keeps one Lease, with optimistic locking.
type fakeLeases struct {
	mu     sync.Mutex
	lease  map[string]any
	broken bool
	asked  int
	// version is that of the lease.
	version int
}

func versionOf(lease map[string]any) any {
	metadata, _ := lease["metadata"].(map[string]any)
	return metadata["resourceVersion"]
}

func (f *fakeLeases) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *fakeLeases) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	w.Header().Set("Content-Type", "application/json")
	switch {
	case f.broken:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Method == http.MethodGet && f.lease == nil:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	case r.Method == http.MethodPost || r.Method == http.MethodPut:
		written := map[string]any{}
		_ = json.NewDecoder(r.Body).Decode(&written)
		if r.Method == http.MethodPut && versionOf(written) != versionOf(f.lease) {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","code":409}`)
			return
		}
		f.version++
		written["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(f.version)
		f.lease = written
		_ = json.NewEncoder(w).Encode(f.lease)
	default:
		_ = json.NewEncoder(w).Encode(f.lease)
	}
}

func (f *fakeLeases) holder() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	spec, _ := f.lease["spec"].(map[string]any)
	holder, _ := spec["holderIdentity"].(string)
	return holder
}

func (f *fakeLeases) fail(broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
}

func electorAt(t *testing.T, server *httptest.Server, identity *Identity, gained func()) *Elector {
	t.Helper()
	return newElector(t, server, Config{
		Identity: identity, LeaseDuration: 2 * time.Second, RenewDeadline: time.Second, RetryPeriod: 50 * time.Millisecond,
		OnGained: []func(){gained},
	})
}

func electorLasting(t *testing.T, server *httptest.Server, identity *Identity, lease time.Duration) *Elector {
	t.Helper()
	return newElector(t, server, Config{Identity: identity, LeaseDuration: lease, RenewDeadline: lease / 2, RetryPeriod: 50 * time.Millisecond})
}

func newElector(t *testing.T, server *httptest.Server, config Config) *Elector {
	t.Helper()
	config.ProviderConfig = &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	config.HTTPClient = server.Client()
	e, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) { // polls other goroutines
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

func TestLeadershipIsGainedLostAndGivenUp(t *testing.T) {
	t.Parallel()
	leases := &fakeLeases{}
	server := httptest.NewServer(leases)
	defer server.Close()
	gained := make(chan struct{}, 10)
	e := electorAt(t, server, &Identity{Name: "one"}, func() { gained <- struct{}{} })
	if e.IsLeader() {
		t.Error("is the leader before it runs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { e.Run(ctx); close(done) }()
	<-gained
	eventually(t, "leading", e.IsLeader)
	leases.fail(true)
	eventually(t, "stopped leading while kcp is away", func() bool { return !e.IsLeader() })
	leases.fail(false)
	<-gained
	eventually(t, "leading again", e.IsLeader)
	cancel()
	<-done
	if e.IsLeader() || leases.holder() != "" {
		t.Errorf("the lease is not given up: %q", leases.holder())
	}
}

func TestOneLeads(t *testing.T) {
	t.Parallel()
	leases := &fakeLeases{}
	server := httptest.NewServer(leases)
	defer server.Close()
	first, second := electorAt(t, server, &Identity{Name: "one"}, func() {}), electorAt(t, server, &Identity{Name: "two"}, func() {})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { first.Run(ctx); close(done) }()
	eventually(t, "the first leads", first.IsLeader)
	ctx2, cancel2 := context.WithCancel(t.Context())
	done2 := make(chan struct{})
	go func() { second.Run(ctx2); close(done2) }()
	cancel()
	<-done
	eventually(t, "the second leads", second.IsLeader)
	if first.IsLeader() || leases.holder() != "two" {
		t.Errorf("the lease is held by %q", leases.holder())
	}
	cancel2()
	<-done2
}

func TestNewRefusesAndDefaults(t *testing.T) {
	t.Parallel()
	config := &rest.Config{Host: "https://127.0.0.1:1"}
	tests := map[string]Config{
		"nothing":     {},
		"no identity": {ProviderConfig: config},
		"bad CA":      {ProviderConfig: &rest.Config{TLSClientConfig: rest.TLSClientConfig{CAFile: "/does/not/exist"}}, Identity: &Identity{Name: "x"}},
		"bad times":   {ProviderConfig: config, Identity: &Identity{Name: "x"}, LeaseDuration: time.Second},
	}
	for name, tc := range tests {
		if _, err := New(tc); err == nil || strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	e, err := New(Config{ProviderConfig: config, Identity: &Identity{Name: "x"}})
	if err != nil || e.config.Name != DefaultName || e.config.LeaseDuration != DefaultLeaseDuration {
		t.Errorf("got %+v, %v", e, err)
	}
	if !(Always{}).IsLeader() {
		t.Error("alone, but not the leader")
	}
}
