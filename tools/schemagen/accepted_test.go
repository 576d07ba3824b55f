// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kcp-dev/tmc/apis/manifests"
)

// TestSchemasAreAccepted holds every current schema against the rules for CustomResourceDefinitions, which are kcp's rules
// for schemas: structure, defaults, keys of lists, and that each validation rule compiles and is cheap enough.
func TestSchemasAreAccepted(t *testing.T) {
	t.Parallel()
	objects, err := manifests.Provider(manifests.Parameters{})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, object := range objects {
		if object.GetKind() != "APIResourceSchema" {
			continue
		}
		found++
		t.Run(object.GetName(), func(t *testing.T) {
			t.Parallel()
			crd := asCRD(t, object)
			for _, err := range validation.ValidateCustomResourceDefinition(t.Context(), crd) {
				t.Error(err)
			}
		})
	}
	if found == 0 {
		t.Error("there are no schemas")
	}
}

// asCRD makes the CustomResourceDefinition that kcp would make, but for the groups that only Kubernetes may use.
func asCRD(t *testing.T, schema *unstructured.Unstructured) *apiextensions.CustomResourceDefinition {
	t.Helper()
	spec := maps.Clone(schema.Object["spec"].(map[string]any))
	versions := make([]any, 0, 1)
	for _, v := range spec["versions"].([]any) {
		version := maps.Clone(v.(map[string]any))
		version["schema"] = map[string]any{"openAPIV3Schema": version["schema"]}
		versions = append(versions, version)
	}
	spec["versions"] = versions
	if group, _ := spec["group"].(string); !strings.Contains(group, ".") {
		spec["group"] = group + "x.example.com"
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(map[string]any{"spec": spec}, crd); err != nil {
		t.Fatal(err)
	}
	crd.ObjectMeta = metav1.ObjectMeta{Name: crd.Spec.Names.Plural + "." + crd.Spec.Group, Annotations: schema.GetAnnotations()}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	internal := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, internal, nil); err != nil {
		t.Fatal(err)
	}
	internal.Status.StoredVersions = []string{crd.Spec.Versions[0].Name}
	return internal
}
