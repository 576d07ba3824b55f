// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kcp-dev/tmc/test/env/build"
	"github.com/kcp-dev/tmc/test/env/proc"
)

// startAttempts is how often ports are drawn anew when somebody takes one before its process does.
const startAttempts = 3

// Up starts the environment, or finds that it is up already, and returns once everything is ready. What a half-started
// or half-dead earlier run left is stopped and removed first. On failure nothing stays but the logs.
func Up(ctx context.Context, o Options) (*Environment, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	l := layout{dir: o.Dir}
	unlock, err := l.lock(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found, err := reuse(ctx, l, &o)
	if err != nil || found != nil {
		return found, err
	}
	bins, err := buildAll(ctx, &o)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		e, err := start(ctx, l, &o, bins)
		if err == nil {
			return e, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == startAttempts || ctx.Err() != nil {
			return nil, err
		}
		_, _ = fmt.Fprintf(o.Out, "%v\ntrying again with other ports\n", err)
	}
}

// lock keeps two commands from working on one environment at once.
func (l layout) lock(ctx context.Context, o *Options) (func(), error) {
	if err := os.MkdirAll(o.CacheDir, 0o755); err != nil { // binaries are no secret
		return nil, fmt.Errorf("making the cache folder: %w", err)
	}
	name := strings.ReplaceAll(strings.Trim(o.Dir, "/"), "/", "-") + ".env.lock"
	return build.Lock(ctx, filepath.Join(o.CacheDir, name), func() {
		_, _ = fmt.Fprintf(o.Out, "waiting for another command on %s to finish\n", o.Dir)
	})
}

// reuse returns the environment that is up already, nil when there is none. Remains are removed.
func reuse(ctx context.Context, l layout, o *Options) (*Environment, error) {
	s, err := l.readState()
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, l.refuseForeign()
	}
	e := newEnvironment(l, s, o.Clock, o.Out)
	missing, err := e.missing()
	if err != nil {
		return nil, err
	}
	switch {
	case !s.Complete || s.Version != stateVersion:
		e.say("found a half-started earlier run in %s: stopping and removing it", l.dir)
	case len(missing) > 0:
		e.say("found an earlier run in %s that lost %s: stopping and removing it", l.dir, strings.Join(missing, ", "))
	case len(s.Shards) != o.Shards || len(s.Members) != o.memberCount():
		return nil, fmt.Errorf("an environment with %d shards and %d members is up in %s, but %d and %d were asked for: stop it first (make down)",
			len(s.Shards), len(s.Members), l.dir, o.Shards, o.memberCount())
	default:
		e.say("the environment in %s is up already", l.dir)
		return e, nil
	}
	return nil, e.remove(ctx)
}

// refuseForeign keeps this package's hands off a directory that it did not make.
func (l layout) refuseForeign() error {
	entries, err := os.ReadDir(l.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking into %s: %w", l.dir, err)
	}
	for _, entry := range entries {
		if entry.Name() != "logs" { // what a failed start leaves
			return fmt.Errorf("%s exists, is not empty, and is no environment: choose another directory or empty it", l.dir)
		}
	}
	return nil
}

// missing lists the processes of kcp and of members that should be running and are not.
func (e *Environment) missing() ([]string, error) {
	var missing []string
	for _, name := range e.state.processNames() {
		p, err := e.table.Find(name)
		if errors.Is(err, os.ErrNotExist) || err == nil && !p.Running() {
			missing = append(missing, name)
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

func (s *state) processNames() []string {
	names := []string{processPublic}
	for _, shard := range s.Shards {
		names = append(names, processShard+shard.Name, processVW+shard.Name, processInternal+shard.Name)
	}
	for _, m := range s.Members {
		if !m.Late {
			names = append(names, processMember+m.Name)
		}
	}
	return names
}

// start makes a new environment. On failure it stops what it started; the logs stay.
func start(ctx context.Context, l layout, o *Options, bins binaries) (_ *Environment, err error) {
	if err := l.make(); err != nil {
		return nil, err
	}
	s, err := newState(ctx, o)
	if err != nil {
		return nil, err
	}
	s.MemberBin = bins.member
	// Written ahead of the first process: whoever finds a process finds the environment it belongs to.
	if err := l.writeState(s); err != nil {
		return nil, err
	}
	e := newEnvironment(l, s, o.Clock, o.Out)
	defer func() {
		if err != nil {
			clean := context.WithoutCancel(ctx) // an interrupted start cleans up all the same
			err = errors.Join(err, e.stopAll(clean), e.removeButLogs())
		}
	}()
	if err := errors.Join(l.writeKCPCertificates(s, o.Clock.Now()), l.writeKCPFiles(s)); err != nil {
		return nil, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.startKCP(groupCtx, bins.kcp) })
	group.Go(func() error { return e.startMembers(groupCtx) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	s.Complete = true
	if err := l.writeState(s); err != nil {
		return nil, err
	}
	e.say("kcp and %d members are ready", len(s.Members)-o.LateMembers)
	return e, nil
}

// startKCP starts kcp. The parts of a shard wait for each other by themselves; a second shard is started when the first
// is ready, because started earlier it backs off for longer than it takes to start.
func (e *Environment) startKCP(ctx context.Context, bin string) error {
	e.say("starting kcp (%d processes)", 3*len(e.state.Shards)+1)
	for i, shard := range e.state.Shards {
		launches := []launch{
			{e.layout.shardSpec(e.state, shard, bin), shard.Port},
			{e.layout.vwSpec(e.state, shard, bin), shard.VWPort},
			{e.layout.internalProxySpec(shard, bin), shard.InternalPort},
		}
		if i == 0 {
			launches = append(launches, launch{e.layout.publicProxySpec(e.state, bin), e.state.PublicPort})
		}
		if err := e.launchAll(ctx, launches); err != nil {
			return err
		}
	}
	public, err := e.table.Find(processPublic)
	if err != nil {
		return err
	}
	return e.await(ctx, public, e.kcpUsable)
}

// launch is a server of kcp's side and the port at which it says that it is ready.
type launch struct {
	spec proc.Spec
	port int
}

// launchAll starts servers together and waits until all are ready.
func (e *Environment) launchAll(ctx context.Context, launches []launch) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range launches {
		group.Go(func() error {
			p, err := e.table.Start(l.spec)
			if err != nil {
				return err
			}
			if err := e.await(ctx, p, e.readyz(loopbackURL(l.port, "/readyz"))); err != nil {
				return err
			}
			e.say("%s is ready", p.Name())
			return nil
		})
	}
	return group.Wait()
}

// startMembers starts the members, three at once or as many as there are processors beside one for kcp: an API server
// gives up if it cannot make its own roles within half a minute.
func (e *Environment) startMembers(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(3, runtime.NumCPU()-1))
	for _, m := range e.state.Members {
		if !m.Late {
			group.Go(func() error { return e.startMember(ctx, m) })
		}
	}
	return group.Wait()
}
