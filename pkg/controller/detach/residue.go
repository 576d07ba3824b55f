// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package detach

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/event"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// namedNamespaces is how many namespaces an event names: what an event says is short.
const namedNamespaces = 10

// tellResidue says what is left behind on a member that is let go: the registration is gone after that, and so is
// whoever could be asked. An event that the workspace does not take is lost: the log says the same.
func (c *Controller) tellResidue(ctx context.Context, key workspace.Key, registration *tmcv1alpha1.ClusterRegistration, copies int) {
	residue := c.config.Copies.Residue(key)
	klog.FromContext(ctx).Info("Let a member go that copies could not be removed from", logkey.Member, key, "copies", copies, "namespaces", residue)
	if len(residue) == 0 {
		return // empty namespaces, or nothing that is known
	}
	named := residue[:min(len(residue), namedNamespaces)]
	message := "Copies are left on the member, in the namespaces " + strings.Join(named, ", ")
	if rest := len(residue) - len(named); rest > 0 {
		message += fmt.Sprintf(" and %d more", rest)
	}
	message += "; on the member, kubectl get namespaces -l tmc.kcp.io/managed=true shows them. They are removed if it is registered again"
	about := corev1.ObjectReference{
		APIVersion: tmcv1alpha1.SchemeGroupVersion().String(), Kind: "ClusterRegistration",
		Name: registration.Name, UID: registration.UID, ResourceVersion: registration.ResourceVersion,
	}
	warning := event.Warning(about, "residue-"+string(registration.UID), tmcv1alpha1.ReasonDetachPending, message, c.config.Clock.Now())
	if err := c.config.Events.CreateEvent(ctx, key.Workspace, warning); err != nil {
		klog.FromContext(ctx).V(2).Info("Lost an event", logkey.Member, key, logkey.Reason, warning.Reason, "err", err)
	}
}
