// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func names(list *viewstore.List) []string {
	var got []string
	for _, item := range list.Items {
		got = append(got, item.GetName())
	}
	return got
}

func list(t *testing.T, store *viewstore.Store, selection viewstore.Selection, o viewstore.ListOptions) *viewstore.List {
	t.Helper()
	got, err := store.List(selection, o)
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	return got
}

func TestPagesShowTheFirstMoment(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	fill(store, acme, 5)
	fill(store, globex, 1)
	selection := everything(acme)
	page := list(t, store, selection, viewstore.ListOptions{Limit: 2})
	first := page.Continue
	store.DeleteSource(source("member-0002"))
	store.SetEntries(source("new"), []viewstore.Entry{entry(acme, "a-new-one")})
	store.SetContent(source("new"), status(1))
	got := names(page)
	for page.Continue != "" {
		next := list(t, store, selection, viewstore.ListOptions{Limit: 2, Continue: page.Continue})
		if next.ResourceVersion != page.ResourceVersion {
			t.Errorf("a page is at %s, the one before at %s", next.ResourceVersion, page.ResourceVersion)
		}
		got, page = append(got, names(next)...), next
	}
	want := []string{"member-0000", "member-0001", "member-0002", "member-0003", "member-0004"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	again := list(t, store, selection, viewstore.ListOptions{Limit: 2, Continue: first})
	if diff := cmp.Diff(want[2:4], names(again)); diff != "" {
		t.Errorf("the same token again (-want +got):\n%s", diff)
	}
}

// TestTokensAreGoodForOneSelectionOnly is SEC-12: a token of one workspace, selector or process is no good elsewhere.
func TestTokensAreGoodForOneSelectionOnly(t *testing.T) {
	t.Parallel()
	store, other := newStore(t), newStore(t)
	late := newStore(t, func(o *viewstore.Options) { o.Revisions = viewstore.NewRevisions(time.Unix(1_900_000_000, 0)) })
	for _, s := range []*viewstore.Store{store, other, late} {
		fill(s, acme, 4)
	}
	token := list(t, store, everything(acme), viewstore.ListOptions{Limit: 1}).Continue
	flipped := []byte(token)
	flipped[len(flipped)/2] ^= 1
	tests := map[string]struct {
		store     *viewstore.Store
		selection viewstore.Selection
		options   viewstore.ListOptions
		reason    metav1.StatusReason
	}{
		"another workspace": {store: store, selection: everything(globex), options: viewstore.ListOptions{Continue: token}, reason: metav1.StatusReasonBadRequest},
		"all workspaces":    {store: store, selection: everything(workspace.Wildcard), options: viewstore.ListOptions{Continue: token}, reason: metav1.StatusReasonBadRequest},
		"another namespace": {store: store, selection: viewstore.Selection{Workspace: acme, Namespace: "x"}, options: viewstore.ListOptions{Continue: token}, reason: metav1.StatusReasonBadRequest},
		"another selector":  {store: store, selection: viewstore.Selection{Workspace: acme, Labels: labels.SelectorFromSet(labels.Set{"a": "b"})}, options: viewstore.ListOptions{Continue: token}, reason: metav1.StatusReasonBadRequest},
		"another key":       {store: other, selection: everything(acme), options: viewstore.ListOptions{Continue: token}, reason: metav1.StatusReasonBadRequest},
		"another process":   {store: late, selection: everything(acme), options: viewstore.ListOptions{Continue: token}, reason: metav1.StatusReasonExpired},
		"changed":           {store: store, selection: everything(acme), options: viewstore.ListOptions{Continue: string(flipped)}, reason: metav1.StatusReasonBadRequest},
		"too long":          {store: store, selection: everything(acme), options: viewstore.ListOptions{Continue: string(make([]byte, 1<<20))}, reason: metav1.StatusReasonBadRequest},
		"with a version":    {store: store, selection: everything(acme), options: viewstore.ListOptions{Continue: token, ResourceVersion: "5"}, reason: metav1.StatusReasonBadRequest},
		"with a match":      {store: store, selection: everything(acme), options: viewstore.ListOptions{Continue: token, ResourceVersionMatch: metav1.ResourceVersionMatchExact}, reason: metav1.StatusReasonBadRequest},
		"negative limit":    {store: store, selection: everything(acme), options: viewstore.ListOptions{Limit: -1}, reason: metav1.StatusReasonBadRequest},
		"no workspace":      {store: store, reason: metav1.StatusReasonBadRequest},
		"unknown field":     {store: store, selection: viewstore.Selection{Workspace: acme, Fields: fields.OneTermEqualSelector("spec.x", "y")}, reason: metav1.StatusReasonBadRequest},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := tc.store.List(tc.selection, tc.options); apierrors.ReasonForError(err) != tc.reason {
				t.Errorf("listing: %v, want reason %s", err, tc.reason)
			}
		})
	}
}

