// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/fleet"
	"github.com/kcp-dev/tmc/pkg/transform"
)

var (
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	widgets     = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
)

var kinds = map[string]string{"deployments": "Deployment", "configmaps": "ConfigMap", "namespaces": "Namespace", "widgets": "Widget"}

// fakeCopies is the part of a fake member that serves objects in JSON as an API server does. Guarded by the member.
type fakeCopies struct {
	member  *fakeMember
	served  map[schema.GroupVersionResource][]string // verbs
	objects map[schema.GroupVersionResource]map[string]map[string]any
	log     []copyLogged
	uids    int
}

type copyLogged struct {
	rv       int
	resource schema.GroupVersionResource
	line     []byte
}

func newFakeCopies(member *fakeMember) *fakeCopies {
	verbs := []string{"get", "list", "watch", "create", "patch", "delete"}
	return &fakeCopies{
		member:  member,
		served:  map[schema.GroupVersionResource][]string{deployments: verbs, configMaps: verbs, namespaces: verbs},
		objects: map[schema.GroupVersionResource]map[string]map[string]any{},
	}
}

// serve answers whatever is neither a pod nor a node.
func (f *fakeCopies) serve(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var resource schema.GroupVersionResource
	if parts[0] == "api" && len(parts) > 1 {
		resource.Version, parts = parts[1], parts[2:]
	} else if len(parts) > 2 {
		resource.Group, resource.Version, parts = parts[1], parts[2], parts[3:]
	}
	if len(parts) == 0 {
		f.discover(w, resource.GroupVersion())
		return
	}
	namespace := ""
	if parts[0] == "namespaces" && len(parts) > 2 {
		namespace, parts = parts[1], parts[2:]
	}
	resource.Resource = parts[0]
	f.member.mu.Lock()
	_, served := f.served[resource]
	f.member.mu.Unlock()
	switch {
	case !served:
		http.NotFound(w, r)
	case r.URL.Query().Get("watch") != "":
		f.watch(w, r, resource)
	case len(parts) == 1 && r.Method == http.MethodGet:
		f.list(w, r, resource)
	case len(parts) == 1:
		f.write(w, r, resource, namespace, "")
	case r.Method == http.MethodPatch:
		f.write(w, r, resource, namespace, parts[1])
	default:
		f.one(w, r, resource, namespace+"/"+parts[1])
	}
}

func (f *fakeCopies) discover(w http.ResponseWriter, version schema.GroupVersion) {
	f.member.mu.Lock()
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList"}, GroupVersion: version.String()}
	for resource, verbs := range f.served {
		if resource.GroupVersion() == version {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: resource.Resource, Verbs: verbs})
		}
	}
	f.member.mu.Unlock()
	if len(list.APIResources) == 0 {
		answerStatus(w, http.StatusNotFound, metav1.Status{Reason: metav1.StatusReasonNotFound, Message: "the server could not find the requested resource"})
		return
	}
	f.member.writeJSON(w, list)
}

// list answers as API servers do: items of built-in types do not say what they are.
func (f *fakeCopies) list(w http.ResponseWriter, r *http.Request, resource schema.GroupVersionResource) {
	f.member.mu.Lock()
	defer f.member.mu.Unlock()
	names := slices.SortedFunc(maps.Keys(f.objects[resource]), cmp.Compare)
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	meta := map[string]any{"resourceVersion": strconv.Itoa(f.member.rv)}
	to := min(from+limit, len(names))
	if to < len(names) {
		meta["continue"] = strconv.Itoa(to)
	}
	items := []map[string]any{}
	for _, name := range names[min(from, to):to] {
		item := maps.Clone(f.objects[resource][name])
		if !strings.Contains(resource.Group, ".") {
			delete(item, "kind")
			delete(item, "apiVersion")
		}
		if selected(r, item) {
			items = append(items, item)
		}
	}
	// In order, as Go writes a struct; custom resources come with their fields sorted.
	head := fmt.Sprintf(`"kind":%q,"apiVersion":%q`, kinds[resource.Resource]+"List", resource.GroupVersion().String())
	body := fmt.Sprintf(`{%s,"metadata":%s,"remainder":{"a":[1]},"items":%s}`, head, encode(meta), encode(items))
	if strings.Contains(resource.Group, ".") {
		body = fmt.Sprintf(`{"items":%s,%s,"metadata":%s}`, encode(items), head, encode(meta))
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body)
}

