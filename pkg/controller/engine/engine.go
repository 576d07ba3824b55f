// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine is the one queue loop of all controllers.
//
// Keys are worked on by several workers, one key never by two at once. A failed key comes back with growing delays,
// a panic is a failure like any other. The package knows nothing of what is reconciled, and keeps no state of it.
package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/pkg/logkey"
)

const (
	defaultWorkers = 2
	leastBackoff   = 100 * time.Millisecond
	mostBackoff    = 2 * time.Minute
)

// ErrPanicked is the cause when a reconcile panicked.
var ErrPanicked = errors.New("the reconcile panicked")

// Result says when a key is to be worked on again although nothing happens to it.
type Result struct {
	// After is the delay; zero is never.
	After time.Duration
}

// Reconciler brings the thing that a key names to where it should be.
type Reconciler[K comparable] func(ctx context.Context, key K) (Result, error)

// Config says what an engine does.
type Config[K comparable] struct {
	// Name is the controller's, for logs and metrics.
	Name string
	// Reconcile is called for each key, never twice at once for one key.
	Reconcile Reconciler[K]
	// Workers is how many keys are worked on at once; two if zero.
	Workers int
	// Clock is the real clock if nil.
	Clock clock.WithTicker
	// Metrics may be nil.
	Metrics *Metrics
}

// Engine is a queue with its workers.
type Engine[K comparable] struct {
	config Config[K]
	queue  workqueue.TypedRateLimitingInterface[K]
}

// New returns an engine. Keys may be added at once; they are worked on while Run runs.
func New[K comparable](config Config[K]) *Engine[K] {
	if config.Workers <= 0 {
		config.Workers = defaultWorkers
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	return &Engine[K]{
		config: config,
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[K](leastBackoff, mostBackoff),
			workqueue.TypedRateLimitingQueueConfig[K]{Name: config.Name, Clock: config.Clock},
		),
	}
}

// Add queues a key; one that is queued already is not queued twice.
func (e *Engine[K]) Add(key K) { e.queue.Add(key) }

// AddAfter queues a key after a delay. An earlier time that is planned already stands.
func (e *Engine[K]) AddAfter(key K, delay time.Duration) { e.queue.AddAfter(key, delay) }

// Len returns how many keys wait.
func (e *Engine[K]) Len() int { return e.queue.Len() }

// Run works until the context ends, and returns when all workers have.
func (e *Engine[K]) Run(ctx context.Context) {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues(logkey.Controller, e.config.Name))
	var workers sync.WaitGroup
	for range e.config.Workers {
		workers.Go(func() {
			for e.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	e.queue.ShutDown()
	workers.Wait()
}

func (e *Engine[K]) next(ctx context.Context) bool {
	key, shutdown := e.queue.Get()
	if shutdown {
		return false
	}
	defer e.queue.Done(key)
	if ctx.Err() != nil {
		return true // drain without working
	}
	started := e.config.Clock.Now()
	result, err := e.reconcile(ctx, key)
	e.config.Metrics.observe(e.config.Name, e.config.Clock.Since(started), err)
	e.settle(ctx, key, result, err)
	return true
}

func (e *Engine[K]) settle(ctx context.Context, key K, result Result, err error) {
	switch {
	case err != nil && ctx.Err() != nil:
		// Work that was cut short by the end says nothing.
	case err != nil:
		klog.FromContext(ctx).Error(err, "Failed to reconcile", logkey.Object, key)
		e.queue.AddRateLimited(key)
	default:
		e.queue.Forget(key)
		if result.After > 0 {
			e.queue.AddAfter(key, result.After)
		}
	}
}

func (e *Engine[K]) reconcile(ctx context.Context, key K) (result Result, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			e.config.Metrics.panicked(e.config.Name)
			// The value of the panic may hold anything, so its type alone is told; the stack says where.
			err = fmt.Errorf("reconciling: %w: %T at %s", ErrPanicked, recovered, debug.Stack())
		}
	}()
	return e.config.Reconcile(ctx, key)
}
