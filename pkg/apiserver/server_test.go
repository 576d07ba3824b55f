// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server/healthz"

	"github.com/kcp-dev/tmc/pkg/door"
	"github.com/kcp-dev/tmc/pkg/door/doortest"
)

func TestFrontDoorServesViews(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	tests := map[string]struct {
		method, path string
		header       http.Header
		code         int
		contains     string
	}{
		"list":                             {path: acme + views, code: 200, contains: `"name":"east"`},
		"get":                              {path: acme + views + "/east", code: 200, contains: `"kind":"ClusterStatus"`},
		"not found":                        {path: acme + views + "/west", code: 404, contains: `clusterstatuses.tmc.kcp.io \"west\" not found`},
		"by workspace path":                {path: "/services/tmc/clusters/root:acme" + views, code: 200, contains: `"name":"east"`},
		"another tenant":                   {path: "/services/tmc/clusters/globex1" + views, code: 200, contains: `"items":[]`},
		"discovery for all workspaces":     {path: everyone + "/apis/tmc.kcp.io/v1alpha1", code: 200, contains: `"verbs":["get","list","watch"]`},
		"discovery of groups":              {path: acme + "/apis", code: 200, contains: `"name":"tmc.kcp.io"`},
		"aggregated discovery":             {path: acme + "/apis", header: asShard("Accept", "application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList"), code: 200, contains: "APIGroupDiscoveryList"},
		"explanation":                      {path: acme + "/openapi/v3/apis/tmc.kcp.io/v1alpha1", code: 200, contains: "largestFree"},
		"table":                            {path: acme + views, header: asShard("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"), code: 200, contains: `"kind":"Table"`},
		"YAML":                             {path: acme + views, header: asShard("Accept", "application/yaml"), code: 200, contains: "kind: ClusterStatusList"},
		"protobuf falls back to JSON":      {path: acme + views, header: asShard("Accept", "application/vnd.kubernetes.protobuf,application/json"), code: 200, contains: `"kind":"ClusterStatusList"`},
		"protobuf alone is not acceptable": {path: acme + views, header: asShard("Accept", "application/vnd.kubernetes.protobuf"), code: 406},
		"SEC-05 create":                    {method: http.MethodPost, path: acme + views, code: 403, contains: "can only be read"},
		"SEC-05 put":                       {method: http.MethodPut, path: acme + views + "/east", code: 403},
		"SEC-05 patch":                     {method: http.MethodPatch, path: acme + views + "/east", code: 403},
		"SEC-05 delete":                    {method: http.MethodDelete, path: acme + views + "/east", code: 403},
		"SEC-05 delete collection":         {method: http.MethodDelete, path: acme + views, code: 403},
		"SEC-05 write the status":          {method: http.MethodPut, path: acme + views + "/east/status", code: 403},
		"read the status":                  {path: acme + views + "/east/status", code: 403},
		"another resource":                 {path: acme + "/api/v1/secrets", code: 403},
		"SEC-12 traversal":                 {path: acme + "/../globex1" + views, code: 400},
		"SEC-12 encoded slash":             {path: acme + views + "/%2e%2e%2feast", code: 400},
		"no workspace":                     {path: views, code: 403, contains: "names no workspace"},
		"metrics":                          {path: "/metrics", code: 403},
		"SEC-01 impersonation":             {path: acme + views, header: asShard("Impersonate-User", "admin"), code: 403, contains: "impersonation"},
		"SEC-01 no user header":            {path: acme + views, header: http.Header{"X-Remote-User": {shardUser}}, code: 401},
		"SEC-01 two user headers":          {path: acme + views, header: http.Header{frontUser: {shardUser, shardUser}}, code: 401},
		"SEC-01 header named hop by hop":   {path: acme + views, header: asShard("X-Remote-User", "admin", "X_fp_aa1_user", "admin"), code: 200},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.method == "" {
				tc.method = http.MethodGet
			}
			if tc.header == nil {
				tc.header = asShard()
			}
			got := r.do(&r.frontProxy, tc.method, tc.path, tc.header)
			if got.code != tc.code || !strings.Contains(got.body, tc.contains) {
				t.Errorf("status %d, want %d: %s", got.code, tc.code, got.body)
			}
			if got.proto != "HTTP/2.0" {
				t.Errorf("protocol %s", got.proto)
			}
		})
	}
}

