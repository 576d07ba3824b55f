// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// fakeKCP serves discovery of one group and takes patches.
type fakeKCP struct {
	resources string // JSON of APIResourceList.resources; empty for no such group
	patchCode int

	mu      sync.Mutex
	patches []string
}

func (f *fakeKCP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == http.MethodPatch:
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.patches = append(f.patches, r.URL.String()+" "+r.Header.Get("Content-Type")+" "+string(body))
		f.mu.Unlock()
		if f.patchCode != 0 {
			w.WriteHeader(f.patchCode)
		}
		_, _ = io.WriteString(w, `{"kind":"X","apiVersion":"v1","metadata":{"name":"tmc"}}`)
	case r.URL.Path == "/clusters/root:tmc/apis" && f.resources != "":
		_, _ = io.WriteString(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"cache.kcp.io",`+
			`"versions":[{"groupVersion":"cache.kcp.io/v1alpha1","version":"v1alpha1"}]}]}`)
	case r.URL.Path == "/clusters/root:tmc/apis":
		_, _ = io.WriteString(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`)
	case strings.HasSuffix(r.URL.Path, "/apis/cache.kcp.io/v1alpha1"):
		_, _ = fmt.Fprintf(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"cache.kcp.io/v1alpha1","resources":[%s]}`, f.resources)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

type source struct {
	urls     []string
	unknown  bool
	follower bool
}

func (s source) Endpoints() ([]string, bool) { return s.urls, !s.unknown }
func (s source) IsLeader() bool              { return !s.follower }

const (
	older = `{"name":"cachedresourceendpointslices","kind":"CachedResourceEndpointSlice"}`
	newer = `{"name":"clustercachedresourceendpointslices","kind":"ClusterCachedResourceEndpointSlice"}`
)

func TestPublish(t *testing.T) {
	t.Parallel()
	urls := []string{"https://b:1/services/apiexport/x/tmc.kcp.io", "https://a:2/services/apiexport/x/tmc.kcp.io"}
	published := `"status":{"endpoints":[{"url":"https://a:2/services/tmc"},{"url":"https://b:1/services/tmc"}]}}`
	patch := func(resource, kind, status string) []string {
		return []string{"/clusters/root:tmc/apis/cache.kcp.io/v1alpha1/" + resource + "/tmc/status?fieldManager=tmc-endpoints&force=true " +
			`application/apply-patch+yaml {"apiVersion":"cache.kcp.io/v1alpha1","kind":"` + kind + `","metadata":{"name":"tmc"},` + status}
	}
	tests := map[string]struct {
		source    source
		resources string
		code      int
		want      []string
		fails     bool
	}{
		"older kcp":      {source: source{urls: urls}, resources: older, want: patch("cachedresourceendpointslices", "CachedResourceEndpointSlice", published)},
		"newer kcp":      {source: source{urls: urls}, resources: newer, want: patch("clustercachedresourceendpointslices", "ClusterCachedResourceEndpointSlice", published)},
		"both kinds":     {source: source{urls: urls}, resources: older + "," + newer, want: patch("clustercachedresourceendpointslices", "ClusterCachedResourceEndpointSlice", published)},
		"no endpoints":   {source: source{}, resources: older, want: patch("cachedresourceendpointslices", "CachedResourceEndpointSlice", `"status":{"endpoints":[]}}`)},
		"not known yet":  {source: source{unknown: true}, resources: older},
		"not the leader": {source: source{urls: urls, follower: true}, resources: older},
		"no such group":  {source: source{urls: urls}, fails: true},
		"no such kind":   {source: source{urls: urls}, resources: `{"name":"others","kind":"Other"}`, fails: true},
		"kcp refuses":    {source: source{urls: urls}, resources: older, code: 403, fails: true, want: patch("cachedresourceendpointslices", "CachedResourceEndpointSlice", published)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeKCP{resources: tc.resources, patchCode: tc.code}
			server := httptest.NewServer(fake)
			defer server.Close()
			c, err := New(Config{
				ProviderConfig: &rest.Config{Host: server.URL + "/clusters/root:tmc"}, Endpoints: tc.source, Leader: tc.source, PathPrefix: "/services/tmc",
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Reconcile(t.Context(), workspace.Key{})
			if (err != nil) != tc.fails {
				t.Errorf("got error %v", err)
			}
			if tc.fails && tc.code == 0 && !errors.Is(err, ErrNoSliceKind) {
				t.Errorf("got error %v, want ErrNoSliceKind", err)
			}
			if diff := cmp.Diff(tc.want, fake.patches); diff != "" {
				t.Errorf("patches (-want +got):\n%s", diff)
			}
		})
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	got := URLs([]string{"https://a/x", "https://a/y", "://", "https://b"}, "services/tmc/")
	if diff := cmp.Diff([]string{"https://a/services/tmc", "https://b/services/tmc"}, got); diff != "" {
		t.Errorf("URLs (-want +got):\n%s", diff)
	}
}

func TestRunEndsAndNewRefuses(t *testing.T) {
	t.Parallel()
	c, err := New(Config{ProviderConfig: &rest.Config{Host: "https://127.0.0.1:1"}, Endpoints: source{unknown: true}, Leader: source{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Run(ctx)
	for _, broken := range []*rest.Config{
		{Host: "https://x", TLSClientConfig: rest.TLSClientConfig{CAFile: "/does/not/exist"}},
		{Host: "://"},
	} {
		if _, err := New(Config{ProviderConfig: broken}); err == nil {
			t.Errorf("config %v is accepted", broken.Host)
		}
	}
	down, err := New(Config{ProviderConfig: &rest.Config{Host: "https://127.0.0.1:1"}, Endpoints: source{}, Leader: source{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := down.Reconcile(t.Context(), workspace.Key{}); err == nil {
		t.Error("a kcp that is away is no error")
	}
}
