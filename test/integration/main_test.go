// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration proves behaviour on real parts: kcp with two shards, real Kubernetes control planes as members,
// tmc-apiserver as a process of its own, real certificates and the real kubectl.
//
// One environment serves all tests. A test makes tenants of its own; the members of the shared tenant acme must stay
// as they are. Tests that disturb others are not parallel and so run first, one after another.
package integration

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"

	"github.com/kcp-dev/tmc/test/integration/framework"
)

// The members. The first three belong to the tenant acme; the others are for tests that stop or move members, and are
// started by the first test that registers them.
const (
	failingMember  = "m4"
	spareMember    = "m5"
	rotatedMember  = "m6"
	cordonedMember = "m7"
	limitedMember  = "m8"
	awayMember     = "m9"
	memberCount    = 9
	// holdTime is how long a test watches that nothing happens.
	holdTime = 3 * time.Second
)

// The suite and its shared members are set once, before any test.
var (
	suite         *framework.Suite
	sharedMembers = []string{"east", "edge", "west"}
)

// spare is full while a test has the spare member: it can be registered once.
var spare = make(chan struct{}, 1)

// takeSpare gives a test the spare member until its end. Then the registrations of it go, which tenants have by now.
func takeSpare(t testing.TB, registrations map[*framework.Tenant][]string) {
	t.Helper()
	select {
	case spare <- struct{}{}:
	case <-t.Context().Done():
		t.Fatalf("waiting for the spare member: %v", t.Context().Err())
	}
	t.Cleanup(func() {
		for tenant, names := range registrations {
			tenant.Kubectl.Run(t, append([]string{"delete", "clusterregistration", "--ignore-not-found"}, names...)...)
		}
		<-spare
	})
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	var err error
	suite, err = framework.Start(ctx, framework.Options{Members: memberCount, Registered: sharedMembers})
	if err != nil {
		fmt.Fprintf(os.Stderr, "starting the environment: %v\n", err)
		return 1
	}
	code := m.Run()
	if err := suite.Stop(context.Background(), code != 0); err != nil {
		fmt.Fprintf(os.Stderr, "stopping the environment: %v\n", err)
		return 1
	}
	return code
}

func contains(text, part string) bool { return part != "" && strings.Contains(text, part) }
