// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	testingclock "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

type world struct {
	mu            sync.Mutex
	registrations []*tmcv1alpha1.ClusterRegistration
	grants        map[workspace.Key]*tmcv1alpha1.ClusterGrant
	bound         map[logicalcluster.Name]logicalcluster.Path
	follower      bool
	patches       []string
	patchErr      error
	changed       []string
}

type registrationsOf struct{ *world }

func (r registrationsOf) List() []*tmcv1alpha1.ClusterRegistration { return r.registrations }

func (w *world) Find(key workspace.Key) (*tmcv1alpha1.ClusterGrant, bool) {
	found, ok := w.grants[key]
	return found, ok
}

func (w *world) List() []*tmcv1alpha1.ClusterGrant {
	var out []*tmcv1alpha1.ClusterGrant
	for _, grant := range w.grants {
		out = append(out, grant)
	}
	return out
}

func (w *world) All() map[logicalcluster.Name]logicalcluster.Path {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bound
}
func (w *world) IsLeader() bool { return !w.follower }
func (w *world) PatchStatus(_ context.Context, _ workspace.Key, patch []byte) error {
	if w.patchErr == nil {
		w.patches = append(w.patches, string(patch))
	}
	return w.patchErr
}

func named(ws, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, UID: "uid", ResourceVersion: "1", Generation: 2, Annotations: map[string]string{logicalcluster.AnnotationKey: ws}}
}

func newWorld() (*world, *Controller) {
	w := &world{
		registrations: []*tmcv1alpha1.ClusterRegistration{{ObjectMeta: named("lender", "east")}},
		grants: map[workspace.Key]*tmcv1alpha1.ClusterGrant{grantKey: {ObjectMeta: named("lender", "g"), Spec: tmcv1alpha1.ClusterGrantSpec{
			ClusterNames: []string{"east"}, Workspaces: []tmcv1alpha1.WorkspaceReference{{Path: "root:a"}},
		}}},
		bound: map[logicalcluster.Name]logicalcluster.Path{"lender": logicalcluster.NewPath("root:lender"), "a": logicalcluster.NewPath("root:a")},
	}
	clock := testingclock.NewFakeClock(time.Unix(1000, 5))
	return w, New(Config{
		Registrations: registrationsOf{w}, Grants: w, Workspaces: w, Leader: w, Status: w, Clock: clock,
		OnChange: func(key workspace.Key) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changed = append(w.changed, key.String())
		},
	})
}

var grantKey, eastKey = workspace.Key{Workspace: "lender", Name: "g"}, workspace.Key{Workspace: "lender", Name: "east"}

func TestGrantIsResolvedAndReported(t *testing.T) {
	t.Parallel()
	w, c := newWorld()
	c.Resolve()
	if got := len(c.Entries(eastKey)); got != 2 {
		t.Errorf("got %d rows, want 2", got)
	}
	for range 2 { // the second time the index has not caught up
		if _, err := c.Reconcile(t.Context(), grantKey); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{`{"metadata":{"uid":"uid"},"status":{"conditions":[{"type":"Ready","status":"True","observedGeneration":2,` +
		`"lastTransitionTime":"1970-01-01T00:16:40Z","reason":"Ready","message":"Everything that the grant offers is lent"}]}}`}
	if diff := cmp.Diff(want, w.patches); diff != "" {
		t.Errorf("patches (-want +got):\n%s", diff)
	}
	c.Resolve()
	if diff := cmp.Diff([]string{"lender|east"}, w.changed); diff != "" {
		t.Errorf("changed registrations (-want +got):\n%s", diff)
	}
}

func TestRowsGoWithGrantBindingAndRegistration(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(w *world)
		rows   int
	}{
		"grant revoked":        {func(w *world) { clear(w.grants) }, 1},
		"borrower unbound":     {func(w *world) { delete(w.bound, "a") }, 1},
		"lender unbound":       {func(w *world) { delete(w.bound, "lender") }, 0},
		"registration deleted": {func(w *world) { w.registrations = nil }, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c := newWorld()
			c.Resolve()
			if _, err := c.Reconcile(t.Context(), grantKey); err != nil {
				t.Fatal(err)
			}
			tc.change(w)
			c.Resolve()
			if got := len(c.Entries(eastKey)); got != tc.rows || len(w.changed) != 2 {
				t.Errorf("got %d rows and changes %v, want %d rows and 2 changes", got, w.changed, tc.rows)
			}
			if name == "grant revoked" && len(c.written) != 0 {
				t.Error("the grant is not forgotten")
			}
		})
	}
}

