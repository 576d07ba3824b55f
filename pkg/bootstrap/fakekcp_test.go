// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// fakeKCP is an HTTPS server that behaves like kcp where init can tell the difference: workspaces, discovery, get, list
// and watch, create, and server-side apply with one field manager.
type fakeKCP struct {
	url string
	ca  []byte

	mu           sync.Mutex
	objects      map[string]map[string]any // by URL path
	noCacheAPIs  bool                      // cache.kcp.io is not in discovery
	gateOff      bool                      // cache.kcp.io is there, its controllers are not
	stuck        bool                      // workspaces stay in phase Scheduling
	forbidden    string                    // "VERB pathsuffix" that is answered with 403
	unauthorized bool
	exportsLate  int      // how many real applies of a WorkspaceType are refused, as while exports are not known yet
	writes       []string // "VERB path" of what was not a dry run
}

func newFakeKCP(t *testing.T) *fakeKCP {
	t.Helper()
	k := &fakeKCP{objects: map[string]map[string]any{}}
	server := httptest.NewTLSServer(k)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	k.url = server.URL
	k.ca = pemOf(server)
	return k
}

func (k *fakeKCP) config(path string) *rest.Config {
	return &rest.Config{Host: k.url + path, TLSClientConfig: rest.TLSClientConfig{CAData: k.ca}, BearerToken: "token"}
}

func (k *fakeKCP) addWorkspace(parent, name, typePath, typeName string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.objects["/clusters/"+parent+"/apis/tenancy.kcp.io/v1alpha1/workspaces/"+name] = map[string]any{
		"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": map[string]any{"name": name},
		"spec":   map[string]any{"type": map[string]any{"path": typePath, "name": typeName}},
		"status": map[string]any{"phase": "Ready"},
	}
}

// object returns the stored object whose path ends so.
func (k *fakeKCP) object(suffix string) *unstructured.Unstructured {
	k.mu.Lock()
	defer k.mu.Unlock()
	for path, object := range k.objects {
		if strings.HasSuffix(path, suffix) {
			return &unstructured.Unstructured{Object: object}
		}
	}
	return nil
}

func (k *fakeKCP) takeWrites() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	writes := k.writes
	k.writes = nil
	return writes
}

func (k *fakeKCP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case k.unauthorized:
		fail(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
	case len(segments) < 5 || segments[0] != "clusters" || !k.workspaceExists(segments[1]):
		fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, "no such workspace")
	case k.denies(r):
		fail(w, http.StatusForbidden, metav1.StatusReasonForbidden, "access denied")
	case len(segments) == 5:
		k.discovery(w, segments[3], segments[4])
	default:
		k.resource(w, r)
	}
}

func (k *fakeKCP) denies(r *http.Request) bool {
	verb, suffix, found := strings.Cut(k.forbidden, " ")
	return found && r.Method == verb && strings.HasSuffix(r.URL.Path, suffix)
}

func (k *fakeKCP) workspaceExists(path string) bool {
	parent, name := parentAndName(path)
	return parent == "" || k.objects["/clusters/"+parent+"/apis/tenancy.kcp.io/v1alpha1/workspaces/"+name] != nil
}

func (k *fakeKCP) discovery(w http.ResponseWriter, group, version string) {
	if group == "cache.kcp.io" && k.noCacheAPIs {
		fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
		return
	}
	answer(w, http.StatusOK, metav1.APIResourceList{
		TypeMeta:     metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: group + "/" + version,
		APIResources: []metav1.APIResource{{Name: "cachedresourceendpointslices", Kind: "CachedResourceEndpointSlice"}},
	})
}

func (k *fakeKCP) resource(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case r.Method == http.MethodPost:
		object := body(r)
		name := object["metadata"].(map[string]any)["name"].(string)
		k.store(r.Method, path+"/"+name, object)
		answer(w, http.StatusCreated, object)
	case r.Method == http.MethodPatch && k.exportsLate > 0 && strings.Contains(path, "/workspacetypes/") && r.URL.Query().Get("dryRun") == "":
		k.exportsLate--
		fail(w, http.StatusForbidden, metav1.StatusReasonForbidden, "unable to create or update WorkspaceType: no permission to bind to export root:tmc:kubernetes")
	case r.Method == http.MethodPatch:
		k.apply(w, r)
	case r.URL.Query().Get("watch") != "":
		k.watch(w, r)
	case r.URL.Query().Has("fieldSelector"):
		list := map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": k.selected(r)}
		answer(w, http.StatusOK, list)
	case k.objects[path] == nil:
		fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, "not found")
	default:
		answer(w, http.StatusOK, k.objects[path])
	}
}

// apply is server-side apply where the applier owns everything but the status.
func (k *fakeKCP) apply(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	object := body(r)
	if r.URL.Query().Get("fieldManager") != fieldManager || r.URL.Query().Get("force") != "true" {
		fail(w, http.StatusConflict, metav1.StatusReasonConflict, "conflict")
		return
	}
	if strings.HasSuffix(path, "/workspacetypes/tmc") && !k.exportsExist() {
		fail(w, http.StatusForbidden, metav1.StatusReasonForbidden, "no permission to bind to export root:tmc")
		return
	}
	merged := maps.Clone(k.objects[path])
	if merged == nil {
		merged = map[string]any{}
	}
	maps.Copy(merged, object)
	if r.URL.Query().Get("dryRun") == "" {
		k.store(r.Method, path, merged)
	}
	answer(w, http.StatusOK, merged)
}

// exportsExist says whether everything that the WorkspaceType binds is there.
func (k *fakeKCP) exportsExist() bool {
	exports := 0
	for path := range k.objects {
		if strings.HasSuffix(path, "/apiexports/tmc.kcp.io") || strings.HasSuffix(path, "/apiexports/kubernetes") {
			exports++
		}
	}
	return exports == 2
}

func (k *fakeKCP) store(verb, path string, object map[string]any) {
	k.writes = append(k.writes, verb+" "+path)
	switch {
	case object["kind"] == "Workspace" && k.stuck:
		object["status"] = map[string]any{"phase": "Scheduling"}
	case object["kind"] == "Workspace", object["kind"] == "CachedResource" && !k.gateOff:
		object["status"] = map[string]any{"phase": "Ready"}
	}
	object["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(len(k.writes))
	k.objects[path] = object
}

func (k *fakeKCP) selected(r *http.Request) []any {
	name := strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	if object := k.objects[r.URL.Path+"/"+name]; object != nil {
		return []any{object}
	}
	return []any{}
}

// watch sends what is there, and then nothing: the fake's objects are in their last state at once.
func (k *fakeKCP) watch(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for _, object := range k.selected(r) {
			_ = json.NewEncoder(w).Encode(map[string]any{"type": "ADDED", "object": object})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"type": "BOOKMARK", "object": map[string]any{
			"apiVersion": "v1", "kind": "Bookmark",
			"metadata": map[string]any{"resourceVersion": "1", "annotations": map[string]any{metav1.InitialEventsAnnotationKey: "true"}},
		}})
	}
	w.(http.Flusher).Flush()
	k.mu.Unlock()
	<-r.Context().Done()
	k.mu.Lock()
}

func body(r *http.Request) map[string]any {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		return nil
	}
	return object
}

func answer(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object)
}

func fail(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	answer(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}
