// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
)

func TestOptionsReportEveryProblem(t *testing.T) {
	t.Parallel()
	err := (&Options{Shards: 3, Members: -2}).complete()
	if err == nil || !strings.Contains(err.Error(), "shards=3") || !strings.Contains(err.Error(), "members=-2") {
		t.Errorf("got %v, want both problems", err)
	}
}

func TestMemberNames(t *testing.T) {
	t.Parallel()
	for n, want := range map[int][]string{0: {}, 1: {"east"}, 3: {"east", "west", "edge"}, 5: {"east", "west", "edge", "m4", "m5"}} {
		if diff := cmp.Diff(want, memberNames(n)); diff != "" {
			t.Errorf("%d members (-want +got):\n%s", n, diff)
		}
	}
}

func TestStateKeepsPortsRangesAndHeadersApart(t *testing.T) {
	t.Parallel()
	o := &Options{Shards: 2, Members: 5, Clock: clock.RealClock{}}
	s, err := newState(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[any]bool{}
	once := func(values ...any) {
		t.Helper()
		for _, v := range values {
			if seen[v] {
				t.Errorf("%v is used twice", v)
			}
			seen[v] = true
		}
	}
	once(s.PublicPort, s.TMCPort, s.KCPHeaders, s.FrontHeaders, s.SideHeaders)
	for _, shard := range s.Shards {
		once(shard.Port, shard.EtcdPort, shard.EtcdPeerPort, shard.VWPort, shard.InternalPort, shard.Name)
	}
	for _, m := range s.Members {
		once(m.Port, m.EtcdPort, m.EtcdPeerPort, m.KubeletPort, m.PodCIDR, m.Name)
	}
}

func TestTMCCertificateHasAnAuthorityOfItsOwn(t *testing.T) {
	t.Parallel()
	s := &state{Shards: []shardState{{Name: rootShard}}}
	for _, c := range s.kcpClients() {
		if (c.authority == tmcCA) != (c.client.CommonName == userTMC) {
			t.Errorf("%s is signed by %s", c.client.CommonName, c.authority)
		}
		if c.authority == tmcCA && len(c.client.Organizations) > 0 {
			t.Errorf("%s is in groups %v, want none", c.client.CommonName, c.client.Organizations)
		}
	}
}

func TestLoadFindsNothing(t *testing.T) {
	t.Parallel()
	if _, err := Load(t.TempDir()); !errors.Is(err, ErrNotUp) {
		t.Errorf("got %v, want %v", err, ErrNotUp)
	}
}

// Down removes a directory with everything in it, so it must be sure whose that is.
func TestDownLeavesAForeignDirectoryAlone(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if err := Down(t.Context(), dir, &bytes.Buffer{}); err == nil {
		t.Error("a directory that is no environment was taken down")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestPortOwnersAreNamed(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // nothing was accepted
	log := "E1123 failed: listen tcp " + listener.Addr().String() + ": bind: address already in use"
	if err := portOwners(log); err == nil || !strings.Contains(err.Error(), "is held by process") {
		t.Errorf("got %v, want the owner's name", err)
	}
	if err := portOwners("nothing of the kind"); err != nil {
		t.Errorf("got %v, want nothing", err)
	}
}
