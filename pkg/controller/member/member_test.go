// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestMemberBecomesReady(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	east := w.register("one", "east")
	reconcile(t, c, east)
	w.want(t, east, tmcv1alpha1.ConditionAccepted, metav1.ConditionTrue, tmcv1alpha1.ReasonAccepted)
	w.want(t, east, tmcv1alpha1.ConditionReady, metav1.ConditionUnknown, tmcv1alpha1.ReasonPending)
	if w.connections[east].Server != "https://east.example:6443" {
		t.Fatalf("the fleet calls %q", w.connections[east].Server)
	}
	clock.Step(time.Minute)
	w.answer(east, "cluster", 1)
	reconcile(t, c, east)
	ready := w.want(t, east, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, tmcv1alpha1.ReasonReady)
	if !ready.LastTransitionTime.Time.Equal(clock.Now().Truncate(time.Second)) || ready.ObservedGeneration != 1 {
		t.Errorf("unexpected condition: %+v", ready)
	}
	observation, _ := c.Observation(east)
	if len(observation.Conditions) != 5 || !observation.CapacityCounted {
		t.Errorf("unexpected observation: %+v", observation)
	}
	before := len(w.patches)
	for range 10 {
		clock.Step(time.Minute)
		reconcile(t, c, east)
	}
	if len(w.patches) != before {
		t.Errorf("%d statuses were written although nothing changed", len(w.patches)-before)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil     func(w *world, key workspace.Key)
		condition string
		reason    string
	}{
		"no Secret":  {func(w *world, _ workspace.Key) { clear(w.secrets) }, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonSecretNotFound},
		"empty key":  {func(w *world, k workspace.Key) { w.secret(k, "") }, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonSecretKeyMissing},
		"no YAML":    {func(w *world, k workspace.Key) { w.secret(k, "{"+planted) }, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonInvalidKubeconfig},
		"exec":       {func(w *world, k workspace.Key) { w.secret(k, kubeconfig("x", "exec: {command: "+planted+"}")) }, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonForbiddenField},
		"both forms": {func(w *world, k workspace.Key) { w.registrations[k].Spec.Endpoint = &tmcv1alpha1.ClusterEndpoint{} }, tmcv1alpha1.ConditionAccepted, tmcv1alpha1.ReasonInvalidSpec},
		"neither":    {func(w *world, k workspace.Key) { w.registrations[k].Spec = tmcv1alpha1.ClusterRegistrationSpec{} }, tmcv1alpha1.ConditionAccepted, tmcv1alpha1.ReasonInvalidSpec},
		"http endpoint": {func(w *world, k workspace.Key) {
			w.registrations[k].Spec = tmcv1alpha1.ClusterRegistrationSpec{Endpoint: &tmcv1alpha1.ClusterEndpoint{
				Server: "http://x", CredentialsSecretRef: tmcv1alpha1.SecretReference{Namespace: "default", Name: k.Name},
			}}
		}, tmcv1alpha1.ConditionAccepted, tmcv1alpha1.ReasonInvalidSpec},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c, _ := newWorld()
			key := w.register("one", "east")
			reconcile(t, c, key) // was observed before it was spoiled
			w.answer(key, "cluster", 1)
			tc.spoil(w, key)
			w.registrations[key].Generation++
			reconcile(t, c, key)
			w.want(t, key, tc.condition, metav1.ConditionFalse, tc.reason)
			w.want(t, key, tmcv1alpha1.ConditionReady, metav1.ConditionFalse, tc.reason)
			w.want(t, key, tmcv1alpha1.ConditionReachable, metav1.ConditionUnknown, tmcv1alpha1.ReasonNotTried)
			if _, running := w.connections[key]; running {
				t.Error("the member is still called")
			}
			if observation, _ := c.Observation(key); !observation.CapacityCounted ||
				meta.FindStatusCondition(observation.Conditions, tmcv1alpha1.ConditionCapacityKnown).Reason != tmcv1alpha1.ReasonStale {
				t.Errorf("the last figures are not kept as stale: %+v", observation)
			}
			if strings.Contains(strings.Join(w.patches, ""), planted) {
				t.Error("SEC-21: a credential is in a status")
			}
		})
	}
}

func TestAddressPolicyRefuses(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	c.config.Check = func(memberconfig.Connection) *memberconfig.Problem {
		return &memberconfig.Problem{Condition: tmcv1alpha1.ConditionAccepted, Reason: tmcv1alpha1.ReasonAddressNotAllowed}
	}
	reconcile(t, c, key)
	w.want(t, key, tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonAddressNotAllowed)
	if len(w.connections) != 0 {
		t.Error("the member is called")
	}
}

func TestSecretsLeadToTheirRegistrations(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	w.register("two", "east")
	reconcile(t, c, key)
	c.EnqueueSecret(workspace.Key{Workspace: "one", Namespace: "default", Name: "other"})
	if c.engine.Len() != 0 {
		t.Error("a Secret that nobody names leads somewhere")
	}
	c.EnqueueSecret(workspace.Key{Workspace: "one", Namespace: "default", Name: key.Name})
	if c.engine.Len() != 1 {
		t.Errorf("%d registrations wait, want 1", c.engine.Len())
	}
}

func TestRegistrationMadeAnewStartsAnew(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	reconcile(t, c, key)
	w.answer(key, "cluster", 1)
	reconcile(t, c, key)
	w.register("one", "east")
	reconcile(t, c, key)
	if observation, _ := c.Observation(key); observation.CapacityCounted {
		t.Error("the old member's figures are shown for the new one")
	}
	delete(w.registrations, key)
	reconcile(t, c, key)
	if _, found := c.Observation(key); found || len(c.members) != 0 || len(c.byUID) != 0 || len(c.bySecret) != 0 || len(w.connections) != 0 {
		t.Error("the member is not forgotten")
	}
	if w.changes[key] == 0 {
		t.Error("nobody was told")
	}
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	_, c, _ := newWorld()
	ctx, cancel := context.WithCancel(t.Context())
	c.Enqueue(workspace.Key{Workspace: "one", Name: "nothing"})
	cancel()
	c.Run(ctx)
}

// The fleet tells of changes only, and a quiet member has none.
func TestObservationIsConfirmedWithoutAnEvent(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	key := w.register("one", "east")
	reconcile(t, c, key)
	w.answer(key, "cluster", 1)
	reconcile(t, c, key)
	state := w.states[key]
	state.ConfirmedAt = clock.Now().Add(time.Minute)
	w.states[key] = state
	if observation, _ := c.Observation(key); !observation.ConfirmedAt.Equal(state.ConfirmedAt) {
		t.Errorf("confirmed at %s, want %s", observation.ConfirmedAt, state.ConfirmedAt)
	}
	state.Generation++ // the figures are others by now: those that were taken over were not confirmed
	state.ConfirmedAt = state.ConfirmedAt.Add(time.Minute)
	w.states[key] = state
	if observation, _ := c.Observation(key); observation.ConfirmedAt.Equal(state.ConfirmedAt) {
		t.Error("old figures are shown as confirmed")
	}
}
