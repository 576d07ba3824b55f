// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"sync"

	"github.com/kcp-dev/logicalcluster/v3"
	apisv1alpha2 "github.com/kcp-dev/sdk/apis/apis/v1alpha2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// Secrets are the Secrets that workspaces show us. They also know why one may be missing.
type Secrets struct {
	*Index[*corev1.Secret]

	set *Set
}

// Read reports whether the Secrets of a bound workspace have been read once. Before, one that is not found may exist.
func (s *Secrets) Read(ws logicalcluster.Name) bool {
	endpoint, bound := s.set.workspaces.endpoint(ws)
	return bound && s.set.secretsRead.has(endpoint)
}

// Refused returns the name of the workspace's APIBinding if that does not accept our permission claim on Secrets.
func (s *Secrets) Refused(ws logicalcluster.Name) (binding string, refused bool) {
	return s.set.workspaces.refused(ws)
}

func (w *Workspaces) refused(name logicalcluster.Name) (binding string, refused bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	found := w.bound[name]
	return found.binding, found.refuses
}

// refusesSecrets reports whether the claim on Secrets is made and not accepted. A binding that knows of no such claim
// refuses nothing.
func refusesSecrets(binding *apisv1alpha2.APIBinding) bool {
	for _, answer := range binding.Spec.PermissionClaims {
		if isSecrets(answer.GroupResource) {
			return answer.State != apisv1alpha2.ClaimAccepted
		}
	}
	for _, claim := range binding.Status.ExportPermissionClaims {
		if isSecrets(claim.GroupResource) {
			return true
		}
	}
	return false
}

func isSecrets(resource apisv1alpha2.GroupResource) bool {
	return resource.Group == corev1.GroupName && resource.Resource == "secrets"
}

// endpointNames is a set of endpoints that is safe for concurrent use. The zero value is empty.
type endpointNames struct {
	mu    sync.RWMutex
	names sets.Set[string]
}

// add reports whether the endpoint is new.
func (e *endpointNames) add(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.names == nil {
		e.names = sets.Set[string]{}
	}
	known := e.names.Has(name)
	e.names.Insert(name)
	return !known
}

func (e *endpointNames) remove(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.names.Delete(name)
}

func (e *endpointNames) has(name string) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.names.Has(name)
}
