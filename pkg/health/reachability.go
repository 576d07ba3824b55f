// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

const (
	reachableMessage = "the member answers"
	// doubtFactor is how much more often to probe while the condition is in doubt.
	doubtFactor = 5
)

// Reachability judges whether a member answers.
type Reachability struct {
	thresholds  Thresholds
	condition   metav1.Condition
	lastSuccess time.Time
	successes   int     // in a row, up to now
	failure     Outcome // the latest
	repeats     int     // how often in a row the latest failure's reason was seen
}

// NewReachability returns the judge of a member that was not called yet.
func NewReachability(thresholds Thresholds, now time.Time) *Reachability {
	return &Reachability{
		thresholds: thresholds.WithDefaults(),
		condition:  newCondition(tmcv1alpha1.ConditionReachable, "the member was not called yet", now),
	}
}

// Observe takes in the outcome of a probe and returns whether the condition changed.
func (r *Reachability) Observe(now time.Time, outcome Outcome) bool {
	if outcome.OK() {
		return r.succeed(now)
	}
	return r.fail(now, outcome)
}

// Advance lets time pass and returns whether the condition changed. It matters while a probe hangs.
func (r *Reachability) Advance(now time.Time) bool {
	if expiry, ok := r.Expiry(); !ok || now.Before(expiry) {
		return false
	}
	failure := r.failure
	if failure.OK() {
		failure = Outcome{Reason: tmcv1alpha1.ReasonTimedOut, Message: "the member has not answered"}
	}
	r.successes = 0
	return r.report(now, failure)
}

// Expiry returns when the condition changes unless the member answers before.
func (r *Reachability) Expiry() (time.Time, bool) {
	return r.lastSuccess.Add(r.thresholds.UnreachableAfter), r.Reachable()
}

// Reachable says whether the condition is True.
func (r *Reachability) Reachable() bool { return r.condition.Status == metav1.ConditionTrue }

// NextProbe returns after what time to probe again, given the usual interval. It is shorter while the condition is in
// doubt: when a reachable member failed, and when another one answers. Probing at the usual interval alone, a member
// that is up and down by turns could be met down each time.
func (r *Reachability) NextProbe(interval time.Duration) time.Duration {
	if r.Reachable() == r.failure.OK() && (r.Reachable() || r.successes == 0) {
		return interval
	}
	return interval / doubtFactor
}

// Condition returns the condition Reachable.
func (r *Reachability) Condition() metav1.Condition { return r.condition }

func (r *Reachability) succeed(now time.Time) bool {
	r.lastSuccess, r.failure, r.repeats = now, Outcome{}, 0
	r.successes++
	firstSight := r.condition.Reason == tmcv1alpha1.ReasonPending
	if !firstSight && !r.Reachable() && r.successes < r.thresholds.Confirmations {
		return false
	}
	return set(&r.condition, metav1.ConditionTrue, tmcv1alpha1.ReasonReachable, reachableMessage, now)
}

func (r *Reachability) fail(now time.Time, outcome Outcome) bool {
	if r.failure.Reason == outcome.Reason {
		r.repeats++
	} else {
		r.repeats = 1
	}
	r.failure, r.successes = outcome, 0
	if r.Reachable() {
		return r.Advance(now)
	}
	firstSight := r.condition.Reason == tmcv1alpha1.ReasonPending
	if !firstSight && (outcome.Reason == r.condition.Reason || r.repeats < r.thresholds.Confirmations) {
		return false // a reason that alternates must not make the condition flap
	}
	return r.report(now, outcome)
}

func (r *Reachability) report(now time.Time, failure Outcome) bool {
	return set(&r.condition, statusOf(failure.Reason), failure.Reason, failure.Message, now)
}

// statusOf tells a member that does not answer, of which nothing can be said, from one that answers wrongly.
func statusOf(reason string) metav1.ConditionStatus {
	switch reason {
	case tmcv1alpha1.ReasonTLSFailed, tmcv1alpha1.ReasonInvalidResponse, tmcv1alpha1.ReasonServerError:
		return metav1.ConditionFalse
	default:
		return metav1.ConditionUnknown
	}
}
