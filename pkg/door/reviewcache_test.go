// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	clocktesting "k8s.io/utils/clock/testing"
)

type reviewFunc func(context.Context, logicalcluster.Name, authorizationv1.SubjectAccessReviewSpec) (bool, string, error)

func (f reviewFunc) Review(ctx context.Context, ws logicalcluster.Name, spec authorizationv1.SubjectAccessReviewSpec) (bool, string, error) {
	return f(ctx, ws, spec)
}

func newCache(t testing.TB, clock *clocktesting.FakePassiveClock, reviewer Reviewer, size int) (*ReviewCache, metrics.KubeRegistry) {
	t.Helper()
	registry := metrics.NewKubeRegistry()
	m, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewReviewCache(reviewer, ReviewCacheConfig{
		Clock: clock, AllowedFor: 10 * time.Second, DeniedFor: 5 * time.Second, Size: size, Timeout: time.Second, Metrics: m,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, registry
}

func spec(name string) authorizationv1.SubjectAccessReviewSpec {
	return authorizationv1.SubjectAccessReviewSpec{User: name, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list"}}
}

func TestReviewCacheRemembersForAWhile(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
	var calls atomic.Int32
	c, registry := newCache(t, clock, reviewFunc(func(_ context.Context, _ logicalcluster.Name, s authorizationv1.SubjectAccessReviewSpec) (bool, string, error) {
		calls.Add(1)
		return s.User == "alice", "reason", nil
	}), 10)
	steps := []struct {
		user      string
		after     time.Duration
		allowed   bool
		wantCalls int32
	}{
		{"alice", 0, true, 1},
		{"alice", 9 * time.Second, true, 1},
		{"alice", 2 * time.Second, true, 2},
		{"bob", 0, false, 3},
		{"bob", 4 * time.Second, false, 3},
		{"bob", 2 * time.Second, false, 4},
	}
	for i, step := range steps {
		clock.SetTime(clock.Now().Add(step.after))
		allowed, reason, err := c.Review(t.Context(), "acme1", spec(step.user))
		if err != nil || allowed != step.allowed || reason != "reason" || calls.Load() != step.wantCalls {
			t.Errorf("step %d: %v, %q, %v after %d calls", i, allowed, reason, err, calls.Load())
		}
	}
	want := `
# HELP tmc_door_access_reviews_total [ALPHA] Access reviews by result: hit was answered from the cache, miss was asked, error failed.
# TYPE tmc_door_access_reviews_total counter
tmc_door_access_reviews_total{result="hit"} 2
tmc_door_access_reviews_total{result="miss"} 4
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "tmc_door_access_reviews_total"); err != nil {
		t.Error(err)
	}
}

// Each part of the question must be part of the key, or one user would get another's answer.
func TestSEC02ReviewCacheKeepsQuestionsApart(t *testing.T) {
	t.Parallel()
	full := func() authorizationv1.SubjectAccessReviewSpec {
		return authorizationv1.SubjectAccessReviewSpec{
			User: "alice", UID: "1", Groups: []string{"a", "b"}, Extra: map[string]authorizationv1.ExtraValue{"k": {"v"}},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Group: "g", Version: "v", Resource: "r", Namespace: "n", Name: "x"},
		}
	}
	changes := map[string]func(*authorizationv1.SubjectAccessReviewSpec){
		"nothing":        func(*authorizationv1.SubjectAccessReviewSpec) {},
		"user":           func(s *authorizationv1.SubjectAccessReviewSpec) { s.User = "bob" },
		"uid":            func(s *authorizationv1.SubjectAccessReviewSpec) { s.UID = "2" },
		"groups":         func(s *authorizationv1.SubjectAccessReviewSpec) { s.Groups = []string{"a"} },
		"joined groups":  func(s *authorizationv1.SubjectAccessReviewSpec) { s.Groups = []string{"a,b"} },
		"extra value":    func(s *authorizationv1.SubjectAccessReviewSpec) { s.Extra["k"] = []string{"w"} },
		"extra key":      func(s *authorizationv1.SubjectAccessReviewSpec) { s.Extra["l"] = []string{"v"} },
		"no extra":       func(s *authorizationv1.SubjectAccessReviewSpec) { s.Extra = nil },
		"verb":           func(s *authorizationv1.SubjectAccessReviewSpec) { s.ResourceAttributes.Verb = "list" },
		"resource":       func(s *authorizationv1.SubjectAccessReviewSpec) { s.ResourceAttributes.Resource = "q" },
		"group":          func(s *authorizationv1.SubjectAccessReviewSpec) { s.ResourceAttributes.Group = "h" },
		"name":           func(s *authorizationv1.SubjectAccessReviewSpec) { s.ResourceAttributes.Name = "y" },
		"namespace":      func(s *authorizationv1.SubjectAccessReviewSpec) { s.ResourceAttributes.Namespace = "m" },
		"no resource":    func(s *authorizationv1.SubjectAccessReviewSpec) { s.ResourceAttributes = nil },
		"another quoted": func(s *authorizationv1.SubjectAccessReviewSpec) { s.User = `alice","uid":"1` },
	}
	keys := map[string]string{}
	for _, ws := range []logicalcluster.Name{"acme1", "globex1"} {
		for name, change := range changes {
			s := full()
			change(&s)
			key, err := cacheKey(ws, s)
			if err != nil {
				t.Fatal(err)
			}
			if other, taken := keys[key]; taken {
				t.Errorf("%s in %s has the key of %s", name, ws, other)
			}
			keys[key] = name + " in " + ws.String()
		}
	}
}

func TestReviewCacheAsksOnceAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		release := make(chan struct{})
		c, _ := newCache(t, clocktesting.NewFakePassiveClock(time.Unix(1000, 0)), reviewFunc(func(context.Context, logicalcluster.Name, authorizationv1.SubjectAccessReviewSpec) (bool, string, error) {
			calls.Add(1)
			<-release
			return true, "", nil
		}), 10)
		// The one who asks first goes away while the others wait.
		first, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, _, err := c.Review(first, "acme1", spec("alice")); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who went away got %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			group.Go(func() {
				if allowed, _, err := c.Review(t.Context(), "acme1", spec("alice")); !allowed || err != nil {
					t.Errorf("got %v, %v", allowed, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(release)
		group.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}

func TestReviewCacheForgetsFailures(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c, _ := newCache(t, clocktesting.NewFakePassiveClock(time.Unix(1000, 0)), reviewFunc(func(context.Context, logicalcluster.Name, authorizationv1.SubjectAccessReviewSpec) (bool, string, error) {
		switch calls.Add(1) {
		case 1:
			return true, "", errors.New("kcp is away")
		case 2:
			panic("a defect")
		}
		return true, "", nil
	}), 10)
	for i, wantAllowed := range []bool{false, false, true} {
		allowed, _, err := c.Review(t.Context(), "acme1", spec("alice"))
		if allowed != wantAllowed || (err == nil) != wantAllowed {
			t.Errorf("call %d: %v, %v", i, allowed, err)
		}
	}
}

func TestReviewCacheEndsSlowReviews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newCache(t, clocktesting.NewFakePassiveClock(time.Unix(1000, 0)), reviewFunc(func(ctx context.Context, _ logicalcluster.Name, _ authorizationv1.SubjectAccessReviewSpec) (bool, string, error) {
			<-ctx.Done()
			return false, "", ctx.Err()
		}), 10)
		if _, _, err := c.Review(t.Context(), "acme1", spec("alice")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSEC20ReviewCacheIsBounded(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c, _ := newCache(t, clocktesting.NewFakePassiveClock(time.Unix(1000, 0)), reviewFunc(func(context.Context, logicalcluster.Name, authorizationv1.SubjectAccessReviewSpec) (bool, string, error) {
		calls.Add(1)
		return true, "", nil
	}), 2)
	for _, name := range []string{"a", "b", "c", "c", "a"} {
		if _, _, err := c.Review(t.Context(), "acme1", spec(name)); err != nil {
			t.Fatal(err)
		}
	}
	if calls.Load() != 4 || len(c.answers.Keys()) != 2 {
		t.Errorf("%d calls, %d answers kept", calls.Load(), len(c.answers.Keys()))
	}
}

func TestNewReviewCacheRefuses(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]ReviewCacheConfig{
		"no size": {Timeout: 1}, "no timeout": {Size: 1}, "negative": {Size: 1, Timeout: 1, AllowedFor: -1}, "negative too": {Size: 1, Timeout: 1, DeniedFor: -1},
	} {
		if _, err := NewReviewCache(&fakeReviewer{}, config); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
