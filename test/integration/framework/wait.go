// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// Never watches for a while that check goes on returning nil. A server that does not answer, or says that it cannot, is no
// news, but nothing else may be all that was heard.
func Never(t testing.TB, what string, during time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	var unanswered error
	looks := 0
	err := wait.PollUntilContextCancel(ctx, neverPause, true, func(ctx context.Context) (bool, error) {
		err := check(ctx)
		if err != nil && ctx.Err() == nil && !isNoAnswer(err) {
			return false, fmt.Errorf("%s: %w", what, err)
		}
		if err == nil {
			looks++
		} else {
			unanswered = err
		}
		return false, nil
	})
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	if looks == 0 {
		t.Fatalf("nobody can tell whether %s: %v", what, unanswered)
	}
}

// isNoAnswer says of an error of a client that it says nothing about what was asked for.
func isNoAnswer(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests
	}
	var lost *url.Error
	return errors.As(err, &lost)
}
