// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package detach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	testingclock "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

const detachAfter = time.Minute

var east = workspace.Key{Workspace: "acme", Name: "east"}

// world has one registration, and its member some copies.
type world struct {
	registration *tmcv1alpha1.ClusterRegistration
	copies       int
	residue      []string
	events       []string
	doubt        bool // something is on its way
	silent       bool // the member does not answer
	awaited      bool
	follower     bool
	patches      []string
	err          error
	patched      chan struct{}
	clock        *testingclock.FakeClock
	c            *Controller
}

func newWorld() *world {
	w := &world{
		registration: &tmcv1alpha1.ClusterRegistration{ObjectMeta: metav1.ObjectMeta{
			Name: "east", UID: "u", ResourceVersion: "7", Annotations: map[string]string{logicalcluster.AnnotationKey: "acme"}, Finalizers: []string{"example.com/theirs"},
		}},
		clock: testingclock.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), patched: make(chan struct{}, 10),
	}
	w.c = New(Config{Registrations: w, Copies: w, Leader: w, Metadata: w, Events: w, DetachAfter: detachAfter, Clock: w.clock})
	return w
}

func (w *world) Find(key workspace.Key) (*tmcv1alpha1.ClusterRegistration, bool) {
	return w.registration, w.registration != nil && key == east
}

func (w *world) List() []*tmcv1alpha1.ClusterRegistration {
	return []*tmcv1alpha1.ClusterRegistration{w.registration}
}
func (w *world) On(workspace.Key) (int, bool) { return w.copies, !w.doubt && !w.silent }

func (w *world) Knows(workspace.Key) bool { return !w.silent }

func (w *world) Residue(workspace.Key) []string { return w.residue }

func (w *world) CreateEvent(_ context.Context, ws logicalcluster.Name, event *corev1.Event) error {
	w.events = append(w.events, fmt.Sprintf("%s %s/%s %s: %s", ws, event.InvolvedObject.Kind, event.InvolvedObject.Name, event.Reason, event.Message))
	return w.err
}

func (w *world) Awaits(workspace.Key) bool { return w.awaited }
func (w *world) IsLeader() bool            { return !w.follower }
func (w *world) PatchMetadata(_ context.Context, key workspace.Key, patch []byte) error {
	w.patches = append(w.patches, string(patch))
	if w.err != nil {
		return w.err
	}
	var body struct {
		Metadata struct {
			UID, ResourceVersion string
			Finalizers           []string
		}
	}
	if err := json.Unmarshal(patch, &body); err != nil {
		return err
	}
	if key != east || body.Metadata.UID != "u" || body.Metadata.ResourceVersion != "7" {
		return errors.New("the patch is for another one")
	}
	changed := w.registration.DeepCopy()
	changed.Finalizers = body.Metadata.Finalizers
	w.registration = changed
	w.patched <- struct{}{}
	return nil
}

func (w *world) hold() {
	w.registration.Finalizers = append(w.registration.Finalizers, tmcv1alpha1.SyncFinalizer)
}

func (w *world) remove() {
	now := metav1.NewTime(w.clock.Now())
	w.registration.DeletionTimestamp = &now
}

