// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// unknownWithin is what the design promises; the rest is for a busy machine.
const unknownWithin = 40 * time.Second

// TestFLT01And03MemberThatStopsTurnsUnknown stops a member in two ways: hung, and dead.
func TestFLT01And03MemberThatStopsTurnsUnknown(t *testing.T) {
	t.Parallel()
	const member = failingMember
	owner := suite.NewTenant(t, "failing")
	suite.Register(t, owner, member)
	before := owner.Client.WaitForStatus(t, member, tmcv1alpha1.ConditionReady, metav1.ConditionTrue)

	tests := []struct {
		name       string
		stop, wake func(t testing.TB, process string)
	}{
		{"hung", freeze, thaw},
		{"dead", suite.Kill, suite.Restart},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			tc.stop(t, "member-"+member)
			start := time.Now()
			after := owner.Client.WaitForStatus(t, member, tmcv1alpha1.ConditionReady, metav1.ConditionUnknown)
			took := time.Since(start).Round(100 * time.Millisecond)
			t.Logf("the row turned Unknown after %s", took)
			if took > 2*unknownWithin {
				t.Errorf("the row turned Unknown after %s, want about %s", took, unknownWithin)
			}
			if !equality.Semantic.DeepEqual(before.Status.Capacity, after.Status.Capacity) || after.Status.Version != before.Status.Version {
				t.Errorf("the last figures are lost: %+v, before %+v", after.Status, before.Status)
			}
			if after.Status.ObservationTime == nil || after.Status.ObservationTime.After(start.Add(2*time.Second)) {
				t.Errorf("the observation time %v is later than the stop at %v", after.Status.ObservationTime, start)
			}
			othersAreReady(t)
			tc.wake(t, "member-"+member)
			owner.Client.WaitForStatus(t, member, tmcv1alpha1.ConditionReady, metav1.ConditionTrue)
		})
	}
}

func freeze(t testing.TB, process string) {
	t.Helper()
	suite.Signal(t, process, syscall.SIGSTOP)
}

func thaw(t testing.TB, process string) {
	t.Helper()
	suite.Signal(t, process, syscall.SIGCONT)
}

func othersAreReady(t *testing.T) {
	t.Helper()
	for _, other := range sharedMembers {
		row, err := suite.Acme.Client.Status(t.Context(), other)
		if err != nil {
			t.Errorf("reading %s while another member is away: %v", other, err)
			continue
		}
		if !meta.IsStatusConditionTrue(row.Status.Conditions, tmcv1alpha1.ConditionReady) {
			t.Errorf("%s is not ready while another member is away: %+v", other, row.Status.Conditions)
		}
	}
}

// TestSecondRegistrationOfAClusterIsRefused covers FLT-23: within a workspace, and across two of them.
func TestFLT23SecondRegistrationOfAClusterIsRefused(t *testing.T) {
	t.Parallel()
	const member = spareMember
	owner, rival := suite.NewTenant(t, "owner"), suite.NewTenant(t, "rival")
	takeSpare(t, map[*framework.Tenant][]string{owner: {member, "again"}, rival: {"mine"}})
	suite.Register(t, owner, member)
	owner.Client.WaitForStatus(t, member, tmcv1alpha1.ConditionReady, metav1.ConditionTrue)

	waitUntilOlder(t, owner, member)
	suite.RegisterAs(t, owner, member, "again")
	message := owner.Client.WaitForRegistration(t, "again", tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonDuplicateMember)
	t.Logf("within the workspace: %s", message)

	suite.RegisterAs(t, rival, member, "mine")
	message = rival.Client.WaitForRegistration(t, "mine", tmcv1alpha1.ConditionAccepted, metav1.ConditionFalse, tmcv1alpha1.ReasonDuplicateMember)
	t.Logf("across workspaces: %s", message)
	for _, secret := range []string{owner.Workspace, owner.Cluster, owner.Name} {
		if contains(message, secret) {
			t.Errorf("the message names the other tenant: %s", message)
		}
	}

	owner.Kubectl.MustRun(t, "delete", "clusterregistration", member, "again")
	rival.Client.WaitForStatus(t, "mine", tmcv1alpha1.ConditionReady, metav1.ConditionTrue)
	framework.Eventually(t, "the first owner's rows to go", framework.MemberTimeout, func(ctx context.Context) error {
		names, err := owner.Client.StatusNames(ctx)
		if err == nil && len(names) > 0 {
			err = fmt.Errorf("it still sees %v", names)
		}
		return err
	})
}

// waitUntilOlder waits until a registration is older than what is created from now on: times of creation have whole
// seconds, a member is ready in less, and among equally old registrations the name decides (ADR 0008).
func waitUntilOlder(t *testing.T, tenant *framework.Tenant, name string) {
	t.Helper()
	registration, err := tenant.Client.Registrations().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	created := registration.GetCreationTimestamp()
	framework.Eventually(t, "the second of "+name+"'s creation to be over", framework.MemberTimeout, func(context.Context) error {
		if !time.Now().Truncate(time.Second).After(created.Time) {
			return fmt.Errorf("it was created at %s", created)
		}
		return nil
	})
}
