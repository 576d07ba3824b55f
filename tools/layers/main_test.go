// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestViolations(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		pkg  pkg
		want []string
	}{
		"a pure package that reaches a client through another is told": {
			pkg:  pkg{ImportPath: module + "/pkg/health", Deps: []string{"fmt", "k8s.io/client-go/rest"}},
			want: []string{"pkg/health: must not reach k8s.io/client-go/rest: it is pure: no client, no server"},
		},
		"net/http counts only when imported directly": {
			pkg: pkg{ImportPath: module + "/pkg/health", Deps: []string{"net/http"}},
		},
		"a view that sees the fleet is told": {
			pkg:  pkg{ImportPath: module + "/pkg/registry/clusterstatus", Deps: []string{module + "/pkg/fleet"}},
			want: []string{"pkg/registry/clusterstatus: must not reach pkg/fleet: views read the view store and nothing else"},
		},
		"a package is not its own neighbour":  {pkg: pkg{ImportPath: module + "/pkg/workspace", Deps: []string{module + "/pkg/workspace"}}},
		"foreign packages are not our matter": {pkg: pkg{ImportPath: "k8s.io/client-go/rest", Deps: []string{"k8s.io/kubernetes/x"}}},
		"a folder's name alone is not a match": {
			pkg: pkg{ImportPath: module + "/pkg/registry/x", Deps: []string{module + "/pkg/kcpx"}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, violations(tc.pkg, table())); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}
