// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

const (
	provider   = "/clusters/root:tmc"
	exportName = "tmc.kcp.io"
	slicesPath = provider + "/apis/apis.kcp.io/v1alpha1/apiexportendpointslices"
)

// fakeKCP speaks as much list, watch and patch as reflectors need. A collection is a URL path.
type fakeKCP struct {
	*httptest.Server

	mu       sync.Mutex
	revision int
	objects  map[string][]*unstructured.Unstructured
	watchers map[string][]chan metav1.WatchEvent
	broken   map[string]int // path prefix -> HTTP status
	history  map[string][]past
	hung     map[string]chan struct{} // path prefix -> when it answers again
	queries  []string
	patches  []patched
	posts    []patched
	// documents are answered as they are: those of discovery, which is a path that is no collection.
	documents map[string]any
	refused   map[string]int    // path without a query -> HTTP status
	pages     map[string]string // what is answered with 404, by path without a query
}

// past is an event that a watch from an earlier revision has to see.
type past struct {
	revision int
	event    metav1.WatchEvent
}

type patched struct{ path, contentType, body string }

func newFakeKCP(t *testing.T) *fakeKCP {
	t.Helper()
	f := &fakeKCP{
		objects: map[string][]*unstructured.Unstructured{}, history: map[string][]past{}, watchers: map[string][]chan metav1.WatchEvent{}, broken: map[string]int{},
		documents: map[string]any{}, refused: map[string]int{}, pages: map[string]string{},
	}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() {
		f.cut("/")
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *fakeKCP) config() *rest.Config {
	return &rest.Config{Host: f.URL + provider, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(f.Certificate())}, BearerToken: "secret-of-ours"}
}

