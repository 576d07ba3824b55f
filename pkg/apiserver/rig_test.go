// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"go.uber.org/goleak"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/openapi"
	"github.com/kcp-dev/tmc/pkg/door"
	"github.com/kcp-dev/tmc/pkg/door/doortest"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// These are started once per process by libraries, and never end.
		goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
		goleak.IgnoreTopFunction("k8s.io/apimachinery/pkg/util/wait.BackoffUntilWithContext"),
		goleak.IgnoreAnyFunction("k8s.io/apiserver/pkg/server/filters.startWatermarkMaintenance"),
	)
}

const (
	frontUser = "X-Fp-Aa1-User"
	sideUser  = "X-Fp-Bb2-User"
	shardUser = "kcp-shard-root"
	views     = "/apis/tmc.kcp.io/v1alpha1/clusterstatuses"
	acme      = "/services/tmc/clusters/acme1"
	everyone  = "/services/tmc/clusters/%2A"
)

// fakeView shows one member to the workspace acme1, and watches that never change.
type fakeView struct {
	rest.TableConvertor
	mu      sync.Mutex
	watches []*watch.FakeWatcher
	ended   bool
}

var (
	_ rest.Getter               = (*fakeView)(nil)
	_ rest.Lister               = (*fakeView)(nil)
	_ rest.Watcher              = (*fakeView)(nil)
	_ rest.Scoper               = (*fakeView)(nil)
	_ rest.SingularNameProvider = (*fakeView)(nil)
)

func newFakeView() *fakeView {
	return &fakeView{TableConvertor: rest.NewDefaultTableConvertor(tmcv1alpha1.Resource("clusterstatuses"))}
}

func (*fakeView) New() runtime.Object     { return &tmcv1alpha1.ClusterStatus{} }
func (*fakeView) NewList() runtime.Object { return &tmcv1alpha1.ClusterStatusList{} }
func (*fakeView) Destroy()                {}
func (*fakeView) NamespaceScoped() bool   { return false }
func (*fakeView) GetSingularName() string { return "clusterstatus" }

func (v *fakeView) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	ws, ok := workspace.From(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("no workspace")
	}
	if ws != "acme1" || name != "east" {
		return nil, apierrors.NewNotFound(tmcv1alpha1.Resource("clusterstatuses"), name)
	}
	return &tmcv1alpha1.ClusterStatus{ObjectMeta: metav1.ObjectMeta{Name: "east", ResourceVersion: "1"}}, nil
}

func (v *fakeView) List(ctx context.Context, _ *internalversion.ListOptions) (runtime.Object, error) {
	list := &tmcv1alpha1.ClusterStatusList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
	if item, err := v.Get(ctx, "east", nil); err == nil {
		if status, ok := item.(*tmcv1alpha1.ClusterStatus); ok {
			list.Items = append(list.Items, *status)
		}
	}
	return list, nil
}

func (v *fakeView) Watch(context.Context, *internalversion.ListOptions) (watch.Interface, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return nil, apierrors.NewServiceUnavailable("shutting down")
	}
	w := watch.NewFakeWithOptions(watch.FakeOptions{ChannelSize: 1})
	w.Add(&tmcv1alpha1.ClusterStatus{ObjectMeta: metav1.ObjectMeta{Name: "east", ResourceVersion: "1"}})
	v.watches = append(v.watches, w)
	return w, nil
}

func (v *fakeView) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
	for _, w := range v.watches {
		w.Stop()
	}
}

type fakeWorkspaces struct{}

func (fakeWorkspaces) Name(path logicalcluster.Path) (logicalcluster.Name, bool) {
	return "acme1", path.String() == "root:acme"
}

func (fakeWorkspaces) Path(name logicalcluster.Name) (logicalcluster.Path, bool) {
	return logicalcluster.NewPath("root:acme"), name == "acme1"
}
func (fakeWorkspaces) Bound(name logicalcluster.Name) bool { return name == "acme1" }

// reviewer allows alice everything, fails for broken, and denies everybody else.
type reviewer struct{}

func (reviewer) Review(_ context.Context, _ logicalcluster.Name, spec authorizationv1.SubjectAccessReviewSpec) (bool, string, error) {
	if spec.User == "broken" {
		return false, "", errors.New("dialing 10.1.2.3: secret detail")
	}
	return spec.User == "alice", "secret rule", nil
}

// auditLog keeps what was audited.
type auditLog struct {
	mu     sync.Mutex
	events []*auditinternal.Event
}

func (a *auditLog) ProcessEvents(events ...*auditinternal.Event) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, event := range events {
		a.events = append(a.events, event.DeepCopy())
	}
	return true
}
func (*auditLog) Run(<-chan struct{}) error { return nil }
func (*auditLog) Shutdown()                 {}
func (*auditLog) String() string            { return "test" }

func (*auditLog) EvaluatePolicyRule(authorizer.Attributes) audit.RequestAuditConfig {
	return audit.RequestAuditConfig{Level: auditinternal.LevelRequestResponse}
}

// rig is a server with everything around it.
type rig struct {
	t                                  *testing.T
	dir                                string
	serving, requestheader, clients    *doortest.CA
	stranger                           *doortest.CA
	frontProxy, sideProxy, alice, evil doortest.Leaf
	view                               *fakeView
	audit                              *auditLog
	config                             *Config
	server                             *Server
	stop                               context.CancelFunc
	done                               chan error
}

