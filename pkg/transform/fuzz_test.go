// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kcp-dev/tmc/pkg/transform"
)

// seeds are objects that fuzzing starts from.
func seeds() []string {
	const marks = `{"labels":{"tmc.kcp.io/managed":"true","a":"b"},"annotations":{"KCP.io/cluster":"x","tmc.kcp.io/uid":"y"},"finalizers":["x"]}`
	pod := `{"metadata":` + marks + `,"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"1","memory":1073741824}},"env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s"}}}]}],"volumes":[{"ephemeral":{"volumeClaimTemplate":{"spec":{"volumeName":"x"}}}}]}}`
	return []string{
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":` + marks + `,"spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"}},"template":` + pod + `},"status":{"replicas":3}}`,
		`{"apiVersion":"apps/v1","kind":"StatefulSet","spec":{"volumeClaimTemplates":[{"metadata":` + marks + `,"spec":{"volumeName":"x"}}],"template":` + pod + `}}`,
		`{"apiVersion":"batch/v1","kind":"Job","spec":{"selector":{},"template":{"metadata":{"labels":{"controller-uid":"x","job-name":"web"}}}}}`,
		`{"apiVersion":"batch/v1","kind":"CronJob","spec":{"jobTemplate":{"metadata":` + marks + `,"spec":{"template":` + pod + `}}}}`,
		`{"apiVersion":"v1","kind":"Service","spec":{"clusterIP":"None","ports":[{"nodePort":1},2,null]}}`,
		`{"apiVersion":"v1","kind":"Secret","type":"kubernetes.io/service-account-token","data":{"a":"eA=="}}`,
		`{"apiVersion":"v1","kind":"PersistentVolumeClaim","spec":{"dataSourceRef":{"kind":"PersistentVolumeClaim","name":"a","namespace":"b"}}}`,
		`{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","spec":{"scaleTargetRef":{"kind":"Deployment","name":"web"},"metrics":[]}}`,
		`{"apiVersion":"example.com/v1","kind":"Ring","spec":{"replicas":1.5,"pools":[{"template":` + pod + `}]}}`,
		`{"kind":7,"apiVersion":[],"metadata":"x","spec":[[[]]],"status":null}`,
		`{"metadata":{"labels":[1],"annotations":{"a":1},"name":1,"namespace":{}}}`,
	}
}

func decode(text string) (map[string]any, bool) {
	var content map[string]any
	if err := utiljson.Unmarshal([]byte(text), &content); err != nil || content == nil {
		return nil, false
	}
	return content, true
}

func FuzzNamespaceName(f *testing.F) {
	f.Add("a", "bc", "ab", "c")
	f.Add("root", "default", "root", "default")
	f.Add("", "", "0:", "")
	f.Fuzz(func(t *testing.T, ws, namespace, otherWS, other string) {
		name := transform.NamespaceName(logicalName(ws), namespace)
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("%q is no name of a namespace: %v", name, problems)
		}
		same := name == transform.NamespaceName(logicalName(otherWS), other)
		if same != (ws == otherWS && namespace == other) {
			t.Errorf("%q/%q and %q/%q have the same name: %v", ws, namespace, otherWS, other, same)
		}
	})
}

func FuzzSEC19Down(f *testing.F) {
	for i, seed := range seeds() {
		f.Add(seed, int32(i), i%3 == 0, true)
		f.Add(seed, int32(-1), false, false)
	}
	f.Fuzz(func(t *testing.T, text string, replicas int32, omit, identify bool) {
		content, ok := decode(text)
		if !ok {
			return
		}
		checkDown(t, content, replicas, omit, identify)
	})
}

func checkDown(t *testing.T, content map[string]any, replicas int32, omit, identify bool) {
	t.Helper()
	source := &unstructured.Unstructured{Object: content}
	if metadata, ok := content["metadata"].(map[string]any); identify && (ok || content["metadata"] == nil) {
		if metadata == nil {
			metadata = map[string]any{}
			content["metadata"] = metadata
		}
		metadata["name"], metadata["namespace"], metadata["uid"] = "web", "prod", "5b1b8c4e"
	}
	before := source.DeepCopy()
	target := transform.Target{Workspace: acme, OmitReplicas: omit}
	if replicas >= 0 {
		target.Replicas = &replicas
	}
	desired, err := transform.Down(source, target)
	if !reflect.DeepEqual(before.Object, source.Object) {
		t.Fatalf("the source was changed:\n%s", cmp.Diff(before.Object, source.Object))
	}
	if err != nil {
		if desired != nil || !utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) && !strings.ContainsFunc(source.GetKind(), func(r rune) bool { return r < ' ' }) {
			t.Fatalf("Down() = %v, %q", desired, err)
		}
		return
	}
	checkCopy(t, source, desired, target)
	checkReaders(t, source, desired)
}

