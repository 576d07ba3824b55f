// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package openapi

import (
	"strings"
	"testing"

	"k8s.io/kube-openapi/pkg/validation/spec"
)

// TestDefinitions checks that every kind is there under its API name, described, and that no reference dangles.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	definitions := GetOpenAPIDefinitions(spec.MustCreateRef)
	for _, kind := range []string{"ClusterRegistration", "ClusterGrant", "ClusterStatus"} {
		for _, name := range []string{"io.kcp.tmc.v1alpha1." + kind, "io.kcp.tmc.v1alpha1." + kind + "List"} {
			if _, found := definitions[name]; !found {
				t.Errorf("there is no definition of %s", name)
			}
		}
	}
	for name, definition := range definitions {
		for _, dependency := range definition.Dependencies {
			if _, found := definitions[dependency]; !found {
				t.Errorf("%s refers to %s, which is not defined", name, dependency)
			}
		}
		if strings.HasPrefix(name, "io.kcp.tmc.") && definition.Schema.Description == "" {
			t.Errorf("%s has no description", name)
		}
	}
}