func (f *fakeKCP) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.queries = append(f.queries, r.URL.Path+"?"+r.URL.RawQuery)
	for prefix, until := range f.hung {
		if strings.HasPrefix(r.URL.Path, prefix) {
			f.mu.Unlock()
			_, _ = io.Copy(io.Discard, r.Body) // or the end of the request is not noticed
			select {
			case <-until:
			case <-r.Context().Done():
				return
			}
			f.mu.Lock()
		}
	}
	code, failing := f.refused[r.URL.Path]
	for prefix, one := range f.broken {
		if strings.HasPrefix(r.URL.Path, prefix) {
			code, failing = one, true
		}
	}
	if page, found := f.pages[r.URL.Path]; found {
		f.mu.Unlock()
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, page)
		return
	}
	if failing {
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		reasons := map[int]string{403: "Forbidden", 404: "NotFound", 409: "Conflict", 422: "Invalid"}
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"details":{"name":%q}}`, code, reasons[code], path.Base(r.URL.Path))
		return
	}
	if r.Method == http.MethodPatch {
		body, _ := io.ReadAll(r.Body)
		f.patches = append(f.patches, patched{r.URL.Path, r.Header.Get("Content-Type"), string(body)})
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"X","metadata":{"name":"x"}}`)
		return
	}
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		f.posts = append(f.posts, patched{r.URL.Path, r.Header.Get("Content-Type"), string(body)})
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"X","metadata":{"name":"x"}}`)
		return
	}
	if document, found := f.documents[r.URL.Path]; found {
		defer f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(document)
		return
	}
	if r.URL.Query().Get("watch") != "" {
		f.watch(w, r) // unlocks
		return
	}
	defer f.mu.Unlock()
	items := f.objects[r.URL.Path]
	if items == nil {
		items = []*unstructured.Unstructured{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": fmt.Sprint(f.revision)}, "items": items,
	})
}

func (f *fakeKCP) watch(w http.ResponseWriter, r *http.Request) {
	events := make(chan metav1.WatchEvent, 1000)
	from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	for _, missed := range f.history[r.URL.Path] {
		if missed.revision > from {
			events <- missed.event
		}
	}
	f.watchers[r.URL.Path] = append(f.watchers[r.URL.Path], events)
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case event, open := <-events:
			if !open {
				return
			}
			_ = json.NewEncoder(w).Encode(event)
			w.(http.Flusher).Flush()
		}
	}
}

// set writes an object; the resource version is ours.
func (f *fakeKCP) set(path string, content map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
	u := &unstructured.Unstructured{Object: content}
	u.SetResourceVersion(fmt.Sprint(f.revision))
	u.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "somebody"}})
	before := len(f.objects[path])
	f.objects[path] = slices.DeleteFunc(slices.Clone(f.objects[path]), sameAs(u))
	eventType := "ADDED"
	if len(f.objects[path]) != before {
		eventType = "MODIFIED"
	}
	f.objects[path] = append(f.objects[path], u)
	f.send(path, eventType, u)
}

func (f *fakeKCP) remove(path string, content map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
	u := &unstructured.Unstructured{Object: content}
	f.objects[path] = slices.DeleteFunc(slices.Clone(f.objects[path]), sameAs(u))
	u.SetResourceVersion(fmt.Sprint(f.revision))
	f.send(path, "DELETED", u)
}

func sameAs(u *unstructured.Unstructured) func(*unstructured.Unstructured) bool {
	return func(other *unstructured.Unstructured) bool { return keyOf(other) == keyOf(u) }
}

func (f *fakeKCP) send(path, eventType string, u *unstructured.Unstructured) {
	raw, _ := u.MarshalJSON()
	event := metav1.WatchEvent{Type: eventType}
	event.Object.Raw = raw
	f.history[path] = append(f.history[path], past{f.revision, event})
	for _, watcher := range f.watchers[path] {
		watcher <- event
	}
}

// cut ends the watches below a path.
func (f *fakeKCP) cut(prefix string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for path, watchers := range f.watchers {
		if strings.HasPrefix(path, prefix) {
			for _, watcher := range watchers {
				close(watcher)
			}
			delete(f.watchers, path)
		}
	}
}

// fail makes everything below a path answer with a status; zero mends it.
func (f *fakeKCP) fail(prefix string, code int) {
	f.mu.Lock()
	if code == 0 {
		delete(f.broken, prefix)
	} else {
		f.broken[prefix] = code
	}
	f.mu.Unlock()
	if code != 0 {
		f.cut(prefix)
	}
}

// hang makes everything below a path wait until the channel is closed.
func (f *fakeKCP) hang(prefix string, until chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hung = map[string]chan struct{}{prefix: until}
}

// endpoints publishes the endpoint slice.
func (f *fakeKCP) endpoints(shards ...string) {
	urls := []any{}
	for _, shard := range shards {
		urls = append(urls, map[string]any{"url": f.URL + "/" + shard})
	}
	f.set(slicesPath, map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExportEndpointSlice",
		"metadata": map[string]any{"name": exportName}, "status": map[string]any{"endpoints": urls},
	})
}

func at(shard, resource string) string { return "/" + shard + "/clusters/*" + resource }

const (
	bindings      = "/apis/apis.kcp.io/v1alpha2/apibindings"
	secrets       = "/api/v1/secrets"
	registrations = "/apis/tmc.kcp.io/v1alpha1/clusterregistrations"
	grants        = "/apis/tmc.kcp.io/v1alpha1/clustergrants"
)

func object(apiVersion, kind, ws, namespace, name string, more map[string]any) map[string]any {
	metadata := map[string]any{
		"name": name, "uid": ws + "-" + name, "creationTimestamp": "2026-01-01T00:00:00Z",
		"annotations": map[string]any{"kcp.io/cluster": ws, "kcp.io/path": "root:" + ws},
	}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	out := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
	maps.Copy(out, more)
	return out
}

func binding(ws string) map[string]any {
	return object("apis.kcp.io/v1alpha2", "APIBinding", ws, "", "tmc", map[string]any{
		"spec":   map[string]any{"reference": map[string]any{"export": map[string]any{"path": "root:tmc", "name": exportName}}},
		"status": map[string]any{"phase": "Bound"},
	})
}

func registration(ws, name string) map[string]any {
	return object("tmc.kcp.io/v1alpha1", "ClusterRegistration", ws, "", name, map[string]any{"spec": map[string]any{
		"kubeconfigSecretRef": map[string]any{"namespace": "default", "name": name, "key": "kubeconfig"},
	}})
}

func secret(ws, name string) map[string]any {
	return object("v1", "Secret", ws, "default", name, map[string]any{"data": map[string]any{"kubeconfig": "YQ=="}})
}
