// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

type world struct {
	registration *tmcv1alpha1.ClusterRegistration
	observation  view.Observation
	entries      []view.Entry

	contents []tmcv1alpha1.ClusterStatusStatus
	rows     []view.Entry
	deleted  int
}

func (w *world) Find(workspace.Key) (*tmcv1alpha1.ClusterRegistration, bool) {
	return w.registration, w.registration != nil
}
func (w *world) Observation(workspace.Key) (view.Observation, bool) { return w.observation, true }
func (w *world) Entries(workspace.Key) []view.Entry                 { return w.entries }
func (w *world) SetContent(_ workspace.Key, status *tmcv1alpha1.ClusterStatusStatus) {
	w.contents = append(w.contents, *status)
}
func (w *world) SetEntries(_ workspace.Key, entries []view.Entry) { w.rows = entries }
func (w *world) DeleteSource(workspace.Key)                       { w.deleted++; w.rows = nil }

func (w *world) cpu(amount string) {
	w.observation.CapacityCounted = true
	w.observation.Capacity = capacity.Summary{Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(amount)}}
}

func (w *world) reachable(status metav1.ConditionStatus) {
	w.observation.Conditions = []metav1.Condition{{Type: tmcv1alpha1.ConditionReachable, Status: status, Reason: "R"}}
}

func newWorld() (*world, *Controller, *testingclock.FakeClock) {
	w := &world{registration: &tmcv1alpha1.ClusterRegistration{}, entries: []view.Entry{{Key: workspace.Key{Workspace: "one", Name: "east"}}}}
	clock := testingclock.NewFakeClock(time.Unix(1000, 0))
	return w, New(Config{Registrations: w, Members: w, Lending: w, Store: w, Clock: clock}), clock
}

func reconcile(t *testing.T, c *Controller) time.Duration {
	t.Helper()
	result, err := c.Reconcile(t.Context(), workspace.Key{Workspace: "one", Name: "east"})
	if err != nil {
		t.Fatal(err)
	}
	return result.After
}

func TestFiguresAreCoalescedAndConditionsAreNot(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	w.reachable(metav1.ConditionTrue)
	w.cpu("1")
	reconcile(t, c)
	for _, amount := range []string{"2", "3", "4"} {
		w.cpu(amount)
		clock.Step(10 * time.Millisecond)
		if after := reconcile(t, c); after <= 0 || after > DefaultCoalesceWindow {
			t.Errorf("looks again after %s", after)
		}
	}
	if len(w.contents) != 1 {
		t.Fatalf("published %d times within the window, want 1", len(w.contents))
	}
	clock.Step(DefaultCoalesceWindow)
	reconcile(t, c)
	if len(w.contents) != 2 || w.contents[1].Allocatable.Cpu().String() != "4" {
		t.Fatalf("got %v, want the newest figures", w.contents)
	}
	w.reachable(metav1.ConditionUnknown)
	reconcile(t, c)
	if len(w.contents) != 3 {
		t.Error("a condition was held back")
	}
}

func TestObservationTimeIsRenewedSeldom(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	w.cpu("1")
	w.observation.ConfirmedAt = clock.Now()
	reconcile(t, c)
	for range 29 {
		clock.Step(time.Second)
		w.observation.ConfirmedAt = clock.Now()
		reconcile(t, c)
	}
	if len(w.contents) != 1 {
		t.Errorf("published %d times, want 1", len(w.contents))
	}
	clock.Step(time.Second)
	w.observation.ConfirmedAt = clock.Now()
	if after := reconcile(t, c); len(w.contents) != 2 || after != DefaultRefreshInterval {
		t.Errorf("published %d times, want 2; looks again after %s", len(w.contents), after)
	}
	clock.Step(time.Hour) // the member is away: the time stands still, and nothing is published
	reconcile(t, c)
	if len(w.contents) != 2 {
		t.Errorf("published %d times, want 2", len(w.contents))
	}
}

func TestRowsGoAtOnce(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	reconcile(t, c)
	if len(w.rows) != 1 {
		t.Fatalf("got rows %v", w.rows)
	}
	w.entries = nil
	reconcile(t, c)
	if w.rows != nil || w.deleted != 1 {
		t.Error("rows stay although nobody sees the member")
	}
	w.entries = []view.Entry{{}}
	reconcile(t, c)
	if len(w.contents) != 2 {
		t.Error("the content was not published anew")
	}
	w.registration = nil
	reconcile(t, c)
	if w.rows != nil || len(c.published) != 0 {
		t.Error("rows stay although the registration is gone")
	}
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	_, c, _ := newWorld()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Enqueue(workspace.Key{})
	c.Run(ctx)
	if New(Config{}).config.Clock == nil {
		t.Error("there is no clock")
	}
}
