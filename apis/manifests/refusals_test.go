// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestRefusals: a mistake in the manifests is told by the name of the file or object, and never becomes half of a set.
func TestRefusals(t *testing.T) {
	t.Parallel()
	export := func(resources any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"kind": "APIExport", "metadata": map[string]any{"name": "broken"}, "spec": map[string]any{"resources": resources},
		}}
	}
	tests := map[string]struct {
		run  func() error
		want string
	}{
		"a schema that was not generated": {
			run: func() error {
				_, err := exportedSchemas(export([]any{map[string]any{"schema": "v000000-00000000.things.core"}}))
				return err
			},
			want: `APIExport broken names schema "v000000-00000000.things.core"`,
		},
		"an export without a schema": {
			run:  func() error { _, err := exportedSchemas(export([]any{"deployments"})); return err },
			want: `APIExport broken names schema ""`,
		},
		"an export that lists nothing": {
			run:  func() error { _, err := exportedSchemas(export("deployments")); return err },
			want: "reading the resources of APIExport broken",
		},
		"a pattern that is none": {run: func() error { _, err := readSchemas("["); return err }, want: "listing embedded schemas"},
		"a schema that is not there": {
			run: func() error { _, err := readSchema("kubernetes/nothing.json"); return err }, want: "kubernetes/nothing.json",
		},
		"a manifest that is not there": {
			run: func() error { _, err := render("provider/nothing.yaml", parameters()); return err }, want: "provider/nothing.yaml",
		},
		"a document that says one thing twice": {
			run: func() error { _, err := decode("twice.yaml", []byte("kind: A\nkind: B\n")); return err }, want: "document 1 of twice.yaml",
		},
		"a document that is no object": {
			run: func() error { _, err := decode("list.yaml", []byte("kind: A\n---\n[]\n")); return err }, want: "of list.yaml",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := tc.run(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, wanted an error about %q", err, tc.want)
			}
		})
	}
}