func TestRegistrationIsHeldWhileItsMemberHasCopies(t *testing.T) {
	t.Parallel()
	held, free := []string{"example.com/theirs", tmcv1alpha1.SyncFinalizer}, []string{"example.com/theirs"}
	tests := map[string]struct {
		prepare func(w *world)
		want    []string
		patches int
		again   time.Duration
	}{
		"it has no copies":             {func(*world) {}, free, 0, 0},
		"it is in doubt":               {func(w *world) { w.doubt = true }, free, 0, 0},
		"it has copies":                {func(w *world) { w.copies = 1 }, held, 1, 0},
		"copies wait for it":           {func(w *world) { w.awaited = true }, held, 1, 0},
		"it is deleted first":          {func(w *world) { w.awaited = true; w.remove() }, free, 0, 0},
		"it is held already":           {func(w *world) { w.copies = 1; w.hold() }, held, 0, 0},
		"its copies went":              {func(w *world) { w.hold() }, held, 0, 0},
		"it is deleted, and not held":  {func(w *world) { w.copies = 1; w.remove() }, free, 0, 0},
		"it is deleted with copies":    {func(w *world) { w.copies = 1; w.hold(); w.remove() }, held, 0, checkInterval},
		"it is deleted in doubt":       {func(w *world) { w.doubt = true; w.hold(); w.remove() }, held, 0, checkInterval},
		"it is deleted without copies": {func(w *world) { w.hold(); w.remove() }, free, 1, 0},
		"it does not answer for just less than the time": {func(w *world) {
			w.copies, w.silent = 1, true
			w.hold()
			w.remove()
			w.clock.Step(detachAfter - 1)
		}, held, 0, checkInterval},
		"it does not answer for the time": {func(w *world) {
			w.copies, w.silent = 1, true
			w.hold()
			w.remove()
			w.clock.Step(detachAfter)
		}, free, 1, 0},
		"it answers, and something is on its way": {func(w *world) {
			w.copies, w.doubt = 1, true
			w.hold()
			w.remove()
			w.clock.Step(detachAfter)
		}, held, 0, checkInterval},
		"it answers, for much longer": {func(w *world) {
			w.copies = 1
			w.hold()
			w.remove()
			w.clock.Step(answeringPatience*detachAfter - 1)
		}, held, 0, checkInterval},
		"it answers, for too long": {func(w *world) {
			w.copies = 1
			w.hold()
			w.remove()
			w.clock.Step(answeringPatience * detachAfter)
		}, free, 1, 0},
		"it is forced": {func(w *world) {
			w.copies = 1
			w.hold()
			w.remove()
			w.registration.Annotations[tmcv1alpha1.ForceDetachAnnotation] = tmcv1alpha1.ForceDetachValue
		}, free, 1, 0},
		"it is forced wrongly": {func(w *world) {
			w.copies = 1
			w.hold()
			w.remove()
			w.registration.Annotations[tmcv1alpha1.ForceDetachAnnotation] = "please"
		}, held, 0, checkInterval},
		"it is forced without being deleted": {func(w *world) {
			w.copies = 1
			w.hold()
			w.registration.Annotations[tmcv1alpha1.ForceDetachAnnotation] = tmcv1alpha1.ForceDetachValue
		}, held, 0, 0},
		"another replica leads": {func(w *world) { w.copies = 1; w.follower = true }, free, 0, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			tc.prepare(w)
			result, err := w.c.Reconcile(t.Context(), east)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, w.registration.Finalizers); diff != "" {
				t.Errorf("finalizers (-want +got):\n%s", diff)
			}
			if len(w.patches) != tc.patches || result.After != tc.again {
				t.Errorf("there were %d patches, again after %s", len(w.patches), result.After)
			}
		})
	}
}

func TestWritesThatFail(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		fails bool
	}{
		"gone":        {err: apierrors.NewNotFound(schema.GroupResource{}, "east")},
		"conflict":    {err: apierrors.NewConflict(schema.GroupResource{}, "east", errors.New("x"))},
		"kcp is away": {err: errors.New("away"), fails: true},
	} {
		w := newWorld()
		w.copies, w.err = 1, tc.err
		if _, err := w.c.Reconcile(t.Context(), east); (err != nil) != tc.fails {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	w := newWorld()
	w.registration = nil
	if _, err := w.c.Reconcile(t.Context(), east); err != nil || len(w.patches) != 0 {
		t.Errorf("one that is gone: %v, %v", err, w.patches)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.copies = 1
	c := New(Config{Registrations: w, Copies: w, Leader: w, Metadata: w})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	c.EnqueueAll()
	c.Enqueue(east)
	go func() { defer close(done); c.Run(ctx) }()
	select {
	case <-w.patched:
	case <-time.After(20 * time.Second):
		t.Error("nothing was written")
	}
	cancel()
	<-done
}

func TestResidueIsTold(t *testing.T) {
	t.Parallel()
	forced := func(w *world) *world {
		w.hold()
		w.registration.Annotations[tmcv1alpha1.ForceDetachAnnotation] = tmcv1alpha1.ForceDetachValue
		w.remove()
		return w
	}
	w := forced(newWorld())
	w.copies, w.residue = 5, []string{"tmc-a (2)", "tmc-b (3)"}
	if _, err := w.c.Reconcile(t.Context(), east); err != nil {
		t.Fatal(err)
	}
	want := []string{"acme ClusterRegistration/east DetachPending: Copies are left on the member, in the namespaces tmc-a (2), tmc-b (3); " +
		"on the member, kubectl get namespaces -l tmc.kcp.io/managed=true shows them. They are removed if it is registered again"}
	if diff := cmp.Diff(want, w.events); diff != "" || len(w.patches) != 1 {
		t.Errorf("events (-want +got):\n%s\npatches: %v", diff, w.patches)
	}

	w = forced(newWorld())
	w.doubt, w.copies = true, 1 // a namespace that is empty
	if _, err := w.c.Reconcile(t.Context(), east); err != nil || len(w.events) > 0 || len(w.patches) != 1 {
		t.Errorf("told %v, patched %v, %v", w.events, w.patches, err)
	}

	w = forced(newWorld())
	w.copies = 500
	for i := range 500 {
		w.residue = append(w.residue, fmt.Sprintf("tmc-namespace-%026d (1)", i))
	}
	if _, err := w.c.Reconcile(t.Context(), east); err != nil || len(w.events) != 1 || len(w.events[0]) > 1024 {
		t.Errorf("told %v, %v", w.events, err)
	}
}
