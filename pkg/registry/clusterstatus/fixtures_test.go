// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterstatus_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/dynamic"
	restclient "k8s.io/client-go/rest"
	"k8s.io/component-base/compatibility"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/registry/clusterstatus"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	acme   = logicalcluster.Name("2acme0000000000x")
	globex = logicalcluster.Name("3globex00000000x")
)

func source(name string) workspace.Key {
	return workspace.Key{Workspace: "1provider000000x", Name: name}
}

func show(store *viewstore.Store, name string, pods int64, workspaces ...logicalcluster.Name) {
	entries := make([]viewstore.Entry, 0, len(workspaces))
	for _, ws := range workspaces {
		entries = append(entries, viewstore.Entry{
			Key: workspace.Key{Workspace: ws, Name: name}, UID: types.UID(ws.String() + name), CreationTimestamp: metav1.Unix(1_700_000_000, 0),
			Labels: map[string]string{"member": name, corev1.LabelTopologyRegion: "eu"},
		})
	}
	store.SetEntries(source(name), entries)
	store.SetContent(source(name), &tmcv1alpha1.ClusterStatusStatus{
		Version: "v1.36.3", Nodes: &tmcv1alpha1.NodeSummary{Total: 3, Ready: 2}, Pods: &tmcv1alpha1.PodSummary{Bound: pods},
		Available:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("11850m"), corev1.ResourceMemory: resource.MustParse("31700Mi")},
		Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("12"), corev1.ResourceMemory: resource.MustParse("32Gi")},
		Conditions:  []metav1.Condition{{Type: tmcv1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "MemberReady"}},
	})
}

// server is a real generic API server over TLS, with the view and nothing else.
type server struct {
	*httptest.Server

	store *viewstore.Store
}

func newServer(t *testing.T, store *viewstore.Store) *server {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := tmcv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatalf("registering the kinds: %v", err)
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	codecs := serializer.NewCodecFactory(scheme)
	config := genericapiserver.NewConfig(codecs)
	config.EffectiveVersion = compatibility.NewEffectiveVersionFromString("1.0", "", "")
	config.ExternalAddress = "127.0.0.1:443"
	config.LoopbackClientConfig = &restclient.Config{}
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, openapinamer.NewDefinitionNamer(scheme))
	config.SkipOpenAPIInstallation = true
	config.Authentication.Authenticator = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: "test"}}, true, nil
	})
	config.BuildHandlerChainFunc = func(handler http.Handler, c *genericapiserver.Config) http.Handler {
		return inWorkspace(genericapiserver.DefaultBuildHandlerChain(handler, c))
	}
	config.EnableMetrics, config.EnableProfiling = false, false
	generic, err := config.Complete(nil).New("test", genericapiserver.NewEmptyDelegate())
	if err != nil {
		t.Fatalf("making a server: %v", err)
	}
	group := genericapiserver.NewDefaultAPIGroupInfo(tmcv1alpha1.GroupName, scheme, metav1.ParameterCodec, codecs)
	group.NegotiatedSerializer = textOnly{codecs}
	group.VersionedResourcesStorageMap[tmcv1alpha1.Version] = map[string]rest.Storage{
		clusterstatus.Resource: clusterstatus.NewREST(store, nil, clock.RealClock{}),
	}
	if err := generic.InstallAPIGroup(&group); err != nil {
		t.Fatalf("installing the group: %v", err)
	}
	tls := httptest.NewUnstartedServer(generic.Handler)
	tls.EnableHTTP2 = true
	tls.StartTLS()
	t.Cleanup(func() {
		store.Shutdown()
		tls.Close()
		generic.Destroy()
	})
	return &server{Server: tls, store: store}
}

// textOnly offers JSON and YAML, since the kinds have no protobuf.
type textOnly struct{ runtime.NegotiatedSerializer }

func (s textOnly) SupportedMediaTypes() []runtime.SerializerInfo {
	var infos []runtime.SerializerInfo
	for _, info := range s.NegotiatedSerializer.SupportedMediaTypes() {
		if info.MediaType == runtime.ContentTypeJSON || info.MediaType == runtime.ContentTypeYAML {
			infos = append(infos, info)
		}
	}
	return infos
}

func inWorkspace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.Path, "/clusters/")
		name, path, found := strings.Cut(rest, "/")
		if ok && found {
			r = r.Clone(workspace.With(r.Context(), logicalcluster.Name(name)))
			r.URL.Path, r.URL.RawPath = "/"+path, ""
		}
		next.ServeHTTP(w, r)
	})
}

func definitions(common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	object := common.OpenAPIDefinition{Schema: spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"object"}}}}
	return map[string]common.OpenAPIDefinition{
		tmcv1alpha1.ClusterStatus{}.OpenAPIModelName():     object,
		tmcv1alpha1.ClusterStatusList{}.OpenAPIModelName(): object,
	}
}

func newStore(t *testing.T, limits viewstore.Limits) *viewstore.Store {
	t.Helper()
	store, err := clusterstatus.NewStore(viewstore.NewRevisions(time.Now()), clock.RealClock{}, limits)
	if err != nil {
		t.Fatalf("making a store: %v", err)
	}
	store.MarkSynced()
	t.Cleanup(store.Shutdown)
	return store
}

func (s *server) dynamic(t *testing.T, ws logicalcluster.Name) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfigAndClient(&restclient.Config{Host: s.URL + "/clusters/" + ws.String(), QPS: -1}, s.Client())
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	return client.Resource(tmcv1alpha1.SchemeGroupVersion().WithResource(clusterstatus.Resource))
}

func (s *server) do(t *testing.T, method string, ws logicalcluster.Name, path, accept string) (code int, contentType, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	url := fmt.Sprintf("%s/clusters/%s/apis/tmc.kcp.io/v1alpha1/clusterstatuses%s", s.URL, ws, path)
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Content-Type", "application/json")
	response, err := s.Client().Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("reading %s: %v", url, err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(content)
}

func keyOf(ws logicalcluster.Name, name string) workspace.Key {
	return workspace.Key{Workspace: ws, Name: name}
}

func unsynced(t *testing.T) *viewstore.Store {
	t.Helper()
	store, err := newFixedStore()
	if err != nil {
		t.Fatalf("making a store: %v", err)
	}
	return store
}

// newFixedStore returns a store whose revisions are the same with every run.
func newFixedStore() (*viewstore.Store, error) {
	return clusterstatus.NewStore(viewstore.NewRevisions(time.Unix(1_800_000_000, 0)), clock.RealClock{}, viewstore.Limits{})
}
