// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"sync/atomic"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Set follows TMC's own kinds at all endpoints of their export, and the credentials that tenants show us.
type Set struct {
	*export

	registrations *Index[*tmcv1alpha1.ClusterRegistration]
	grants        *Index[*tmcv1alpha1.ClusterGrant]
	placements    *Index[*tmcv1alpha1.Placement]
	secrets       *Index[*corev1.Secret]
	// How far each kind is, by endpoint; only while endpoints are looked at.
	secretsAt, placementsAt, registrationsAt, grantsAt map[string]*atomic.Int32
	// Where they have been read.
	secretsRead, placementsRead endpointNames
}

var _ follower = &Set{}

// New returns a set that is empty until Run runs.
func New(config Config) (*Set, error) {
	s := &Set{
		secretsAt: map[string]*atomic.Int32{}, placementsAt: map[string]*atomic.Int32{},
		registrationsAt: map[string]*atomic.Int32{}, grantsAt: map[string]*atomic.Int32{},
	}
	export, err := newExport(config, s, false)
	if err != nil {
		return nil, err
	}
	s.export = export
	s.registrations = newIndex[*tmcv1alpha1.ClusterRegistration](s.Bound)
	s.grants = newIndex[*tmcv1alpha1.ClusterGrant](s.Bound)
	s.placements = newIndex[*tmcv1alpha1.Placement](s.Bound)
	s.secrets = newIndex[*corev1.Secret](s.Bound)
	s.workspaces.AddHandler(func(ws logicalcluster.Name) {
		s.secrets.notifyWorkspace(ws)
		s.registrations.notifyWorkspace(ws)
		s.grants.notifyWorkspace(ws)
		s.placements.notifyWorkspace(ws)
	})
	return s, nil
}

// Registrations are the ClusterRegistrations of bound workspaces.
func (s *Set) Registrations() *Index[*tmcv1alpha1.ClusterRegistration] { return s.registrations }

// Grants are the ClusterGrants of bound workspaces.
func (s *Set) Grants() *Index[*tmcv1alpha1.ClusterGrant] { return s.grants }

// Placements are the Placements of bound workspaces.
func (s *Set) Placements() *Index[*tmcv1alpha1.Placement] { return s.placements }

// PlacementsRead reports whether the Placements of a bound workspace have been read: one that is not found then is not
// there.
func (s *Set) PlacementsRead(ws logicalcluster.Name) bool {
	endpoint, bound := s.workspaces.endpoint(ws)
	return bound && s.placementsRead.has(endpoint)
}

// Secrets are the credentials of members in bound workspaces.
func (s *Set) Secrets() *Secrets { return &Secrets{Index: s.secrets, set: s} }

// begin lists and watches everything of the set at one endpoint.
func (s *Set) begin(ctx context.Context, e *endpoint, client dynamic.Interface) {
	own := tmcv1alpha1.SchemeGroupVersion()
	credentials := labels.SelectorFromSet(labels.Set{tmcv1alpha1.CredentialsLabel: tmcv1alpha1.CredentialsLabelValue})
	s.secretsAt[e.url] = run(ctx, s.export, e, client, s.secrets, decoder[corev1.Secret](), corev1.SchemeGroupVersion.WithResource("secrets"), credentials.String())
	s.registrationsAt[e.url] = run(ctx, s.export, e, client, s.registrations, decoder[tmcv1alpha1.ClusterRegistration](), own.WithResource("clusterregistrations"), "")
	s.grantsAt[e.url] = run(ctx, s.export, e, client, s.grants, decoder[tmcv1alpha1.ClusterGrant](), own.WithResource("clustergrants"), "")
	s.placementsAt[e.url] = run(ctx, s.export, e, client, s.placements, decoder[tmcv1alpha1.Placement](), own.WithResource("placements"), "")
}

func (s *Set) ended(url string) {
	delete(s.secretsAt, url)
	delete(s.placementsAt, url)
	delete(s.registrationsAt, url)
	delete(s.grantsAt, url)
	s.secretsRead.remove(url)
	s.placementsRead.remove(url)
}

// read says whether it is known who lends what at an endpoint. One that shows us no such kinds, and has no workspace that
// is bound, has nobody who could lend: kcp names an endpoint from the first binding on, which may never get bound.
func (s *Set) read(url string) bool {
	for _, at := range []map[string]*atomic.Int32{s.registrationsAt, s.grantsAt} {
		state, found := at[url]
		if !found {
			return false
		}
		switch syncState(state.Load()) {
		case stateSynced:
		case stateDenied:
			if s.workspaces.anyAt(url) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func (s *Set) drop(url string) {
	s.registrations.drop(url)
	s.grants.drop(url)
	s.placements.drop(url)
	s.secrets.drop(url)
}

// looked looks which endpoints' Secrets have been read for the first time. The registrations there may have been
// looked at before, and have to be again.
func (s *Set) looked() {
	for url, state := range s.placementsAt {
		if syncState(state.Load()) == stateSynced && s.placementsRead.add(url) {
			for _, key := range s.placements.keysOf(url) {
				s.placements.notify(key)
			}
		}
	}
	for url, state := range s.secretsAt {
		if syncState(state.Load()) != stateSynced || !s.secretsRead.add(url) {
			continue
		}
		for _, key := range s.registrations.keysOf(url) {
			s.registrations.notify(key)
		}
	}
}
