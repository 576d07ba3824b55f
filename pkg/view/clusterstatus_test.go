// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/view"
)

func list(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func condition(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: "dial tcp 10.1.2.3:6443: Secret default/creds",
		LastTransitionTime: metav1.NewTime(time.Unix(int64(len(conditionType)), 0)),
	}
}

func healthy() []metav1.Condition {
	return []metav1.Condition{
		condition(tmcv1alpha1.ConditionAccepted, metav1.ConditionTrue, tmcv1alpha1.ReasonAccepted),
		condition(tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionTrue, tmcv1alpha1.ReasonCredentialsValid),
		condition(tmcv1alpha1.ConditionReachable, metav1.ConditionTrue, tmcv1alpha1.ReasonReachable),
		condition(tmcv1alpha1.ConditionCapacityKnown, metav1.ConditionTrue, tmcv1alpha1.ReasonCapacityKnown),
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change metav1.Condition
		status metav1.ConditionStatus
		reason string
	}{
		"all is well":       {condition("Other", metav1.ConditionFalse, "X"), metav1.ConditionTrue, tmcv1alpha1.ReasonReady},
		"duplicate":         {condition(tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonDuplicateMember), metav1.ConditionFalse, tmcv1alpha1.ReasonDuplicateMember},
		"bad address":       {condition(tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonAddressNotAllowed), metav1.ConditionFalse, tmcv1alpha1.ReasonAddressNotAllowed},
		"not accepted yet":  {condition(tmcv1alpha1.ConditionAccepted, metav1.ConditionUnknown, tmcv1alpha1.ReasonPending), metav1.ConditionUnknown, tmcv1alpha1.ReasonPending},
		"no Secret":         {condition(tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionFalse, tmcv1alpha1.ReasonSecretNotFound), metav1.ConditionFalse, tmcv1alpha1.ReasonSecretNotFound},
		"no rights":         {condition(tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionFalse, tmcv1alpha1.ReasonForbidden), metav1.ConditionFalse, tmcv1alpha1.ReasonForbidden},
		"not tried yet":     {condition(tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionUnknown, tmcv1alpha1.ReasonPending), metav1.ConditionUnknown, tmcv1alpha1.ReasonPending},
		"not called":        {condition(tmcv1alpha1.ConditionReachable, metav1.ConditionUnknown, tmcv1alpha1.ReasonNotTried), metav1.ConditionUnknown, tmcv1alpha1.ReasonNotTried},
		"away":              {condition(tmcv1alpha1.ConditionReachable, metav1.ConditionUnknown, tmcv1alpha1.ReasonTimedOut), metav1.ConditionUnknown, tmcv1alpha1.ReasonTimedOut},
		"wrong certificate": {condition(tmcv1alpha1.ConditionReachable, metav1.ConditionFalse, tmcv1alpha1.ReasonTLSFailed), metav1.ConditionUnknown, tmcv1alpha1.ReasonTLSFailed},
		"garbage":           {condition(tmcv1alpha1.ConditionReachable, metav1.ConditionFalse, tmcv1alpha1.ReasonInvalidResponse), metav1.ConditionUnknown, tmcv1alpha1.ReasonInvalidResponse},
		"counting":          {condition(tmcv1alpha1.ConditionCapacityKnown, metav1.ConditionFalse, tmcv1alpha1.ReasonCounting), metav1.ConditionUnknown, tmcv1alpha1.ReasonCounting},
		"stale":             {condition(tmcv1alpha1.ConditionCapacityKnown, metav1.ConditionFalse, tmcv1alpha1.ReasonStale), metav1.ConditionFalse, tmcv1alpha1.ReasonStale},
		"unheard-of reason": {condition(tmcv1alpha1.ConditionCapacityKnown, metav1.ConditionFalse, "Other"), metav1.ConditionFalse, "Other"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			observed := healthy()
			for i := range observed {
				if observed[i].Type == tc.change.Type {
					observed[i] = tc.change
				}
			}
			status := view.ClusterStatus(&tmcv1alpha1.ClusterRegistration{}, view.Observation{Conditions: observed})
			ready := status.Conditions[0]
			if ready.Type != tmcv1alpha1.ConditionReady || ready.Status != tc.status || ready.Reason != tc.reason {
				t.Errorf("got %+v", ready)
			}
			if ready.Message == "" && tc.reason != "Other" {
				t.Errorf("reason %s has no message", tc.reason)
			}
			if ready.LastTransitionTime.IsZero() {
				t.Error("Ready has no time of transition")
			}
			raw, err := json.Marshal(status)
			if err != nil || strings.Contains(string(raw), "10.1.2.3") || strings.Contains(string(raw), "creds") {
				t.Errorf("the view tells too much: %s", raw)
			}
		})
	}
}

