// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bench measures what a tenant gets from end to end, on real parts: kcp with one shard, three real Kubernetes
// control planes as members, tmc-apiserver as a process of its own, all on this machine and in the same run as the
// reference, which is kcp's own stored objects.
//
// A benchmark takes a fixed number of samples, whatever -benchtime says, and reports their quantiles. Where several ways
// are compared they take turns, sample by sample, so that a busy machine is as busy for each. Nothing is asserted but
// that every answer is right: a missed target is a result, not a failure. What takes minutes runs only if TMC_BENCH_LONG
// is 1. Files are named so that what places runs before read_test.go fills the tenant's list of members.
package bench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kcp-dev/tmc/test/env"
)

const (
	member       = "east" // that of the benchmarks that need one alone
	memberCount  = 3
	longVariable = "TMC_BENCH_LONG"
	readyTimeout = 2 * time.Minute
	pollInterval = 100 * time.Millisecond
)

// stage is what the benchmarks run on, set once before any of them, and what they found, for the end.
var stage struct {
	env     *env.Environment
	tenant  *env.Tenant
	summary []string
	idle    *usage // what all costs per second while nothing happens
}

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.bench"); f == nil || f.Value.String() == "" {
		os.Exit(m.Run()) // only figures are asked of the environment
	}
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	dir, err := os.MkdirTemp("", "tmc-bench-")
	if err != nil {
		fmt.Fprintf(os.Stderr, "making a directory: %v\n", err)
		return 1
	}
	defer func() {
		if err := env.Down(context.WithoutCancel(ctx), filepath.Join(dir, "env"), os.Stderr); err != nil {
			fmt.Fprintf(os.Stderr, "stopping the environment: %v\n", err)
			code = 1
		}
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintf(os.Stderr, "removing %s: %v\n", dir, err)
		}
	}()
	if err := start(ctx, filepath.Join(dir, "env")); err != nil {
		fmt.Fprintf(os.Stderr, "starting the environment: %v\n", err)
		return 1
	}
	code = m.Run()
	fmt.Printf("\n%s\n\n", strings.Join(stage.summary, "\n"))
	return code
}

func start(ctx context.Context, dir string) error {
	// Profiles cost nothing while nobody asks for one; asking for one of the heap collects garbage first.
	options := env.TMCOptions{ExtraArgs: []string{"--profiling"}}
	e, err := env.UpAll(ctx, env.Options{Dir: dir, Shards: 1, Members: memberCount, Out: os.Stderr}, options)
	if err != nil {
		return err
	}
	tenant, err := e.Tenant(ctx, "acme", env.WithTMC())
	if err != nil {
		return fmt.Errorf("making the tenant: %w", err)
	}
	for _, m := range e.Members() {
		if err := e.RegisterMember(ctx, tenant.Path, m.Name, nil); err != nil {
			return err
		}
	}
	stage.env, stage.tenant = e, tenant
	if err := e.AwaitMembersReady(ctx, tenant); err != nil {
		return fmt.Errorf("waiting for the members: %w", err)
	}
	return nil
}

// long skips what takes minutes unless it was asked for.
func long(b *testing.B) {
	b.Helper()
	if os.Getenv(longVariable) != "1" {
		b.Skip("takes minutes; set " + longVariable + "=1")
	}
}

// eventually waits until check returns nil.
func eventually(b *testing.B, what string, check func(context.Context) error) {
	b.Helper()
	var last error
	err := wait.PollUntilContextTimeout(b.Context(), pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		b.Fatalf("waiting %s for %s: %v", readyTimeout, what, last)
	}
}
