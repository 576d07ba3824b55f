// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"

	"github.com/kcp-dev/tmc/pkg/door/doortest"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func newFilter(t testing.TB, p pki, limits Limits, next http.HandlerFunc) (http.Handler, metrics.KubeRegistry) {
	t.Helper()
	registry := metrics.NewKubeRegistry()
	m, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewFilter(next, FilterConfig{
		Paths: newParser(t), Doors: p.doors(t), Limits: limits, Metrics: m,
		RequestInfo: &genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("apis"), GrouplessAPIPrefixes: sets.NewString()},
		LongRunning: genericfilters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString()),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, registry
}

func call(handler http.Handler, leaf *doortest.Leaf, target string, header http.Header) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, target, nil)
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.TLS = &tls.ConnectionState{}
	if leaf != nil {
		req.TLS.PeerCertificates = leaf.Peer()
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	return w
}

func TestFilterLetsOneMeaningThrough(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	proxy := p.requestheader.Client(t, "proxy-side")
	type passed struct {
		Path, RawPath, Workspace, User string
		Header                         http.Header
	}
	var got passed
	handler, registry := newFilter(t, p, Limits{}, func(_ http.ResponseWriter, req *http.Request) {
		ws, _ := workspace.From(req.Context())
		response, ok, err := Authenticator().AuthenticateRequest(req)
		if !ok || err != nil {
			t.Errorf("not authenticated: %v", err)
			return
		}
		got = passed{req.URL.Path, req.URL.RawPath, ws.String(), response.User.GetName(), req.Header}
	})
	w := call(handler, &proxy, "/services/tmc/clusters/root%3Aacme/apis/tmc.kcp.io", http.Header{
		"Accept": {"application/json"}, "Authorization": {"Bearer secret"}, "authorization": {"Bearer secret"}, "Proxy-Authorization": {"x"},
		"Cookie": {"session=secret"}, sideUser: {"alice"}, sideGroup: {"devs"}, sideExtra + "K": {"v"}, frontUser: {"evil"}, "X_Fp_Bb2_User": {"evil"},
		"X-Remote-User": {"evil"}, "X_Remote_Group": {"evil"}, "User-Agent": {"kubectl"},
	})
	want := passed{"/apis/tmc.kcp.io", "", "acme1", "alice", http.Header{"Accept": {"application/json"}, "User-Agent": {"kubectl"}}}
	if diff := cmp.Diff(want, got); diff != "" || w.Code != http.StatusOK {
		t.Errorf("status %d, passed on (-want +got):\n%s", w.Code, diff)
	}
	wantMetrics := `
# HELP tmc_door_requests_total [ALPHA] Requests by the door they took and by who vouches for them.
# TYPE tmc_door_requests_total counter
tmc_door_requests_total{door="side",trust="user"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(wantMetrics), "tmc_door_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestFilterIdentityPerPath(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	handler, _ := newFilter(t, p, Limits{}, func(w http.ResponseWriter, req *http.Request) {
		found, ok := IdentityFrom(req.Context())
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Name", found.GetName())
	})
	strange := p.stranger.Client(t, "alice")
	for target, want := range map[string]string{
		"/healthz": "system:anonymous", "/livez": "system:anonymous", "/readyz?verbose": "system:anonymous",
		"/readyz/ping": "", "/metrics": "", "/": "", "/apis": "", "/services/tmc/clusters/acme1/healthz": "", "/services/tmc/clusters/acme1/readyz": "",
	} {
		for _, leaf := range []*doortest.Leaf{nil, &strange} {
			if w := call(handler, leaf, target, nil); w.Header().Get("Name") != want {
				t.Errorf("%s: status %d, name %q, want %q", target, w.Code, w.Header().Get("Name"), want)
			}
		}
	}
}

func TestSEC01FilterRefusesImpersonation(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	proxy := p.requestheader.Client(t, "proxy-front")
	handler, _ := newFilter(t, p, Limits{}, func(http.ResponseWriter, *http.Request) { t.Error("the request came through") })
	for _, name := range []string{
		"Impersonate-User", "impersonate-user", "IMPERSONATE-GROUP", "Impersonate-Uid", "Impersonate-Extra-Scopes", "Impersonate_User", "impersonate_group", "Impersonate-",
	} {
		for _, value := range []string{"admin", ""} {
			w := call(handler, &proxy, "/services/tmc/clusters/acme1/apis", http.Header{frontUser: {"kcp-shard-root"}, name: {value}})
			var status metav1.Status
			if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || w.Code != http.StatusForbidden || status.Reason != metav1.StatusReasonForbidden {
				t.Errorf("%s: status %d, %v, %s", name, w.Code, err, w.Body)
			}
		}
	}
}

func TestSEC12FilterRefusesPaths(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	proxy := p.requestheader.Client(t, "proxy-front")
	handler, registry := newFilter(t, p, Limits{}, func(http.ResponseWriter, *http.Request) { t.Error("the request came through") })
	for _, target := range []string{"/services/tmc/clusters/acme1/../globex1/apis", "/services/tmc/clusters/acme1%2f..", "/services/tmc/clusters//apis", "//healthz", "/services/tmc/clusters/%20/"} {
		w := call(handler, &proxy, "https://host"+target, http.Header{frontUser: {"kcp-shard-root"}})
		if w.Code != http.StatusBadRequest || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: status %d, %v", target, w.Code, w.Header())
		}
	}
	want := `
# HELP tmc_door_refusals_total [ALPHA] Requests that were refused before they reached the API server's handler chain, or that reached it without an identity, by reason.
# TYPE tmc_door_refusals_total counter
tmc_door_refusals_total{reason="path"} 5
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "tmc_door_refusals_total"); err != nil {
		t.Error(err)
	}
}

