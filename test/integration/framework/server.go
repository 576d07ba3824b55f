// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/env"
)

const server = "tmc-apiserver"

// ErrDied says that the server ended before it was ready.
var ErrDied = errors.New("the server died")

// ServerOptions change how the server runs.
type ServerOptions struct {
	// Args come after the usual ones, and win.
	Args []string
	// Env is added to its environment.
	Env []string
}

// StartServer starts the server, which must not be running, and waits until it is ready. That it dies before is ErrDied.
func (s *Suite) StartServer(t testing.TB, o ServerOptions) error {
	t.Helper()
	return s.startServer(context.WithoutCancel(t.Context()), o)
}

func (s *Suite) startServer(ctx context.Context, o ServerOptions) error {
	options := s.tmcOptions()
	options.ExtraArgs, options.Env = append(options.ExtraArgs, o.Args...), append(options.Env, o.Env...)
	_, err := s.Env.StartTMC(ctx, options)
	if err != nil && !s.ServerRunning() {
		return errors.Join(ErrDied, err)
	}
	return err
}

// ServerRunning says whether the server is there.
func (s *Suite) ServerRunning() bool {
	p, err := s.Env.Process(server)
	return err == nil && p.Running()
}

// RestoreServer ends the server, if it is there, and starts it as all other tests expect it.
func (s *Suite) RestoreServer(t testing.TB) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if p, err := s.Env.Process(server); err == nil && p.Running() {
		if err := p.Kill(ctx); err != nil {
			t.Errorf("killing the server: %v", err)
		}
	}
	if err := s.startServer(ctx, ServerOptions{}); err != nil {
		t.Errorf("starting the server as it was: %v", err)
	}
}

// ServerRSS is how much memory the server uses, in bytes.
func (s *Suite) ServerRSS(t testing.TB) int64 {
	t.Helper()
	p, err := s.Env.Process(server)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/statm")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		t.Fatalf("the server's statm is malformed: %q", data)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// Admin is an administrator's client of one workspace, by its path or the name of its logical cluster.
func (s *Suite) Admin(t testing.TB, workspace string) dynamic.Interface {
	t.Helper()
	client, err := dynamic.NewForConfig(s.adminConfig(t, workspace))
	if err != nil {
		t.Fatalf("creating an administrator's client of %s: %v", workspace, err)
	}
	return client
}

func (s *Suite) adminConfig(t testing.TB, workspace string) *rest.Config {
	t.Helper()
	config, err := s.Env.AdminConfig(workspace)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1
	return config
}

// Scraper reads the server's metrics.
type Scraper struct {
	suite  *Suite
	tenant *Tenant
}

// NewScraper makes a user who may read the server's metrics: they belong to the provider workspace.
func (s *Suite) NewScraper(t testing.TB, name string) *Scraper {
	t.Helper()
	made, err := s.Env.Tenant(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := s.newTenant(made)
	if err != nil {
		t.Fatal(err)
	}
	provider := Kubectl{Kubeconfig: s.Env.AdminKubeconfig(), CacheDir: t.TempDir()}
	result := provider.RunWithInput(t, fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %[1]s}
rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[2]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s-access}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:kcp:workspace:access"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[2]s}]
`, name, tenant.User), "--server", s.Env.PublicURL()+"/clusters/"+env.ProviderWorkspace, "apply", "-f", "-")
	if result.ExitCode != 0 {
		t.Fatalf("letting %s read metrics: %s", tenant.User, result.Output())
	}
	return &Scraper{suite: s, tenant: tenant}
}

// Counters returns the series of a counter, by their labels as they are written.
func (s *Scraper) Counters(t testing.TB, metric string) map[string]float64 {
	t.Helper()
	var body string
	Eventually(t, "the metrics", MemberTimeout, func(context.Context) error {
		var code int
		code, body = s.suite.DoRaw(t, http.MethodGet, s.suite.Env.TMCURL()+"/metrics", nil, s.tenant.Certificate(t)) //nolint:contextcheck // it takes that of the test
		if code != http.StatusOK {
			return fmt.Errorf("they are answered with %d: %.200s", code, body)
		}
		if len(body) >= maxBody {
			return errors.New("they are longer than what is read of an answer")
		}
		return nil
	})
	found := map[string]float64{}
	for line := range strings.SplitSeq(body, "\n") {
		labels, ok := strings.CutPrefix(line, metric+"{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(labels, "} ")
		count, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("the metric line %q is malformed: %v", line, err)
		}
		found[labels] = count
	}
	return found
}

func placementsResource() schema.GroupVersionResource {
	return tmcv1alpha1.SchemeGroupVersion().WithResource("placements")
}

func placementStatusesResource() schema.GroupVersionResource {
	return tmcv1alpha1.SchemeGroupVersion().WithResource("placementstatuses")
}

// Placements are the Placements of a namespace, as the tenant's user sees them.
func (p *PlacingTenant) Placements(namespace string) dynamic.ResourceInterface {
	return p.Client.dynamic.Resource(placementsResource()).Namespace(namespace)
}

// PlacementStatuses are the views of the Placements of a namespace.
func (p *PlacingTenant) PlacementStatuses(namespace string) dynamic.ResourceInterface {
	return p.Client.dynamic.Resource(placementStatusesResource()).Namespace(namespace)
}

// NewPlacement is a Placement.
func NewPlacement(name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": placementsResource().GroupVersion().String(), "kind": "Placement",
		"metadata": map[string]any{"name": name}, "spec": spec,
	}}
}
