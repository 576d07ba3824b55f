// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package readonly_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
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
		list, err := rest.List(genericapirequest.WithNamespace(ctx, namespace), nil)
		if err != nil {
			t.Fatalf("listing: %v", err)
		}
		if items := list.(*viewstore.List).Items; len(items) != want { // the test fails either way
			t.Errorf("namespace %q has %d objects, want %d", namespace, len(items), want)
		}
	}
	obj, err := rest.Get(genericapirequest.WithNamespace(ctx, "test"), "web", &metav1.GetOptions{ResourceVersion: "0"})
	if err != nil || obj.(*viewstore.Object).GetNamespace() != "test" { // the test fails either way
		t.Errorf("getting: %v, %v", obj, err)
	}
	if _, err := rest.Get(genericapirequest.WithNamespace(ctx, "none"), "web", nil); !apierrors.IsNotFound(err) {
		t.Errorf("getting from another namespace: %v, want 404", err)
	}
}

// What discovery tells of a view is what the configuration says, and nothing else is offered.
func TestConfigurationIsWhatDiscoveryOffers(t *testing.T) {
	t.Parallel()
	_, store := newREST(t, false)
	for _, namespaced := range []bool{true, false} {
		var storage rest.Storage = readonly.NewREST(readonly.Config{
			Store: store, Namespaced: namespaced, Singular: "clusterstatus", ShortNames: []string{"cst"}, Categories: []string{"tmc"},
			New:     func() runtime.Object { return &tmcv1alpha1.ClusterStatus{} },
			NewList: func() runtime.Object { return &tmcv1alpha1.ClusterStatusList{} },
		})
		scoper, _ := storage.(rest.Scoper)
		singular, _ := storage.(rest.SingularNameProvider)
		short, _ := storage.(rest.ShortNamesProvider)
		categories, _ := storage.(rest.CategoriesProvider)
		lister, _ := storage.(rest.Lister)
		if scoper.NamespaceScoped() != namespaced || singular.GetSingularName() != "clusterstatus" ||
			!slices.Equal(short.ShortNames(), []string{"cst"}) || !slices.Equal(categories.Categories(), []string{"tmc"}) {
			t.Errorf("namespaced %v: offers %v, %s, %v, %v", namespaced, scoper.NamespaceScoped(), singular.GetSingularName(), short.ShortNames(), categories.Categories())
		}
		if _, ok := storage.New().(*tmcv1alpha1.ClusterStatus); !ok {
			t.Errorf("the object is a %T", storage.New())
		}
		if _, ok := lister.NewList().(*tmcv1alpha1.ClusterStatusList); !ok {
			t.Errorf("the list is a %T", lister.NewList())
		}
		_, creates := storage.(rest.Creater) //nolint:misspell // so it is called
		_, updates := storage.(rest.Updater)
		_, deletes := storage.(rest.GracefulDeleter)
		_, deletesAll := storage.(rest.CollectionDeleter)
		_, connects := storage.(rest.Connecter)
		if creates || updates || deletes || deletesAll || connects {
			t.Error("SEC-05 the view can be written")
		}
		storage.Destroy()
	}
	// The store belongs to the server: it still serves.
	if w, err := store.Watch(t.Context(), viewstore.Selection{Workspace: "acme"}, viewstore.WatchOptions{}); err != nil {
		t.Errorf("destroying the storage shut the store: %v", err)
	} else {
		w.Stop()
	}
}

// Versions of another process and selectors of unknown fields are the client's fault, with the code that says so.
func TestErrorsOfTheStoreReachTheClient(t *testing.T) {
	t.Parallel()
	view, store := newREST(t, false)
	store.MarkSynced()
	ctx := workspace.With(t.Context(), "acme")
	_, getErr := view.Get(ctx, "east", &metav1.GetOptions{ResourceVersion: "12345"})
	_, listErr := view.List(ctx, &internalversion.ListOptions{ResourceVersion: "12345"})
	_, watchErr := view.Watch(ctx, &internalversion.ListOptions{ResourceVersion: "12345"})
	for verb, err := range map[string]error{"get": getErr, "list": listErr, "watch": watchErr} {
		if !apierrors.IsResourceExpired(err) {
			t.Errorf("%s: %v, want 410", verb, err)
		}
	}
	unknown := &internalversion.ListOptions{FieldSelector: fields.OneTermEqualSelector("status.version", "v1")}
	if list, err := view.List(ctx, unknown); !apierrors.IsBadRequest(err) || list != nil {
		t.Errorf("listing by an unknown field: %v, %v, want no list and 400", list, err)
	}
	if w, err := view.Watch(ctx, unknown); !apierrors.IsBadRequest(err) || w != nil {
		t.Errorf("watching by an unknown field: %v, %v, want no watch and 400", w, err)
	}
}
