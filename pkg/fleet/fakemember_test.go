// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

const (
	protobuf    = "application/vnd.kubernetes.protobuf"
	memberToken = "planted-token-5b1e"
)

// fakeMember is an API server with nodes and pods that speaks TLS, HTTP/2 and protobuf as a true one does.
type fakeMember struct {
	t      testing.TB
	server *httptest.Server
	pki    *pki

	mu       sync.Mutex
	uid      types.UID
	version  string
	token    string
	override http.HandlerFunc // answers instead, unless it panics with errPass
	rv       int
	pods     map[string]*corev1.Pod
	nodes    map[string]*corev1.Node
	log      []logged
	oldest   int // versions below it are gone
	wake     chan struct{}
	requests map[string]int
	copies   *fakeCopies
	open     map[net.Conn]bool
}

type logged struct {
	rv       int
	resource string
	frame    []byte
}

// errPass makes an override leave a request to the member.
var errPass = errors.New("pass")

func newFakeMember(t testing.TB) *fakeMember {
	t.Helper()
	m := &fakeMember{
		t: t, pki: newPKI(t), uid: "uid-1", version: "v1.36.3", token: memberToken, rv: 100,
		pods: map[string]*corev1.Pod{}, nodes: map[string]*corev1.Node{}, wake: make(chan struct{}), requests: map[string]int{}, open: map[net.Conn]bool{},
	}
	m.copies = newFakeCopies(m)
	m.server = m.pki.server(t, http.HandlerFunc(m.serve), m.track)
	return m
}

func (m *fakeMember) track(conn net.Conn, state http.ConnState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[conn] = state != http.StateClosed && state != http.StateHijacked
}

func (m *fakeMember) openConnections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := 0
	for _, open := range m.open {
		if open {
			count++
		}
	}
	return count
}

func (m *fakeMember) connection() memberconfig.Connection {
	return memberconfig.Connection{Server: m.server.URL, CAData: m.pki.caPEM, BearerToken: memberToken}
}

// set changes how the member behaves.
func (m *fakeMember) set(change func(*fakeMember)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
	close(m.wake)
	m.wake = make(chan struct{})
}

// answer makes the member answer otherwise; nil makes it answer truly again.
func (m *fakeMember) answer(override http.HandlerFunc) {
	m.set(func(m *fakeMember) { m.override = override })
}

func (m *fakeMember) count(path string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.requests[path]
}

func (m *fakeMember) serve(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Path
	if r.URL.Query().Get("watch") != "" {
		key += "?watch"
	}
	m.mu.Lock()
	m.requests[key]++
	override, token := m.override, m.token
	m.mu.Unlock()
	if override != nil && !passed(override, w, r) {
		return
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		http.Error(w, "who are you, "+r.Header.Get("Authorization"), http.StatusUnauthorized)
	case r.URL.Path == "/version":
		m.writeJSON(w, map[string]string{"gitVersion": m.version})
	case r.URL.Path == "/api/v1/namespaces/kube-system":
		m.mu.Lock()
		namespace := metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: m.uid}}
		m.mu.Unlock()
		namespace.Kind = "Namespace"
		m.writeJSON(w, namespace)
	case r.URL.Path != "/api/v1/pods" && r.URL.Path != "/api/v1/nodes":
		m.copies.serve(w, r)
	case strings.HasSuffix(key, "?watch"):
		m.serveWatch(w, r)
	default:
		m.serveList(w, r)
	}
}

func passed(override http.HandlerFunc, w http.ResponseWriter, r *http.Request) (pass bool) {
	defer func() {
		if thrown := recover(); thrown != nil {
			if err, ok := thrown.(error); !ok || !errors.Is(err, errPass) {
				panic(thrown)
			}
			pass = true
		}
	}()
	override(w, r)
	return false
}

func (m *fakeMember) writeJSON(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(object); err != nil {
		m.t.Logf("writing answer: %v", err)
	}
}

// serveList pages by name; the continue token is the index of the next object.
func (m *fakeMember) serveList(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	meta := metav1.ListMeta{ResourceVersion: strconv.Itoa(m.rv)}
	page := func(total int) (int, int) {
		to := min(from+limit, total)
		if to < total {
			meta.Continue = strconv.Itoa(to)
		}
		return min(from, to), to
	}
	var body []byte
	if strings.HasSuffix(r.URL.Path, "/pods") {
		all := sorted(m.pods)
		a, b := page(len(all))
		body = envelope(m.t, "PodList", &corev1.PodList{ListMeta: meta, Items: all[a:b]})
	} else {
		all := sorted(m.nodes)
		a, b := page(len(all))
		body = envelope(m.t, "NodeList", &corev1.NodeList{ListMeta: meta, Items: all[a:b]})
	}
	w.Header().Set("Content-Type", protobuf)
	_, _ = w.Write(body)
}