func selected(r *http.Request, object map[string]any) bool {
	label, _, _ := unstructured.NestedString(object, "metadata", "labels", transform.ManagedLabel)
	return r.URL.Query().Get("labelSelector") == transform.ManagedLabel+"="+label
}

func (f *fakeCopies) watch(w http.ResponseWriter, r *http.Request, resource schema.GroupVersionResource) {
	since, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	f.member.mu.Lock()
	gone := since < f.member.oldest
	f.member.mu.Unlock()
	if gone {
		answerStatus(w, http.StatusGone, metav1.Status{Reason: metav1.StatusReasonExpired})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	for {
		_ = http.NewResponseController(w).Flush()
		f.member.mu.Lock()
		wake := f.member.wake
		var lines []byte
		for _, l := range f.log {
			if l.rv > since && l.resource == resource {
				lines, since = append(lines, l.line...), l.rv
			}
		}
		f.member.mu.Unlock()
		if len(lines) > 0 {
			if _, err := w.Write(lines); err != nil {
				return
			}
			continue
		}
		select {
		case <-wake:
		case <-r.Context().Done():
			return
		}
	}
}

// one gets or deletes an object.
func (f *fakeCopies) one(w http.ResponseWriter, r *http.Request, resource schema.GroupVersionResource, name string) {
	f.member.mu.Lock()
	object, found := f.objects[resource][name]
	f.member.mu.Unlock()
	if !found {
		_, short, _ := strings.Cut(name, "/")
		answerStatus(w, http.StatusNotFound, metav1.Status{Reason: metav1.StatusReasonNotFound, Message: short + " not found", Details: &metav1.StatusDetails{Name: short}})
		return
	}
	if r.Method == http.MethodDelete {
		var options metav1.DeleteOptions
		if err := json.NewDecoder(r.Body).Decode(&options); err != nil || options.PropagationPolicy == nil {
			answerStatus(w, http.StatusBadRequest, metav1.Status{Message: "bad options"})
			return
		}
		u := unstructured.Unstructured{Object: object}
		if *options.Preconditions.UID != u.GetUID() ||
			(options.Preconditions.ResourceVersion != nil && *options.Preconditions.ResourceVersion != u.GetResourceVersion()) {
			answerStatus(w, http.StatusConflict, metav1.Status{Reason: metav1.StatusReasonConflict, Message: "Operation cannot be fulfilled: Precondition failed"})
			return
		}
		f.remove(resource, name)
	}
	f.member.writeJSON(w, object)
}

// write creates or applies an object.
func (f *fakeCopies) write(w http.ResponseWriter, r *http.Request, resource schema.GroupVersionResource, namespace, name string) {
	body, _ := io.ReadAll(r.Body)
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, &object.Object); err != nil {
		answerStatus(w, http.StatusBadRequest, metav1.Status{Message: err.Error()})
		return
	}
	if r.URL.Query().Get("fieldManager") != fleet.FieldManager ||
		(r.Method == http.MethodPatch && (r.Header.Get("Content-Type") != "application/apply-patch+yaml" || object.GetName() != name)) {
		answerStatus(w, http.StatusUnsupportedMediaType, metav1.Status{Message: "not as an apply is"})
		return
	}
	f.member.mu.Lock()
	_, found := f.objects[resource][namespace+"/"+object.GetName()]
	f.member.mu.Unlock()
	if found && r.Method == http.MethodPost {
		answerStatus(w, http.StatusConflict, metav1.Status{Reason: metav1.StatusReasonAlreadyExists, Message: "exists"})
		return
	}
	f.member.writeJSON(w, f.set(resource, object).Object)
}

// set adds or replaces an object and tells the watchers.
func (f *fakeCopies) set(resource schema.GroupVersionResource, object *unstructured.Unstructured) *unstructured.Unstructured {
	object = object.DeepCopy()
	f.member.set(func(m *fakeMember) {
		m.rv++
		f.uids++
		name := object.GetNamespace() + "/" + object.GetName()
		event := "ADDED"
		object.SetUID(typesUID(f.uids))
		if old, found := f.objects[resource][name]; found {
			event = "MODIFIED"
			object.SetUID((&unstructured.Unstructured{Object: old}).GetUID())
		}
		object.SetResourceVersion(strconv.Itoa(m.rv))
		object.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "m"}})
		if f.objects[resource] == nil {
			f.objects[resource] = map[string]map[string]any{}
		}
		f.objects[resource][name] = object.Object
		f.tell(resource, event, object.Object)
	})
	return object
}