// What a watch keeps for as long as it is open has a bound: its query, of which selectors are made, and its headers.
func TestSEC20FilterBoundsRequests(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	proxy := p.requestheader.Client(t, "proxy-front")
	handler, _ := newFilter(t, p, Limits{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	const watch = "/services/tmc/clusters/acme1/apis/tmc.kcp.io/v1alpha1/clusterstatuses?watch=1&labelSelector="
	shard := func(headers ...string) http.Header {
		header := http.Header{frontUser: {"kcp-shard-root"}}
		for i, value := range headers {
			header[fmt.Sprintf("X-Any-%d", i)] = []string{value}
		}
		return header
	}
	for name, tc := range map[string]struct {
		target string
		header http.Header
		want   int
	}{
		"ordinary":               {watch + "a", shard(), http.StatusNoContent},
		"long continue token":    {watch + strings.Repeat("a", 5000), shard(), http.StatusNoContent},
		"selector of megabytes":  {watch + strings.Repeat("a", 1<<20), shard(), http.StatusRequestURITooLong},
		"selector over the edge": {watch + strings.Repeat("a", maxQueryLength), shard(), http.StatusRequestURITooLong},
		"one huge header":        {watch + "a", shard(strings.Repeat("a", 1<<20)), http.StatusRequestHeaderFieldsTooLarge},
		"many headers":           {watch + "a", shard(strings.Repeat("a", 20000), strings.Repeat("a", 20000)), http.StatusRequestHeaderFieldsTooLarge},
		"a long token is not kept": {
			watch + "a",
			http.Header{frontUser: {"kcp-shard-root"}, "Authorization": {strings.Repeat("a", 100_000)}},
			http.StatusNoContent,
		},
	} {
		w := call(handler, &proxy, tc.target, tc.header)
		if w.Code != tc.want {
			t.Errorf("%s: status %d, want %d: %.200s", name, w.Code, tc.want, w.Body)
		}
		var status metav1.Status
		if w.Code != http.StatusNoContent && (json.Unmarshal(w.Body.Bytes(), &status) != nil || int(status.Code) != tc.want) {
			t.Errorf("%s: no status: %.200s", name, w.Body)
		}
	}
}

// held keeps requests open until it is closed.
type held struct {
	arrived chan struct{}
	release chan struct{}
	group   sync.WaitGroup
}

func newHeld() *held { return &held{arrived: make(chan struct{}), release: make(chan struct{})} }

func (h *held) handle(_ http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Hold") != "" {
		h.arrived <- struct{}{}
		<-h.release
	}
}

func (h *held) open(handler http.Handler, leaf *doortest.Leaf, target, header, name string) {
	h.group.Go(func() { call(handler, leaf, target, http.Header{header: {name}, "Hold": {"1"}}) })
	<-h.arrived
}

func TestSEC20LimitsPerTenant(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	front, side := p.requestheader.Client(t, "proxy-front"), p.requestheader.Client(t, "proxy-side")
	h := newHeld()
	handler, _ := newFilter(t, p, Limits{Requests: 2, Watches: 1, AllWatches: 3}, h.handle)
	const list, watch = "/apis/tmc.kcp.io/v1alpha1/clusterstatuses", "/apis/tmc.kcp.io/v1alpha1/clusterstatuses?watch=1"
	acme, globex, all := "/services/tmc/clusters/acme1", "/services/tmc/clusters/globex1", "/services/tmc/clusters/*"
	shard, alice := "kcp-shard-root", "alice"

	h.open(handler, &front, acme+list, frontUser, shard)
	h.open(handler, &front, acme+list, frontUser, shard)
	h.open(handler, &front, acme+watch, frontUser, shard)
	h.open(handler, &side, acme+list, sideUser, alice)
	h.open(handler, &side, globex+list, sideUser, alice)

	expect := func(when string, leaf *doortest.Leaf, target, header, name string, want int) {
		t.Helper()
		w := call(handler, leaf, target, http.Header{header: {name}})
		if w.Code != want {
			t.Errorf("%s: %s by %s: status %d, want %d: %s", when, target, name, w.Code, want, w.Body)
		}
		if want == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: no Retry-After", when)
		}
	}
	expect("workspace is full", &front, acme+list, frontUser, shard, http.StatusTooManyRequests)
	expect("workspace is full", &front, acme+watch, frontUser, shard, http.StatusTooManyRequests)
	expect("others are not", &front, globex+list, frontUser, shard, http.StatusOK)
	expect("a user does not fill the workspace", &side, acme+list, sideUser, "bob", http.StatusOK)
	expect("a user is full in every workspace", &side, globex+list, sideUser, alice, http.StatusTooManyRequests)
	expect("the server itself is charged to the user", &side, "/version", sideUser, alice, http.StatusTooManyRequests)
	expect("discovery of shards is charged to nobody", &front, all+"/apis", frontUser, shard, http.StatusOK)
	expect("health is charged to nobody", nil, "/readyz", "X", "", http.StatusOK)

	h.open(handler, &front, globex+watch, frontUser, shard)
	h.open(handler, &front, all+watch, frontUser, shard)
	expect("all watches are taken", &side, acme+watch, sideUser, "bob", http.StatusTooManyRequests)

	close(h.release)
	h.group.Wait()
	expect("all is free again", &front, acme+list, frontUser, shard, http.StatusOK)
	expect("all is free again", &front, acme+watch, frontUser, shard, http.StatusOK)
	if f, ok := handler.(*filter); !ok || len(f.limiter.loads) != 0 || f.limiter.watches != 0 {
		t.Error("the limiter keeps entries of tenants that have nothing open")
	}
}

