// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package readonly_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/registry/readonly"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newREST(t *testing.T, namespaced bool) (*readonly.REST, *viewstore.Store) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := tmcv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatalf("registering the kinds: %v", err)
	}
	store, err := viewstore.New(viewstore.Options{
		Revisions: viewstore.NewRevisions(time.Now()), GVK: tmcv1alpha1.SchemeGroupVersion().WithKind("ClusterStatus"),
		Resource: tmcv1alpha1.Resource("clusterstatuses"), Scheme: scheme, Clock: clock.RealClock{},
		Assemble: func(meta metav1.ObjectMeta, _ any) runtime.Object {
			return &tmcv1alpha1.ClusterStatus{ObjectMeta: meta}
		},
	})
	if err != nil {
		t.Fatalf("making a store: %v", err)
	}
	t.Cleanup(store.Shutdown)
	return readonly.NewREST(readonly.Config{Store: store, Namespaced: namespaced}), store
}

func TestRequestsNeedAWorkspaceAndAFilledStore(t *testing.T) {
	t.Parallel()
	rest, store := newREST(t, false)
	tests := map[string]struct {
		ctx  context.Context
		want func(error) bool
	}{
		"no workspace": {ctx: context.Background(), want: apierrors.IsBadRequest},
		"not filled":   {ctx: workspace.With(context.Background(), "acme"), want: apierrors.IsServiceUnavailable},
	}
	for name, tc := range tests {
		_, getErr := rest.Get(tc.ctx, "east", nil)
		_, listErr := rest.List(tc.ctx, nil)
		_, watchErr := rest.Watch(tc.ctx, nil)
		for _, err := range []error{getErr, listErr, watchErr} {
			if !tc.want(err) {
				t.Errorf("%s: unexpected error %v", name, err)
			}
		}
	}
	store.MarkSynced()
	if _, err := rest.Get(workspace.With(context.Background(), workspace.Wildcard), "east", nil); !apierrors.IsBadRequest(err) {
		t.Errorf("getting one object of all workspaces: %v, want 400", err)
	}
	ctx := workspace.With(t.Context(), "acme")
	if _, err := rest.List(ctx, nil); err != nil {
		t.Errorf("listing without options: %v", err)
	}
	watching, err := rest.Watch(ctx, nil)
	if err != nil {
		t.Fatalf("watching without options: %v", err)
	}
	watching.Stop()
}

func TestNamespacedViewsKeepToTheNamespace(t *testing.T) {
	t.Parallel()
	rest, store := newREST(t, true)
	store.MarkSynced()
	src := viewstore.SourceKey{Workspace: "acme", Name: "web"}
	store.SetEntries(src, []viewstore.Entry{
		{Key: workspace.Key{Workspace: "acme", Namespace: "prod", Name: "web"}},
		{Key: workspace.Key{Workspace: "acme", Namespace: "test", Name: "web"}},
	})
	store.SetContent(src, nil)
	ctx := workspace.With(context.Background(), "acme")
	for namespace, want := range map[string]int{"prod": 1, "none": 0, "": 2} {
		list, err := rest.List(request.WithNamespace(ctx, namespace), nil)
		if err != nil {
			t.Fatalf("listing: %v", err)
		}
		if items := list.(*viewstore.List).Items; len(items) != want { //nolint:forcetypeassert // the test fails either way
			t.Errorf("namespace %q has %d objects, want %d", namespace, len(items), want)
		}
	}
	obj, err := rest.Get(request.WithNamespace(ctx, "test"), "web", &metav1.GetOptions{ResourceVersion: "0"})
	if err != nil || obj.(*viewstore.Object).GetNamespace() != "test" { //nolint:forcetypeassert // the test fails either way
		t.Errorf("getting: %v, %v", obj, err)
	}
	if _, err := rest.Get(request.WithNamespace(ctx, "none"), "web", nil); !apierrors.IsNotFound(err) {
		t.Errorf("getting from another namespace: %v, want 404", err)
	}
}
