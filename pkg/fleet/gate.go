// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// gate holds back those who would call a member that is known not to answer.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // closed while the gate is open
	next   chan struct{} // closed when the gate opens for the next time
	open   bool
}

func newGate() *gate { return &gate{opened: make(chan struct{}), next: make(chan struct{})} }

// set opens or closes the gate. Opening wakes all who wait.
func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case open && !g.open:
		close(g.opened)
		close(g.next)
		g.next = make(chan struct{})
	case !open && g.open:
		g.opened = make(chan struct{})
	}
	g.open = open
}

// passage returns a channel that is closed when the gate is open.
func (g *gate) passage() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

// nextOpening returns a channel that is closed when the gate opens after having been closed.
func (g *gate) nextOpening() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.next
}

// wait returns once the gate is open, or false if the context ended.
func (g *gate) wait(ctx context.Context) bool {
	select {
	case <-g.passage():
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// backoff computes pauses that double with each failure, with jitter, up to a limit.
type backoff struct {
	least, most time.Duration
	failures    int
}

func (b *backoff) next() time.Duration {
	pause := b.least
	for range b.failures {
		if pause *= 2; pause >= b.most {
			pause = b.most
			break
		}
	}
	b.failures++
	return jitter(pause, 0.5)
}

func (b *backoff) reset() { b.failures = 0 }

// jitter returns a time between (1-part)*d and d, so that members do not march in step.
func jitter(d time.Duration, part float64) time.Duration {
	return d - time.Duration(rand.Float64()*part*float64(d)) //nolint:gosec // spreading load needs no secret randomness
}

// sleep waits and returns false if the context ended before.
func sleep(ctx context.Context, c clock.Clock, d time.Duration) bool {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// slots bound how many do something at once. A slot is a loan: after a while it goes to the next one even if its
// holder is not done, so that slow members cannot hold up the others.
type slots struct {
	clock clock.WithDelayedExecution
	free  chan struct{}
	loan  time.Duration
}

func newSlots(c clock.WithDelayedExecution, count int, loan time.Duration) *slots {
	s := &slots{clock: c, free: make(chan struct{}, count), loan: loan}
	for range count {
		s.free <- struct{}{}
	}
	return s
}

// acquire waits for a slot and returns how to give it back, or false if the context ended.
func (s *slots) acquire(ctx context.Context) (func(), bool) {
	select {
	case <-s.free:
	case <-ctx.Done():
		return nil, false
	}
	release := sync.OnceFunc(func() { s.free <- struct{}{} })
	timer := s.clock.AfterFunc(s.loan, release)
	return func() {
		timer.Stop()
		release()
	}, true
}
