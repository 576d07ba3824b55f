// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/crashpoint"
	"github.com/kcp-dev/tmc/pkg/rollup"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// writeStatus brings the status of the workspace's object up to date, at most once per interval.
func (p *pass) writeStatus(ctx context.Context) error {
	if !p.hasStatus() || !p.c.config.Leader.IsLeader() {
		return nil
	}
	if p.reading {
		return nil // those that have been read since they were looked at bring another pass
	}
	previous := p.previousStatus()
	seen := p.upstream
	if p.object.statusVersion == p.upstream.GetResourceVersion() {
		seen = &unstructured.Unstructured{Object: maps.Clone(p.upstream.Object)}
		seen.Object["status"] = previous
	}
	now := p.c.config.Clock.Now()
	status, ok := p.sum()(p.key.Resource, seen, p.copies(), metav1.NewTime(now))
	if !ok || equality.Semantic.DeepEqual(previous, status) {
		p.object.heldSince = time.Time{}
		return nil
	}
	if due := p.statusDue(status, now); now.Before(due) {
		p.later(due)
		return nil
	}
	if written, err := p.patchStatus(ctx, difference(previous, status)); err != nil || !written {
		return err
	}
	p.object.status, p.object.statusVersion, p.object.statusAt = status, p.upstream.GetResourceVersion(), now
	p.object.heldSince = time.Time{}
	return nil
}

// clearStatus takes away the status of an object that stays and runs nowhere any more: it is as one that was never placed,
// and no tool may take it for one that runs. Of a Job that has finished it stays true. It returns whether it did.
func (p *pass) clearStatus(ctx context.Context) (cleared bool, err error) {
	if p.deleting || p.stopped || !p.kind.Status || len(p.previousStatus()) == 0 || p.finished() {
		return false, nil
	}
	written, err := p.patchStatus(ctx, nil)
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) {
		return false, nil // what kcp refuses for good must not hold the object
	}
	if written {
		now := p.c.config.Clock.Now()
		p.object.status, p.object.statusVersion, p.object.statusAt = nil, p.upstream.GetResourceVersion(), now
		p.later(now.Add(p.c.config.StatusInterval)) // where a default puts back what was taken away, there is no event
	}
	return written, err
}

// hasStatus reports whether the object has a status that is ours to write.
func (p *pass) hasStatus() bool {
	return p.upstream != nil && p.kind.Status && !p.kind.Claimed && !p.stopped && len(p.wanted) > 0
}

// patchStatus sends a change of status; nil takes all of it away. It returns false if the object is gone, or another one
// by now.
func (p *pass) patchStatus(ctx context.Context, change map[string]any) (written bool, err error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.upstream.GetUID()}, "status": change})
	if err != nil {
		return false, fmt.Errorf("encoding the status of %s: %w", p.key, err)
	}
	crashpoint.Hit(crashpoint.BeforeStatus)
	err = p.c.config.Upstream.PatchStatus(ctx, p.key.Resource, p.key.Object, patch)
	crashpoint.Hit(crashpoint.AfterStatus)
	if isStatus(err) && (apierrors.IsNotFound(err) || apierrors.IsConflict(err)) {
		return false, nil
	}
	return err == nil, err
}

// statusDue is when a status that differs is written: an interval after the one before. While members are still about
// to take up the present generation it waits an interval more: one follows upon the other, and what they make of it
// together is one write, which no write of something unfinished keeps waiting.
func (p *pass) statusDue(status map[string]any, now time.Time) time.Time {
	due := p.object.statusAt.Add(p.c.config.StatusInterval)
	observed, found, err := unstructured.NestedInt64(status, "observedGeneration")
	if !found || err != nil || observed >= p.upstream.GetGeneration() {
		return due
	}
	if p.object.heldSince.IsZero() {
		p.object.heldSince = now
	}
	if held := p.object.heldSince.Add(p.c.config.StatusInterval); held.After(due) {
		return held
	}
	return due
}

// sum returns how copies are summed up. Replicas that are divided add up; of those that every member has whole, the
// workspace's object tells as one cluster would, since users and their tools compare them with spec.replicas.
func (p *pass) sum() func(schema.GroupResource, *unstructured.Unstructured, []rollup.Copy, metav1.Time) (map[string]any, bool) {
	if p.placement != nil && p.placement.Spec.ReplicaScheduling != nil && p.placement.Spec.ReplicaScheduling.Type == tmcv1alpha1.ReplicasDivided {
		return rollup.Status
	}
	return rollup.StatusAsOne
}

// previousStatus is what was written last, or what is stored if that is newer.
func (p *pass) previousStatus() map[string]any {
	if p.object.statusVersion != "" && p.object.statusVersion == p.upstream.GetResourceVersion() {
		return p.object.status
	}
	status, _, _ := unstructured.NestedFieldNoCopy(p.upstream.Object, "status") // a status that is no object is none
	previous, _ := status.(map[string]any)
	return previous
}

// observed reports whether the object's status is of its present generation; told is false if it does not say of which.
func (p *pass) observed() (present, told bool) {
	observed, found, err := unstructured.NestedInt64(p.previousStatus(), "observedGeneration")
	told = found && err == nil
	return told && observed == p.upstream.GetGeneration(), told
}

// copies are what the status is summed from: the copies on the members that should have one.
func (p *pass) copies() []rollup.Copy {
	out, scaled := make([]rollup.Copy, 0, len(p.wanted)), p.autoscaled()
	for _, member := range slices.SortedFunc(maps.Keys(p.wanted), workspace.Key.Compare) {
		t := p.wanted[member]
		found := rollup.Copy{Member: t.name, Replicas: t.replicas, Scaled: scaled, Reachable: t.answers}
		if live, there := p.c.config.Downstream.Copy(member, p.at()); there && isCopyOf(live, p.key.Object) {
			found.Object = live
			found.Current = p.isCurrent(member, live)
		}
		out = append(out, found)
	}
	for _, name := range p.unlent {
		out = append(out, rollup.Copy{Member: name})
	}
	slices.SortFunc(out, func(a, b rollup.Copy) int {
		if a.Member < b.Member {
			return -1
		}
		return 1
	})
	return out
}

// isCurrent reports whether a copy, as it is known, has the content of the object's present generation.
func (p *pass) isCurrent(member workspace.Key, live *unstructured.Unstructured) bool {
	at := slices.IndexFunc(p.rows, func(r Row) bool { return r.Member == member && !r.Leaving })
	if at < 0 || p.rows[at].Object.Synced != metav1.ConditionTrue {
		return false
	}
	state := p.object.copyOf(member)
	// A write that does not show yet is not known to the informer, whose copy the status comes from.
	return transform.AppliedHash(live) == state.hash || !state.awaiting
}

// difference returns a merge patch that turns one object into another.
func difference(before, after map[string]any) map[string]any {
	patch := map[string]any{}
	for key, value := range after {
		old, had := before[key]
		inner, isMap := value.(map[string]any)
		oldInner, wasMap := old.(map[string]any)
		switch {
		case isMap && wasMap:
			if sub := difference(oldInner, inner); len(sub) > 0 {
				patch[key] = sub
			}
		case !had || !equality.Semantic.DeepEqual(old, value):
			patch[key] = value
		}
	}
	for key := range before {
		if _, stays := after[key]; !stays {
			patch[key] = nil
		}
	}
	return patch
}