func TestSideDoorAsksForReviews(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	for name, tc := range map[string]struct {
		user, path string
		code       int
		contains   string
	}{
		"allowed":             {"alice", acme + views, 200, `"name":"east"`},
		"allowed discovery":   {"alice", acme + "/apis", 200, "tmc.kcp.io"},
		"denied":              {"bob", acme + views, 403, `User \"bob\" cannot list`},
		"SEC-02 wildcard":     {"alice", everyone + views, 403, "only kcp"},
		"SEC-04 unbound":      {"alice", "/services/tmc/clusters/globex1" + views, 403, "no active binding"},
		"SEC-04 unknown path": {"alice", "/services/tmc/clusters/root:nobody" + views, 403, "no active binding"},
		"SEC-01 shard name":   {shardUser, acme + views, 403, ""},
		"review fails":        {"broken", acme + views, 500, "try again"},
		"metrics":             {"alice", "/metrics", 200, "tmc_door_requests_total"},
		"metrics denied":      {"bob", "/metrics", 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := r.do(&r.sideProxy, http.MethodGet, tc.path, http.Header{sideUser: {tc.user}})
			if got.code != tc.code || !strings.Contains(got.body, tc.contains) {
				t.Errorf("status %d, want %d: %s", got.code, tc.code, got.body)
			}
			if strings.Contains(got.body, "secret") || strings.Contains(got.body, "10.1.2.3") {
				t.Errorf("the answer tells of kcp's rules: %s", got.body)
			}
		})
	}
}

func TestDirectClients(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	got := r.do(&r.alice, http.MethodGet, "/metrics", http.Header{frontUser: {shardUser}})
	// Both registries are shown: the libraries' and the server's own.
	for _, want := range []string{"apiserver_request_total", `tmc_door_requests_total{door="direct",trust="user"}`} {
		if got.code != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("status %d, %s is missing", got.code, want)
		}
	}
	if got := r.do(&r.alice, http.MethodGet, acme+views, asShard()); got.code != http.StatusOK {
		t.Errorf("status %d: %s", got.code, got.body)
	}
	bob := r.clients.Client(t, "bob", "system:masters")
	if got := r.do(&bob, http.MethodGet, acme+views, asShard()); got.code != http.StatusForbidden {
		t.Errorf("SEC-03 status %d: %s", got.code, got.body)
	}
}

// Every path that the server knows, and some that it might, is closed to whoever has no verified identity.
func TestSEC06NoPathWithoutIdentity(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.config.Generic.EnableProfiling = true }).start()
	strangeUser := r.stranger.Client(t, "alice")
	paths := append(r.server.ListedPaths(), "/", "/metrics/slis", "/debug/pprof/heap", "/debug/flags/v", "/openapi/v3/apis/tmc.kcp.io/v1alpha1",
		"/apis/tmc.kcp.io/v1alpha1/clusterstatuses", "/apis/tmc.kcp.io/v1alpha1/watch/clusterstatuses", "/no/such/path", "/services/tmc", "/statusz", "/flagz",
		acme, acme+"/", acme+views, acme+views+"/east", acme+"/apis", acme+"/healthz", acme+"/readyz", acme+"/metrics", everyone+"/apis/tmc.kcp.io/v1alpha1")
	if len(paths) < 25 {
		t.Fatalf("only %d paths are known", len(paths))
	}
	for _, path := range paths {
		open := door.IsHealthPath(path)
		for who, leaf := range map[string]*doortest.Leaf{"nobody": nil, "wrong authority": &r.evil, "user of a wrong authority": &strangeUser} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				header := asShard("Authorization", "Bearer token", "X-Remote-User", "admin", "X-Remote-Group", "system:masters")
				got := r.do(leaf, method, path, header)
				want := http.StatusUnauthorized
				if open && method == http.MethodGet {
					want = http.StatusOK
				} else if open {
					want = http.StatusForbidden
				}
				if got.code != want {
					t.Errorf("%s %s by %s: status %d, want %d: %.200s", method, path, who, got.code, want, got.body)
				}
			}
		}
	}
}

