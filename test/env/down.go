// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"
)

// stopGrace is how long a process may take to end by itself. Nothing is lost with one that is killed: its data go too.
const stopGrace = 4 * time.Second

// Down stops every process of the environment in dir, waits until all are gone, and removes the directory. That there
// is no environment is no error.
func Down(ctx context.Context, dir string, out io.Writer) error {
	o := Options{Dir: dir, Out: out, RepoDir: "."} // the repository does not matter here
	if err := o.complete(); err != nil {
		return err
	}
	l := layout{dir: o.Dir}
	unlock, err := l.lock(ctx, &o)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := l.readState()
	if err != nil {
		return err
	}
	if s == nil {
		if err := l.refuseForeign(); err != nil {
			return err
		}
		return os.RemoveAll(l.dir)
	}
	e := newEnvironment(l, s, clock.RealClock{}, o.Out)
	if err := e.remove(ctx); err != nil {
		return err
	}
	e.say("stopped and removed the environment in %s", l.dir)
	return nil
}

func (e *Environment) remove(ctx context.Context) error {
	if err := e.stopAll(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(e.layout.dir); err != nil {
		return fmt.Errorf("removing %s: %w", e.layout.dir, err)
	}
	return nil
}

// stopAll stops whatever is running, all at once.
func (e *Environment) stopAll(ctx context.Context) error {
	processes, err := e.table.All()
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, p := range processes {
		group.Go(func() error {
			if err := p.Stop(ctx, stopGrace); err != nil {
				return fmt.Errorf("stopping %s: %w", p.Name(), err)
			}
			return nil
		})
	}
	return group.Wait()
}

// removeButLogs removes a failed start, except for what tells why it failed.
func (e *Environment) removeButLogs() error {
	entries, err := os.ReadDir(e.layout.dir)
	errs := []error{err}
	for _, entry := range entries {
		if entry.Name() != filepath.Base(e.layout.logs()) {
			errs = append(errs, os.RemoveAll(filepath.Join(e.layout.dir, entry.Name())))
		}
	}
	return errors.Join(errs...)
}
