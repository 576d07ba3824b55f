// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// LenderChanged makes the controller look at the Placements that see members of a workspace, if that is trusted now, or not
// any more. What is placed there has to be looked at even if the decisions stay.
func (c *Controller) LenderChanged(lender logicalcluster.Name) {
	if !c.trustChanged(lender) {
		return
	}
	for _, registration := range c.roster.registeredIn(lender) {
		viewers := c.roster.viewers(registration)
		c.catalog.forget(registration, viewers...)
		for _, ws := range viewers {
			c.enqueueViewers(ws, changedPresence, registration)
			c.tellNamed(ws, c.roster.namesIn(ws, registration))
		}
	}
}

// trustChanged notes whether a lender is trusted, and reports whether that differs.
func (c *Controller) trustChanged(lender logicalcluster.Name) bool {
	c.noting.Lock() // what is asked first must be noted first
	defer c.noting.Unlock()
	trusted, before := c.config.TrustsLender(lender), c.trusted[lender]
	if trusted {
		c.trusted[lender] = true
	} else {
		delete(c.trusted, lender)
	}
	return trusted != before
}

// Concerns reports whether some Placement of a namespace may have a member, and whether one was decided to have one of the
// name that it has now.
func (c *Controller) Concerns(ws logicalcluster.Name, namespace string, member workspace.Key) (accepted, named bool) {
	if c.config.TrustsLender(member.Workspace) {
		return true, true
	}
	names := c.roster.namesIn(ws, member)
	for _, p := range c.config.Placements.InNamespace(ws, namespace) {
		if c.Accepts(p, member) {
			return true, true
		}
		named = named || c.names(keyOf(p), names)
	}
	return false, named
}

// Accepts reports whether a Placement may have a member at all: one of its own workspace, or one whose lender is trusted or
// asked for. A decision names a member as the workspace does, and somebody else's may have taken that name.
func (c *Controller) Accepts(p *tmcv1alpha1.Placement, member workspace.Key) bool {
	taint := lenderTaint(member.Workspace)
	return c.trusts(logicalcluster.From(p), member.Workspace) || placement.Tolerated(&taint, p.Spec.Tolerations)
}

// trusts reports whether a workspace has the members of another one, or its own, without asking for them.
func (c *Controller) trusts(ws, lender logicalcluster.Name) bool {
	return ws == lender || c.config.TrustsLender(lender)
}

// lenderTaint is the taint that members of a lender have where he is not trusted.
func lenderTaint(lender logicalcluster.Name) tmcv1alpha1.Taint {
	return tmcv1alpha1.Taint{Key: tmcv1alpha1.LenderTaint, Value: lender.String(), Effect: corev1.TaintEffectNoExecute}
}
