// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package health_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/health"
)

// start is when the tests begin.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func failed(reason string) health.Outcome {
	return health.Outcome{Reason: reason, Message: "message of " + reason}
}

// step is something that happens so many seconds after the start.
type step struct {
	at      int
	outcome *health.Outcome // nil: only time passes
	want    string          // status/reason after it
}

func ok(at int, want string) step { return step{at: at, outcome: &health.Outcome{}, want: want} }

func fail(at int, reason, want string) step {
	outcome := failed(reason)
	return step{at: at, outcome: &outcome, want: want}
}

func TestReachability(t *testing.T) {
	t.Parallel()
	const (
		up      = "True/Reachable"
		dial    = "Unknown/DialFailed"
		timeout = "Unknown/TimedOut"
	)
	tests := map[string][]step{
		"is pending before the first probe, however long":   {{at: 1000, want: "Unknown/Pending"}},
		"first success counts at once":                      {ok(0, up)},
		"first failure counts at once":                      {fail(0, tmcv1alpha1.ReasonDialFailed, dial)},
		"a wrong answer is False":                           {fail(0, tmcv1alpha1.ReasonTLSFailed, "False/TLSFailed")},
		"garbage is False":                                  {fail(0, tmcv1alpha1.ReasonInvalidResponse, "False/InvalidResponse")},
		"an error of its own is False":                      {fail(0, tmcv1alpha1.ReasonServerError, "False/ServerError")},
		"stays reachable until 30s after the last success":  {ok(0, up), fail(10, tmcv1alpha1.ReasonDialFailed, up), fail(20, tmcv1alpha1.ReasonDialFailed, up), {at: 29, want: up}, {at: 30, want: dial}},
		"a late failure expires it too":                     {ok(0, up), fail(31, tmcv1alpha1.ReasonTimedOut, timeout)},
		"a probe that hangs expires it":                     {ok(0, up), {at: 30, want: timeout}},
		"two successes in a row bring it back":              {ok(0, up), {at: 30, want: timeout}, ok(40, timeout), ok(42, up)},
		"a failure between successes starts over":           {ok(0, up), {at: 30, want: timeout}, ok(40, timeout), fail(42, tmcv1alpha1.ReasonTimedOut, timeout), ok(44, timeout), ok(46, up)},
		"never reached, it needs two successes as well":     {fail(0, tmcv1alpha1.ReasonDialFailed, dial), ok(10, dial), ok(12, up)},
		"a reason that alternates is not followed":          {fail(0, tmcv1alpha1.ReasonDialFailed, dial), fail(10, tmcv1alpha1.ReasonTimedOut, dial), fail(20, tmcv1alpha1.ReasonDialFailed, dial), fail(30, tmcv1alpha1.ReasonTimedOut, dial)},
		"a reason seen twice in a row is followed":          {fail(0, tmcv1alpha1.ReasonDialFailed, dial), fail(10, tmcv1alpha1.ReasonTLSFailed, dial), fail(20, tmcv1alpha1.ReasonTLSFailed, "False/TLSFailed")},
		"FLT-07 a failure during a graceful restart passes": {ok(0, up), fail(10, tmcv1alpha1.ReasonServerError, up), ok(20, up), {at: 49, want: up}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := health.NewReachability(health.Thresholds{}, start)
			for i, s := range steps {
				now := start.Add(time.Duration(s.at) * time.Second)
				before := r.Condition()
				var changed bool
				if s.outcome != nil {
					changed = r.Observe(now, *s.outcome)
				} else {
					changed = r.Advance(now)
				}
				got := r.Condition()
				if text := string(got.Status) + "/" + got.Reason; text != s.want {
					t.Fatalf("step %d at %ds: %s, want %s", i, s.at, text, s.want)
				}
				if changed != !cmp.Equal(before, got) {
					t.Errorf("step %d: changed = %t, but %v became %v", i, changed, before, got)
				}
				if moved := got.LastTransitionTime.Time.Equal(now); before.Status != got.Status && !moved {
					t.Errorf("step %d: the transition time is %s", i, got.LastTransitionTime)
				}
			}
		})
	}
}

func TestReachabilityProbesMoreOftenWhileInDoubt(t *testing.T) {
	t.Parallel()
	r := health.NewReachability(health.Thresholds{}, start)
	for i, s := range []struct {
		at      int
		outcome health.Outcome
		want    time.Duration
	}{
		{0, health.Outcome{}, 10 * time.Second},
		{10, failed(tmcv1alpha1.ReasonDialFailed), 2 * time.Second},
		{12, health.Outcome{}, 10 * time.Second},
		{60, failed(tmcv1alpha1.ReasonDialFailed), 10 * time.Second},
		{70, failed(tmcv1alpha1.ReasonDialFailed), 10 * time.Second},
		{80, health.Outcome{}, 2 * time.Second},
		{82, health.Outcome{}, 10 * time.Second},
	} {
		r.Observe(start.Add(time.Duration(s.at)*time.Second), s.outcome)
		if got := r.NextProbe(10 * time.Second); got != s.want {
			t.Errorf("step %d: NextProbe() = %s, want %s", i, got, s.want)
		}
	}
}

func TestReachabilitySaysWhenItExpires(t *testing.T) {
	t.Parallel()
	r := health.NewReachability(health.Thresholds{UnreachableAfter: time.Minute, Confirmations: 3}, start)
	if _, ok := r.Expiry(); ok {
		t.Error("a member that was never reached expires")
	}
	r.Observe(start, health.Outcome{})
	expiry, ok := r.Expiry()
	if !ok || !expiry.Equal(start.Add(time.Minute)) {
		t.Errorf("Expiry() = %s, %t", expiry, ok)
	}
	r.Advance(expiry)
	for i := range 3 {
		if r.Reachable() {
			t.Errorf("reachable after %d successes", i)
		}
		r.Observe(expiry.Add(time.Second), health.Outcome{})
	}
	if !r.Reachable() {
		t.Error("three successes did not bring the member back")
	}
}

// TestFLT04FlappingMemberDoesNotFlap lets a member be up and down by turns for an hour, probed at every phase.
func TestFLT04FlappingMemberDoesNotFlap(t *testing.T) {
	t.Parallel()
	for _, period := range []int{5, 7, 12} {
		for phase := range 10 {
			r := health.NewReachability(health.Thresholds{}, start)
			r.Observe(start, health.Outcome{})
			transitions := 0
			for since := time.Duration(phase) * time.Second; since < time.Hour; since += r.NextProbe(9700 * time.Millisecond) {
				now := start.Add(since)
				before := r.Condition().Status
				outcome := health.Outcome{}
				if (int(since.Seconds())/period)%2 == 1 {
					outcome = failed(tmcv1alpha1.ReasonDialFailed)
				}
				r.Advance(now)
				r.Observe(now, outcome)
				if r.Condition().Status != before {
					transitions++
				}
			}
			if transitions > 0 || r.Condition().Status != metav1.ConditionTrue {
				t.Errorf("period %ds, phase %d: %d transitions, at last %s", period, phase, transitions, r.Condition().Status)
			}
		}
	}
}
