// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestDuplicates(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		workspace string
		root      byte
		refused   bool
	}{
		"same workspace, other root":    {"one", 2, true},
		"other workspace, same root":    {"secret-tenant", 1, true},
		"other workspace, other root":   {"secret-tenant", 2, false},
		"other workspace, unknown root": {"secret-tenant", 0, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c, _ := newWorld()
			older, younger := w.register(tc.workspace, "first"), w.register("one", "second")
			reconcile(t, c, younger)
			w.answer(younger, "cluster", 1)
			reconcile(t, c, younger)
			reconcile(t, c, older) // the younger one was there first
			w.answer(older, "cluster", tc.root)
			reconcile(t, c, older)
			reconcile(t, c, younger)
			w.want(t, older, tmcv1alpha1.ConditionAccepted, metav1.ConditionTrue, tmcv1alpha1.ReasonAccepted)
			if !tc.refused {
				w.want(t, younger, tmcv1alpha1.ConditionAccepted, metav1.ConditionTrue, tmcv1alpha1.ReasonAccepted)
				return
			}
			accepted := w.want(t, younger, tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonDuplicateMember)
			if strings.Contains(accepted.Message, "secret-tenant") || (tc.workspace != "one" && strings.Contains(accepted.Message, "first")) {
				t.Errorf("the message tells too much: %s", accepted.Message)
			}
			if _, running := w.connections[younger]; running {
				t.Error("the refused member is still called")
			}
			delete(w.registrations, older)
			reconcile(t, c, older)
			if c.engine.Len() == 0 {
				t.Error("the refused registration is not looked at again")
			}
			reconcile(t, c, younger)
			w.want(t, younger, tmcv1alpha1.ConditionAccepted, metav1.ConditionTrue, tmcv1alpha1.ReasonAccepted)
			if _, running := w.connections[younger]; !running {
				t.Error("the member is not called")
			}
		})
	}
}

func TestRefusedDuplicateThatLeadsElsewhereIsTriedAgain(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	first, second := w.register("one", "first"), w.register("one", "second")
	for _, key := range []workspace.Key{first, second} {
		reconcile(t, c, key)
		w.answer(key, "cluster", 1)
		reconcile(t, c, key)
	}
	w.want(t, second, tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonDuplicateMember)
	w.secret(second, kubeconfig("elsewhere", "token: other"))
	reconcile(t, c, second)
	w.want(t, second, tmcv1alpha1.ConditionAccepted, metav1.ConditionTrue, tmcv1alpha1.ReasonAccepted)
	if w.connections[second].Server != "https://elsewhere.example:6443" {
		t.Errorf("the fleet calls %q", w.connections[second].Server)
	}
}

// TestEquallyOldDuplicates is about registrations that were created in one second, the unit of times of creation: the
// one that has the cluster keeps it, whatever the names, at every replica and after a restart.
func TestEquallyOldDuplicates(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	first, second := w.register("one", "z-first"), w.register("one", "a-second")
	w.registrations[second].CreationTimestamp = w.registrations[first].CreationTimestamp
	learn := func(c *Controller, key workspace.Key) {
		reconcile(t, c, key)
		w.answer(key, "cluster", 1)
		reconcile(t, c, key)
	}
	keeps := func(c *Controller) {
		t.Helper()
		reconcile(t, c, first)
		reconcile(t, c, second)
		w.want(t, first, tmcv1alpha1.ConditionAccepted, metav1.ConditionTrue, tmcv1alpha1.ReasonAccepted)
		w.want(t, second, tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonDuplicateMember)
	}
	learn(c, first)
	learn(c, second)
	keeps(c)

	w.follower, w.states = true, map[workspace.Key]view.Observation{}
	follower := New(c.config)
	follower.memberOf(w.registrations[second]).late = false // as if it had come to it before the leader's refusal did
	follower.memberOf(w.registrations[second]).refusal = nil
	learn(follower, second)
	learn(follower, first)
	keeps(follower)
	if observed, _ := follower.Observation(second); observed.ClusterUID != "" {
		t.Errorf("the follower shows the refused one: %+v", observed)
	}
}

// TestRefusalOutlivesARestart is about the moment in which the older registration has not been observed yet: the
// refused one is not taken for a member meanwhile. An older one that is never judged refuses nobody for ever.
func TestRefusalOutlivesARestart(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]bool{"the older one is observed": true, "nothing is known of the older one": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c, clock := newWorld()
			older, younger := w.register("one", "older"), w.register("one", "younger")
			for _, key := range []workspace.Key{older, younger} {
				reconcile(t, c, key)
				w.answer(key, "cluster", 1)
				reconcile(t, c, key)
			}
			refused := w.want(t, younger, tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonDuplicateMember)

			w.connections, w.states = map[workspace.Key]memberconfig.Connection{}, map[workspace.Key]view.Observation{}
			restarted := New(c.config)
			for range 2 { // before the older one was looked at, and while it is called
				if result := reconcile(t, restarted, younger); result.After == 0 || result.After > heldInterval {
					t.Errorf("the refused one is looked at again after %s, want at most %s", result.After, heldInterval)
				}
				if again := w.want(t, younger, tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonDuplicateMember); again.Message != refused.Message {
					t.Errorf("the message changed to %q", again.Message)
				}
				if _, called := w.connections[younger]; called {
					t.Error("the refused one is called")
				}
				reconcile(t, restarted, older)
			}
			if !answers {
				clock.Step(seededFor)
				reconcile(t, restarted, younger)
				if _, called := w.connections[younger]; !called {
					t.Error("the refused one is not tried when nothing is known of the older one")
				}
				return
			}
			w.answer(older, "cluster", 1)
			reconcile(t, restarted, older)
			reconcile(t, restarted, younger)
			w.answer(younger, "cluster", 1)
			reconcile(t, restarted, younger)
			w.want(t, younger, tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonDuplicateMember)
		})
	}
}
