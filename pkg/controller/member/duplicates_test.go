// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
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
