// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const pollInterval = 100 * time.Millisecond

// Eventually waits until check returns nil, and fails with what it returned last.
func Eventually(t testing.TB, what string, timeout time.Duration, check func(ctx context.Context) error) time.Duration {
	t.Helper()
	start := time.Now()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), pollInterval, timeout, true, func(ctx context.Context) (bool, error) {
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
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		if err := check(ctx); err != nil && ctx.Err() == nil {
			return false, fmt.Errorf("%s: %w", what, err)
		}
		return false, nil
	})
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
}