func checkCopy(t *testing.T, source, desired *unstructured.Unstructured, target transform.Target) {
	t.Helper()
	again, err := transform.Down(source, target)
	if err != nil || !reflect.DeepEqual(desired, again) {
		t.Fatalf("the same input gave %v (%v) after %v", again, err, desired)
	}
	metadata := desired.Object["metadata"].(map[string]any)
	if hash := transform.AppliedHash(desired); hash != transform.Hash(desired) || len(hash) != 32 {
		t.Fatalf("the hash is %q, want %q", hash, transform.Hash(desired))
	}
	if origin, ok := transform.OriginOf(desired); !ok || origin != transform.UpstreamOrigin(target.Workspace, source) {
		t.Fatalf("the origin is %v, %v", origin, ok)
	}
	own := []string{
		transform.ManagedLabel, transform.WorkspaceLabel, transform.WorkspaceAnnotation, transform.NamespaceAnnotation, transform.NameAnnotation,
		transform.UIDAnnotation, transform.AppliedHashAnnotation,
	}
	rest := cloned(metadata["labels"])
	for key := range cloned(metadata["annotations"]) {
		rest[key] = nil
	}
	for key := range rest {
		if foreign(key) && !slices.Contains(own, key) {
			t.Fatalf("%q reached a member", key)
		}
	}
	for key, value := range desired.Object {
		if key != "metadata" {
			findReserved(t, value, key)
		}
	}
	if _, found := desired.Object["status"]; found {
		t.Fatal("the status reached a member")
	}
	if _, err := json.Marshal(desired.Object); err != nil {
		t.Fatalf("the copy cannot be encoded: %v", err)
	}
	if path, drifted := transform.Drifted(desired, desired); drifted {
		t.Fatalf("the copy has drifted from itself at %s", path)
	}
	live := &unstructured.Unstructured{Object: withDefaults(desired.Object, "").(map[string]any)}
	if path, drifted := transform.Drifted(desired, live); drifted {
		t.Fatalf("defaults are a drift at %s", path)
	}
	changed := desired.DeepCopy()
	changed.SetName("other")
	if _, drifted := transform.Drifted(desired, changed); !drifted {
		t.Fatal("another name is no drift")
	}
	if transform.Hash(changed) == transform.Hash(desired) {
		t.Fatal("another name has the same hash")
	}
}

func cloned(value any) map[string]any { return maps.Clone(value.(map[string]any)) }

// foreign says in another way than the code whether a key is reserved.
func foreign(key string) bool {
	prefix, _, found := strings.Cut(strings.ToLower(key), "/")
	return found && strings.HasSuffix("."+prefix, ".kcp.io")
}

func findReserved(t *testing.T, value any, key string) {
	t.Helper()
	switch v := value.(type) {
	case map[string]any:
		for k, inner := range v {
			if (key == "labels" || key == "annotations") && foreign(k) {
				t.Fatalf("%q reached a member inside %q", k, key)
			}
			findReserved(t, inner, k)
		}
	case []any:
		for _, inner := range v {
			findReserved(t, inner, key)
		}
	}
}

