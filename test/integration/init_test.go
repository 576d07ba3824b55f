// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"
)

// TestInitIsIdempotent: the environment has run init already, so a second run finds nothing to do.
func TestInitIsIdempotent(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--dry-run"}, nil} {
		output := suite.RunInit(t, args...)
		if !strings.Contains(strings.ToLower(output), "nothing to change") {
			t.Errorf("init %v finds something to do:\n%s", args, output)
		}
	}
}

// TestSEC07TenantsCannotTouchTheProvider looks at what a tenant may do in the provider workspace.
func TestSEC07TenantsCannotTouchTheProvider(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"get", "secrets", "-A"},
		{"get", "apiexports"},
		{"delete", "apiexport", "tmc.kcp.io"},
		{"patch", "cachedresourceendpointslice", "tmc", "--subresource=status", "--type=merge", "-p", `{"status":{"endpoints":[{"url":"https://127.0.0.1:1"}]}}`},
	} {
		if result := suite.Acme.ProviderKubectl(t).Run(t, args...); result.ExitCode == 0 {
			t.Errorf("a tenant may run kubectl %v in the provider workspace:\n%s", args, result.Output())
		}
	}
}
