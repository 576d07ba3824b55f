// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// convergedWithin is how long a member that is back takes to have what it should have.
const convergedWithin = 10 * time.Second

// TestMemberAwayForADeleteAnEditAndACreate: nothing waits for the member longer than is said, and it has everything soon
// after it is back.
func TestMemberAwayForADeleteAnEditAndACreate(t *testing.T) {
	t.Parallel()
	owner := suite.NewPlacingTenant(t, "away", []string{"west"})
	suite.Register(t, owner.Tenant, awayMember)
	owner.Client.WaitForStatus(t, awayMember, tmcv1alpha1.ConditionReady, metav1.ConditionTrue)
	owner.Apply(t, placement("all", "{}"))
	ways := []struct {
		name       string
		stop, wake func(t testing.TB, process string)
	}{
		{"hung", freeze, thaw},
		{"dead", suite.Kill, suite.Restart},
	}
	for _, way := range ways { // one after another: they are the same member
		t.Run(way.name, func(t *testing.T) {
			a := absence{PlacingTenant: owner, doomed: "doomed-" + way.name, forced: "forced-" + way.name, edited: "edited-" + way.name, fresh: "fresh-" + way.name}
			a.prepare(t)
			way.stop(t, "member-"+awayMember)
			owner.Client.WaitForStatus(t, awayMember, tmcv1alpha1.ConditionReady, metav1.ConditionUnknown)
			a.whileAway(t)
			way.wake(t, "member-"+awayMember)
			owner.Client.WaitForStatus(t, awayMember, tmcv1alpha1.ConditionReady, metav1.ConditionTrue)
			a.afterwards(t)
		})
	}
}

// absence is what happens to four deployments of a tenant while a member is away.
type absence struct {
	*framework.PlacingTenant

	doomed, forced, edited, fresh string
}

func (a *absence) prepare(t *testing.T) {
	t.Helper()
	for _, name := range []string{a.doomed, a.forced, a.edited} {
		a.Apply(t, deployment(name, 1))
	}
	for _, name := range []string{a.doomed, a.forced, a.edited} {
		for _, member := range []string{awayMember, "west"} {
			suite.WaitForDeployment(t, a.PlacingTenant, member, name, available(1))
		}
	}
	a.WaitForPlacement(t, "all", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

func (a *absence) whileAway(t *testing.T) {
	t.Helper()
	released := a.awaitRelease(t)
	a.Kubectl.MustRun(t, "delete", "deployment", a.doomed, "--wait=false")
	a.Kubectl.MustRun(t, "set", "image", "deployment/"+a.edited, "web=registry.example.com/web:2")
	a.Apply(t, deployment(a.fresh, 1))
	// The other member does at once what it should.
	suite.WaitForNoDeployment(t, a.PlacingTenant, "west", a.doomed)
	suite.WaitForDeployment(t, a.PlacingTenant, "west", a.edited, secondImage)
	suite.WaitForDeployment(t, a.PlacingTenant, "west", a.fresh, available(1))
	a.WaitForView(t, "all", "what is not certain", func(view *tmcv1alpha1.PlacementStatus) error {
		row, err := copyOf(view, awayMember, "Deployment", a.edited)
		if err == nil && (row.Synced != metav1.ConditionUnknown || row.Reason != tmcv1alpha1.ReasonMemberUnreachable) {
			err = fmt.Errorf("the row is %+v", row)
		}
		return err
	})
	// The deletion waits for the member, and not for longer than is said.
	var took time.Duration
	select {
	case took = <-released:
	case <-time.After(framework.DetachAfter + framework.MemberTimeout):
		t.Fatal("the deletion waits for ever")
	}
	t.Logf("the deletion was released after %s, with --detach-after=%s", took, framework.DetachAfter)
	if took < framework.DetachAfter-2*time.Second || took > framework.DetachAfter+convergedWithin {
		t.Errorf("the deletion was released after %s, want about %s", took, framework.DetachAfter)
	}
	a.forceDetach(t)
}

// awaitRelease returns a channel that receives how long it took from now on until the doomed Deployment was gone. It is
// watched beside everything else, so that nothing else is counted.
func (a *absence) awaitRelease(t *testing.T) <-chan time.Duration {
	t.Helper()
	start, released := time.Now(), make(chan time.Duration, 1)
	deployments, ctx := a.Upstream.AppsV1().Deployments(metav1.NamespaceDefault), t.Context()
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			if _, err := deployments.Get(ctx, a.doomed, metav1.GetOptions{}); apierrors.IsNotFound(err) {
				released <- time.Since(start).Round(100 * time.Millisecond)
				return
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return released
}

// forceDetach: a deletion is not waited for if the object says so, and what is left is told.
func (a *absence) forceDetach(t *testing.T) {
	t.Helper()
	a.Kubectl.MustRun(t, "annotate", "deployment", a.forced, "tmc.kcp.io/force-detach=true")
	began := time.Now()
	a.Kubectl.MustRun(t, "delete", "deployment", a.forced, "--timeout=60s")
	if took := time.Since(began); took > framework.DetachAfter {
		t.Errorf("the forced deletion took %s, as long as another", took)
	}
	a.WaitForWarning(t, a.forced, tmcv1alpha1.ReasonDetachPending, awayMember)
}

func secondImage(d *appsv1.Deployment) error {
	if image := d.Spec.Template.Spec.Containers[0].Image; image != "registry.example.com/web:2" {
		return errors.New("its image is " + image)
	}
	return nil
}

func (a *absence) afterwards(t *testing.T) {
	t.Helper()
	deployments := suite.MemberClient(t, awayMember).AppsV1().Deployments(a.Namespace(metav1.NamespaceDefault))
	took := framework.Eventually(t, "the member to have what it should", framework.MemberTimeout, func(ctx context.Context) error {
		for _, name := range []string{a.doomed, a.forced} {
			if _, err := deployments.Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return errors.Join(errors.New(name+", which was deleted, is there; "+a.Explain(ctx)), err)
			}
		}
		edited, err := deployments.Get(ctx, a.edited, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := secondImage(edited); err != nil {
			return fmt.Errorf("%w; %s", err, a.Explain(ctx))
		}
		_, err = deployments.Get(ctx, a.fresh, metav1.GetOptions{})
		return err
	}).Round(10 * time.Millisecond)
	t.Logf("the member had what it should %s after it was ready", took)
	if took > 3*convergedWithin {
		t.Errorf("the member had what it should after %s, want %s", took, convergedWithin)
	}
	a.WaitForPlacement(t, "all", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	a.WaitForUpstream(t, a.edited, func(d *appsv1.Deployment) error { return errors.Join(secondImage(d), available(1)(d), rolledOut(d)) })
	a.WaitForUpstream(t, a.fresh, available(1))
}
