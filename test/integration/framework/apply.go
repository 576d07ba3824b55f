// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// kubectlManager is the field manager of kubectl apply --server-side.
const kubectlManager = "kubectl"

// Apply does to the tenant's workspace what kubectl apply --server-side --force-conflicts does, without a kubectl: for what
// a test needs and is not about. What tests are about is applied by the real one.
func (t *Tenant) Apply(tb testing.TB, manifest string) {
	tb.Helper()
	for _, object := range ReadManifest(tb, manifest) {
		t.apply(tb, object)
	}
}

// ReadManifest reads the objects of a manifest.
func ReadManifest(tb testing.TB, manifest string) []*unstructured.Unstructured {
	tb.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifest), 4<<10)
	var found []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return found
		case err != nil:
			tb.Fatalf("decoding a manifest: %v\n%s", err, manifest)
		case len(object.Object) > 0:
			found = append(found, object)
		}
	}
}

func (t *Tenant) apply(tb testing.TB, object *unstructured.Unstructured) {
	tb.Helper()
	data, err := object.MarshalJSON()
	if err != nil {
		tb.Fatalf("encoding %s %s: %v", object.GetKind(), object.GetName(), err)
	}
	plural, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	client := dynamic.ResourceInterface(t.Client.dynamic.Resource(plural))
	if namespace := object.GetNamespace(); namespace != "" || !strings.HasPrefix(object.GetKind(), "Cluster") {
		client = t.Client.dynamic.Resource(plural).Namespace(orDefault(namespace))
	}
	ctx, cancel := context.WithTimeout(tb.Context(), requestTimeout)
	defer cancel()
	_, err = client.Patch(ctx, object.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{
		FieldManager: kubectlManager, Force: new(true), FieldValidation: metav1.FieldValidationStrict,
	})
	if err != nil {
		tb.Fatalf("applying %s %s for %s: %v", object.GetKind(), object.GetName(), t.Name, err)
	}
}

func orDefault(namespace string) string {
	if namespace == "" {
		return metav1.NamespaceDefault
	}
	return namespace
}
