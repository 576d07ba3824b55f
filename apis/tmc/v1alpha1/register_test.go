// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

func TestAddToSchemeRegistersEveryKindWithItsList(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := tmcv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatalf("registering the kinds: %v", err)
	}
	for _, kind := range []string{"ClusterRegistration", "ClusterGrant", "ClusterStatus"} {
		for _, name := range []string{kind, kind + "List"} {
			obj, err := scheme.New(tmcv1alpha1.SchemeGroupVersion().WithKind(name))
			if err != nil {
				t.Errorf("%s is not registered: %v", name, err)
				continue
			}
			if copied := obj.DeepCopyObject(); !reflect.DeepEqual(copied, obj) {
				t.Errorf("the copy of an empty %s differs from it", name)
			}
		}
	}
}

func TestQualifiersCarryTheGroup(t *testing.T) {
	t.Parallel()
	if got, want := tmcv1alpha1.Kind("ClusterStatus"), (schema.GroupKind{Group: "tmc.kcp.io", Kind: "ClusterStatus"}); got != want {
		t.Errorf("Kind() = %v, want %v", got, want)
	}
	if got, want := tmcv1alpha1.Resource("clusterstatuses"), (schema.GroupResource{Group: "tmc.kcp.io", Resource: "clusterstatuses"}); got != want {
		t.Errorf("Resource() = %v, want %v", got, want)
	}
}