func (f *fakeCopies) remove(resource schema.GroupVersionResource, name string) {
	f.member.set(func(m *fakeMember) {
		m.rv++
		last := &unstructured.Unstructured{Object: f.objects[resource][name]}
		last = last.DeepCopy()
		last.SetResourceVersion(strconv.Itoa(m.rv))
		delete(f.objects[resource], name)
		f.tell(resource, "DELETED", last.Object)
	})
}

// removeUnseen takes an object away without an event.
func (f *fakeCopies) removeUnseen(resource schema.GroupVersionResource, name string) {
	f.member.set(func(*fakeMember) { delete(f.objects[resource], name) })
}

// tell sends an event. The caller holds the lock.
func (f *fakeCopies) tell(resource schema.GroupVersionResource, event string, object map[string]any) {
	f.log = append(f.log, copyLogged{f.member.rv, resource, append(encode(map[string]any{"type": event, "object": object}), '\n')})
}

// send sends anything to the watchers.
func (f *fakeCopies) send(resource schema.GroupVersionResource, raw string) {
	f.member.set(func(m *fakeMember) {
		m.rv++
		f.log = append(f.log, copyLogged{m.rv, resource, []byte(raw)})
	})
}

func encode(value any) []byte {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return raw
}

func answerStatus(w http.ResponseWriter, code int, status metav1.Status) {
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	status.Code = int32(code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(encode(status))
}

// newCopy returns what the syncer would apply.
func newCopy(resource schema.GroupVersionResource, name, value string) *unstructured.Unstructured {
	namespace := "tmc-a"
	if resource == namespaces {
		namespace = ""
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"value": value, "count": int64(3)}}}
	object.SetAPIVersion(resource.GroupVersion().String())
	object.SetKind(kinds[resource.Resource])
	object.SetNamespace(namespace)
	object.SetName(name)
	object.SetLabels(map[string]string{transform.ManagedLabel: transform.ManagedLabelValue})
	object.SetAnnotations(map[string]string{
		transform.WorkspaceAnnotation: "ws", transform.NamespaceAnnotation: "default", transform.NameAnnotation: name, transform.UIDAnnotation: "up-" + name,
	})
	return object
}

func keyOf(resource schema.GroupVersionResource, name string) fleet.ObjectKey {
	return fleet.ObjectKey{Resource: resource, Namespace: newCopy(resource, name, "").GetNamespace(), Name: name}
}

// copyHarness notes of which copies it was told.
type copyHarness struct {
	*harness

	told    chan fleet.ObjectKey
	members chan struct{}
}

func runCopies(t testing.TB, config fleet.Config, resources ...schema.GroupVersionResource) *copyHarness {
	t.Helper()
	h := &copyHarness{told: make(chan fleet.ObjectKey, 100_000), members: make(chan struct{}, 10_000)}
	config.OnCopy = toldOf(h.told)
	config.OnMemberCopies = func(memberKey) { h.members <- struct{}{} }
	if config.DiscoveryInterval == 0 {
		config.DiscoveryInterval = fastDiscovery
	}
	h.harness = run(t, config)
	h.FollowCopies(resources)
	return h
}

// drain forgets of which copies was told.
func (h *copyHarness) drain() {
	for {
		select {
		case <-h.told:
		default:
			return
		}
	}
}

// waitTold waits until it is told of a copy.
func (h *copyHarness) waitTold(key fleet.ObjectKey) {
	h.t.Helper()
	eventually(h.t, func() bool {
		select {
		case got := <-h.told:
			return got == key
		default:
			return false
		}
	}, func() string { return "a call of OnCopy for " + key.String() })
}

func (h *copyHarness) waitSynced(resources ...schema.GroupVersionResource) {
	h.t.Helper()
	for _, resource := range resources {
		eventually(h.t, func() bool { return h.CopiesSynced(east, resource) }, func() string { return resource.String() + " synced" })
	}
}

// waitValue waits until a copy has a value; empty is until there is none.
func (h *copyHarness) waitValue(key fleet.ObjectKey, want string) *unstructured.Unstructured {
	h.t.Helper()
	var last *unstructured.Unstructured
	eventually(h.t, func() bool {
		object, found := h.Copy(east, key)
		last = object
		return valueOf(object) == want && found == (want != "")
	}, func() string { return fmt.Sprintf("%s = %q; last %v", key, want, last) })
	return last
}

func valueOf(object *unstructured.Unstructured) string {
	if object == nil {
		return ""
	}
	value, _, _ := unstructured.NestedString(object.Object, "spec", "value")
	return value
}