func TestSEC21AuditSaysWhoAndWhereAndKeepsTokensOut(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	const token = "planted-token-7f3a"
	if got := r.do(&r.frontProxy, http.MethodGet, acme+views, asShard("Authorization", "Bearer "+token, "Cookie", "c="+token)); got.code != 200 {
		t.Fatalf("status %d", got.code)
	}
	r.audit.mu.Lock()
	defer r.audit.mu.Unlock()
	raw, err := json.Marshal(r.audit.events)
	if err != nil || strings.Contains(string(raw), token) {
		t.Errorf("the token is in the audit log, or %v", err)
	}
	found := false
	for _, event := range r.audit.events {
		if event.Stage != "ResponseComplete" || !strings.Contains(event.RequestURI, "clusterstatuses") {
			continue
		}
		found = true
		for key, want := range map[string]string{"kcp.io/cluster": "acme1", "kcp.io/path": "root:acme", "tmc.kcp.io/door": "front", "tmc.kcp.io/trust": "shard"} {
			if event.Annotations[key] != want {
				t.Errorf("annotation %s is %q, want %q", key, event.Annotations[key], want)
			}
		}
	}
	if !found {
		t.Errorf("the request was not audited: %s", raw)
	}
}

// Certificates and all three kinds of authorities are replaced under load, with an overlap, as an operator would.
func TestFLT13CertificateRotation(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	newServing, newProxies, newClients := doortest.NewCA(t, "serving-ca-2"), doortest.NewCA(t, "requestheader-ca-2"), doortest.NewCA(t, "client-ca-2")
	newFront, newAlice := newProxies.Client(t, "proxy-front"), newClients.Client(t, "alice")
	if got := r.do(&newFront, http.MethodGet, acme+views, asShard()); got.code != http.StatusUnauthorized {
		t.Fatalf("the new authority is known too soon: status %d", got.code)
	}
	var failed, sent atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range 2 {
		load.Go(func() {
			for ctx.Err() == nil {
				client := r.client(&r.frontProxy, newServing)
				if got := r.send(client, http.MethodGet, acme+views, asShard()); got.code != http.StatusOK {
					failed.Add(1)
					t.Errorf("status %d: %s", got.code, got.body)
				}
				client.CloseIdleConnections()
				sent.Add(1)
			}
		})
	}
	doortest.WriteFile(t, r.dir, "requestheader.crt", append(append([]byte{}, r.requestheader.PEM...), newProxies.PEM...))
	doortest.WriteFile(t, r.dir, "clients.crt", append(append([]byte{}, r.clients.PEM...), newClients.PEM...))
	r.eventually("the new proxy is let in", func() bool { return r.do(&newFront, http.MethodGet, acme+views, asShard()).code == http.StatusOK })
	r.eventually("the new user is let in", func() bool { return r.do(&newAlice, http.MethodGet, acme+views, nil).code == http.StatusOK })

	leaf := newServing.Server(t)
	doortest.WriteFile(t, r.dir, "tls.crt", leaf.Cert)
	doortest.WriteFile(t, r.dir, "tls.key", leaf.Key)
	onlyNew := func() bool {
		client := r.client(&r.frontProxy)
		client.Transport.(*http.Transport).TLSClientConfig.RootCAs = newServing.Pool() // made above
		defer client.CloseIdleConnections()
		return r.send(client, http.MethodGet, acme+views, asShard()).code == http.StatusOK
	}
	r.eventually("the new serving certificate is used", onlyNew)
	stop()
	load.Wait()
	if failed.Load() > 0 || sent.Load() == 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}

	doortest.WriteFile(t, r.dir, "requestheader.crt", newProxies.PEM)
	client := r.client(&r.frontProxy, newServing)
	r.eventually("the old proxy is shut out, on its open connection, too", func() bool {
		return r.send(client, http.MethodGet, acme+views, asShard()).code == http.StatusUnauthorized
	})
}