func newRig(t *testing.T, change ...func(*rig)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), view: newFakeView(), audit: &auditLog{}, done: make(chan error, 1)}
	r.serving, r.requestheader = doortest.NewCA(t, "serving-ca"), doortest.NewCA(t, "requestheader-ca")
	r.clients, r.stranger = doortest.NewCA(t, "client-ca"), doortest.NewCA(t, "stranger-ca")
	r.frontProxy, r.sideProxy = r.requestheader.Client(t, "proxy-front"), r.requestheader.Client(t, "proxy-side")
	r.alice, r.evil = r.clients.Client(t, "alice"), r.stranger.Client(t, "proxy-front")
	r.config = r.newConfig()
	for _, c := range change {
		c(r)
	}
	completed, err := r.config.Complete()
	if err != nil {
		t.Fatalf("completing the configuration: %v", err)
	}
	if r.server, err = completed.New(); err != nil {
		t.Fatalf("creating the server: %v", err)
	}
	return r
}

func (r *rig) newConfig() *Config {
	t := r.t
	generic, err := NewGenericConfig()
	if err != nil {
		t.Fatal(err)
	}
	leaf := r.serving.Server(t)
	serving := genericoptions.NewSecureServingOptions()
	serving.ServerCert.CertKey.CertFile = doortest.WriteFile(t, r.dir, "tls.crt", leaf.Cert)
	serving.ServerCert.CertKey.KeyFile = doortest.WriteFile(t, r.dir, "tls.key", leaf.Key)
	if serving.Listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := serving.ApplyTo(&generic.SecureServing); err != nil {
		t.Fatal(err)
	}
	r.neverRun(generic.SecureServing.Cert)
	generic.ExternalAddress = "127.0.0.1"
	generic.AuditBackend, generic.AuditPolicyRuleEvaluator = r.audit, r.audit
	generic.ShutdownWatchTerminationGracePeriod = 5 * time.Second
	return &Config{
		Generic: generic, Clock: clock.RealClock{}, Metrics: metrics.NewKubeRegistry(),
		Doors: DoorConfig{
			PathPrefix: "/services/tmc",
			Headers: []HeaderDoor{
				{HeaderDoor: door.HeaderDoor{Name: door.Front, AllowedNames: []string{"proxy-front"}, UserHeaders: []string{frontUser}, ShardUsers: []string{shardUser}}, CAs: r.authority("requestheader", r.requestheader)},
				{HeaderDoor: door.HeaderDoor{Name: door.Side, AllowedNames: []string{"proxy-side"}, UserHeaders: []string{sideUser}}, CAs: r.authority("requestheader", r.requestheader)},
			},
			Clients: r.authority("clients", r.clients),
			Reviews: door.ReviewCacheConfig{AllowedFor: time.Second, DeniedFor: time.Second, Size: 10, Timeout: time.Second},
			Limits:  door.Limits{Requests: 50, Watches: 2},
		},
		Backend: Backend{
			Storage:    map[string]rest.Storage{"clusterstatuses": r.view},
			OpenAPI:    openapi.GetOpenAPIDefinitions,
			Workspaces: fakeWorkspaces{}, Reviewer: reviewer{}, EndWatches: r.view.end,
		},
	}
}

func (r *rig) authority(name string, ca *doortest.CA) dynamiccertificates.CAContentProvider {
	content, err := dynamiccertificates.NewDynamicCAContentFromFile(name, doortest.WriteFile(r.t, r.dir, name+".crt", ca.PEM))
	if err != nil {
		r.t.Fatal(err)
	}
	r.neverRun(content)
	return content
}

// neverRun ends the queue of a file's watcher, which would otherwise be left behind by a server that was not started.
func (r *rig) neverRun(content any) {
	r.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
		cancel()
		if runner, ok := content.(dynamiccertificates.ControllerRunner); ok {
			runner.Run(ctx, 1)
		}
	})
}

// start runs the server until the test ends.
func (r *rig) start() *rig {
	ctx, stop := context.WithCancel(context.WithoutCancel(r.t.Context()))
	r.stop = stop
	go func() { r.done <- r.server.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		select {
		case <-r.done:
		case <-time.After(30 * time.Second):
			r.t.Error("the server did not stop")
		}
	})
	r.eventually("the server is ready", func() bool { return r.do(nil, "GET", "/readyz", nil).code == http.StatusOK })
	return r
}

func (r *rig) eventually(what string, condition func() bool) {
	r.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(20 * time.Second); ; {
		if condition() {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			r.t.Fatalf("waited in vain until %s", what)
		}
	}
}

type answer struct {
	code   int
	proto  string
	header http.Header
	body   string
}

// client makes connections of its own, so that certificates are presented anew.
func (r *rig) client(leaf *doortest.Leaf, servers ...*doortest.CA) *http.Client {
	roots := x509.NewCertPool()
	for _, ca := range append(servers, r.serving) {
		roots.AddCert(ca.Certificate)
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if leaf != nil {
		// Unlike Certificates, this sends the certificate although the server did not ask for its authority.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &leaf.TLS, nil }
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func (r *rig) do(leaf *doortest.Leaf, method, path string, header http.Header) answer {
	client := r.client(leaf)
	defer client.CloseIdleConnections()
	return r.send(client, method, path, header)
}

func (r *rig) send(client *http.Client, method, path string, header http.Header) answer {
	req, err := http.NewRequestWithContext(context.WithoutCancel(r.t.Context()), method, "https://"+r.server.Address()+path, strings.NewReader(""))
	if err != nil {
		r.t.Error(err)
		return answer{}
	}
	maps.Copy(req.Header, header)
	response, err := client.Do(req)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{body: err.Error()}
	}
	return answer{response.StatusCode, response.Proto, response.Header, string(body)}
}

func asShard(extra ...string) http.Header {
	header := http.Header{frontUser: {shardUser}}
	for i := 0; i+1 < len(extra); i += 2 {
		header[extra[i]] = []string{extra[i+1]}
	}
	return header
}
