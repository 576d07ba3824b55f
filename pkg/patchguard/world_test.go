// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, uid: u-1}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers:
      - {name: prepare, image: "busybox:1"}
      - {name: migrate, image: "migrate:1"}
      containers:
      - name: app
        image: nginx:1
        ports:
        - {containerPort: 80, protocol: TCP}
        - {containerPort: 5353, protocol: UDP, name: dns}
        env: [{name: A, value: a}, {name: B, value: b}]
        resources: {limits: {cpu: "1", memory: 1Gi}}
        volumeMounts: [{name: data, mountPath: /data}]
      - {name: sidecar, image: "envoy:1", args: [x]}
      volumes:
      - {name: data, emptyDir: {}}
      - {name: config, configMap: {name: web}}
      tolerations: [{key: gpu, operator: Exists}]
`

const service = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, uid: u-2}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 8080, protocol: TCP}
  - {name: dns, port: 53, targetPort: 5353, protocol: UDP}
`

func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	object := map[string]any{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := utiljson.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func clone(object map[string]any) map[string]any { return runtime.DeepCopyJSON(object) }

// with returns a copy that was changed.
func with(object map[string]any, change func(map[string]any)) map[string]any {
	changed := clone(object)
	change(changed)
	return changed
}

func podSpec(object map[string]any) map[string]any {
	found, _, _ := unstructured.NestedFieldNoCopy(object, "spec", "template", "spec")
	spec, _ := found.(map[string]any)
	return spec
}

func container(object map[string]any, i int) map[string]any {
	return podSpec(object)["containers"].([]any)[i].(map[string]any)
}

func describe(t testing.TB, object map[string]any) lookup {
	t.Helper()
	typed, err := scheme.Scheme.New((&unstructured.Unstructured{Object: object}).GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLookup(typed)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// onCluster is what a Kubernetes API server makes of a strategic merge patch.
func onCluster(t testing.TB, old map[string]any, patch []byte) map[string]any {
	t.Helper()
	typed, err := scheme.Scheme.New((&unstructured.Unstructured{Object: old}).GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	result, err := strategicpatch.StrategicMergeMapPatch(clone(old), parse(t, string(patch)), typed)
	if err != nil {
		t.Fatalf("applying %s: %v", patch, err)
	}
	return withoutTraces(withDefaults(map[string]any(result))).(map[string]any)
}

// inKCP is what kcp makes of it: lists replace lists, and nulls and directives inside them stay.
func inKCP(t testing.TB, old map[string]any, patch []byte) map[string]any {
	t.Helper()
	l := describe(t, old)
	l.replaces = true
	result, err := strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(clone(old), parse(t, string(patch)), l)
	if err != nil {
		t.Fatalf("applying %s: %v", patch, err)
	}
	return withDefaults(map[string]any(result)).(map[string]any)
}

// withDefaults fills in what the schemas of the export do in lists.
func withDefaults(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for field, inner := range value {
			items, isList := inner.([]any)
			if field == "ports" && isList {
				for _, item := range items {
					if port, isMap := item.(map[string]any); isMap && port["protocol"] == nil && port[directive] == nil {
						port["protocol"] = "TCP"
					}
				}
			}
			withDefaults(inner)
		}
	case []any:
		for _, inner := range value {
			withDefaults(inner)
		}
	}
	return value
}

// twoWay is the patch that kubectl set and kubectl edit send.
func twoWay(t testing.TB, old, modified map[string]any) []byte {
	t.Helper()
	typed, err := scheme.Scheme.New((&unstructured.Unstructured{Object: old}).GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(encode(t, old), encode(t, modified), typed)
	if err != nil {
		t.Fatal(err)
	}
	return patch
}

func encode(t testing.TB, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func request(t testing.TB, manager string, old, updated map[string]any) *admissionv1.AdmissionRequest {
	t.Helper()
	gvk := (&unstructured.Unstructured{Object: old}).GroupVersionKind()
	return &admissionv1.AdmissionRequest{
		UID: "r-1", Operation: admissionv1.Update, Name: "web", Namespace: "shop",
		Kind:      metav1.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind},
		Resource:  metav1.GroupVersionResource{Group: gvk.Group, Version: gvk.Version, Resource: strings.ToLower(gvk.Kind) + "s"},
		OldObject: runtime.RawExtension{Raw: encode(t, old)},
		Object:    runtime.RawExtension{Raw: encode(t, updated)},
		Options:   runtime.RawExtension{Raw: encode(t, metav1.UpdateOptions{FieldManager: manager})},
	}
}

func review(t testing.TB, manager string, old, updated map[string]any) *Verdict {
	t.Helper()
	verdict, err := Review(request(t, manager, old, updated))
	if err != nil {
		t.Fatalf("reviewing: %v", err)
	}
	return verdict
}

// applied puts what was applied into the annotation of kubectl.
func applied(t testing.TB, object, config map[string]any) map[string]any {
	t.Helper()
	return with(object, func(o map[string]any) {
		if err := unstructured.SetNestedField(o, string(encode(t, config)), "metadata", "annotations", corev1.LastAppliedConfigAnnotation); err != nil {
			t.Fatal(err)
		}
	})
}

// threeWay is the patch that kubectl apply sends.
func threeWay(t testing.TB, old, last, config map[string]any) []byte {
	t.Helper()
	var original []byte
	if last != nil {
		original = encode(t, last)
	}
	typed, err := scheme.Scheme.New(schema.FromAPIVersionAndKind(old["apiVersion"].(string), old["kind"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	meta, err := strategicpatch.NewPatchMetaFromStruct(typed)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := strategicpatch.CreateThreeWayMergePatch(original, encode(t, applied(t, config, config)), encode(t, old), meta, true)
	if err != nil {
		t.Fatal(err)
	}
	return patch
}

// sorted orders the lists whose order cannot be known, and means nothing to Kubernetes.
func sorted(object map[string]any) map[string]any {
	object = clone(object)
	for _, field := range []string{"containers", "volumes"} {
		list, _ := podSpec(object)[field].([]any)
		slices.SortFunc(list, func(a, b any) int {
			return strings.Compare(stringAt(a.(map[string]any), "name"), stringAt(b.(map[string]any), "name"))
		})
	}
	return object
}