func TestAForgottenSnapshotContinuesInconsistently(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	store := newStore(t, func(o *viewstore.Options) {
		o.Clock = clock
		o.Limits = viewstore.Limits{SnapshotAge: time.Minute, SnapshotsPerWorkspace: 2, Snapshots: 3}
	})
	fill(store, acme, 5)
	token := list(t, store, everything(acme), viewstore.ListOptions{Limit: 2}).Continue
	store.DeleteSource(source("member-0001"))
	store.DeleteSource(source("member-0003"))
	clock.Step(2 * time.Minute)
	_, err := store.List(everything(acme), viewstore.ListOptions{Limit: 2, Continue: token})
	var failure *apierrors.StatusError
	if !errors.As(err, &failure) || !apierrors.IsResourceExpired(err) || failure.ErrStatus.Continue == "" {
		t.Fatalf("listing: %v, want 410 with a token", err)
	}
	rest := list(t, store, everything(acme), viewstore.ListOptions{Limit: 2, Continue: failure.ErrStatus.Continue})
	if diff := cmp.Diff([]string{"member-0002", "member-0004"}, names(rest)); diff != "" {
		t.Errorf("the rest (-want +got):\n%s", diff)
	}
	for range 10 {
		list(t, store, everything(acme), viewstore.ListOptions{Limit: 1})
	}
	if got := store.Snapshots(); got > 2 {
		t.Errorf("%d lists are kept for one workspace, want at most 2", got)
	}
	for i := range 5 {
		ws := logicalcluster.Name("w" + strconv.Itoa(i))
		store.SetEntries(source(ws.String()), []viewstore.Entry{entry(ws, "a"), entry(ws, "b")})
		store.SetContent(source(ws.String()), status(1))
		list(t, store, everything(ws), viewstore.ListOptions{Limit: 1})
	}
	if got := store.Snapshots(); got > 3 {
		t.Errorf("%d lists are kept, want at most 3", got)
	}
}

func TestListVersions(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	fill(store, acme, 2)
	rev := list(t, store, everything(acme), viewstore.ListOptions{}).ResourceVersion
	fill(store, globex, 2) // does not disturb acme
	later := list(t, store, everything(acme), viewstore.ListOptions{}).ResourceVersion
	exact := list(t, store, everything(acme), viewstore.ListOptions{ResourceVersion: later, ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	if exact.ResourceVersion != later {
		t.Errorf("an exact list is at %s, want %s", exact.ResourceVersion, later)
	}
	tests := map[string]struct {
		options viewstore.ListOptions
		reason  metav1.StatusReason
	}{
		"any":                {options: viewstore.ListOptions{ResourceVersion: "0"}},
		"not older":          {options: viewstore.ListOptions{ResourceVersion: rev, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}},
		"unset":              {options: viewstore.ListOptions{ResourceVersion: rev}},
		"exact, changed":     {options: viewstore.ListOptions{ResourceVersion: "1800000000000000001", ResourceVersionMatch: metav1.ResourceVersionMatchExact}, reason: metav1.StatusReasonExpired},
		"page, changed":      {options: viewstore.ListOptions{ResourceVersion: "1800000000000000001", Limit: 1}, reason: metav1.StatusReasonExpired},
		"future":             {options: viewstore.ListOptions{ResourceVersion: "1800000000000009999"}, reason: metav1.StatusReasonExpired},
		"an earlier process": {options: viewstore.ListOptions{ResourceVersion: "1700000000000000001"}, reason: metav1.StatusReasonExpired},
		"not a number":       {options: viewstore.ListOptions{ResourceVersion: "-1"}, reason: metav1.StatusReasonBadRequest},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := store.List(everything(acme), tc.options); apierrors.ReasonForError(err) != tc.reason && (err != nil || tc.reason != "") {
				t.Errorf("listing: %v, want reason %q", err, tc.reason)
			}
		})
	}
}

func FuzzContinueAndFieldSelector(f *testing.F) {
	f.Add("abc", "metadata.name=a", "x")
	f.Add("eyJ", "metadata.name!=a,metadata.namespace=", "..")
	store, err := viewstore.New(options(f))
	if err != nil {
		f.Fatal(err)
	}
	fill(store, acme, 3)
	fill(store, globex, 1)
	f.Fuzz(func(t *testing.T, token, selector, name string) {
		if _, err := store.List(everything(globex), viewstore.ListOptions{Continue: token, Limit: 1}); token != "" && err == nil {
			t.Errorf("token %q was accepted", token)
		}
		parsed, err := fields.ParseSelector(selector)
		if err != nil {
			return
		}
		got, err := store.List(viewstore.Selection{Workspace: globex, Fields: parsed}, viewstore.ListOptions{})
		if err != nil && !apierrors.IsBadRequest(err) {
			t.Errorf("selector %q: %v", selector, err)
		}
		if err == nil && len(got.Items) > 1 {
			t.Errorf("selector %q selects %v", selector, names(got))
		}
		if obj, ok := store.Get(workspace.Key{Workspace: globex, Name: name}); ok && obj.Key() != (workspace.Key{Workspace: globex, Name: name}) {
			t.Errorf("name %q gets %s", name, obj.Key())
		}
	})
}
