// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placementstatus serves the view placementstatuses: what became of the workloads of each Placement.
//
// It knows the kind and its columns; everything else is the readonly package's.
package placementstatus

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
const Resource = "placementstatuses"

// Freshness says when the chosen members of a Placement last confirmed what is shown.
type Freshness interface {
	// ConfirmedAt returns the oldest of these times for a Placement, and whether there was such a time.
	ConfirmedAt(placement workspace.Key) (time.Time, bool)
}

// REST serves placementstatuses.
type REST struct {
	*readonly.REST
}

// NewStore returns an empty store of placement statuses. Its contents are *PlacementStatusStatus.
func NewStore(revisions *viewstore.Revisions, clock clock.Clock, limits viewstore.Limits) (*viewstore.Store, error) {
	scheme := runtime.NewScheme()
	if err := tmcv1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return viewstore.New(viewstore.Options{
		Revisions: revisions,
		GVK:       tmcv1alpha1.SchemeGroupVersion().WithKind("PlacementStatus"),
		Resource:  tmcv1alpha1.Resource(Resource),
		Scheme:    scheme,
		Assemble:  assemble,
		Clock:     clock,
		Limits:    limits,
	})
}

func assemble(meta metav1.ObjectMeta, body any) runtime.Object {
	obj := &tmcv1alpha1.PlacementStatus{ObjectMeta: meta}
	if status, ok := body.(*tmcv1alpha1.PlacementStatusStatus); ok && status != nil {
		obj.Status = *status
	}
	return obj
}

// NewREST returns the storage of placementstatuses. A nil freshness leaves that column to the observation times.
func NewREST(store *viewstore.Store, freshness Freshness, clock clock.PassiveClock) *REST {
	return &REST{REST: readonly.NewREST(readonly.Config{
		Store:      store,
		New:        func() runtime.Object { return &tmcv1alpha1.PlacementStatus{} },
		NewList:    func() runtime.Object { return &tmcv1alpha1.PlacementStatusList{} },
		Table:      &table{freshness: freshness, clock: clock},
		Singular:   "placementstatus",
		ShortNames: []string{"pls"},
		Categories: []string{"tmc", "kcp"},
		Namespaced: true,
	})}
}
