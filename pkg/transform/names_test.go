// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func logicalName(s string) logicalcluster.Name { return logicalcluster.Name(s) }

// The name is a contract: members keep namespaces for years.
func TestNamespaceNameIsStable(t *testing.T) {
	t.Parallel()
	if got := transform.NamespaceName(acme, "prod"); got != prodHash {
		t.Errorf("NamespaceName() = %q, want %q", got, prodHash)
	}
}

func TestNamespaceNameIsInjective(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, pair := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"abc", ""}, {"", "abc"}, {"1:a", "b"}, {"1", ":ab"}, {"11", "a"}, {"1", "1a"}, {"a", "b|c"}, {"a|b", "c"}, {"a/b", "c"}, {"a", "b/c"}} {
		name := transform.NamespaceName(logicalName(pair[0]), pair[1])
		if before, found := seen[name]; found {
			t.Errorf("%q has the name of %s", pair, before)
		}
		seen[name] = strings.Join(pair[:], " and ")
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("%q is no name of a namespace: %v", name, problems)
		}
	}
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	want := object(t, `
apiVersion: v1
kind: Namespace
metadata:
  name: `+prodHash+`
  labels:
    app.kubernetes.io/managed-by: tmc
    tmc.kcp.io/managed: "true"
    tmc.kcp.io/workspace: 2ds0kemhl1brzp93
    pod-security.kubernetes.io/enforce: baseline
  annotations:
    tmc.kcp.io/workspace: 2ds0kemhl1brzp93
    tmc.kcp.io/workspace-path: root:acme
    tmc.kcp.io/namespace: prod
`)
	got := transform.Namespace(acme, "root:acme", "prod", "")
	if diff := cmp.Diff(want.Object, got.Object); diff != "" {
		t.Errorf("namespace (-want +got):\n%s", diff)
	}
	strict := transform.Namespace(acme, "", "prod", transform.PodSecurityRestricted)
	if level := strict.GetLabels()["pod-security.kubernetes.io/enforce"]; level != "restricted" {
		t.Errorf("the level is %q, want restricted", level)
	}
	if _, found := strict.GetAnnotations()[transform.WorkspacePathAnnotation]; found {
		t.Error("an unknown path is written")
	}
}

func TestSEC19OwnsNamespace(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*unstructured.Unstructured)
		want   bool
	}{
		"as made": {change: func(*unstructured.Unstructured) {}, want: true},
		"stricter and marked": {change: func(o *unstructured.Unstructured) {
			o.SetLabels(map[string]string{"tmc.kcp.io/managed": "true", "x": "y"})
		}, want: true},
		"labels only":       {change: func(o *unstructured.Unstructured) { o.SetAnnotations(nil) }},
		"annotations only":  {change: func(o *unstructured.Unstructured) { o.SetLabels(nil) }},
		"another workspace": {change: func(o *unstructured.Unstructured) { setAnnotation(o, transform.WorkspaceAnnotation, "other") }},
		"another namespace": {change: func(o *unstructured.Unstructured) { setAnnotation(o, transform.NamespaceAnnotation, "other") }},
		"another name":      {change: func(o *unstructured.Unstructured) { o.SetName("kube-system") }},
		"wrong types": {change: func(o *unstructured.Unstructured) {
			o.Object["metadata"] = map[string]any{"labels": 7, "annotations": []any{}}
		}},
		"no metadata": {change: func(o *unstructured.Unstructured) { o.Object = nil }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live := transform.Namespace(acme, "", "prod", "")
			tc.change(live)
			if got := transform.OwnsNamespace(live, acme, "prod"); got != tc.want {
				t.Errorf("OwnsNamespace() = %v, want %v", got, tc.want)
			}
		})
	}
	if transform.OwnsNamespace(nil, acme, "prod") || transform.OwnsNamespace(transform.Namespace("", "", "", ""), "", "") {
		t.Error("what is not there, or nobody's, is owned")
	}
}

func setAnnotation(obj *unstructured.Unstructured, key, value string) {
	annotations := obj.GetAnnotations()
	annotations[key] = value
	obj.SetAnnotations(annotations)
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	source := upstream(t, "apps/v1", "Deployment", "")
	want := transform.Origin{Workspace: acme, Namespace: "prod", Name: "web", UID: source.GetUID()}
	live := down(t, source, transform.Target{})
	got, ok := transform.OriginOf(live)
	if !ok || got != want || got != transform.UpstreamOrigin(acme, source) {
		t.Errorf("OriginOf() = %+v, %v; want %+v", got, ok, want)
	}
	if key := (workspace.Key{Workspace: acme, Namespace: "prod", Name: "web"}); got.Key() != key {
		t.Errorf("Key() = %v, want %v", got.Key(), key)
	}
	typed := &metav1.ObjectMeta{Name: live.GetName(), Namespace: live.GetNamespace(), Labels: live.GetLabels(), Annotations: live.GetAnnotations()}
	if got, ok := transform.OriginOf(typed); !ok || got != want {
		t.Errorf("OriginOf(typed) = %+v, %v; want %+v", got, ok, want)
	}
	if transform.AppliedHash(typed) != transform.AppliedHash(live) {
		t.Error("the hash depends on the type of the object")
	}
}

func TestSEC19OriginOfForgedMarks(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*unstructured.Unstructured){
		"no label":            func(o *unstructured.Unstructured) { o.SetLabels(nil) },
		"another label value": func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{transform.ManagedLabel: "yes"}) },
		"no annotations":      func(o *unstructured.Unstructured) { o.SetAnnotations(nil) },
		"another workspace":   func(o *unstructured.Unstructured) { setAnnotation(o, transform.WorkspaceAnnotation, "victim") },
		"another namespace":   func(o *unstructured.Unstructured) { setAnnotation(o, transform.NamespaceAnnotation, "victim") },
		"another name":        func(o *unstructured.Unstructured) { setAnnotation(o, transform.NameAnnotation, "victim") },
		"no UID":              func(o *unstructured.Unstructured) { setAnnotation(o, transform.UIDAnnotation, "") },
		"a huge UID": func(o *unstructured.Unstructured) {
			setAnnotation(o, transform.UIDAnnotation, strings.Repeat("x", 1<<20))
		},
		"copied elsewhere": func(o *unstructured.Unstructured) { o.SetNamespace("default") },
		"copied aside":     func(o *unstructured.Unstructured) { o.SetName("web-2") },
		"wrong types": func(o *unstructured.Unstructured) {
			o.Object["metadata"] = map[string]any{"labels": 7, "annotations": "x"}
		},
		"a value of another type": func(o *unstructured.Unstructured) {
			o.Object["metadata"].(map[string]any)["annotations"].(map[string]any)[transform.UIDAnnotation] = int64(7)
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live := down(t, upstream(t, "apps/v1", "Deployment", ""), transform.Target{})
			change(live)
			if got, ok := transform.OriginOf(live); ok {
				t.Errorf("OriginOf() = %+v, want none", got)
			}
		})
	}
	if _, ok := transform.OriginOf(nil); ok {
		t.Error("nothing has an origin")
	}
	if _, ok := transform.OriginOf((*unstructured.Unstructured)(nil)); ok {
		t.Error("no object has an origin")
	}
}
