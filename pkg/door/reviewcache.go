// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"golang.org/x/sync/singleflight"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
)

// ReviewCacheConfig bounds what a ReviewCache remembers.
type ReviewCacheConfig struct {
	Clock clock.PassiveClock
	// AllowedFor and DeniedFor are how long an answer holds: as long as that, a right that was taken away or given
	// may go unnoticed. Zero remembers nothing.
	AllowedFor, DeniedFor time.Duration
	// Size is how many answers are kept; the one not used for longest goes first.
	Size int
	// Timeout ends a review that kcp does not answer.
	Timeout time.Duration
	Metrics *Metrics
}

// ReviewCache remembers reviews, and asks each question only once at a time. The key of an answer is everything that
// kcp was asked: workspace, the whole identity and the whole request.
type ReviewCache struct {
	config   ReviewCacheConfig
	reviewer Reviewer
	answers  *cache.LRUExpireCache
	flights  singleflight.Group
}

var _ Reviewer = (*ReviewCache)(nil)

type answer struct {
	allowed bool
	reason  string
}

// NewReviewCache returns a cache before a reviewer.
func NewReviewCache(reviewer Reviewer, config ReviewCacheConfig) (*ReviewCache, error) {
	if config.Size < 1 || config.Timeout <= 0 || config.AllowedFor < 0 || config.DeniedFor < 0 {
		return nil, errors.New("a review cache needs a size and a timeout above zero, and times to live that are not negative")
	}
	return &ReviewCache{config: config, reviewer: reviewer, answers: cache.NewLRUExpireCacheWithClock(config.Size, config.Clock)}, nil
}

// Review answers from memory or asks. Failed reviews are never remembered.
func (c *ReviewCache) Review(ctx context.Context, ws logicalcluster.Name, spec authorizationv1.SubjectAccessReviewSpec) (bool, string, error) {
	key, err := cacheKey(ws, spec)
	if err != nil {
		return false, "", err
	}
	if found, ok := c.answers.Get(key); ok {
		if known, ok := found.(answer); ok {
			c.config.Metrics.review("hit")
			return known.allowed, known.reason, nil
		}
	}
	// The one who asks first may go away; the others still want the answer.
	flight := c.flights.DoChan(key, func() (any, error) { return c.ask(context.WithoutCancel(ctx), key, ws, spec) })
	select {
	case <-ctx.Done():
		return false, "", context.Cause(ctx)
	case result := <-flight:
		if result.Err != nil {
			return false, "", result.Err
		}
		known, ok := result.Val.(answer)
		if !ok {
			return false, "", fmt.Errorf("reading the answer of an access review: unexpected %T", result.Val)
		}
		return known.allowed, known.reason, nil
	}
}

func (c *ReviewCache) ask(ctx context.Context, key string, ws logicalcluster.Name, spec authorizationv1.SubjectAccessReviewSpec) (result answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	defer func() {
		// singleflight would otherwise end the process for a panic in its goroutine.
		if r := recover(); r != nil {
			c.config.Metrics.review("error")
			result, err = answer{}, fmt.Errorf("reviewing access: %v", r)
		}
	}()
	allowed, reason, err := c.reviewer.Review(ctx, ws, spec)
	if err != nil {
		c.config.Metrics.review("error")
		return answer{}, err
	}
	c.config.Metrics.review("miss")
	ttl := c.config.DeniedFor
	if allowed {
		ttl = c.config.AllowedFor
	}
	result = answer{allowed: allowed, reason: reason}
	if ttl > 0 {
		c.answers.Add(key, result, ttl)
	}
	return result, nil
}

// cacheKey has one length, however long the identity is.
func cacheKey(ws logicalcluster.Name, spec authorizationv1.SubjectAccessReviewSpec) (string, error) {
	question := struct {
		Workspace logicalcluster.Name
		Spec      authorizationv1.SubjectAccessReviewSpec
	}{ws, spec}
	encoded, err := json.Marshal(question)
	if err != nil {
		return "", fmt.Errorf("encoding an access review: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return string(sum[:]), nil
}