func (m *fakeMember) serveWatch(w http.ResponseWriter, r *http.Request) {
	kind := "nodes"
	if strings.HasSuffix(r.URL.Path, "/pods") {
		kind = "pods"
	}
	since, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil {
		http.Error(w, "bad version", http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	gone := since < m.oldest
	m.mu.Unlock()
	if gone {
		http.Error(w, "too old", http.StatusGone)
		return
	}
	w.Header().Set("Content-Type", protobuf+";stream=watch")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	for {
		_ = control.Flush()
		m.mu.Lock()
		wake := m.wake
		var frames [][]byte
		for _, l := range m.log {
			if l.rv > since && l.resource == kind {
				frames, since = append(frames, l.frame), l.rv
			}
		}
		m.mu.Unlock()
		for _, frame := range frames {
			if _, err := w.Write(frame); err != nil {
				return
			}
		}
		if len(frames) > 0 {
			continue
		}
		select {
		case <-wake:
		case <-r.Context().Done():
			return
		}
	}
}

// addNode adds or replaces a ready node.
func (m *fakeMember) addNode(name, cpu string) {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)},
		Status: corev1.NodeStatus{
			Capacity:    corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourcePods: resource.MustParse("110")},
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourcePods: resource.MustParse("110")},
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
	m.set(func(m *fakeMember) {
		m.rv++
		node.ResourceVersion = strconv.Itoa(m.rv)
		m.nodes[name] = node
		m.append("nodes", frame(m.t, "ADDED", envelope(m.t, "Node", node)))
	})
}

// addPod adds or replaces a running pod.
func (m *fakeMember) addPod(name, node, cpu string) {
	pod := newPod(name, node, cpu)
	m.set(func(m *fakeMember) {
		m.rv++
		pod.ResourceVersion = strconv.Itoa(m.rv)
		m.pods[name] = pod
		m.append("pods", frame(m.t, "ADDED", envelope(m.t, "Pod", pod)))
	})
}

func newPod(name, node, cpu string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1"},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Name:      "main",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
}

func (m *fakeMember) deletePod(name string) {
	m.set(func(m *fakeMember) {
		pod := m.pods[name]
		delete(m.pods, name)
		m.rv++
		pod.ResourceVersion = strconv.Itoa(m.rv)
		m.append("pods", frame(m.t, "DELETED", envelope(m.t, "Pod", pod)))
	})
}

// deletePodUnseen takes a pod away without an event, as a compaction during an outage does.
func (m *fakeMember) deletePodUnseen(name string) {
	m.set(func(m *fakeMember) { delete(m.pods, name) })
}

func (m *fakeMember) bookmark() {
	m.set(func(m *fakeMember) {
		m.rv++
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{ResourceVersion: strconv.Itoa(m.rv)}}
		m.append("pods", frame(m.t, "BOOKMARK", envelope(m.t, "Pod", pod)))
	})
}

// send sends any frame to the watchers of a resource.
func (m *fakeMember) send(resource string, raw []byte) {
	m.set(func(m *fakeMember) {
		m.rv++
		m.append(resource, raw)
	})
}

func (m *fakeMember) append(resource string, raw []byte) {
	m.log = append(m.log, logged{rv: m.rv, resource: resource, frame: raw})
}

func sorted[T any](objects map[string]*T) []T {
	out := make([]T, 0, len(objects))
	for _, name := range sortedKeys(objects) {
		out = append(out, *objects[name])
	}
	return out
}

type marshaler interface{ Marshal() ([]byte, error) }

// envelope encodes an object as application/vnd.kubernetes.protobuf.
func envelope(t testing.TB, kind string, object marshaler) []byte {
	t.Helper()
	raw, err := object.Marshal()
	if err != nil {
		t.Errorf("marshalling %s: %v", kind, err)
	}
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: kind}, Raw: raw}
	body, err := unknown.Marshal()
	if err != nil {
		t.Errorf("marshalling envelope: %v", err)
	}
	return append([]byte("k8s\x00"), body...)
}

// frame encodes an event of a watch.
func frame(t testing.TB, eventType string, object []byte) []byte {
	t.Helper()
	event := metav1.WatchEvent{Type: eventType, Object: runtime.RawExtension{Raw: object}}
	raw, err := event.Marshal()
	if err != nil {
		t.Errorf("marshalling event: %v", err)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw...)
}

func (m *fakeMember) fill(nodes, pods int) {
	for i := range nodes {
		m.addNode(fmt.Sprintf("node-%d", i), "4")
	}
	for i := range pods {
		m.addPod(fmt.Sprintf("pod-%d", i), fmt.Sprintf("node-%d", i%max(nodes, 1)), "100m")
	}
}

// closeConnections cuts all connections, as a restart does.
func (m *fakeMember) closeConnections() { m.server.CloseClientConnections() }

// newBare returns a pod without anything.
func newBare() *corev1.Pod { return &corev1.Pod{} }

// newListWith returns an empty list of pods that claims to go on.
func newListWith(t testing.TB, token string) []byte {
	t.Helper()
	return envelope(t, "PodList", &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1", Continue: token}})
}

// goneFrame returns the event with which a watch ends whose version is too old.
func goneFrame(t testing.TB) []byte {
	t.Helper()
	return frame(t, "ERROR", envelope(t, "Status", &metav1.Status{Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: planted}))
}
