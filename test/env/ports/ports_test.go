// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package ports_test

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/kcp-dev/tmc/test/env/ports"
)

func TestFreePortsAreDifferentAndUsable(t *testing.T) {
	t.Parallel()
	free, err := ports.Free(t.Context(), 20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range free {
		if seen[port] {
			t.Errorf("port %d was found twice", port)
		}
		seen[port] = true
		var config net.ListenConfig
		listener, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Fatalf("port %d is not free: %v", port, err)
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(seen) != 20 {
		t.Errorf("found %d ports, want 20", len(seen))
	}
}

func TestOwnerNamesTheListener(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("the listener has no TCP address")
	}
	if owner := ports.Owner(address.Port); !strings.Contains(owner, strconv.Itoa(os.Getpid())) {
		t.Errorf("the owner of port %d is %q, want this process %d", address.Port, owner, os.Getpid())
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if owner := ports.Owner(address.Port); owner != "" {
		t.Errorf("nobody listens, but the owner is %q", owner)
	}
}
