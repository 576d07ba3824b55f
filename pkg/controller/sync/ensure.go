// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func autoscalers() schema.GroupResource {
	return schema.GroupResource{Group: "autoscaling", Resource: "horizontalpodautoscalers"}
}

// ensure brings the copy on one member to what it should be.
func (p *pass) ensure(member workspace.Key, t target) {
	state := p.object.copyOf(member)
	state.known = true
	p.c.lanes.keep(member, p.key)
	row := p.newRow(member, t.name)
	defer func() {
		if t.held && row.Object.Synced == metav1.ConditionTrue {
			row.Object.Synced, row.Object.SyncedGeneration = metav1.ConditionFalse, 0
			row.explain(tmcv1alpha1.ReasonSyncing, "replicas are not divided anew until it is known who lends every member: a shard of kcp has not been read since the server was started")
		}
		p.rows = append(p.rows, row)
	}()
	down := p.c.config.Downstream
	t.answers, t.called = down.Reachable(member)
	p.wanted[member] = t
	live, there := down.Copy(member, p.at())
	if there && isCopyOf(live, p.key.Object) {
		p.observe(&row, live)
	}
	if !down.Synced(member, p.kind.GVR) {
		p.unknown(member, t, &row)
		return
	}
	state.readingSince = time.Time{}
	look := p.targetOf(t, nil)
	memo, remembers := transform.NewMemo(p.upstream, live, look)
	if remembers && memo == state.inOrder {
		p.c.lanes.cancel(member, p.key)
		row.Object.Synced, row.Object.SyncedGeneration = metav1.ConditionTrue, p.upstream.GetGeneration()
		return
	}
	desired, err := transform.Down(p.upstream, look)
	if err != nil {
		row.Object.Synced = metav1.ConditionFalse
		row.explain(tmcv1alpha1.ReasonNotSyncable, err.Error())
		return
	}
	hash := transform.AppliedHash(desired)
	next := task{at: p.at(), desired: desired, generation: p.upstream.GetGeneration(), hash: hash}
	if !there {
		p.create(member, t, &row, next)
		return
	}
	if p.update(member, t, &row, next, live) && remembers {
		state.inOrder = memo
	}
}

// targetOf says what a member's copy looks like. Where an autoscaler owns the replicas, what the member runs now stays.
func (p *pass) targetOf(t target, live *unstructured.Unstructured) transform.Target {
	out := transform.Target{Workspace: p.ws().Workspace, Replicas: t.replicas}
	if !p.autoscaled() {
		return out
	}
	out.OmitReplicas = true
	if live != nil {
		if kept, found := replicasOf(live); found {
			out.OmitReplicas, out.Replicas = false, &kept
		}
	}
	return out
}

// autoscaled reports whether an autoscaler of the namespace that is placed, too, scales the object. One that runs nowhere
// scales nothing.
func (p *pass) autoscaled() bool {
	if !hasReplicas(p.upstream) {
		return false
	}
	for _, hpa := range p.c.config.Upstream.InNamespace(autoscalers(), p.ws().Workspace, p.ws().Namespace) {
		scaled, ok := transform.ScaledBy(hpa)
		if ok && scaled.Kind == p.upstream.GetKind() && scaled.Name == p.ws().Name && scaled.Group == p.key.Resource.Group && p.mayBePlaced(hpa) {
			return true
		}
	}
	return false
}

// mayBePlaced reports whether an autoscaler is placed, or it is not certain that it is not.
func (p *pass) mayBePlaced(hpa *unstructured.Unstructured) bool {
	decisions := p.c.config.Decisions
	_, placed := decisions.PlacementOf(autoscalers(), hpa)
	return placed || decisions.Unclear(autoscalers(), hpa) || !p.c.config.Upstream.Certain(autoscalers(), p.ws().Workspace)
}

// create puts the first copy onto a member, once what it needs is there.
func (p *pass) create(member workspace.Key, t target, row *Row, next task) {
	state := p.object.copyOf(member)
	if state.awaiting && state.hash == next.hash && p.c.config.Clock.Now().Before(state.waitUntil) {
		row.Object.Synced, row.Object.SyncedGeneration = metav1.ConditionTrue, next.generation
		row.Object.Health = tmcv1alpha1.HealthProgressing
		p.later(state.waitUntil)
		return
	}
	if p.finished() {
		row.Object.Synced, row.Object.SyncedGeneration, row.Object.Health = metav1.ConditionTrue, next.generation, tmcv1alpha1.HealthHealthy
		return
	}
	row.Object.Synced, row.Object.Health = metav1.ConditionFalse, tmcv1alpha1.HealthProgressing
	if p.contested(state, row, next, "removes the copy") {
		return
	}
	next.repair = state.hash == next.hash
	if missing, waits := p.lacks(member); waits {
		row.explain(tmcv1alpha1.ReasonSyncing, "waiting until "+missing+" is on the member")
		return
	}
	if p.awaitsHold(member) {
		row.explain(tmcv1alpha1.ReasonSyncing, "waiting until the member's registration is held by a finalizer")
		return
	}
	row.explain(tmcv1alpha1.ReasonSyncing, "the copy is being made")
	next.desired = p.withReplicas(t, next.desired, nil)
	p.hand(member, row, next)
}

// finished reports whether the object is a Job that has run: its copies may be cleaned up on the members, and must not
// run again.
func (p *pass) finished() bool {
	if p.key.Resource != (schema.GroupResource{Group: "batch", Resource: "jobs"}) {
		return false
	}
	conditions, _, _ := unstructured.NestedSlice(p.previousStatus(), "conditions") // what is no list says nothing
	for _, each := range conditions {
		condition, _ := each.(map[string]any)
		if condition["status"] == string(metav1.ConditionTrue) && (condition["type"] == "Complete" || condition["type"] == "Failed") {
			return true
		}
	}
	return false
}

