// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// firstPause is between the first looks at something that is waited for. The pauses grow up to longestPause: every
	// look costs kcp and the members a part of the processor that what is waited for needs.
	firstPause   = 50 * time.Millisecond
	longestPause = 400 * time.Millisecond
	pauseGrowth  = 1.3
	// neverPause is between looks at what must not happen.
	neverPause = 100 * time.Millisecond
)

// poll looks at something until it is so, or the context ends.
func poll(ctx context.Context, look wait.ConditionWithContextFunc) error {
	backoff := wait.Backoff{Duration: firstPause, Factor: pauseGrowth, Cap: longestPause, Steps: math.MaxInt32}
	return backoff.DelayFunc().Until(ctx, true, true, look)
}

// Eventually waits until check returns nil, and fails with what it returned last. It returns how long that took, within
// the pause between two looks.
func Eventually(t testing.TB, what string, timeout time.Duration, check func(ctx context.Context) error) time.Duration {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	var last error
	err := poll(ctx, func(ctx context.Context) (bool, error) {
		err := check(ctx)
		if err == nil || last == nil || ctx.Err() == nil { // what the end of the time cuts off is no news
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		t.Fatalf("waiting %s for: %s: %v", timeout, what, last)
	}
	return time.Since(start)
}

// Never watches for a while that check goes on returning nil.
func Never(t testing.TB, what string, during time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, neverPause, true, func(ctx context.Context) (bool, error) {
		if err := check(ctx); err != nil && ctx.Err() == nil {
			return false, fmt.Errorf("%s: %w", what, err)
		}
		return false, nil
	})
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
}
