// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"crypto/sha256"
	"encoding/pem"
	"net/http"
	"testing"

	"github.com/kcp-dev/tmc/pkg/fleet"
)

// A tenant must not be able to prove that a cluster is theirs by joining what a server of their own says with the
// certificate of a server that tells anybody its version.
func TestIdentityIsNotJoinedFromTwoServers(t *testing.T) {
	t.Parallel()
	victim, liar := newFakeMember(t), newFakeMember(t)
	liar.set(func(m *fakeMember) { m.uid = victim.uid })
	victim.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			panic(errPass)
		}
		w.WriteHeader(http.StatusForbidden)
	})
	h := run(t, fast())
	h.Ensure(east, liar.connection())
	told := h.wait(east, "the liar's UID is taken", func(s fleet.State) bool { return s.ClusterUID == victim.uid })
	liarRoot := told.VerifiedRoot
	h.Ensure(east, victim.connection())
	before := victim.count("/version")
	state := h.wait(east, "the other server is called", func(fleet.State) bool { return victim.count("/version") > before+2 })
	block, _ := pem.Decode(victim.pki.caPEM)
	if state.VerifiedRoot == sha256.Sum256(block.Bytes) || state.VerifiedRoot != liarRoot {
		t.Errorf("the UID that one server told counts as told by another: root %x", state.VerifiedRoot)
	}
}
