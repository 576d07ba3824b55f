// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// mostReplicas bounds what a workload may ask for, far below where sums would overflow.
const mostReplicas = 1 << 30

// shares are the replicas of each member, for kinds whose replicas can be divided.
type shares struct {
	of map[string]*int32
	// placeless says that none of them has a place on any member.
	placeless bool
	// unsure says that a member is not known to be lent yet, and of are not the shares that they will be.
	unsure bool
	// all are the replicas of all members together.
	all int32
}

func (p *pass) shares() shares {
	out := shares{of: map[string]*int32{}}
	if !placement.Divisible(p.key.Resource) {
		return out
	}
	count, found := replicasOf(p.upstream)
	if !found {
		count = 1 // what Kubernetes takes
	}
	divided := p.c.config.Decisions.Divide(p.placement, p.key.Resource, p.ws().Name, count)
	for name, share := range divided {
		out.of[name] = &share
	}
	out.placeless = count > 0 && placement.Unplaced(count, p.placement.Spec.ReplicaScheduling, divided) == count
	out.unsure, out.all = p.isUnsure(), count
	return out
}

// share is what a member should have. Where weights leave no replica a place, what runs stays: what contradicts itself
// stops nothing.
func (p *pass) share(member workspace.Key, name string, s shares) target {
	t := target{name: name, replicas: s.of[name], owner: p.owner}
	if !s.placeless && !s.unsure {
		return t
	}
	running, found := p.running(member)
	switch {
	case s.placeless:
		t.replicas = &running
	case s.unsure && found && t.replicas != nil && !p.autoscaled():
		// What runs stays but for what all of them together are not to run any more. Only an edit can leave something undone.
		stays := min(running, s.all)
		observed, _ := p.observed()
		t.held = stays != *t.replicas && !observed
		t.replicas = &stays
	}
	return t
}

// isUnsure reports whether nobody can say how a workload's replicas are divided: one of the members is not known to be lent
// yet, as after a start beside a shard that is away, so that its labels, which weights may ask for, are not known either.
// Its share must not be given to others meanwhile, nor theirs to it.
func (p *pass) isUnsure() bool {
	divides := p.placement.Spec.ReplicaScheduling != nil && p.placement.Spec.ReplicaScheduling.Type == tmcv1alpha1.ReplicasDivided
	if p.loans || !divides {
		return false
	}
	return slices.ContainsFunc(p.c.config.Decisions.Decisions(p.placement), func(d tmcv1alpha1.PlacementDecision) bool {
		member, known := p.c.config.Decisions.Member(p.ws().Workspace, d.ClusterName)
		known = known && p.c.config.Decisions.Registered(member) && p.c.config.Decisions.Accepts(p.placement, member)
		return !known && d.Phase != tmcv1alpha1.DecisionLeaving
	})
}

// running are the replicas that a member's copy is asked to run now; none if there is no copy.
func (p *pass) running(member workspace.Key) (replicas int32, found bool) {
	live, found := p.c.config.Downstream.Copy(member, p.at())
	if !found || !isCopyOf(live, p.key.Object) {
		return 0, false
	}
	replicas, _ = replicasOf(live)
	return replicas, true
}

// replicasOf are the replicas that an object asks for, within bounds, and false if it says no number.
func replicasOf(object *unstructured.Unstructured) (replicas int32, found bool) {
	count, found, err := unstructured.NestedInt64(object.Object, "spec", "replicas")
	if !found || err != nil {
		return 0, false
	}
	return int32(min(max(count, 0), mostReplicas)), true
}

func hasReplicas(object *unstructured.Unstructured) bool {
	_, found, err := unstructured.NestedFieldNoCopy(object.Object, "spec", "replicas")
	return found && err == nil
}
