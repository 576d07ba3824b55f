// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package workspace_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestKeyString(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		key  workspace.Key
		want string
	}{
		"cluster-scoped": {key: workspace.Key{Workspace: "2ds0kemhl1brzp93", Name: "east"}, want: "2ds0kemhl1brzp93|east"},
		"namespaced":     {key: workspace.Key{Workspace: "2ds0kemhl1brzp93", Namespace: "prod", Name: "web"}, want: "2ds0kemhl1brzp93|prod/web"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.key.String(); got != tc.want {
				t.Errorf("String() = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestKeyCompareOrdersByWorkspaceThenNamespaceThenName(t *testing.T) {
	t.Parallel()
	want := []workspace.Key{
		{Workspace: "a", Name: "z"},
		{Workspace: "a", Namespace: "m", Name: "b"},
		{Workspace: "a", Namespace: "n", Name: "a"},
		{Workspace: "a", Namespace: "n", Name: "b"},
		{Workspace: "b", Name: "a"},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, workspace.Key.Compare)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sorted keys (-want +got):\n%s", diff)
	}
	if got[0].Compare(want[0]) != 0 {
		t.Error("a key differs from its copy")
	}
}

func TestContextCarriesTheWorkspace(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ctx  context.Context
		want logicalcluster.Name
		ok   bool
	}{
		"nothing stored":      {ctx: context.Background()},
		"empty name is none":  {ctx: workspace.With(context.Background(), "")},
		"name":                {ctx: workspace.With(context.Background(), "abc"), want: "abc", ok: true},
		"the innermost wins":  {ctx: workspace.With(workspace.With(context.Background(), "abc"), "def"), want: "def", ok: true},
		"wildcard is carried": {ctx: workspace.With(context.Background(), workspace.Wildcard), want: "*", ok: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := workspace.From(tc.ctx)
			if got != tc.want || ok != tc.ok {
				t.Errorf("From() = %q, %v; want %q, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}