func TestLimiterReleasesAfterPanic(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	front := p.requestheader.Client(t, "proxy-front")
	handler, _ := newFilter(t, p, Limits{Requests: 1}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for range 3 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the request did not come through")
				}
			}()
			call(handler, &front, "/services/tmc/clusters/acme1/apis", http.Header{frontUser: {"kcp-shard-root"}})
		}()
	}
}

func TestNewFilterRefuses(t *testing.T) {
	t.Parallel()
	if _, err := NewFilter(http.NotFoundHandler(), FilterConfig{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
	p := newPKI(t)
	config := FilterConfig{
		Paths: newParser(t), Doors: p.doors(t), RequestInfo: &genericapirequest.RequestInfoFactory{}, Limits: Limits{Watches: -1},
		LongRunning: func(*http.Request, *genericapirequest.RequestInfo) bool { return false },
	}
	if _, err := NewFilter(http.NotFoundHandler(), config); err == nil {
		t.Error("a negative limit was accepted")
	}
}

func TestMetricsRegisterOnce(t *testing.T) {
	t.Parallel()
	registry := metrics.NewKubeRegistry()
	if _, err := NewMetrics(registry); err != nil {
		t.Fatal(err)
	}
	if _, err := NewMetrics(registry); err == nil {
		t.Error("registered twice without an error")
	}
	var none *Metrics
	none.request(anonymous())
	none.refusal("x")
	none.review("x")
}