// follow opens a watch and returns its lines; the channel closes when the watch ends.
func (r *rig) follow(client *http.Client, path string) (<-chan string, int) {
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "https://"+r.server.Address()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = asShard()
	response, err := client.Do(req) //nolint:bodyclose // closed by the goroutine that reads it
	if err != nil {
		r.t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		defer func() { _ = response.Body.Close() }()
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines, response.StatusCode
}

func TestShutdownEndsWatchesAndComponents(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	early, stopping := make(chan bool, 1), make(chan struct{})
	r := newRig(t, func(r *rig) {
		r.config.Backend.Components = []Component{{Name: "election", Last: true, Run: func(ctx context.Context) error {
			<-stopping
			<-ctx.Done()
			select {
			case <-ended:
				early <- false
			default:
				early <- true
			}
			return nil
		}}, {Name: "worker", Run: func(ctx context.Context) error {
			<-ctx.Done()
			close(stopping)
			for range 100 { // it ends what it is doing, and lets others go first
				runtime.Gosched()
			}
			close(ended)
			return nil
		}}}
	}).start()
	client := r.client(&r.frontProxy)
	lines, code := r.follow(client, acme+views+"?watch=1")
	if line := <-lines; code != 200 || !strings.Contains(line, `"type":"ADDED"`) {
		t.Fatalf("status %d: %s", code, line)
	}
	if _, code := r.follow(client, acme+views+"?watch=1"); code != 200 {
		t.Fatalf("second watch: status %d", code)
	}
	if _, code := r.follow(client, acme+views+"?watch=1"); code != http.StatusTooManyRequests {
		t.Errorf("SEC-20 third watch of the tenant: status %d", code)
	}
	r.stop()
	select {
	case line, open := <-lines:
		if open {
			t.Errorf("the watch went on with %s", line)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the watch did not end")
	}
	if err := <-r.done; err != nil {
		t.Errorf("serving ended with %v", err)
	}
	r.done <- nil
	select {
	case <-ended:
	default:
		t.Error("the component is still running")
	}
	if <-early {
		t.Error("the election was told to end while the worker was at work")
	}
}

func TestFailedComponentEndsTheServer(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]error{"with an error": errors.New("the disk is full"), "without an error": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fail := make(chan struct{})
			r := newRig(t, func(r *rig) {
				r.config.Backend.Components = []Component{{Name: "worker", Run: func(context.Context) error { <-fail; return result }}}
			}).start()
			close(fail)
			err := <-r.done
			r.done <- nil
			if err == nil || !strings.Contains(err.Error(), "component worker ended") || result != nil && !errors.Is(err, result) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestReadyChecks(t *testing.T) {
	t.Parallel()
	var synced atomic.Bool
	synced.Store(true)
	r := newRig(t, func(r *rig) {
		r.config.Backend.ReadyChecks = []healthz.HealthChecker{healthz.NamedCheck("kcp-informers", func(*http.Request) error {
			if !synced.Load() {
				return errors.New("not yet")
			}
			return nil
		})}
	}).start()
	synced.Store(false)
	if got := r.do(nil, http.MethodGet, "/readyz", nil); got.code != 500 || !strings.Contains(got.body, "[-]kcp-informers failed") {
		t.Errorf("status %d: %s", got.code, got.body)
	}
	if got := r.do(nil, http.MethodGet, "/livez", nil); got.code != 200 {
		t.Errorf("liveness must not depend on it: status %d: %s", got.code, got.body)
	}
}

func TestCompleteRefuses(t *testing.T) {
	t.Parallel()
	if _, err := (&Config{}).Complete(); err == nil || strings.Count(err.Error(), "lacks") != 7 {
		t.Errorf("not every problem was reported: %v", err)
	}
	for name, change := range map[string]func(*Config){
		"empty allow list":   func(c *Config) { c.Doors.Headers[0].AllowedNames = nil },
		"no authority":       func(c *Config) { c.Doors.Headers[0].CAs = nil },
		"bad prefix":         func(c *Config) { c.Doors.PathPrefix = "services" },
		"no cache":           func(c *Config) { c.Doors.Reviews.Size = 0 },
		"negative limit":     func(c *Config) { c.Doors.Limits.Requests = -1 },
		"metrics registered": func(c *Config) { _, _ = door.NewMetrics(c.Metrics) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &rig{t: t, dir: t.TempDir(), view: newFakeView(), audit: &auditLog{}}
			r.serving, r.requestheader, r.clients = doortest.NewCA(t, "s"), doortest.NewCA(t, "r"), doortest.NewCA(t, "c")
			config := r.newConfig()
			defer func() { _ = config.Generic.SecureServing.Listener.Close() }()
			change(config)
			if _, err := config.Complete(); err == nil {
				t.Error("it was accepted")
			}
		})
	}
}

func TestUnauthorizedIsAStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	got := r.do(nil, http.MethodGet, acme+views, nil)
	var status metav1.Status
	if err := json.Unmarshal([]byte(got.body), &status); err != nil || !apierrors.IsUnauthorized(&apierrors.StatusError{ErrStatus: status}) {
		t.Errorf("%v: %s", err, got.body)
	}
}
