// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/env"
)

const (
	readSamples = 1000
	warmups     = 50
	// listRows is the length of the lists: the member, and registrations whose Secret does not exist, which have rows too.
	listRows = 100
	// objectBytes is the size of the configmaps, that of a clusterstatus in JSON.
	objectBytes  = 1100
	statusesPath = "/apis/tmc.kcp.io/v1alpha1/clusterstatuses"
	mapsPath     = "/api/v1/namespaces/default/configmaps"
	mapName      = "bench-000"
	sideProxy    = "kcp-front-proxy-tmc-side"
	wantRow      = `"name":"` + member + `"`
)

// route is one way to ask.
type route struct {
	name, note string
	url        string
	want       string // what every answer must hold
	client     *http.Client
	header     http.Header
	times      samples
}

// BenchmarkGet reads one row on every way there is, and one configmap of about the same size from kcp for comparison.
// The routes take turns. Every client speaks HTTP/2 on one warm connection and reads the whole body, as client-go does;
// compression is off for kcp and us. Direct is what the front-proxy itself does: the side door's certificate with the user in its
// headers, so that the server authenticates and authorizes the user, its review cached.
func BenchmarkGet(b *testing.B) {
	ensureConfigMaps(b, 1)
	routes := routes(b, "/"+member, "/"+mapName, wantRow, mapName)
	f := newFigures(b)
	for b.Loop() {
		measure(b, routes)
	}
	for _, r := range routes {
		f.latency(r.name, r.note, r.times)
	}
	f.report("latency of GET, routes in turns")
}

// BenchmarkList reads all rows on every way, and as many configmaps for comparison, as BenchmarkGet does.
func BenchmarkList(b *testing.B) {
	ensureConfigMaps(b, listRows)
	ensureRows(b)
	routes := routes(b, "", "?labelSelector=bench", wantRow, mapName)
	f := newFigures(b)
	for b.Loop() {
		measure(b, routes)
	}
	for _, r := range routes {
		f.latency(r.name, r.note, r.times)
	}
	f.report(fmt.Sprintf("latency of LIST of %d rows, routes in turns", listRows))
}

func measure(b *testing.B, routes []*route) {
	b.Helper()
	for range warmups {
		for _, r := range routes {
			r.do(b)
		}
	}
	for range readSamples {
		for _, r := range routes {
			r.times = append(r.times, r.do(b))
		}
	}
}

// do sends one request and returns how long it took until the body had been read.
func (r *route) do(b *testing.B) time.Duration {
	b.Helper()
	_, took := r.fetch(b)
	return took
}

func (r *route) fetch(b *testing.B) ([]byte, time.Duration) {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, r.url, nil)
	if err != nil {
		b.Fatal(err)
	}
	maps.Copy(request.Header, r.header)
	begin := time.Now()
	response, err := r.client.Do(request)
	if err != nil {
		b.Fatalf("%s: %v", r.name, err)
	}
	body, err := io.ReadAll(response.Body)
	took := time.Since(begin)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		b.Fatalf("%s: reading the body: %v", r.name, err)
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(r.want)) {
		b.Fatalf("%s: %s was answered with %d: %.300s", r.name, r.url, response.StatusCode, body)
	}
	return body, took
}