// Nobody is certain before what follows from everything has been told, also when something was away in between.
func TestCertainOnceAllThatWasReadIsTold(t *testing.T) {
	t.Parallel()
	w, c := newWorld()
	var since time.Time
	told := false
	c.config.CompleteSince = func() time.Time { return since }
	c.config.OnChange = func(workspace.Key) {
		if told = true; c.Certain() {
			t.Error("it is certain before all is told")
		}
	}
	c.Resolve()
	if c.Certain() || !told {
		t.Error("it is certain before everything was read")
	}
	since = time.Unix(2000, 0)
	if c.Certain() {
		t.Error("it is certain before it looked")
	}
	w.registrations = nil
	c.Resolve()
	if !c.Certain() {
		t.Error("it is not certain")
	}
	since = time.Time{}
	if c.Certain() {
		t.Error("it is certain while something is away")
	}
	since = time.Unix(3000, 0)
	if c.Certain() {
		t.Error("it is certain before it looked again")
	}
	c.Resolve()
	if !c.Certain() {
		t.Error("it is not certain again")
	}
}

// Nobody tells when the last endpoint has been read: it is found out.
func TestRunBecomesCertainAgainByItself(t *testing.T) {
	t.Parallel()
	w, _ := newWorld()
	var since atomic.Int64
	since.Store(1)
	c := New(Config{
		Registrations: registrationsOf{w}, Grants: w, Workspaces: w, Leader: w, Status: w,
		CompleteSince: func() time.Time {
			if at := since.Load(); at != 0 {
				return time.Unix(at, 0)
			}
			return time.Time{}
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	certain := func() {
		t.Helper()
		if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) { return c.Certain(), nil }); err != nil {
			t.Errorf("it does not become certain: %v", err)
		}
	}
	certain()
	since.Store(0)
	if c.Certain() {
		t.Error("it is certain while something is away")
	}
	since.Store(2)
	certain()
	cancel()
	<-done
}

func TestOnlyTheLeaderWrites(t *testing.T) {
	t.Parallel()
	w, c := newWorld()
	w.follower = true
	c.Resolve()
	if _, err := c.Reconcile(t.Context(), grantKey); err != nil || len(w.patches) != 0 {
		t.Errorf("a follower wrote %v, %v", w.patches, err)
	}
	w.follower = false
	c.EnqueueAll()
	if c.engine.Len() != 1 {
		t.Error("the grant does not wait")
	}
	w.patchErr = errors.New("kcp is away")
	if _, err := c.Reconcile(t.Context(), grantKey); !errors.Is(err, w.patchErr) {
		t.Errorf("got error %v", err)
	}
	w.patchErr = fmt.Errorf("patching: %w", apierrors.NewNotFound(tmcv1alpha1.Resource("clustergrants"), "g"))
	if _, err := c.Reconcile(t.Context(), grantKey); err != nil {
		t.Errorf("got error %v for a grant that is gone", err)
	}
}

func TestRunResolvesOnChange(t *testing.T) {
	t.Parallel()
	w, _ := newWorld()
	changed := make(chan workspace.Key, 10)
	c := New(Config{
		Registrations: registrationsOf{w}, Grants: w, Workspaces: w, Leader: w, Status: w,
		OnChange: func(key workspace.Key) { changed <- key },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	<-changed
	w.mu.Lock()
	w.bound = map[logicalcluster.Name]logicalcluster.Path{}
	w.mu.Unlock()
	c.Enqueue(grantKey)
	<-changed
	cancel()
	<-done
}

// A verdict on an older spec must not be reported as one on the newer.
func TestVerdictIsOfTheGenerationThatWasResolved(t *testing.T) {
	t.Parallel()
	w, c := newWorld()
	c.Resolve()
	for _, change := range []func(*tmcv1alpha1.ClusterGrant){
		func(g *tmcv1alpha1.ClusterGrant) { g.Generation, g.Spec.ClusterNames = 3, []string{"north"} },
		func(g *tmcv1alpha1.ClusterGrant) { g.UID, g.ResourceVersion = "made-anew", "9" },
	} {
		changed := w.grants[grantKey].DeepCopy()
		change(changed)
		w.grants[grantKey] = changed
		before := len(w.patches)
		if _, err := c.Reconcile(t.Context(), grantKey); err != nil || len(w.patches) != before {
			t.Errorf("wrote %v, %v before the grant was resolved", w.patches[before:], err)
		}
		c.Resolve()
		if _, err := c.Reconcile(t.Context(), grantKey); err != nil || len(w.patches) != before+1 {
			t.Errorf("wrote %v, %v after the grant was resolved, want one patch", w.patches[before:], err)
		}
	}
}
