// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kcp-dev/tmc/pkg/transform"
)

func TestHash(t *testing.T) {
	t.Parallel()
	base := func() map[string]any {
		return map[string]any{"a": "x", "b": []any{int64(1), true, nil, 1.5, map[string]any{"c": "y"}}}
	}
	reference := transform.Hash(&unstructured.Unstructured{Object: base()})
	same := map[string]func(map[string]any){
		"nothing":                func(map[string]any) {},
		"a float that is whole":  func(m map[string]any) { m["b"].([]any)[0] = 1.0 },
		"an integer of Go":       func(m map[string]any) { m["b"].([]any)[0] = 1 },
		"a number as text":       func(m map[string]any) { m["b"].([]any)[0] = json.Number("1") },
		"a fraction of one type": func(m map[string]any) { m["b"].([]any)[3] = json.Number("1.5") },
	}
	for name, change := range same {
		m := base()
		change(m)
		if got := transform.Hash(&unstructured.Unstructured{Object: m}); got != reference {
			t.Errorf("%s: Hash() = %s, want %s", name, got, reference)
		}
	}
	different := map[string]func(map[string]any){
		"another text":       func(m map[string]any) { m["a"] = "z" },
		"a longer text":      func(m map[string]any) { m["a"] = strings.Repeat("x", 5000) },
		"a longer text, too": func(m map[string]any) { m["a"] = strings.Repeat("x", 5001) },
		"another number":     func(m map[string]any) { m["b"].([]any)[0] = int64(2) },
		"number as text":     func(m map[string]any) { m["b"].([]any)[0] = "1" },
		"false":              func(m map[string]any) { m["b"].([]any)[1] = false },
		"no null":            func(m map[string]any) { m["b"] = append(m["b"].([]any)[:2:2], m["b"].([]any)[3:]...) },
		"another order":      func(m map[string]any) { l := m["b"].([]any); l[0], l[1] = l[1], l[0] },
		"another key":        func(m map[string]any) { m["aa"] = m["a"]; delete(m, "a") },
		"one more key":       func(m map[string]any) { m["z"] = nil },
		"an empty map":       func(m map[string]any) { m["z"] = map[string]any{} },
		"an empty list":      func(m map[string]any) { m["z"] = []any{} },
		"infinity":           func(m map[string]any) { m["z"] = math.Inf(1) },
		"a huge float":       func(m map[string]any) { m["z"] = 1e300 },
		"no JSON":            func(m map[string]any) { m["z"] = struct{}{} },
		"a number of none":   func(m map[string]any) { m["z"] = json.Number("1e999") },
	}
	seen := map[string]string{reference: "the reference"}
	for name, change := range different {
		m := base()
		change(m)
		got := transform.Hash(&unstructured.Unstructured{Object: m})
		if before, found := seen[got]; found && name != "no JSON" {
			t.Errorf("%s hashes like %s", name, before)
		}
		seen[got] = name
	}
	if transform.Hash(nil) != "" || transform.AppliedHash(nil) != "" || transform.AppliedHash((*unstructured.Unstructured)(nil)) != "" {
		t.Error("nothing has a hash")
	}
}

func TestLiveSignature(t *testing.T) {
	t.Parallel()
	live := func(change func(*unstructured.Unstructured)) string {
		obj := down(t, upstream(t, "apps/v1", "Deployment", "spec: {replicas: 3}"), transform.Target{})
		obj.SetUID("u1")
		change(obj)
		return transform.LiveSignature(obj)
	}
	reference := live(func(*unstructured.Unstructured) {})
	same := map[string]func(*unstructured.Unstructured){
		"status": func(o *unstructured.Unstructured) { o.Object["status"] = map[string]any{"replicas": int64(3)} },
		"server": func(o *unstructured.Unstructured) {
			o.SetResourceVersion("7")
			o.SetGeneration(7)
			o.Object["metadata"].(map[string]any)["managedFields"] = []any{"x"}
			o.Object["metadata"].(map[string]any)["creationTimestamp"] = "2026-01-01T00:00:00Z"
		},
		"controller": func(o *unstructured.Unstructured) {
			o.Object["metadata"].(map[string]any)["annotations"].(map[string]any)["deployment.kubernetes.io/revision"] = "7"
		},
	}
	for name, change := range same {
		if live(change) != reference {
			t.Errorf("the signature depends on what is noted by the %s", name)
		}
	}
	different := map[string]func(*unstructured.Unstructured){
		"spec": func(o *unstructured.Unstructured) { o.Object["spec"] = map[string]any{"replicas": int64(4)} },
		"uid":  func(o *unstructured.Unstructured) { o.SetUID("u2") },
		"mark": func(o *unstructured.Unstructured) { o.SetLabels(nil) },
		"hash": func(o *unstructured.Unstructured) {
			o.Object["metadata"].(map[string]any)["annotations"].(map[string]any)[transform.AppliedHashAnnotation] = "x"
		},
	}
	for name, change := range different {
		if live(change) == reference {
			t.Errorf("the signature does not depend on the %s", name)
		}
	}
	if transform.LiveSignature(nil) != "" {
		t.Error("nothing has a signature")
	}
	transform.LiveSignature(&unstructured.Unstructured{Object: map[string]any{"metadata": 7}})
}

func TestMemo(t *testing.T) {
	t.Parallel()
	look := func(upstreamVersion, liveVersion, liveUID string, target transform.Target) transform.Memo {
		up, live := upstream(t, "apps/v1", "Deployment", ""), upstream(t, "apps/v1", "Deployment", "")
		up.SetResourceVersion(upstreamVersion)
		live.SetResourceVersion(liveVersion)
		live.Object["metadata"].(map[string]any)["uid"] = liveUID
		memo, ok := transform.NewMemo(up, live, target)
		if !ok {
			t.Fatal("there is no memo")
		}
		return memo
	}
	reference := look("1", "2", "u", transform.Target{Workspace: acme, Replicas: new(int32(1))})
	if reference != look("1", "2", "u", transform.Target{Workspace: acme, Replicas: new(int32(1))}) {
		t.Error("the same look has another memo")
	}
	for name, other := range map[string]transform.Memo{
		"upstream":    look("2", "2", "u", transform.Target{Workspace: acme, Replicas: new(int32(1))}),
		"live":        look("1", "3", "u", transform.Target{Workspace: acme, Replicas: new(int32(1))}),
		"uid":         look("1", "2", "v", transform.Target{Workspace: acme, Replicas: new(int32(1))}),
		"workspace":   look("1", "2", "u", transform.Target{Workspace: "w", Replicas: new(int32(1))}),
		"replicas":    look("1", "2", "u", transform.Target{Workspace: acme, Replicas: new(int32(0))}),
		"no replicas": look("1", "2", "u", transform.Target{Workspace: acme}),
		"autoscaler":  look("1", "2", "u", transform.Target{Workspace: acme, Replicas: new(int32(1)), OmitReplicas: true}),
	} {
		if other == reference {
			t.Errorf("the memo does not tell a change of %s", name)
		}
	}
	if _, ok := transform.NewMemo(upstream(t, "apps/v1", "Deployment", ""), nil, transform.Target{}); ok {
		t.Error("there is a memo without versions")
	}
}
