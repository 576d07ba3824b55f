// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

// rule forbids packages of ours to reach others.
type rule struct {
	packages []string // ours, relative to the module
	never    []string // ours relative to the module, others in full
	direct   bool     // only imports of the package itself count
	why      string
}

func (r rule) scope(p pkg) []string {
	if r.direct {
		return p.Imports
	}
	return p.Deps
}

// table returns the rules. What apimachinery itself reaches cannot be forbidden transitively: it knows net/http.
func table() []rule {
	ours := []string{"apis/...", "openapi/...", "pkg/...", "cmd/..."}
	pure := []string{"pkg/capacity", "pkg/protoscan", "pkg/memberconfig", "pkg/health", "pkg/view", "pkg/placement", "pkg/transform", "pkg/rollup", "pkg/workspace", "pkg/logkey"}
	servers := []string{"k8s.io/client-go/...", "k8s.io/apiserver/...", "net/http/httputil", "google.golang.org/grpc/..."}

	return append(layers(), []rule{
		{
			packages: ours,
			never:    []string{"sigs.k8s.io/controller-runtime/...", "k8s.io/kubernetes/...", "github.com/kcp-dev/kcp/...", "github.com/kcp-dev/virtual-workspace-framework/..."},
			why:      "the product builds on released libraries alone, without forks (docs/adr)",
		},
		{
			packages: []string{"apis/...", "openapi/..."},
			never:    append([]string{"pkg/...", "cmd/..."}, servers...),
			why:      "clients import the APIs without pulling in a server or a client",
		},
		{
			packages: []string{"apis/tmc/..."},
			never:    []string{"github.com/kcp-dev/..."},
			why:      "the types are plain Kubernetes types",
		},
		{
			packages: []string{"pkg/workspace", "pkg/logkey"},
			never:    []string{"apis/...", "pkg/..."},
			why:      "it is the lowest layer",
		},
		{
			packages: pure,
			never:    servers,
			why:      "it is pure: no client, no server",
		},
		{
			packages: pure,
			never:    []string{"net/http"},
			direct:   true,
			why:      "it is pure: no client, no server",
		},
		{
			packages: pure,
			never: []string{
				"pkg/kcp/...", "pkg/fleet/...", "pkg/controller/...", "pkg/registry/...", "pkg/viewstore/...", "pkg/apiserver/...",
				"pkg/door/...", "pkg/bootstrap/...",
			},
			why: "lower layers do not know higher ones",
		},
	}...)
}

// layers returns the rules among our own packages.
func layers() []rule {
	return []rule{
		{
			packages: []string{"pkg/kcp/...", "pkg/fleet/...", "pkg/viewstore/...", "pkg/door/...", "pkg/patchguard/...", "pkg/bootstrap/..."},
			never:    []string{"pkg/controller/...", "pkg/registry/...", "pkg/apiserver/...", "cmd/..."},
			why:      "lower layers do not know higher ones",
		},
		{
			packages: []string{"pkg/kcp/..."},
			never:    []string{"pkg/fleet/...", "pkg/viewstore/...", "pkg/door/...", "pkg/bootstrap/..."},
			why:      "siblings do not know each other",
		},
		{
			packages: []string{"pkg/fleet/..."},
			never:    []string{"pkg/kcp/...", "pkg/viewstore/...", "pkg/door/...", "pkg/bootstrap/..."},
			why:      "siblings do not know each other",
		},
		{
			packages: []string{"pkg/viewstore/...", "pkg/door/...", "pkg/patchguard/..."},
			never:    []string{"pkg/kcp/...", "pkg/fleet/...", "pkg/bootstrap/..."},
			why:      "it gets what it needs through interfaces of its own",
		},
		{
			packages: []string{"pkg/registry/..."},
			never:    []string{"pkg/kcp/...", "pkg/fleet/...", "pkg/controller/...", "pkg/apiserver/...", "pkg/bootstrap/...", "cmd/..."},
			why:      "views read the view store and nothing else",
		},
		{
			packages: []string{"pkg/controller/..."},
			never:    []string{"pkg/kcp/...", "pkg/fleet/...", "pkg/registry/...", "pkg/apiserver/...", "pkg/bootstrap/...", "cmd/..."},
			why:      "controllers get interfaces from the composition root",
		},
		{
			packages: []string{"pkg/apiserver/..."},
			never:    []string{"pkg/bootstrap/...", "cmd/..."},
			why:      "init is a program of its own within the binary",
		},
	}
}
