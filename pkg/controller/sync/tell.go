// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/event"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// tell sends an event for each problem that is new, or of which nobody answered that it was told.
func (p *pass) tell(ctx context.Context) {
	if p.upstream == nil || !p.c.config.Leader.IsLeader() || p.stopped {
		return
	}
	now := sets.New[string]()
	for _, row := range p.rows {
		if row.Object.Synced != metav1.ConditionFalse || row.Object.Reason == tmcv1alpha1.ReasonSyncing {
			continue
		}
		problem := row.Cluster + " " + row.Object.Reason
		now.Insert(problem)
		if !p.object.told.Has(problem) && !p.event(ctx, row.Object.Reason, "member "+row.Cluster+": "+row.Object.Message) {
			now.Delete(problem)
		}
	}
	p.object.told = now
}

// event sends a warning about the object into its workspace, and reports whether that was answered. One that is refused is
// lost: the view says the same.
func (p *pass) event(ctx context.Context, reason, message string) (answered bool) {
	now := p.c.config.Clock.Now()
	sum := sha256.Sum256([]byte(string(p.upstream.GetUID()) + "\x00" + reason + "\x00" + message + "\x00" + now.String()))
	about := corev1.ObjectReference{
		APIVersion: p.upstream.GetAPIVersion(), Kind: p.upstream.GetKind(), Namespace: p.ws().Namespace,
		Name: p.ws().Name, UID: p.upstream.GetUID(), ResourceVersion: p.upstream.GetResourceVersion(),
	}
	warning := event.Warning(about, p.eventName(hex.EncodeToString(sum[:8])), reason, message, now)
	err := p.c.config.Upstream.CreateEvent(ctx, p.ws().Workspace, warning)
	if err == nil {
		return true
	}
	klog.FromContext(ctx).V(2).Info("Lost an event", logkey.Object, p.key, logkey.Reason, reason, "err", err)
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError
}

// eventName is the object's name, shortened if need be, and something that is this event's own.
func (p *pass) eventName(suffix string) string {
	const longest = 253 - 1 - 16
	return p.ws().Name[:min(len(p.ws().Name), longest)] + "." + suffix
}

// publish makes the rows known to the view. What the workspace does not have any more is shown with no Placement.
func (p *pass) publish() {
	vacated, former := p.c.states.vacates(p.key, p.rows), p.c.states.ownersOf(p.key)
	rows, owner := p.rows, p.owner
	if p.upstream == nil {
		rows, owner = nil, workspace.Key{}
	}
	for i := range rows {
		if rows[i].Owner == (workspace.Key{}) {
			rows[i].Owner = workspace.Key{
				Workspace: p.ws().Workspace, Namespace: p.ws().Namespace,
				Name: orElse(p.upstream.GetAnnotations()[tmcv1alpha1.PlacedByAnnotation], "-"),
			}
		}
	}
	for _, placement := range p.c.states.publish(p.key, owner, rows) {
		p.c.config.OnProgress(placement)
	}
	if vacated { // the namespace may have been looked at while the row still said that it is in use
		p.c.engine.Add(namespaceKey(p.ws()))
	}
	if vacated || slices.ContainsFunc(former, func(before workspace.Key) bool { return before != owner }) {
		p.c.enqueueServing(p.key, former)
	}
	if p.upstream == nil {
		p.c.states.overlook(p.key)
	}
}

func orElse(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
