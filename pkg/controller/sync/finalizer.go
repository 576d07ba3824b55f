// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/crashpoint"
	"github.com/kcp-dev/tmc/pkg/logkey"
)

// mark puts our finalizer onto an object before its first copy is made, so that it cannot go without its copies. What is
// shared with us by a claim is not marked: its copies go when it is seen to be gone. It returns whether the object is
// not the one any more that was looked at.
func (p *pass) mark(ctx context.Context) (stale bool, err error) {
	if p.upstream == nil || p.kind.Claimed || p.placement == nil || len(p.wanted) == 0 || !p.c.config.Leader.IsLeader() || p.suspended {
		return false, nil
	}
	if p.upstream.GetDeletionTimestamp() != nil || p.object.marked == p.upstream.GetResourceVersion() {
		return false, nil
	}
	finalizers := p.upstream.GetFinalizers()
	placedBy := p.upstream.GetAnnotations()[tmcv1alpha1.PlacedByAnnotation]
	if slices.Contains(finalizers, tmcv1alpha1.SyncFinalizer) && placedBy == p.placement.Name {
		return false, nil
	}
	if !slices.Contains(finalizers, tmcv1alpha1.SyncFinalizer) {
		finalizers = append(slices.Clone(finalizers), tmcv1alpha1.SyncFinalizer)
	}
	crashpoint.Hit(crashpoint.BeforeMark)
	stale, err = p.patchMarks(ctx, finalizers, p.placement.Name)
	crashpoint.Hit(crashpoint.AfterMark)
	return stale, err
}

// release takes our finalizer off once no member has a copy any more, or those that may have one have been away for too
// long.
func (p *pass) release(ctx context.Context) error {
	if p.upstream == nil {
		if p.blocked.Len() == 0 && len(p.rows) == 0 {
			p.c.states.forget(p.key)
		}
		return nil
	}
	if !p.isHeldNeedlessly() || !p.c.config.Leader.IsLeader() || p.object.marked == p.upstream.GetResourceVersion() {
		return nil
	}
	return p.letGo(ctx)
}

// letGo takes our finalizer off an object that has it needlessly.
func (p *pass) letGo(ctx context.Context) error {
	if p.blocked.Len() > 0 && !p.givesUp() {
		return nil
	}
	if !p.deleting && !p.stopped && !p.loans && !p.forced() {
		p.later(p.c.config.Clock.Now().Add(doubtPause)) // its members may be those that are not known yet
		return nil
	}
	if cleared, err := p.clearStatus(ctx); cleared || err != nil {
		return err // what it changed brings us back
	}
	if p.blocked.Len() > 0 {
		p.leaveBehind(ctx)
	}
	finalizers := slices.DeleteFunc(slices.Clone(p.upstream.GetFinalizers()), func(name string) bool { return name == tmcv1alpha1.SyncFinalizer })
	crashpoint.Hit(crashpoint.BeforeRelease)
	_, err := p.patchMarks(ctx, finalizers, "")
	crashpoint.Hit(crashpoint.AfterRelease)
	return err
}

// isHeldNeedlessly reports whether the object has our finalizer, and no member is to have a copy.
func (p *pass) isHeldNeedlessly() bool {
	marked := slices.Contains(p.upstream.GetFinalizers(), tmcv1alpha1.SyncFinalizer)
	return marked && (p.deleting || p.stopped || (len(p.wanted) == 0 && len(p.staying) == 0 && !p.holds(p.needed)))
}

// givesUp reports whether a deletion waits no longer for members that cannot be reached.
func (p *pass) givesUp() bool {
	if p.blocked.Difference(p.away).Len() > 0 && !p.forced() {
		return false // a member that answers is waited for
	}
	since := p.upstream.GetDeletionTimestamp()
	if p.forced() {
		return true
	}
	if since == nil {
		return false
	}
	deadline := since.Add(p.c.config.DetachAfter)
	if p.c.config.Clock.Now().Before(deadline) {
		p.later(deadline)
		return false
	}
	return true
}

func (p *pass) forced() bool {
	if p.upstream.GetAnnotations()[tmcv1alpha1.ForceDetachAnnotation] == tmcv1alpha1.ForceDetachValue {
		return true
	}
	placement, found := p.c.config.Decisions.PlacementOf(p.key.Resource, p.upstream)
	return found && placement.Annotations[tmcv1alpha1.ForceDetachAnnotation] == tmcv1alpha1.ForceDetachValue
}

// leaveBehind records the copies that are given up. They are removed when their members return, since their origin is
// gone then.
func (p *pass) leaveBehind(ctx context.Context) {
	names := sets.List(p.blocked)
	klog.FromContext(ctx).Info("Released object whose copies could not be removed", logkey.Object, p.key, "members", names)
	p.event(ctx, tmcv1alpha1.ReasonDetachPending, fmt.Sprintf("copies could not be removed from %v; they are removed when these members return", names))
}

// patchMarks writes finalizers and the name of the Placement, on top of the version that was looked at. It returns
// whether there is another version by now.
func (p *pass) patchMarks(ctx context.Context, finalizers []string, placedBy string) (stale bool, err error) {
	annotation := any(placedBy)
	if placedBy == "" {
		annotation = nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": p.upstream.GetUID(), "resourceVersion": p.upstream.GetResourceVersion(), "finalizers": finalizers,
		"annotations": map[string]any{tmcv1alpha1.PlacedByAnnotation: annotation},
	}})
	if err != nil {
		return false, fmt.Errorf("encoding the finalizers of %s: %w", p.key, err)
	}
	err = p.c.config.Upstream.PatchMetadata(ctx, p.key.Resource, p.key.Object, patch)
	switch {
	case err == nil:
		p.object.marked = p.upstream.GetResourceVersion()
		return false, nil
	case isStatus(err) && (apierrors.IsConflict(err) || apierrors.IsNotFound(err)):
		return true, nil // it is another one by now, and the next event tells so
	default:
		return false, err
	}
}

func isStatus(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}
