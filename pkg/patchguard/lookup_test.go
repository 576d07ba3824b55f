// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kcp-dev/tmc/apis/manifests"
)

// A field that this version of the API does not know does no harm, and is not merged.
func TestUnknownFieldsAreNotMerged(t *testing.T) {
	t.Parallel()
	old := parse(t, deployment)
	podSpec(old)["future"] = map[string]any{"containers": []any{map[string]any{"name": "a"}, map[string]any{"name": "b"}}}
	podSpec(old)["futures"] = []any{map[string]any{"name": "a"}, map[string]any{"name": "b"}}
	container(old, 0)["futures"] = []any{map[string]any{"name": "a", "list": []any{"x"}}}
	updated := with(old, func(o map[string]any) {
		podSpec(o)["future"] = map[string]any{"containers": []any{map[string]any{"name": "a"}}}
		podSpec(o)["futures"] = []any{map[string]any{"name": "a"}}
		container(o, 0)["futures"] = []any{map[string]any{"name": "a", "list": []any{}}}
	})
	if verdict := review(t, "anybody", old, updated); verdict.Outcome != Untouched {
		t.Errorf("outcome %s: %s", verdict.Outcome, verdict.Message)
	}
	l := lookup{}
	if l.Name() != "unknown" || describe(t, old).Name() != "struct" {
		t.Error("the names are wrong")
	}
	if _, _, merged := l.list("containers"); merged || l.inside("spec") != (lookup{}) {
		t.Error("what is not known is merged")
	}
	if _, err := newLookup(7); err == nil {
		t.Error("a number is a kind")
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	old := parse(t, deployment)
	for name, raw := range map[string][3]string{
		"old object": {"[", "{}", "{}"}, "new object": {"{}", "[", "{}"}, "options": {"{}", "{}", "["},
	} {
		r := request(t, "anybody", old, old)
		r.OldObject.Raw, r.Object.Raw, r.Options.Raw = []byte(raw[0]), []byte(raw[1]), []byte(raw[2])
		if _, err := Review(r); err == nil || !strings.Contains(err.Error(), "decoding the "+name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// kcp asks only about lists below certain fields. Every merged list of every offered kind is there.
func TestEveryMergedListIsAskedAbout(t *testing.T) {
	t.Parallel()
	objects, err := manifests.Provider(manifests.Parameters{WebhookURL: "https://tmc.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	asked := []string{"spec.template.spec.", "spec.jobTemplate.spec.template.spec.", "spec.ports"}
	for _, object := range objects {
		if object.GetKind() != "APIExport" || object.GetName() != manifests.KubernetesExportName {
			continue
		}
		schemas, err := manifests.KubernetesSchemas()
		if err != nil {
			t.Fatal(err)
		}
		resources, _, _ := unstructured.NestedSlice(object.Object, "spec", "resources")
		for _, resource := range resources {
			kubernetes := schemas[stringAt(resource.(map[string]any), "schema")]
			versions, _, _ := unstructured.NestedSlice(kubernetes.Object, "spec", "versions")
			gvk := schema.GroupVersionKind{
				Group: stringAt(kubernetes.Object, "spec", "group"), Version: stringAt(versions[0].(map[string]any), "name"),
				Kind: stringAt(kubernetes.Object, "spec", "names", "kind"),
			}
			typed, err := scheme.Scheme.New(gvk)
			if err != nil {
				t.Errorf("kind %s is not known to the guard: %v", gvk, err)
				continue
			}
			for _, path := range mergedLists(reflect.TypeOf(typed).Elem(), "", map[reflect.Type]bool{}) {
				// Kubernetes ignores owners and finalizers of templates; lists of claims are replaced as a whole.
				known := strings.Contains(path, "metadata.") || strings.HasPrefix(path, "status.") || strings.HasPrefix(path, "spec.volumeClaimTemplates.")
				for _, prefix := range asked {
					known = known || strings.HasPrefix(path, prefix)
				}
				if !known {
					t.Errorf("kcp does not ask about %s of %s", path, gvk.Kind)
				}
			}
		}
	}
}

// mergedLists finds the lists with a merge strategy in a Go type.
func mergedLists(t reflect.Type, path string, above map[reflect.Type]bool) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || above[t] {
		return nil
	}
	above[t] = true
	defer delete(above, t)
	var found []string
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := strings.TrimPrefix(path+"."+name, ".")
		if name == "" {
			inner = path // inlined
		}
		if strings.Contains(field.Tag.Get("patchStrategy"), mergeStrategy) {
			found = append(found, inner)
		}
		found = append(found, mergedLists(field.Type, inner, above)...)
	}
	return found
}

func TestScalarListsAreMerged(t *testing.T) {
	t.Parallel()
	old := with(parse(t, service), func(o map[string]any) {
		_ = unstructured.SetNestedStringSlice(o, []string{"a", "b"}, "metadata", "finalizers")
	})
	updated := with(old, func(o map[string]any) {
		_ = unstructured.SetNestedStringSlice(o, []string{"c"}, "metadata", "finalizers")
	})
	verdict := review(t, "tmc-strategic", old, updated)
	if verdict.Outcome != Mended {
		t.Fatalf("outcome %s: %s", verdict.Outcome, verdict.Message)
	}
	want := &unstructured.Unstructured{Object: onCluster(t, old, []byte(`{"metadata":{"finalizers":["c"]}}`))}
	if diff := cmp.Diff(want.GetFinalizers(), verdict.Object.GetFinalizers()); diff != "" || len(want.GetFinalizers()) != 3 {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
}

func TestSameVersion(t *testing.T) {
	t.Parallel()
	kind := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	object, err := (sameVersion{}).New(kind)
	if err != nil || object.GetObjectKind().GroupVersionKind() != kind {
		t.Errorf("object %v, error %v", object, err)
	}
	sameVersion{}.Default(object)
	label, value, labelErr := sameVersion{}.ConvertFieldLabel(kind, "a", "b")
	if err := (sameVersion{}).Convert(object, object, nil); err != nil || labelErr != nil || label != "a" || value != "b" {
		t.Errorf("label %s=%s, errors %v, %v", label, value, labelErr, err)
	}
}