// withDefaults adds a field to every map but to selectors, and leaves out what API servers do.
func withDefaults(value any, key string) any {
	switch v := value.(type) {
	case map[string]any:
		m := map[string]any{}
		for k, inner := range v {
			if list, ok := inner.([]any); inner == nil || inner == false || inner == int64(0) || ok && len(list) == 0 {
				continue
			}
			m[k] = withDefaults(inner, k)
		}
		if !strings.Contains(strings.ToLower(key), "selector") && key != "matchLabels" {
			m["filled in"] = "by the member"
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, inner := range v {
			list[i] = withDefaults(inner, key)
		}
		return list
	}
	return value
}

func FuzzHash(f *testing.F) {
	list := seeds()
	for i, seed := range list {
		f.Add(seed, list[(i+1)%len(list)])
		f.Add(seed, seed)
	}
	f.Add(`{"a":1}`, `{"a":1.0}`)
	f.Add(`{"a":[1,2]}`, `{"a":[12]}`)
	f.Add(`{"a":"b","c":"d"}`, `{"a":"bc","":"d"}`)
	f.Fuzz(func(t *testing.T, one, other string) {
		a, ok := decode(one)
		if !ok {
			return
		}
		b, ok := decode(other)
		if !ok {
			return
		}
		sameHash := transform.Hash(&unstructured.Unstructured{Object: a}) == transform.Hash(&unstructured.Unstructured{Object: b})
		if same := reflect.DeepEqual(canonical(withoutHash(a)), canonical(withoutHash(b))); same != sameHash {
			t.Fatalf("same content: %v, same hash: %v\n%s\n%s", same, sameHash, one, other)
		}
		transform.LiveSignature(&unstructured.Unstructured{Object: a})
	})
}

func withoutHash(content map[string]any) any {
	obj := (&unstructured.Unstructured{Object: content}).DeepCopy()
	metadata, _ := obj.Object["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	delete(annotations, transform.AppliedHashAnnotation)
	return obj.Object
}

// canonical writes whole numbers in one way.
func canonical(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = canonical(v[key])
		}
	case []any:
		for i := range v {
			v[i] = canonical(v[i])
		}
	case float64:
		if i := int64(v); v >= -1<<63 && v < 1<<63 && float64(i) == v {
			return i
		}
	}
	return value
}

// What members and tenants send is read without a panic, and never gives more than it may.
func FuzzSEC20Readers(f *testing.F) {
	list := seeds()
	for i, seed := range list {
		f.Add(seed, list[(i+1)%len(list)], "deployments.apps")
		f.Add(seed, seed, "secrets")
	}
	f.Fuzz(func(t *testing.T, one, other, resource string) {
		a, ok := decode(one)
		if !ok {
			return
		}
		b, _ := decode(other)
		obj, live := &unstructured.Unstructured{Object: a}, &unstructured.Unstructured{Object: b}
		checkReaders(t, obj, live)
		gr := schema.ParseGroupResource(resource)
		if reason, message, ok := transform.Syncable(gr, true, obj); ok != (reason == "") || ok != (message == "") {
			t.Fatalf("Syncable() = %q, %q, %v", reason, message, ok)
		}
		if class := transform.Class(gr); class < 0 || class >= transform.Classes {
			t.Fatalf("Class() = %d", class)
		}
	})
}

func checkReaders(t *testing.T, obj, live *unstructured.Unstructured) {
	t.Helper()
	if path, drifted := transform.Drifted(obj, live); utf8.RuneCountInString(path) > 256 || drifted != (path != "") {
		t.Fatalf("Drifted() = %q, %v", path, drifted)
	}
	if path, drifted := transform.Drifted(obj, obj); drifted {
		t.Fatalf("an object has drifted from itself at %q", path)
	}
	for _, r := range transform.Dependencies(obj) {
		if len(validation.IsDNS1123Subdomain(r.Name)) > 0 || r.Resource == "" {
			t.Fatalf("there is a dependency %+v", r)
		}
	}
	perPod, replicas, _, ok := transform.Requests(obj)
	if replicas < 0 || !ok && perPod != nil {
		t.Fatalf("Requests() = %v, %d, %v", perPod, replicas, ok)
	}
	for name, amount := range perPod {
		if amount.Sign() < 0 {
			t.Fatalf("%s of %s is requested", amount.String(), name)
		}
	}
	if origin, ok := transform.OriginOf(obj); ok && (obj.GetName() != origin.Name || obj.GetNamespace() != transform.NamespaceName(origin.Workspace, origin.Namespace)) {
		t.Fatalf("OriginOf() = %v", origin)
	}
	transform.OwnsNamespace(obj, acme, "prod")
	transform.ScaledBy(obj)
	transform.Replicas(obj)
	transform.Handover(obj)
	transform.AppliedHash(obj)
	transform.NewMemo(obj, live, transform.Target{})
}

func FuzzSEC17PrintableMessage(f *testing.F) {
	f.Add("\x1b[2Jhello\u202e\xff", 12)
	f.Add("plain", 3)
	f.Add(strings.Repeat("ä", 100), 50)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		got := transform.PrintableMessage(text, limit)
		if utf8.RuneCountInString(got) > max(limit, 0) || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Fatalf("PrintableMessage(%q, %d) = %q", text, limit, got)
		}
		if again := transform.PrintableMessage(got, limit); again != got {
			t.Fatalf("%q was printable, and became %q", got, again)
		}
	})
}
