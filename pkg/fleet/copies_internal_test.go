// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	testingclock "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// storeRig drives a store as a member does.
type storeRig struct {
	*copies

	store *copyStore
	told  []string
}

func newStoreRig(t *testing.T) *storeRig {
	t.Helper()
	rig := &storeRig{}
	config := Config{
		Clock: testingclock.NewFakeClock(time.Unix(1000, 0)),
		OnCopy: func(_ workspace.Key, _ ObjectKey, object *unstructured.Unstructured) {
			rig.told = append(rig.told, object.GetName()+"@"+object.GetResourceVersion())
		},
	}.withDefaults()
	rig.copies = newCopies(workspace.Key{Workspace: "ws", Name: "east"}, &config, nil, func(workspace.Key) {})
	rig.follow([]schema.GroupVersionResource{configMaps})
	rig.store = rig.stores[configMaps]
	return rig
}

func copyAt(name, version string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetName(name)
	object.SetUID(types.UID("uid-" + name))
	object.SetResourceVersion(version)
	object.SetAnnotations(map[string]string{transform.WorkspaceAnnotation: "ws", transform.NameAnnotation: name})
	return object
}

// step is one thing that happens to a store: "list 100 a@1 b@2", "watch a@3", "delete a@4", "write a@5".
func (r *storeRig) step(t *testing.T, text string) {
	t.Helper()
	words := strings.Fields(text)
	put := func(word string, from source) {
		name, version, _ := strings.Cut(word, "@")
		if err := r.put(r.store, copyAt(name, version), from); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	switch words[0] {
	case "list":
		r.begin(r.store)
		for _, word := range words[2:] {
			if own, found := strings.CutPrefix(word, "write:"); found {
				put(own, fromWrite)
				continue
			}
			put(word, fromList)
		}
		r.end(r.store, words[1])
	case "watch":
		put(words[1], fromWatch)
	case "write":
		name, version, _ := strings.Cut(words[1], "@")
		r.wrote(ObjectKey{Resource: configMaps, Name: name}, copyAt(name, version))
	case "bookmark":
		r.advance(r.store, words[1])
	case "delete":
		name, version, _ := strings.Cut(words[1], "@")
		if err := r.remove(r.store, copyAt(name, version)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func (r *storeRig) known() map[string]string {
	known := map[string]string{}
	for _, object := range r.all(configMaps) {
		known[object.GetName()] = object.GetResourceVersion()
	}
	return known
}

func TestStoreOfCopies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		steps []string
		want  map[string]string
		told  []string
	}{
		"list, then watch":                    {[]string{"list 10 a@1 b@2", "watch a@11"}, map[string]string{"a": "11", "b": "2"}, []string{"a@1", "b@2", "a@11"}},
		"what a list has not is gone":         {[]string{"list 10 a@1 b@2", "list 20 a@1"}, map[string]string{"a": "1"}, []string{"a@1", "b@2", "b@2"}},
		"a delete":                            {[]string{"list 10 a@1", "delete a@11"}, map[string]string{}, []string{"a@1", "a@11"}},
		"a delete of nothing":                 {[]string{"list 10", "delete a@11"}, map[string]string{}, nil},
		"a write is known at once":            {[]string{"list 10 a@1", "write a@11"}, map[string]string{"a": "11"}, []string{"a@1"}},
		"and told when the watch tells it":    {[]string{"list 10 a@1", "write a@11", "watch a@11", "watch a@11"}, map[string]string{"a": "11"}, []string{"a@1", "a@11"}},
		"a write that the watch has passed":   {[]string{"list 10 a@1", "watch a@11", "delete a@12", "write a@11"}, map[string]string{}, []string{"a@1", "a@11", "a@12"}},
		"a write that a bookmark has passed":  {[]string{"list 10", "bookmark 20", "write a@11"}, map[string]string{}, nil},
		"an event older than a write":         {[]string{"list 10 a@1", "write a@13", "watch a@11"}, map[string]string{"a": "13"}, []string{"a@1"}},
		"a delete older than a write":         {[]string{"list 10 a@1", "write a@13", "delete a@11", "watch a@13"}, map[string]string{"a": "13"}, []string{"a@1", "a@13"}},
		"a delete after a write":              {[]string{"list 10 a@1", "write a@11", "delete a@12"}, map[string]string{}, []string{"a@1", "a@12"}},
		"a write during a list stays":         {[]string{"list 10", "list 20 write:a@25 a@15 b@16"}, map[string]string{"a": "25", "b": "16"}, []string{"b@16"}},
		"a write before a list that lacks it": {[]string{"list 10", "write a@11", "list 20"}, map[string]string{}, []string{"a@11"}},
		"a write and versions that are none":  {[]string{"list x", "write a@y"}, map[string]string{}, nil},
		"a member restored from a backup":     {[]string{"list 1000 a@900", "write a@1001", "list 500 a@400", "watch a@501"}, map[string]string{"a": "501"}, []string{"a@900", "a@400", "a@501"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rig := newStoreRig(t)
			for _, step := range tc.steps {
				rig.step(t, step)
			}
			if diff := cmp.Diff(tc.want, rig.known()); diff != "" {
				t.Errorf("known: %s", diff)
			}
			if diff := cmp.Diff(tc.told, rig.told); diff != "" {
				t.Errorf("told: %s", diff)
			}
			rig.follow(nil)
			if rig.objects != 0 || rig.weight != 0 {
				t.Errorf("%d objects of weight %d are left", rig.objects, rig.weight)
			}
			if err := rig.put(rig.store, copyAt("late", "99"), fromWatch); !errors.Is(err, errDropped) {
				t.Errorf("put() = %v", err)
			}
			if err := rig.remove(rig.store, copyAt("late", "99")); !errors.Is(err, errDropped) {
				t.Errorf("remove() = %v", err)
			}
		})
	}
}

func TestWriteTakesNoRoom(t *testing.T) {
	t.Parallel()
	rig := newStoreRig(t)
	rig.config.MaxCopies = 1
	rig.step(t, "list 10 a@1")
	rig.step(t, "write b@11")
	if diff := cmp.Diff(map[string]string{"a": "1"}, rig.known()); diff != "" {
		t.Errorf("known: %s", diff)
	}
	if err := rig.put(rig.store, copyAt("b", "12"), fromWatch); err == nil || len(rig.known()) != 0 {
		t.Errorf("put() = %v, known %v", err, rig.known())
	}
}

func TestConfirmationNeedsAllCopies(t *testing.T) {
	t.Parallel()
	rig := newStoreRig(t)
	secrets := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	rig.follow([]schema.GroupVersionResource{configMaps, secrets})
	at := func(seconds int64) int64 {
		rig.confirm(time.Unix(seconds, 0))
		return rig.confirmed.Load() / int64(time.Second)
	}
	rig.stand(rig.store, func(s *standing) { s.synced = true })
	if got := at(1); got != 0 {
		t.Errorf("confirmed at %d although secrets are not known", got)
	}
	rig.stand(rig.stores[secrets], func(s *standing) { s.refused = "no" })
	if got := at(2); got != 2 {
		t.Errorf("confirmed at %d, want 2: what is refused is not part of it", got)
	}
	rig.stand(rig.store, func(s *standing) { s.synced, s.followed = false, true })
	if got := at(3); got != 2 {
		t.Errorf("confirmed at %d, want 2", got)
	}
	rig.forget()
	if got := at(4); got != 0 {
		t.Errorf("another cluster confirmed at %d", got)
	}
}

func TestServesOfSeveralVersions(t *testing.T) {
	t.Parallel()
	rig := newStoreRig(t)
	v1, v2 := schema.GroupVersionResource{Group: "g", Version: "v1", Resource: "r"}, schema.GroupVersionResource{Group: "g", Version: "v2", Resource: "r"}
	rig.follow([]schema.GroupVersionResource{v1, v2})
	steps := []struct {
		name   string
		store  schema.GroupVersionResource
		change func(*standing)
		want   API
	}{
		{"nothing is said", v1, func(*standing) {}, API{}},
		{"one version is missing", v1, func(s *standing) { s.missing = "no v1" }, API{}},
		{"the other one is discovered", v2, func(s *standing) { s.served = true }, API{}},
		{"it is followed", v2, func(s *standing) { *s = standing{synced: true, followed: true} }, API{Known: true, Served: true}},
		{"it is one of which nothing is said", v1, func(s *standing) { s.missing = "" }, API{Known: true, Served: true}},
		{"the other one is missing again", v1, func(s *standing) { s.missing = "no v1" }, API{Known: true, Served: true}},
		{"the member is away", v2, func(s *standing) { s.synced = false }, API{Known: true, Served: true}},
		{"it may not be listed any more", v2, func(s *standing) { s.refused = "no" }, API{Known: true, Message: "no"}},
	}
	for _, step := range steps {
		rig.stand(rig.stores[step.store], step.change)
		for range 10 { // maps have no order
			got, all := rig.serves(v1.GroupResource()), rig.apis()
			got.Message, step.want.Message = oneOf(got.Message, "no", "no v1"), oneOf(step.want.Message, "no", "no v1")
			one := all[v1.GroupResource()]
			one.Message = oneOf(one.Message, "no", "no v1")
			if one != step.want || len(all) != 1 || got != step.want {
				t.Errorf("%s: %+v and %+v, want %+v", step.name, got, all, step.want)
			}
		}
	}
}

// oneOf returns the first of some texts if it has one of them.
func oneOf(text string, texts ...string) string {
	if slices.Contains(texts, text) {
		return texts[0]
	}
	return text
}

func TestFailuresOfCalls(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		tmcv1alpha1.ReasonInvalidResponse: tmcv1alpha1.ReasonApplyFailed,
		tmcv1alpha1.ReasonForbidden:       tmcv1alpha1.ReasonMemberForbidden,
		tmcv1alpha1.ReasonUnauthorized:    tmcv1alpha1.ReasonMemberForbidden,
		tmcv1alpha1.ReasonTimedOut:        tmcv1alpha1.ReasonMemberUnreachable,
	} {
		if got := asCallError(t.Context(), &failure{reason: reason, message: "m"}); got.Reason != want || got.Message != "m" || errors.Unwrap(got) != nil {
			t.Errorf("%s became %+v, want %s", reason, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := asCallError(ctx, ctx.Err()); !errors.Is(got, context.Canceled) {
		t.Errorf("error = %+v", got)
	}
}

func TestPauseAfterFailures(t *testing.T) {
	t.Parallel()
	config := Config{RetryMin: time.Hour, RetryMax: time.Hour, DiscoveryInterval: time.Hour}.withDefaults()
	kept := newCopies(workspace.Key{}, &config, nil, func(workspace.Key) {})
	kept.follow([]schema.GroupVersionResource{configMaps})
	store := kept.stores[configMaps]
	s := &copySession{session: &session{config: &config, gate: newGate()}, copies: kept, refresh: make(chan struct{}, 1)}
	f := newCopyFollower(s, store)
	missing := &failure{reason: tmcv1alpha1.ReasonAPIMissing, message: "gone"}
	for name, end := range map[string]func(){
		"another offer":   func() { kept.stand(store, func(s *standing) { s.served = !s.served }) },
		"a member's back": func() { s.gate.set(false); s.gate.set(true) },
	} {
		done := make(chan bool)
		go func() { done <- f.pause(t.Context(), missing) }()
		for ended := false; !ended; {
			end()
			select {
			case ok := <-done:
				if ended = true; !ok {
					t.Errorf("%s: pause() = false", name)
				}
			default:
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f.pause(ctx, missing) || f.pause(ctx, &failure{reason: tmcv1alpha1.ReasonServerError, retryAfter: time.Hour}) {
		t.Error("pause() = true after the end")
	}
}

func TestObjectKeyString(t *testing.T) {
	t.Parallel()
	for want, key := range map[string]ObjectKey{
		"configmaps/a/b":    {Resource: configMaps, Namespace: "a", Name: "b"},
		"deployments.apps/": {Resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}},
	} {
		if got := key.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

func TestAnnotatedOriginIsInjective(t *testing.T) {
	t.Parallel()
	one, other := copyAt("a", "1"), copyAt("a", "1")
	one.SetAnnotations(map[string]string{transform.WorkspaceAnnotation: "ws", transform.NamespaceAnnotation: "0:"})
	other.SetAnnotations(map[string]string{transform.WorkspaceAnnotation: "ws", transform.NameAnnotation: "0:"})
	a, okA := annotatedOrigin(one)
	b, okB := annotatedOrigin(other)
	if a == b || !okA || !okB {
		t.Errorf("origins %q and %q", a, b)
	}
	if _, ok := annotatedOrigin(&metav1.ObjectMeta{}); ok {
		t.Error("an object without marks has an origin")
	}
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	m, err := NewMetrics(metrics.NewKubeRegistry().Register)
	if err != nil {
		t.Fatalf("registering: %v", err)
	}
	config := Config{Metrics: m}.withDefaults()
	s := &copySession{session: &session{config: &config, caller: &caller{server: "://"}}}
	if answer, err := s.send(t.Context(), "apply", "PATCH", "/x", nil, nil); err == nil {
		_ = answer.Body.Close()
		t.Error("a request to nowhere succeeded")
	}
	if got, err := testutil.GetCounterMetricValue(m.requests.WithLabelValues("apply", "error")); err != nil || got != 1 {
		t.Errorf("requests = %v, %v", got, err)
	}
}

func TestJSONReaderLetsLargeBuffersGo(t *testing.T) {
	t.Parallel()
	large := `"` + strings.Repeat("x", 2<<20) + `"`
	reader := newJSONReader(strings.NewReader(`"a"`+large+`"b"`+large+large+`"c" "d"`), 4<<20, -1)
	var lengths []int
	for {
		var value string
		if err := reader.value(&value); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatalf("reading: %v", err)
			}
			break
		}
		lengths = append(lengths, len(value))
	}
	if diff := cmp.Diff([]int{1, 2 << 20, 1, 2 << 20, 2 << 20, 1, 1}, lengths); diff != "" {
		t.Error(diff)
	}
}

func FuzzJSONReader(f *testing.F) {
	f.Add([]byte(`{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"a","uid":"u","resourceVersion":"1"}}]}`))
	f.Add([]byte(`{"type":"ADDED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","uid":"u","resourceVersion":"1","managedFields":[]}}}`))
	f.Add([]byte(`{"type":"ERROR","object":{"code":410,"details":{"retryAfterSeconds":-1}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 10
		version := schema.GroupVersion{Version: "v1"}
		check := func(raw []byte, kind string) {
			object, err := parseCopy(raw, version, kind)
			if err != nil {
				return
			}
			if !wellNamed(object.GetName()) || object.GetAPIVersion() != "v1" || object.GetManagedFields() != nil {
				t.Errorf("object = %v", object)
			}
			if weigh(object.Object) <= 0 {
				t.Error("an object weighs nothing")
			}
			annotatedOrigin(object)
		}
		_, _ = newJSONReader(bytes.NewReader(data), limit, limit).list(version, func(head *copyListHead, raw []byte) error {
			if len(raw) > 2*limit {
				t.Errorf("an item of %d bytes", len(raw))
			}
			check(raw, head.itemKind())
			return nil
		})
		events := newJSONReader(bytes.NewReader(data), limit, -1)
		for {
			var event copyEvent
			if events.value(&event) != nil {
				break
			}
			_, _ = event.version()
			if failed := event.failure(); failed.retryAfter < 0 || failed.retryAfter > maxRetryAfter {
				t.Errorf("failure = %+v", failed)
			}
			check(event.Object, "")
		}
		refused := &memberStatus{Message: string(data)}
		if reasonOf(&call{}, 403, refused) == "" || reasonOf(&call{}, 422, refused) == "" {
			t.Error("no reason")
		}
	})
}
