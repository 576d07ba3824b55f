// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

func TestRestartWritesNothing(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	east := w.register("one", "east")
	reconcile(t, c, east)
	w.answer(east, "cluster", 1)
	reconcile(t, c, east)
	before := len(w.patches)
	restarted := New(Config{Registrations: w, Secrets: secretsOf{w}, Fleet: w, Leader: w, Status: w, Clock: clock})
	clock.Step(time.Hour)
	reconcile(t, restarted, east)
	if len(w.patches) != before {
		t.Errorf("a restart wrote %v", w.patches[before:])
	}
}

func TestOnlyTheLeaderWrites(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	w.follower = true
	reconcile(t, c, key)
	if len(w.patches) != 0 || w.connections[key].Server == "" {
		t.Errorf("a follower wrote %v, or does not observe", w.patches)
	}
	w.follower = false
	c.EnqueueAll()
	if c.engine.Len() != 1 {
		t.Errorf("%d registrations wait, want 1", c.engine.Len())
	}
	reconcile(t, c, key)
	if len(w.patches) != 1 {
		t.Errorf("got %d patches, want 1", len(w.patches))
	}
}

func TestWritesAreNotRepeatedUntilTheIndexCatchesUp(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	w.applyPatches = false
	key := w.register("one", "east")
	reconcile(t, c, key)
	reconcile(t, c, key)
	if len(w.patches) != 1 {
		t.Errorf("got %d patches, want 1", len(w.patches))
	}
	if !strings.Contains(w.patches[0], string(w.registrations[key].UID)) {
		t.Error("the patch does not carry the UID")
	}
}

func TestTextAloneIsWrittenSeldom(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	key := w.register("one", "east")
	reconcile(t, c, key)
	for i := range 10 {
		state := w.states[key]
		state.Conditions = []metav1.Condition{{
			Type: tmcv1alpha1.ConditionReachable, Status: metav1.ConditionUnknown, Reason: tmcv1alpha1.ReasonDialFailed, Message: fmt.Sprint("port ", i),
		}}
		w.states[key] = state
		if result := reconcile(t, c, key); i > 0 && result.After <= 0 {
			t.Error("the text is never written")
		}
	}
	if len(w.patches) != 2 {
		t.Errorf("got %d patches, want 2", len(w.patches))
	}
	clock.Step(messageInterval)
	reconcile(t, c, key)
	if len(w.patches) != 3 {
		t.Errorf("got %d patches, want 3", len(w.patches))
	}
}

func TestErrorsOfWriting(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	w.patchErr = errors.New("kcp is away")
	if _, err := c.Reconcile(t.Context(), key); !errors.Is(err, w.patchErr) {
		t.Errorf("got error %v", err)
	}
	w.patchErr = fmt.Errorf("patching: %w", notFound())
	if _, err := c.Reconcile(t.Context(), key); err != nil {
		t.Errorf("got error %v for a registration that is gone", err)
	}
}

// Another replica noticed the same transitions at other times, and has to look at members itself before it can judge
// them. Neither is a reason to write.
func TestNewLeaderWritesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	east := w.register("one", "east")
	reconcile(t, c, east)
	w.answer(east, "cluster", 1)
	reconcile(t, c, east)
	before := len(w.patches)
	ready := w.want(t, east, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, tmcv1alpha1.ReasonReady)

	clock.Step(time.Hour)
	clear(w.states) // the process is new, and so is its fleet
	c = New(Config{Registrations: w, Secrets: secretsOf{w}, Fleet: w, Leader: w, Status: w, Clock: clock})
	if result := reconcile(t, c, east); result.After <= 0 {
		t.Error("a member that is never judged keeps its old status for good")
	}
	if observation, _ := c.Observation(east); meta.IsStatusConditionTrue(observation.Conditions, tmcv1alpha1.ConditionReachable) {
		t.Error("views show as reachable what was not called yet")
	}
	clock.Step(time.Second)
	w.answer(east, "cluster", 1)
	reconcile(t, c, east)
	if len(w.patches) != before {
		t.Errorf("a restart wrote %v", w.patches[before:])
	}

	state := w.states[east]
	state.Conditions[0].Status, state.Conditions[0].Reason = metav1.ConditionUnknown, tmcv1alpha1.ReasonTimedOut
	state.Generation++
	w.states[east] = state
	reconcile(t, c, east)
	lost := w.want(t, east, tmcv1alpha1.ConditionReady, metav1.ConditionUnknown, tmcv1alpha1.ReasonTimedOut)
	valid := w.want(t, east, tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionTrue, tmcv1alpha1.ReasonCredentialsValid)
	if !valid.LastTransitionTime.Equal(&ready.LastTransitionTime) || lost.LastTransitionTime.Equal(&ready.LastTransitionTime) {
		t.Errorf("times of transition are wrong: %s and %s, was ready at %s", valid.LastTransitionTime, lost.LastTransitionTime, ready.LastTransitionTime)
	}
}

func TestMemberThatIsNeverJudgedLosesItsOldStatus(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	east := w.register("one", "east")
	reconcile(t, c, east)
	w.answer(east, "cluster", 1)
	reconcile(t, c, east)
	clear(w.states)
	c = New(Config{Registrations: w, Secrets: secretsOf{w}, Fleet: w, Leader: w, Status: w, Clock: clock})
	result := reconcile(t, c, east)
	clock.Step(result.After)
	reconcile(t, c, east)
	w.want(t, east, tmcv1alpha1.ConditionReady, metav1.ConditionUnknown, tmcv1alpha1.ReasonPending)
}
