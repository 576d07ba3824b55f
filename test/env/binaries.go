// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kcp-dev/tmc/test/env/build"
	"github.com/kcp-dev/tmc/test/env/pki"
)

const (
	// Versions that the binaries report; the modules below test/ decide what is built.
	kcpKubernetesVersion    = "v1.35.4+kcp-v0.31.2"
	memberKubernetesVersion = "v1.36.3"
)

// binaries are the folders of the built commands.
type binaries struct{ kcp, member string }

// buildAll finds the commands of kcp and of members in the cache, or builds them. One at a time: each build already
// uses every core.
func buildAll(ctx context.Context, o *Options) (binaries, error) {
	cache := &build.Cache{Dir: o.CacheDir, Out: o.Out, Clock: o.Clock}
	kcp, err := cache.Get(ctx, build.Set{
		Name: "kcp", ModuleDir: filepath.Join(o.RepoDir, "test", "kcp"),
		Packages: []string{
			"github.com/kcp-dev/kcp/cmd/kcp", "github.com/kcp-dev/kcp/cmd/kcp-front-proxy", "github.com/kcp-dev/kcp/cmd/virtual-workspaces",
		},
		Commands: []string{"kcp", "kcp-front-proxy", "virtual-workspaces"},
		LDFlags:  versionFlags(kcpKubernetesVersion),
	})
	if err != nil || o.memberCount() == 0 {
		return binaries{kcp: kcp}, err
	}
	member, err := cache.Get(ctx, build.Set{
		Name: "member clusters", ModuleDir: filepath.Join(o.RepoDir, "test", "member"),
		Packages: []string{"."}, Commands: []string{"member"},
		LDFlags: versionFlags(memberKubernetesVersion),
	})
	return binaries{kcp: kcp, member: member}, err
}

// versionFlags make a command say its Kubernetes version; without them it says v0.0.0-master.
func versionFlags(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	var flags []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for name, value := range map[string]string{"gitVersion": version, "gitMajor": parts[0], "gitMinor": parts[1], "gitTreeState": "clean"} {
			flags = append(flags, fmt.Sprintf("-X %s.%s=%s", pkg, name, value))
		}
	}
	slices.Sort(flags) // they are part of the cache's key
	return "-s -w " + strings.Join(flags, " ")
}

// buildTMC finds tmc-apiserver in the cache, or builds it.
func buildTMC(ctx context.Context, o *Options) (string, error) {
	cache := &build.Cache{Dir: o.CacheDir, Out: o.Out, Clock: o.Clock}
	dir, err := cache.Get(ctx, build.Set{
		Name: processTMC, ModuleDir: o.RepoDir, Folders: []string{"apis", "cmd", "openapi", "pkg"},
		Packages: []string{"./cmd/tmc-apiserver"}, Commands: []string{processTMC},
	})
	return filepath.Join(dir, processTMC), err
}

// placeTMC copies a built tmc-apiserver into the environment, whose own it is from then on.
func (e *Environment) placeTMC(built string) (string, error) {
	data, err := os.ReadFile(built)
	if err != nil {
		return "", fmt.Errorf("reading the built tmc-apiserver: %w", err)
	}
	path := filepath.Join(e.layout.bin(), processTMC)
	if err := pki.WriteSecret(path, data); err != nil {
		return "", err
	}
	return path, os.Chmod(path, 0o700) // a command, for its owner
}
