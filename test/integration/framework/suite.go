// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package framework holds what the integration tests share: the environment and its tenants, the real kubectl,
// waiting, and requests that an intruder would make.
//
// It starts nothing by itself that it does not stop, and it never waits for time to pass, only for conditions.
package framework

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kcp-dev/tmc/test/env"
)

const (
	// MemberTimeout bounds every wait for something that takes seconds on an idle machine.
	MemberTimeout = 90 * time.Second
	// coverDirVariable names the directory for coverage counters; without it none are written.
	coverDirVariable = "TMC_COVERDIR"
	// DetachAfter is how long a deletion waits for a member that cannot be reached.
	DetachAfter = 20 * time.Second
	shards      = 2
)

// Options say what the suite needs.
type Options struct {
	// Members is how many member clusters there are. All but those of the tenant acme are started when a test needs them.
	Members int
	// Registered are the members of the tenant acme: the first ones.
	Registered []string
}

// Suite is the environment of a test run.
type Suite struct {
	// Env is the environment.
	Env *env.Environment
	// Acme is the shared tenant.
	Acme *Tenant

	dir    string
	binary string
	cover  string
}

// Start starts the environment and registers the members of the tenant acme.
func Start(ctx context.Context, o Options) (*Suite, error) {
	dir, err := os.MkdirTemp("", "tmc-it-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	s := &Suite{dir: dir, cover: os.Getenv(coverDirVariable)}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.Stop(context.WithoutCancel(ctx), true))
	}
	return s, nil
}

func (s *Suite) start(ctx context.Context, o Options) error {
	if err := s.build(ctx); err != nil {
		return err
	}
	var err error
	s.Env, err = env.UpAll(ctx, env.Options{
		Dir: s.envDir(), Shards: shards, Members: o.Members, LateMembers: o.Members - len(o.Registered), Out: os.Stderr,
	}, s.tmcOptions())
	if err != nil {
		return fmt.Errorf("starting the environment: %w", err)
	}
	tenant, err := s.Env.Tenant(ctx, "acme", env.WithTMC(), env.WithShard("root"))
	if err != nil {
		return fmt.Errorf("making the tenant acme: %w", err)
	}
	for _, member := range o.Registered {
		if err := s.Env.RegisterMember(ctx, tenant.Path, member, nil); err != nil {
			return fmt.Errorf("registering %s: %w", member, err)
		}
	}
	if s.Acme, err = s.newTenant(tenant); err != nil {
		return err
	}
	return s.Acme.Client.awaitReady(ctx, o.Registered)
}

// build builds the server with coverage counters, and with the points at which a test can make it die.
func (s *Suite) build(ctx context.Context) error {
	s.binary = filepath.Join(s.dir, "tmc-apiserver")
	args := []string{"build", "-tags=crashpoints", "-o", s.binary}
	if s.cover != "" {
		args = append(args, "-cover", "-covermode=atomic", "-coverpkg=github.com/kcp-dev/tmc/...")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/kcp-dev/tmc/cmd/tmc-apiserver")...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building tmc-apiserver: %w\n%s", err, output)
	}
	return nil
}

func (s *Suite) tmcOptions() env.TMCOptions {
	return env.TMCOptions{Binary: s.binary, GOCOVERDIR: s.cover, ExtraArgs: []string{"--detach-after=" + DetachAfter.String()}}
}

func (s *Suite) envDir() string { return filepath.Join(s.dir, "env") }

// Stop stops everything. After a failure the logs stay, and it is said where.
func (s *Suite) Stop(ctx context.Context, failed bool) error {
	var errs []error
	if s.Env != nil {
		// The server goes first and in good order, so that it writes its counters.
		errs = append(errs, s.Env.StopTMC(ctx))
	}
	if failed {
		kept := s.dir + "-logs"
		if err := os.CopyFS(kept, os.DirFS(filepath.Join(s.envDir(), "logs"))); err == nil {
			fmt.Fprintf(os.Stderr, "The logs are in %s\n", kept)
		}
	}
	errs = append(errs, env.Down(ctx, s.envDir(), os.Stderr), os.RemoveAll(s.dir))
	return errors.Join(errs...)
}

// Signal sends a signal to a process of the environment.
func (s *Suite) Signal(t testing.TB, process string, signal syscall.Signal) {
	t.Helper()
	p, err := s.Env.Process(process)
	if err == nil {
		err = p.Signal(signal)
	}
	if err != nil {
		t.Fatalf("sending %s to %s: %v", signal, process, err)
	}
}

// Kill kills a process hard, and waits until it is gone.
func (s *Suite) Kill(t testing.TB, process string) {
	t.Helper()
	p, err := s.Env.Process(process)
	if err == nil {
		err = p.Kill(t.Context())
	}
	if err != nil {
		t.Fatalf("killing %s: %v", process, err)
	}
}

// Restart starts a process again with its old arguments. It does not wait until the process is of use.
func (s *Suite) Restart(t testing.TB, process string) {
	t.Helper()
	p, err := s.Env.Process(process)
	if err == nil {
		err = p.Restart()
	}
	if err != nil {
		t.Fatalf("restarting %s: %v", process, err)
	}
}

// ReadLog reads the log of a process.
func (s *Suite) ReadLog(t testing.TB, process string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.Env.LogDir(), process+".log"))
	if err != nil {
		t.Fatalf("reading the log of %s: %v", process, err)
	}
	return string(data)
}

// RunInit runs tmc-apiserver init as the environment did, with more flags.
func (s *Suite) RunInit(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.binary, append(s.Env.InitArgs(), args...)...)
	cmd.Env = append(cmd.Environ(), "GOCOVERDIR="+s.cover)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("running tmc-apiserver init %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}
