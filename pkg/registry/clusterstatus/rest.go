// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clusterstatus serves the view clusterstatuses: the health and capacity of the members of a workspace.
//
// It knows the kind and its columns; everything else is the readonly package's. A quantity that is not known is
// printed as <unknown>, never as 0.
package clusterstatus

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/registry/readonly"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Resource is the plural name under which the view is served.
const Resource = "clusterstatuses"

// Freshness says when a member last confirmed its figures.
type Freshness interface {
	// ConfirmedAt returns that time for the member of a registration, and whether there was such a time.
	ConfirmedAt(source workspace.Key) (time.Time, bool)
}

// REST serves clusterstatuses.
type REST struct {
	*readonly.REST
}

// NewStore returns an empty store of cluster statuses. Its contents are *ClusterStatusStatus.
func NewStore(revisions *viewstore.Revisions, clock clock.Clock, limits viewstore.Limits) (*viewstore.Store, error) {
	scheme := runtime.NewScheme()
	if err := tmcv1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return viewstore.New(viewstore.Options{
		Revisions: revisions,
		GVK:       tmcv1alpha1.SchemeGroupVersion().WithKind("ClusterStatus"),
		Resource:  tmcv1alpha1.Resource(Resource),
		Scheme:    scheme,
		Assemble:  assemble,
		Clock:     clock,
		Limits:    limits,
	})
}

func assemble(meta metav1.ObjectMeta, body any) runtime.Object {
	obj := &tmcv1alpha1.ClusterStatus{ObjectMeta: meta}
	if status, ok := body.(*tmcv1alpha1.ClusterStatusStatus); ok && status != nil {
		obj.Status = *status
	}
	return obj
}

// NewREST returns the storage of clusterstatuses. A nil freshness leaves that column to the observation times.
func NewREST(store *viewstore.Store, freshness Freshness, clock clock.PassiveClock) *REST {
	return &REST{REST: readonly.NewREST(readonly.Config{
		Store:      store,
		New:        func() runtime.Object { return &tmcv1alpha1.ClusterStatus{} },
		NewList:    func() runtime.Object { return &tmcv1alpha1.ClusterStatusList{} },
		Table:      &table{freshness: freshness, clock: clock},
		Singular:   "clusterstatus",
		ShortNames: []string{"cst"},
		Categories: []string{"tmc", "kcp"},
	})}
}
