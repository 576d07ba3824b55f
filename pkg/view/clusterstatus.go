// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/capacity"
)

// Observation is what is known of a member at one moment.
type Observation struct {
	// Version is the Kubernetes version, empty while unknown.
	Version string
	// ClusterUID is the UID of the member's namespace kube-system, empty while unknown.
	ClusterUID types.UID
	// VerifiedRoot is the hash of the root certificate that the member was verified with.
	VerifiedRoot [32]byte
	// Conditions are Accepted, CredentialsValid, Reachable and CapacityKnown, as far as they are known.
	Conditions []metav1.Condition
	// Capacity holds the last known figures; it means something only if CapacityCounted.
	Capacity        capacity.Summary
	CapacityCounted bool
	// Generation changes whenever anything above does.
	Generation uint64
	// ConfirmedAt is when the member last confirmed the figures; zero if it never did.
	ConfirmedAt time.Time
}

// WithAssumed adds to a status what was decided to run on the member and has not been seen there yet.
func WithAssumed(status tmcv1alpha1.ClusterStatusStatus, assumed corev1.ResourceList) tmcv1alpha1.ClusterStatusStatus {
	if len(assumed) == 0 || status.Allocatable == nil {
		return status
	}
	status.Assumed = assumed
	status.Available = Available(status.Available, assumed)
	return status
}

// ClusterStatus projects a registration and what is known of its member to the status that workspaces see. Neither
// argument is kept or changed.
func ClusterStatus(registration *tmcv1alpha1.ClusterRegistration, observed Observation) tmcv1alpha1.ClusterStatusStatus {
	status := tmcv1alpha1.ClusterStatusStatus{
		Conditions:    conditions(observed.Conditions, observed.CapacityCounted && observed.Capacity.Truncated),
		Version:       observed.Version,
		Unschedulable: registration.Spec.Unschedulable,
		Taints:        slices.Clone(registration.Spec.Taints),
	}
	if !observed.ConfirmedAt.IsZero() {
		at := metav1.NewTime(observed.ConfirmedAt.Truncate(time.Second))
		status.ObservationTime = &at
	}
	if observed.CapacityCounted {
		addFigures(&status, &observed.Capacity)
	}
	return status
}

func addFigures(status *tmcv1alpha1.ClusterStatusStatus, figures *capacity.Summary) {
	nodes, pods := figures.Nodes, figures.Pods
	status.Nodes, status.Pods = &nodes, &pods
	status.Capacity = copied(figures.Capacity)
	status.Allocatable = copied(figures.Allocatable)
	status.Allocated = copied(figures.Allocated)
	status.Allocating = copied(figures.Allocating)
	status.Available = Available(figures.Allocatable, figures.Allocated, figures.Allocating, nil)
	for _, slot := range figures.LargestFree {
		status.LargestFree = append(status.LargestFree, *slot.DeepCopy())
	}
}

// Available is allocatable - allocated - allocating - assumed per allocatable resource, and never negative. What is
// asked for but not offered at all does not appear.
func Available(allocatable corev1.ResourceList, taken ...corev1.ResourceList) corev1.ResourceList {
	if len(allocatable) == 0 {
		return nil
	}
	out := make(corev1.ResourceList, len(allocatable))
	for name, quantity := range allocatable {
		free := quantity.DeepCopy()
		for _, list := range taken {
			if amount, found := list[name]; found {
				free.Sub(amount)
			}
		}
		if free.Sign() < 0 {
			free = *resource.NewQuantity(0, quantity.Format)
		}
		out[name] = free
	}
	return out
}

func copied(list corev1.ResourceList) corev1.ResourceList {
	if len(list) == 0 {
		return nil
	}
	out := maps.Clone(list)
	for name, quantity := range out {
		out[name] = quantity.DeepCopy()
	}
	return out
}

// conditions returns Ready, Reachable and CapacityKnown, with messages of our own. Figures that were cut at a limit are
// not known, even when they are followed.
func conditions(observed []metav1.Condition, truncated bool) []metav1.Condition {
	reachable := known(observed, tmcv1alpha1.ConditionReachable)
	counted := known(observed, tmcv1alpha1.ConditionCapacityKnown)
	if truncated && counted.Status == metav1.ConditionTrue {
		counted.Status, counted.Reason = metav1.ConditionFalse, tmcv1alpha1.ReasonTruncated
		counted.Message = message(counted.Reason)
	}
	return []metav1.Condition{ready(observed, reachable, counted), reachable, counted}
}

// known returns a condition without its message, which may name addresses, or says that it is pending.
func known(observed []metav1.Condition, conditionType string) metav1.Condition {
	out := metav1.Condition{Type: conditionType, Status: metav1.ConditionUnknown, Reason: tmcv1alpha1.ReasonPending}
	if found := meta.FindStatusCondition(observed, conditionType); found != nil {
		out.Status, out.Reason, out.LastTransitionTime = found.Status, found.Reason, found.LastTransitionTime
	}
	out.Message = message(out.Reason)
	return out
}

// ready sums up: a registration that is refused or whose credentials are refused is False, a member that cannot be
// reached is Unknown, and otherwise it is as its figures are.
func ready(observed []metav1.Condition, reachable, counted metav1.Condition) metav1.Condition {
	accepted := known(observed, tmcv1alpha1.ConditionAccepted)
	credentials := known(observed, tmcv1alpha1.ConditionCredentialsValid)
	deciding := counted
	switch {
	case accepted.Status == metav1.ConditionFalse:
		deciding = accepted
	case credentials.Status == metav1.ConditionFalse:
		deciding = credentials
	case reachable.Status != metav1.ConditionTrue:
		deciding = reachable
		deciding.Status = metav1.ConditionUnknown
	case accepted.Status != metav1.ConditionTrue:
		deciding = accepted
	case credentials.Status != metav1.ConditionTrue:
		deciding = credentials
	case counted.Reason == tmcv1alpha1.ReasonCounting:
		deciding.Status = metav1.ConditionUnknown // nothing is wrong, it only takes a moment
	}
	deciding.Type = tmcv1alpha1.ConditionReady
	if deciding.Status == metav1.ConditionTrue {
		deciding.Reason = tmcv1alpha1.ReasonReady
		deciding.Message = message(tmcv1alpha1.ReasonReady)
		deciding.LastTransitionTime = latest(accepted, credentials, reachable, counted)
	}
	return deciding
}

// latest returns when the last of the conditions became what it is.
func latest(all ...metav1.Condition) metav1.Time {
	var out metav1.Time
	for _, condition := range all {
		if out.Before(&condition.LastTransitionTime) {
			out = condition.LastTransitionTime
		}
	}
	return out
}
