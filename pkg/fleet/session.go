// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

var (
	errReplaced       = errors.New("the connection was replaced")
	errAnotherCluster = errors.New("another cluster answers")
	errTooLarge       = errors.New("the member has too many objects")
)

// session is the work with one connection of a member.
type session struct {
	member   *member
	config   *Config
	slots    *slots
	caller   *caller
	notAfter time.Time
	gate     *gate
	end      context.CancelCauseFunc

	identity      sync.Mutex // one asks for the identity at a time
	known         bool       // the identity was asked for once
	identityDials uint64     // how many dials there had been then
}

// run works with the member until it is removed or the context ends, with one session per connection.
func (m *member) run(ctx context.Context, lists *slots) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-m.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	pause := &backoff{least: m.config.RetryMin, most: m.config.RetryMax}
	for ctx.Err() == nil {
		begin := m.config.Clock.Now()
		cause := m.runSession(ctx, m.takeConnection(), lists)
		if errors.Is(cause, errReplaced) || m.config.Clock.Since(begin) > m.config.RelistInterval {
			pause.reset()
		}
		if errors.Is(cause, errReplaced) {
			continue
		}
		// Two clusters that take turns at one address must not make us start over without pause.
		m.awaitReplacement(ctx, pause.next())
	}
}

// runSession works with one connection and returns why that ended.
func (m *member) runSession(ctx context.Context, connection memberconfig.Connection, lists *slots) error {
	caller, err := newCaller(connection, m.config)
	if err != nil { // memberconfig lets no such connection pass
		m.judged(rightVersion, &failure{reason: tmcv1alpha1.ReasonInvalidCredentials, message: err.Error()})
		return err
	}
	defer caller.close()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	s := &session{
		member: m, config: m.config, slots: lists, caller: caller, notAfter: connection.CertificateNotAfter,
		gate: newGate(), end: end,
	}
	klog.FromContext(ctx).V(2).Info("Began to observe member")
	var work sync.WaitGroup
	work.Go(func() { s.probeLoop(ctx) })
	work.Go(func() { newFollower(s, podsKind()).run(ctx) })
	work.Go(func() { newFollower(s, nodesKind()).run(ctx) })
	work.Go(func() { s.runCopies(ctx, connection) })
	select {
	case <-m.replaced:
		end(errReplaced)
	case <-ctx.Done():
	}
	work.Wait()
	m.disconnected()
	klog.FromContext(ctx).V(2).Info("Ended to observe member", "cause", context.Cause(ctx))
	return context.Cause(ctx)
}

// awaitReplacement waits, but not longer than until there is another connection.
func (m *member) awaitReplacement(ctx context.Context, pause time.Duration) {
	timer := m.config.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-m.replaced:
	case <-ctx.Done():
	}
}
