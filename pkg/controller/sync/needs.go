// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func networkPolicies() schema.GroupResource {
	return schema.GroupResource{Group: "networking.k8s.io", Resource: "networkpolicies"}
}

// needs are the objects that have to be on a member before a copy of an object is made there: what it refers to, and, if
// it makes pods, every NetworkPolicy of its namespace. A policy is not picked by the pods that it selects: controllers
// give them labels that no template has, and one that selects none does no harm.
func (c *Controller) needs(key Key, object *unstructured.Unstructured) sets.Set[Key] {
	needs := sets.Set[Key]{}
	for _, reference := range transform.Dependencies(object) {
		needs.Insert(beside(key, reference.GroupResource(), reference.Name))
	}
	if !transform.MakesPods(object) {
		return needs
	}
	for _, policy := range c.config.Upstream.InNamespace(networkPolicies(), key.Object.Workspace, key.Object.Namespace) {
		if policy.GetDeletionTimestamp() == nil {
			needs.Insert(beside(key, networkPolicies(), policy.GetName()))
		}
	}
	return needs
}

// mayBeNeeded reports whether other objects can need those of a resource.
func mayBeNeeded(gr schema.GroupResource) bool {
	return transform.Class(gr) == transform.ClassConfiguration || gr == networkPolicies()
}

// beside is the key of another object of the namespace.
func beside(key Key, gr schema.GroupResource, name string) Key {
	return Key{Resource: gr, Object: workspace.Key{Workspace: key.Object.Workspace, Namespace: key.Object.Namespace, Name: name}}
}

// enqueueGuarded makes the controller look at everything in the namespace of a NetworkPolicy that makes pods.
func (c *Controller) enqueueGuarded(policy Key) {
	for _, gr := range c.config.Upstream.Kinds() {
		if transform.Class(gr) != transform.ClassWorkload {
			continue
		}
		for _, found := range c.config.Upstream.InNamespace(gr, policy.Object.Workspace, policy.Object.Namespace) {
			c.engine.Add(beside(policy, gr, found.GetName()))
		}
	}
}
