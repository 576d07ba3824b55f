// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
)

// claimFor names the scope that a process of this test claims, see TestMain.
const claimFor = "TMC_TEST_CLAIM"

func TestMain(m *testing.M) {
	if scope := os.Getenv(claimFor); scope != "" {
		identity, err := ClaimIdentity(scope)
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(identity.Name + "\n")
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or the test ends
		runtime.KeepAlive(identity)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// claimElsewhere returns the name that another process claimed, and how to kill that process.
func claimElsewhere(t *testing.T, scope string) (name string, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), self)
	process.Env = append(os.Environ(), claimFor+"="+scope)
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 512)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("reading what the process claimed: %v", err)
	}
	return strings.TrimSpace(string(line[:n])), func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	}
}

func claim(t *testing.T, scope string) *Identity {
	t.Helper()
	identity, err := ClaimIdentity(scope)
	if err != nil {
		t.Fatal(err)
	}
	if identity.place != nil {
		t.Cleanup(func() { _ = identity.place.Close() })
	}
	return identity
}

// scopeOf is one that no other run of the test has.
func scopeOf(t *testing.T) string {
	t.Helper()
	return t.Name() + "/" + string(uuid.NewUUID())
}

func needsPlaces(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has abstract sockets; elsewhere identities are random")
	}
}

func TestIdentityIsThatOfTheProcessThatWasKilled(t *testing.T) {
	t.Parallel()
	needsPlaces(t)
	scope := scopeOf(t)
	killed, kill := claimElsewhere(t, scope)
	beside := claim(t, scope)
	if beside.Name == killed {
		t.Fatalf("two living processes have the identity %s", killed)
	}
	kill()
	if successor := claim(t, scope); successor.Name != killed {
		t.Errorf("the successor has the identity %s, want %s", successor.Name, killed)
	}
	if other := claim(t, scopeOf(t)); other.Name == killed || other.Name == beside.Name {
		t.Errorf("the identity %s stands for two leases", other.Name)
	}
}

func TestIdentityIsRandomWhenEveryPlaceIsTaken(t *testing.T) {
	t.Parallel()
	seen, scope := map[string]bool{}, scopeOf(t)
	for range maxPlaces + 2 {
		identity := claim(t, scope)
		if seen[identity.Name] {
			t.Fatalf("the identity %s was given out twice", identity.Name)
		}
		seen[identity.Name] = true
	}
}

// TestLeaseOfAKilledProcess is held for an hour: only its own identity can have it sooner.
func TestLeaseOfAKilledProcess(t *testing.T) {
	t.Parallel()
	needsPlaces(t)
	scope := scopeOf(t)
	killed, kill := claimElsewhere(t, scope)
	kill()
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	leases := &fakeLeases{lease: map[string]any{
		"metadata": map[string]any{"name": DefaultName, "namespace": DefaultNamespace},
		"spec": map[string]any{
			"holderIdentity": killed, "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now, "leaseTransitions": 0,
		},
	}}
	server := httptest.NewServer(leases)
	defer server.Close()
	stranger := electorLasting(t, server, &Identity{Name: "stranger"}, time.Hour)
	successor := electorLasting(t, server, claim(t, scope), time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { stranger.Run(ctx); done <- struct{}{} }()
	eventually(t, "the stranger to have seen the lease", func() bool { return leases.requests() > 0 })
	go func() { successor.Run(ctx); done <- struct{}{} }()
	eventually(t, "the successor to lead", successor.IsLeader)
	if stranger.IsLeader() {
		t.Error("another identity leads before the lease ended")
	}
	cancel()
	<-done
	<-done
}
