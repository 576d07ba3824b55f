// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package readonly serves the objects of a view store to k8s.io/apiserver: get, list, watch and tables.
//
// A REST never computes and never calls out: it reads the store for the workspace of the request and nothing else.
// What it implements is what discovery offers; every writing verb is answered with 405, because there is no method
// for it. It decides nothing about who may read: that happens before it.
package readonly

import (
	"context"

	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Config describes a view.
type Config struct {
	// Store holds the objects.
	Store *viewstore.Store
	// New returns an empty object.
	New func() runtime.Object
	// NewList returns an empty list.
	NewList func() runtime.Object
	// Table renders what kubectl get prints.
	Table rest.TableConvertor
	// Singular is the resource's singular name.
	Singular string
	// ShortNames are the resource's short names.
	ShortNames []string
	// Categories are the groups of resources that kubectl get knows the resource by.
	Categories []string
	// Namespaced says that the objects have namespaces.
	Namespaced bool
}

// REST answers get, list and watch from a view store.
type REST struct {
	rest.TableConvertor

	config Config
}

var (
	_ rest.Storage              = (*REST)(nil)
	_ rest.Scoper               = (*REST)(nil)
	_ rest.Getter               = (*REST)(nil)
	_ rest.Lister               = (*REST)(nil)
	_ rest.Watcher              = (*REST)(nil)
	_ rest.SingularNameProvider = (*REST)(nil)
	_ rest.ShortNamesProvider   = (*REST)(nil)
	_ rest.CategoriesProvider   = (*REST)(nil)
)

// NewREST returns the storage of a view.
func NewREST(config Config) *REST { return &REST{TableConvertor: config.Table, config: config} }

// New returns an empty object.
func (r *REST) New() runtime.Object { return r.config.New() }

// NewList returns an empty list.
func (r *REST) NewList() runtime.Object { return r.config.NewList() }

// Destroy does nothing: the store belongs to the server.
func (r *REST) Destroy() {}

// NamespaceScoped says whether the objects have namespaces.
func (r *REST) NamespaceScoped() bool { return r.config.Namespaced }

// GetSingularName returns the singular name.
func (r *REST) GetSingularName() string { return r.config.Singular }

// ShortNames returns the short names.
func (r *REST) ShortNames() []string { return r.config.ShortNames }

// Categories returns the categories.
func (r *REST) Categories() []string { return r.config.Categories }

// Get returns one object of the request's workspace.
func (r *REST) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	ws, err := r.workspaceOf(ctx)
	if err != nil {
		return nil, err
	}
	if ws == workspace.Wildcard {
		return nil, apierrors.NewBadRequest("an object can be read in its own workspace only, not in all of them")
	}
	if o != nil {
		if err := r.config.Store.CheckResourceVersion(o.ResourceVersion); err != nil {
			return nil, err
		}
	}
	obj, found := r.config.Store.Get(workspace.Key{Workspace: ws, Namespace: r.namespaceOf(ctx), Name: name})
	if !found {
		return nil, apierrors.NewNotFound(r.config.Store.Resource(), name)
	}
	return obj, nil
}

// List returns the selected objects of the request's workspace.
func (r *REST) List(ctx context.Context, o *internalversion.ListOptions) (runtime.Object, error) {
	ws, err := r.workspaceOf(ctx)
	if err != nil {
		return nil, err
	}
	if o == nil {
		o = &internalversion.ListOptions{}
	}
	list, err := r.config.Store.List(r.selection(ctx, ws, o), viewstore.ListOptions{
		ResourceVersion:      o.ResourceVersion,
		ResourceVersionMatch: o.ResourceVersionMatch,
		Limit:                o.Limit,
		Continue:             o.Continue,
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Watch returns the events of the selected objects of the request's workspace.
func (r *REST) Watch(ctx context.Context, o *internalversion.ListOptions) (watch.Interface, error) {
	ws, err := r.workspaceOf(ctx)
	if err != nil {
		return nil, err
	}
	if o == nil {
		o = &internalversion.ListOptions{}
	}
	return r.config.Store.Watch(ctx, r.selection(ctx, ws, o), viewstore.WatchOptions{
		ResourceVersion:   o.ResourceVersion,
		SendInitialEvents: o.SendInitialEvents,
		AllowBookmarks:    o.AllowWatchBookmarks,
	})
}

func (r *REST) selection(ctx context.Context, ws logicalcluster.Name, o *internalversion.ListOptions) viewstore.Selection {
	return viewstore.Selection{Workspace: ws, Namespace: r.namespaceOf(ctx), Labels: o.LabelSelector, Fields: o.FieldSelector}
}

func (r *REST) namespaceOf(ctx context.Context) string {
	if !r.config.Namespaced {
		return ""
	}
	return genericapirequest.NamespaceValue(ctx)
}

// workspaceOf returns the request's workspace, once the store is filled.
func (r *REST) workspaceOf(ctx context.Context) (logicalcluster.Name, error) {
	ws, ok := workspace.From(ctx)
	if !ok {
		return "", apierrors.NewBadRequest("the request path names no workspace: it must begin with /clusters/<workspace>")
	}
	if !r.config.Store.Synced() {
		return "", apierrors.NewServiceUnavailable("views are still being filled: try again in a few seconds")
	}
	return ws, nil
}