// lacks returns something that the object refers to, which exists in the workspace and is not on the member yet.
func (p *pass) lacks(member workspace.Key) (string, bool) {
	for need := range needsOf(p.key, transform.Dependencies(p.upstream)) {
		kind, known := p.c.kind(need.Resource)
		found, exists := p.c.config.Upstream.Find(need.Resource, need.Object)
		if !known || !exists {
			continue // the member says so when it starts the pods, as a cluster does
		}
		if _, _, ok := transform.Syncable(need.Resource, true, found); !ok {
			continue
		}
		if p.c.states.isThere(need, member) {
			continue
		}
		if p.c.config.Downstream.Synced(member, kind.GVR) {
			return found.GetKind() + " " + found.GetName(), true
		}
	}
	return "", false
}

// isThere reports whether a member has a copy of an object, or was given one that does not show yet.
func (s *states) isThere(key Key, member workspace.Key) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, there := s.located[key][member]
	return there
}

// withReplicas returns what is applied: the same but for replicas that an autoscaler owns. They are applied as they are,
// since what is left out of an apply is taken away; the hash is that of the content without them.
func (p *pass) withReplicas(t target, desired, live *unstructured.Unstructured) *unstructured.Unstructured {
	if !p.autoscaled() {
		return desired
	}
	kept := p.targetOf(t, live)
	kept.OmitReplicas = false
	applied, err := transform.Down(p.upstream, kept)
	if err != nil {
		return desired
	}
	marks := applied.GetAnnotations()
	marks[transform.AppliedHashAnnotation] = transform.AppliedHash(desired)
	applied.SetAnnotations(marks)
	return applied
}

// update compares a copy with what it should be, and returns whether it is that.
func (p *pass) update(member workspace.Key, t target, row *Row, next task, live *unstructured.Unstructured) (inOrder bool) {
	row.Object.Synced = metav1.ConditionFalse
	if p.isInTheWay(member, row, live) {
		return false
	}
	p.c.lanes.withdraw(member, p.key, next.hash)
	state, now := p.object.copyOf(member), p.c.config.Clock.Now()
	applied := transform.AppliedHash(live) == next.hash
	waiting := state.awaiting && state.hash == next.hash && now.Before(state.waitUntil)
	path, drifted := "", false
	if applied {
		path, drifted = p.drifted(state, next, live)
	}
	switch {
	case applied && !drifted:
		state.awaiting, state.told = false, next.hash
		p.c.lanes.cancel(member, p.key)
		row.Object.Synced, row.Object.SyncedGeneration = metav1.ConditionTrue, next.generation
	case !applied && waiting:
		p.later(state.waitUntil)
		row.Object.Synced, row.Object.SyncedGeneration = metav1.ConditionTrue, next.generation
	case drifted && waiting && state.echo == live.GetResourceVersion():
		row.drifted(path)
		p.later(state.waitUntil) // repaired already, and not seen yet
	case drifted:
		row.drifted(path)
		p.write(member, t, row, next, live, "changes "+path)
	default:
		row.explain(tmcv1alpha1.ReasonSyncing, "the copy is being brought up to date")
		p.write(member, t, row, next, live, "changes the copy's marks")
	}
	return applied && !drifted
}

// write hands out a write to a copy, unless somebody contests it by what they do.
func (p *pass) write(member workspace.Key, t target, row *Row, next task, live *unstructured.Unstructured, what string) {
	state := p.object.copyOf(member)
	if p.contested(state, row, next, what) {
		return
	}
	next.owned, next.repair = true, state.isRepair(next, live)
	next.desired = p.withReplicas(t, next.desired, live)
	if !p.c.lanes.pending(member, p.key) {
		state.echo = live.GetResourceVersion()
	}
	p.hand(member, row, next)
}

func (r *Row) drifted(path string) {
	r.Object.Drifted = true
	r.explain(tmcv1alpha1.ReasonSyncing, "the copy was changed on the member at "+path+"; it is being repaired")
}

// drifted returns where a copy differs from what was applied. What the member made of our last write is no drift: its
// admission may change what it is given.
func (*pass) drifted(state *copyState, next task, live *unstructured.Unstructured) (path string, drifted bool) {
	path, drifted = transform.Drifted(next.desired, live)
	return path, drifted && (state.hash != next.hash || state.signature != transform.LiveSignature(live))
}

// isInTheWay reports whether what the member has is not to be updated, and says why.
func (p *pass) isInTheWay(member workspace.Key, row *Row, live *unstructured.Unstructured) bool {
	state := p.object.copyOf(member)
	// What was applied for this very object is no former copy, whatever its marks say now.
	present := state.uid != "" && state.uid == live.GetUID() && state.origin == p.upstream.GetUID()
	switch origin, _ := transform.OriginOf(live); {
	case !isCopyOf(live, p.key.Object):
		row.Object.Health = tmcv1alpha1.HealthUnknown
		problem := collision("the member has an object of this name that is not this one's copy; it is left alone")
		row.explain(problem.Reason, problem.Message)
	case live.GetDeletionTimestamp() != nil:
		row.explain(tmcv1alpha1.ReasonSyncing, "a former copy is being removed")
	case origin.UID != p.upstream.GetUID() && !p.kind.Claimed && !present:
		row.explain(tmcv1alpha1.ReasonSyncing, "the copy of a former object of this name is being removed")
		p.discard(member, row, live)
	default:
		return false
	}
	return true
}