func TestUnknownIsLeftOut(t *testing.T) {
	t.Parallel()
	got := view.ClusterStatus(&tmcv1alpha1.ClusterRegistration{}, view.Observation{Capacity: capacity.Summary{Allocatable: list("1", "1")}})
	for i := range got.Conditions {
		if got.Conditions[i].Status != metav1.ConditionUnknown || got.Conditions[i].Reason != tmcv1alpha1.ReasonPending {
			t.Errorf("got condition %+v, want it to be pending", got.Conditions[i])
		}
	}
	got.Conditions = nil
	if diff := cmp.Diff(tmcv1alpha1.ClusterStatusStatus{}, got); diff != "" {
		t.Errorf("status of an unknown member (-want +got):\n%s", diff)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	registration := &tmcv1alpha1.ClusterRegistration{Spec: tmcv1alpha1.ClusterRegistrationSpec{
		Unschedulable: true, Taints: []tmcv1alpha1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}},
	}}
	observed := view.Observation{
		Version: "v1.36.3", Conditions: healthy(), CapacityCounted: true, ConfirmedAt: time.Unix(100, 999),
		Capacity: capacity.Summary{
			Nodes: tmcv1alpha1.NodeSummary{Total: 3, Ready: 2, Unschedulable: 1}, Pods: tmcv1alpha1.PodSummary{Bound: 4},
			Capacity: list("20", "20Gi"), Allocatable: list("10", "1Gi"), Allocated: list("4", "1Gi"), Allocating: list("500m", "1Gi"),
			LargestFree: []tmcv1alpha1.FreeSlot{{Resource: corev1.ResourceCPU, Free: list("3", "1Gi")}},
		},
	}
	before := observed.Capacity.Allocatable.DeepCopy()
	got := view.ClusterStatus(registration, observed)
	if want := list("5500m", "0"); !equality.Semantic.DeepEqual(want, got.Available) {
		t.Errorf("available is %v, want %v", got.Available, want)
	}
	if got.Nodes.Total != 3 || got.Pods.Bound != 4 || !got.Unschedulable || len(got.Taints) != 1 || got.Version != "v1.36.3" ||
		!got.ObservationTime.Time.Equal(time.Unix(100, 0)) || len(got.LargestFree) != 1 || got.Assumed != nil {
		t.Errorf("got %+v", got)
	}
	got.Allocatable[corev1.ResourceCPU] = resource.MustParse("99")
	got.Taints[0].Key = "other"
	if !equality.Semantic.DeepEqual(before, observed.Capacity.Allocatable) || registration.Spec.Taints[0].Key != "k" {
		t.Error("the status shares data with its input")
	}
	if view.Available(nil, list("1", "1")) != nil {
		t.Error("what is not known to be allocatable is available")
	}
}

func TestFiguresThatWereCutAreNotKnown(t *testing.T) {
	t.Parallel()
	observed := view.Observation{
		Conditions: healthy(), CapacityCounted: true,
		Capacity: capacity.Summary{Allocatable: list("1", "1"), Truncated: true},
	}
	got := view.ClusterStatus(&tmcv1alpha1.ClusterRegistration{}, observed)
	for _, conditionType := range []string{tmcv1alpha1.ConditionReady, tmcv1alpha1.ConditionCapacityKnown} {
		found := apimeta.FindStatusCondition(got.Conditions, conditionType)
		if found == nil || found.Status != metav1.ConditionFalse || found.Reason != tmcv1alpha1.ReasonTruncated || found.Message == "" {
			t.Errorf("condition %s is %+v, want False/%s", conditionType, found, tmcv1alpha1.ReasonTruncated)
		}
	}
	if got.Allocatable == nil {
		t.Error("the figures are not shown")
	}
}

func TestWithAssumedTakesPromisesOffTheRoom(t *testing.T) {
	t.Parallel()
	list := func(cpu string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
	status := tmcv1alpha1.ClusterStatusStatus{Allocatable: list("4"), Available: list("3")}
	got := view.WithAssumed(status, list("2"))
	if cpu := got.Available[corev1.ResourceCPU]; cpu.String() != "1" {
		t.Errorf("available are %s cores, want 1", cpu.String())
	}
	if cpu := got.Assumed[corev1.ResourceCPU]; cpu.String() != "2" {
		t.Errorf("assumed are %s cores, want 2", cpu.String())
	}
	if got := view.WithAssumed(status, nil); got.Assumed != nil || got.Available == nil {
		t.Errorf("without promises the status is %+v, want it as it was", got)
	}
	if got := view.WithAssumed(tmcv1alpha1.ClusterStatusStatus{}, list("2")); got.Assumed != nil || got.Available != nil {
		t.Errorf("without figures the status is %+v, want it empty", got)
	}
}
