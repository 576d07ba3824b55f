// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workspace names things in kcp workspaces and carries the workspace of a request.
//
// A workspace is a kcp logical cluster. Its name is an opaque identifier that is never used again; its path, such
// as root:team-a, is for people and may be used again after a deletion. Keys therefore hold names, never paths.
// The package is pure: it knows no client and no server.
package workspace

import (
	"cmp"
	"context"
	"strings"

	"github.com/kcp-dev/logicalcluster/v3"
)

// Key names one object of one kind in one workspace. Namespace is empty for cluster-scoped kinds.
type Key struct {
	Workspace logicalcluster.Name
	Namespace string
	Name      string
}

// String returns workspace|namespace/name, or workspace|name for cluster-scoped kinds, as kcp's own keys do.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Workspace.String() + "|" + k.Name
	}
	return k.Workspace.String() + "|" + k.Namespace + "/" + k.Name
}

// Compare orders keys by workspace, namespace and name; it returns -1, 0 or +1.
func (k Key) Compare(other Key) int {
	return cmp.Or(
		strings.Compare(k.Workspace.String(), other.Workspace.String()),
		strings.Compare(k.Namespace, other.Namespace),
		strings.Compare(k.Name, other.Name),
	)
}

// Wildcard stands for all workspaces in a request path.
const Wildcard = logicalcluster.Name("*")

type contextKey struct{}

// With returns a context that carries the workspace of a request.
func With(ctx context.Context, name logicalcluster.Name) context.Context {
	return context.WithValue(ctx, contextKey{}, name)
}

// From returns the workspace that the context carries, and whether it carries one.
func From(ctx context.Context) (logicalcluster.Name, bool) {
	name, ok := ctx.Value(contextKey{}).(logicalcluster.Name)
	return name, ok && name != ""
}
