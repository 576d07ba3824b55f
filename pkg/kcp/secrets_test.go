// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"maps"
	"sync/atomic"
	"testing"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// A shard that joins late must not make its registrations look as if their Secrets did not exist.
func TestSecretsOfAnEndpointAreUnknownUntilTheyAreRead(t *testing.T) {
	t.Parallel()
	for _, code := range []int{403, 503} {
		f := newFakeKCP(t)
		f.set(at("a", bindings), binding("one"))
		f.endpoints("a")
		s := start(t, f, nil)
		eventually(t, "synced", func() bool { return s.HasSynced() && s.Secrets().Read("one") })

		f.set(at("b", bindings), binding("two"))
		f.set(at("b", registrations), registration("two", "east"))
		f.set(at("b", secrets), secret("two", "other"))
		f.fail(at("b", secrets), code)
		f.endpoints("a", "b")
		eventually(t, "the registration is seen", func() bool { _, ok := s.Registrations().Find(key("two", "east")); return ok })
		if s.Secrets().Read("two") || s.Secrets().Read("nowhere") || !s.Secrets().Read("one") {
			t.Error("Secrets that were not read count as read, or the other way round")
		}
		var told atomic.Bool
		s.Registrations().AddHandler(func(k workspace.Key) {
			if k == key("two", "east") && s.Secrets().Read("two") {
				told.Store(true)
			}
		})
		f.fail(at("b", secrets), 0)
		eventually(t, "the registration is looked at again once the Secrets are read", told.Load)
		if _, ok := s.Secrets().Find(secretKey("two", "other")); !ok {
			t.Error("told before the Secrets are there")
		}
		f.endpoints("a")
		eventually(t, "what left is not read", func() bool { return !s.Secrets().Read("two") })
	}
}

func TestRefusedClaimIsKnown(t *testing.T) {
	t.Parallel()
	claim := func(more map[string]any) map[string]any {
		out := map[string]any{"group": "", "resource": "secrets", "verbs": []any{"get"}}
		maps.Copy(out, more)
		return out
	}
	answer := func(state string) map[string]any {
		return claim(map[string]any{"state": state, "selector": map[string]any{"matchAll": true}})
	}
	tests := map[string]struct {
		answers, claims []any
		refused         bool
	}{
		"accepted":      {[]any{answer("Accepted")}, []any{claim(nil)}, false},
		"rejected":      {[]any{answer("Rejected")}, []any{claim(nil)}, true},
		"not answered":  {nil, []any{claim(nil)}, true},
		"not asked for": {nil, nil, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeKCP(t)
			b := binding("one")
			b["spec"].(map[string]any)["permissionClaims"] = tc.answers
			b["status"].(map[string]any)["exportPermissionClaims"] = tc.claims
			f.set(at("a", bindings), b)
			f.set(at("a", registrations), registration("one", "east"))
			f.endpoints("a")
			s := start(t, f, nil)
			eventually(t, "synced", s.HasSynced)
			if name, refused := s.Secrets().Refused("one"); refused != tc.refused || name != "tmc" {
				t.Errorf("the claim is refused: %t by %q, want %t", refused, name, tc.refused)
			}
			if !tc.refused {
				return
			}
			var told atomic.Bool
			s.Registrations().AddHandler(func(workspace.Key) {
				_, refused := s.Secrets().Refused("one")
				told.Store(!refused)
			})
			accepting := binding("one")
			accepting["spec"].(map[string]any)["permissionClaims"] = []any{answer("Accepted")}
			f.set(at("a", bindings), accepting)
			eventually(t, "the registration is looked at again once the claim is accepted", told.Load)
		})
	}
}