// routes are the ways to the view, and the reference.
func routes(b *testing.B, row, configMap, wantRow, wantMap string) []*route {
	b.Helper()
	config, err := stage.tenant.Config()
	if err != nil {
		b.Fatal(err)
	}
	user, err := tls.X509KeyPair(config.CertData, config.KeyData)
	if err != nil {
		b.Fatal(err)
	}
	side, err := tls.LoadX509KeyPair(stage.env.PKIFile(sideProxy+".crt"), stage.env.PKIFile(sideProxy+".key"))
	if err != nil {
		b.Fatal(err)
	}
	public, viaDoor := stage.env.PublicURL(), env.PathPrefix+"/clusters/"+stage.tenant.Cluster+statusesPath+row
	tenant := public + "/clusters/" + stage.tenant.Path
	_, prefix := stage.env.Headers()
	identity := http.Header{
		prefix + "User":  {stage.tenant.User},
		prefix + "Group": {env.TenantGroup, "system:authenticated"},
	}
	asUser := client(b, user)
	list := []*route{
		{name: "front-proxy", note: "user > front-proxy > shard > front-proxy > tmc-apiserver", url: tenant + statusesPath + row, want: wantRow, client: asUser},
		{name: "side-door", note: "user > front-proxy > tmc-apiserver", url: public + viaDoor, want: wantRow, client: asUser},
		{name: "direct", note: "tmc-apiserver, as the front-proxy calls it", url: stage.env.TMCURL() + viaDoor, want: wantRow, client: client(b, side), header: identity},
		{name: "kcp-configmap", note: "reference: user > front-proxy > shard", url: tenant + mapsPath + configMap, want: wantMap, client: asUser},
	}
	const direct = 2
	return append(list, bare(b, list[direct]))
}

// bare is the floor of this machine: a bare HTTPS server of Go, in the test's own process, that writes the same bytes.
func bare(b *testing.B, like *route) *route {
	b.Helper()
	body, _ := like.fetch(b)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(body) // the client sees if that fails
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	b.Cleanup(server.Close)
	return &route{name: "bare-https", note: "floor: a bare HTTPS server of Go that writes the same bytes", url: server.URL, want: like.want, client: server.Client()}
}

func client(b *testing.B, certificate tls.Certificate) *http.Client {
	b.Helper()
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(stage.env.PKIFile("serving-ca.crt"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		b.Fatalf("reading the serving authority: %v", err)
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: true, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}},
	}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// ensureConfigMaps makes n configmaps of the size of a row.
func ensureConfigMaps(b *testing.B, n int) {
	b.Helper()
	maps := tenantCore(b).CoreV1().ConfigMaps(metav1.NamespaceDefault)
	var have int
	eventually(b, "configmaps to be listed", func(ctx context.Context) error {
		list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "bench"})
		if err == nil {
			have = len(list.Items)
		}
		return err
	})
	for i := have; i < n; i++ {
		if _, err := maps.Create(b.Context(), configMap(fmt.Sprintf("bench-%03d", i)), metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"bench": ""}},
		Data:       map[string]string{"data": strings.Repeat("x", objectBytes-400)}, // the rest is metadata
	}
}

// ensureRows makes registrations until the list has listRows rows.
func ensureRows(b *testing.B) {
	b.Helper()
	d := tenantDynamic(b)
	registrations := d.Resource(env.RegistrationsResource())
	list, err := registrations.List(b.Context(), metav1.ListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for i := len(list.Items); i < listRows; i++ {
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": tmcv1alpha1.SchemeGroupVersion().String(), "kind": "ClusterRegistration",
			"metadata": map[string]any{"name": fmt.Sprintf("filler-%03d", i)},
			"spec":     map[string]any{"kubeconfigSecretRef": map[string]any{"namespace": "default", "name": "none"}},
		}}
		if _, err := registrations.Create(b.Context(), object, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	eventually(b, "all rows", func(ctx context.Context) error {
		rows, err := d.Resource(statuses()).List(ctx, metav1.ListOptions{})
		if err == nil && len(rows.Items) != listRows {
			err = fmt.Errorf("there are %d rows, want %d", len(rows.Items), listRows)
		}
		return err
	})
}

func tenantCore(b *testing.B) kubernetes.Interface {
	b.Helper()
	config, err := stage.tenant.Config()
	if err != nil {
		b.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1 // the server is measured, not a limiter
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func tenantDynamic(b *testing.B) dynamic.Interface {
	b.Helper()
	config, err := stage.tenant.Config()
	if err != nil {
		b.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	return d
}
