// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Defaults of Thresholds, and of the probes that feed them.
const (
	DefaultProbeInterval    = 10 * time.Second
	DefaultProbeTimeout     = 5 * time.Second
	DefaultUnreachableAfter = 30 * time.Second
	DefaultConfirmations    = 2
)

// Thresholds say how much it takes to change a condition.
type Thresholds struct {
	// UnreachableAfter is how long a reachable member may go without a success.
	UnreachableAfter time.Duration
	// Confirmations is how many outcomes in a row it takes to call a member reachable again, to call credentials
	// invalid that were valid, or to report another reason.
	Confirmations int
}

// WithDefaults fills in what is not set.
func (t Thresholds) WithDefaults() Thresholds {
	if t.UnreachableAfter <= 0 {
		t.UnreachableAfter = DefaultUnreachableAfter
	}
	if t.Confirmations <= 0 {
		t.Confirmations = DefaultConfirmations
	}
	return t
}

// Outcome is what one attempt came to: nothing for a success, otherwise a reason and message for a condition.
type Outcome struct {
	Reason  string
	Message string
}

// OK says whether the attempt succeeded.
func (o Outcome) OK() bool { return o.Reason == "" }

// newCondition returns a condition of which nothing is known yet.
func newCondition(conditionType, message string, now time.Time) metav1.Condition {
	return metav1.Condition{
		Type:               conditionType,
		Status:             metav1.ConditionUnknown,
		Reason:             tmcv1alpha1.ReasonPending,
		Message:            message,
		LastTransitionTime: metav1.NewTime(now),
	}
}

// set changes the condition and returns whether it differs from before. The transition time follows the status alone.
func set(condition *metav1.Condition, status metav1.ConditionStatus, reason, message string, now time.Time) bool {
	if condition.Status == status && condition.Reason == reason && condition.Message == message {
		return false
	}
	if condition.Status != status {
		condition.LastTransitionTime = metav1.NewTime(now)
	}
	condition.Status, condition.Reason, condition.Message = status, reason, message
	return true
}
