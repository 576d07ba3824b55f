// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/memberrole"
	"github.com/kcp-dev/tmc/test/env"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// TestT04KindsThatAreNotSyncedSayWhy: what no member would take is named, and nothing of it reaches a member.
func TestT04KindsThatAreNotSyncedSayWhy(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t04", []string{"east"})
	tenant.Apply(t, `apiVersion: v1
kind: Secret
metadata: {name: token, namespace: default, annotations: {kubernetes.io/service-account.name: default}}
type: kubernetes.io/service-account-token
`)
	tenant.Apply(t, deployment("web", 1))
	tenant.Apply(t, placement("web", "{resourceSelectors: [{kind: Deployment}, {kind: Secret, name: token}, {kind: Role, name: admin}]}"))
	suite.WaitForDeployment(t, tenant, "east", "web", available(1))
	waitForUnplaced(t, tenant, "web", "Secret", "token")
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonWorkloadsNotPlaced)
	waitForUnplaced(t, tenant, "web", "Role", "admin")
	secrets, err := suite.MemberClient(t, "east").CoreV1().Secrets(tenant.Namespace("default")).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(secrets.Items) > 0 {
		t.Errorf("the member got %d Secrets, want none", len(secrets.Items))
	}
}

// waitForUnplaced waits until the view says that something is never synced.
func waitForUnplaced(t *testing.T, tenant *framework.PlacingTenant, placement, kind, name string) {
	t.Helper()
	tenant.WaitForView(t, placement, "why "+kind+" "+name+" is not synced", func(status *tmcv1alpha1.PlacementStatus) error {
		for _, lost := range status.Status.NotPlaced {
			if lost.Kind == kind && lost.Name == name && lost.Reason == tmcv1alpha1.ReasonNotSyncable {
				return nil
			}
		}
		return fmt.Errorf("not placed: %+v", status.Status.NotPlaced)
	})
}

func patchRegistration(t *testing.T, tenant *framework.Tenant, name, patch string) {
	t.Helper()
	tenant.Kubectl.MustRun(t, "patch", "clusterregistration", name, "--type=merge", "-p", patch)
}

// TestT06CordonedMemberTakesNothingNew and keeps what it has; NoExecute moves it away.
func TestT06CordonedMemberTakesNothingNew(t *testing.T) {
	t.Parallel()
	owner := suite.NewPlacingTenant(t, "t06", nil)
	suite.Register(t, owner.Tenant, cordonedMember)
	suite.Lend(t, owner, "t06", "west")
	owner.Apply(t, deployment("old", 1))
	owner.Apply(t, placement("old", "{numberOfClusters: 1, clusterNames: ["+cordonedMember+", west.t06], resourceSelectors: [{kind: Deployment, name: old}], clusterSelector: {matchLabels: {topology.kubernetes.io/region: lab}}}"))
	suite.WaitForDeployment(t, owner, cordonedMember, "old", available(1))

	patchRegistration(t, owner.Tenant, cordonedMember, `{"spec":{"unschedulable":true}}`)
	framework.Eventually(t, "the cordon to be known", framework.MemberTimeout, func(ctx context.Context) error {
		row, err := owner.Client.Status(ctx, cordonedMember)
		if err == nil && !row.Status.Unschedulable {
			err = errors.New("the member takes new work")
		}
		return err
	})
	owner.Apply(t, deployment("new", 1))
	owner.Apply(t, placement("new", "{clusterNames: ["+cordonedMember+"], resourceSelectors: [{kind: Deployment, name: new}]}"))
	refused := owner.WaitForPlacement(t, "new", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonNoClusterFits)
	if len(refused.Status.Decisions) > 0 {
		t.Errorf("a cordoned member was chosen: %+v", refused.Status.Decisions)
	}
	waitForRejection(t, owner, "new", cordonedMember, tmcv1alpha1.ReasonUnschedulable, "")
	neverWithout(t, owner, cordonedMember, "old")

	patchRegistration(t, owner.Tenant, cordonedMember, `{"spec":{"unschedulable":false}}`)
	suite.WaitForDeployment(t, owner, cordonedMember, "new", available(1))

	owner.Kubectl.MustRun(t, "patch", "placement", "old", "--type=merge", "-p", `{"spec":{"clusterSelector":null}}`)
	patchRegistration(t, owner.Tenant, cordonedMember, `{"spec":{"taints":[{"key":"maintenance","effect":"NoExecute"}]}}`)
	suite.WaitForDeployment(t, owner, "west", "old", available(1))
	suite.WaitForNoDeployment(t, owner, cordonedMember, "old")
	owner.WaitForUpstream(t, "old", available(1))
	waitForRejection(t, owner, "old", cordonedMember, tmcv1alpha1.ReasonUntoleratedTaint, "maintenance")
	// Nothing else fits for the other one, so that it stays where it runs.
	owner.WaitForPlacement(t, "new", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, "")
	neverWithout(t, owner, cordonedMember, "new")

	patchRegistration(t, owner.Tenant, cordonedMember, `{"spec":{"taints":null}}`)
	owner.WaitForPlacement(t, "new", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	owner.Apply(t, deployment("newer", 1))
	owner.Apply(t, placement("newer", "{clusterNames: ["+cordonedMember+"], resourceSelectors: [{kind: Deployment, name: newer}]}"))
	suite.WaitForDeployment(t, owner, cordonedMember, "newer", available(1))
}

// waitForRejection waits until the view says why a member was not chosen.
func waitForRejection(t *testing.T, tenant *framework.PlacingTenant, placement, member, reason, message string) {
	t.Helper()
	tenant.WaitForView(t, placement, "why "+member+" was not chosen", func(status *tmcv1alpha1.PlacementStatus) error {
		for _, rejected := range status.Status.NotChosen {
			if rejected.ClusterName == member && rejected.Reason == reason && strings.Contains(rejected.Message, message) {
				return nil
			}
		}
		return fmt.Errorf("not chosen: %+v", status.Status.NotChosen)
	})
}

// neverWithout watches that a copy stays on a member.
func neverWithout(t *testing.T, tenant *framework.PlacingTenant, member, name string) {
	t.Helper()
	client := suite.MemberClient(t, member)
	framework.Never(t, name+" leaves "+member, holdTime, func(ctx context.Context) error {
		_, err := client.AppsV1().Deployments(tenant.Namespace(metav1.NamespaceDefault)).Get(ctx, name, metav1.GetOptions{})
		return err
	})
}

// TestT07WorkWaitsForAMember and is placed unaided when one comes.
func TestT07WorkWaitsForAMember(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t07", nil)
	tenant.Apply(t, deployment("web", 1))
	tenant.Apply(t, placement("web", "{}"))
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonNoClusterFits)
	suite.Lend(t, tenant, "t07", "west")
	suite.WaitForDeployment(t, tenant, "west", "web", available(1))
	tenant.WaitForUpstream(t, "web", available(1))
	// The only member does not fit any more: that is said, and what runs stays.
	tenant.Kubectl.MustRun(t, "patch", "placement", "web", "--type=merge", "-p", `{"spec":{"clusterSelector":{"matchLabels":{"no":"where"}}}}`)
	framework.Eventually(t, "the placement to say why, and that it stays", framework.MemberTimeout, func(ctx context.Context) error {
		placed, err := tenant.Placement(ctx, "web")
		if err != nil {
			return err
		}
		scheduled := meta.FindStatusCondition(placed.Status.Conditions, tmcv1alpha1.ConditionScheduled)
		for _, part := range []string{"no member fits: 1 not selected by clusterSelector", "what runs stays where it is"} {
			if scheduled.Status != metav1.ConditionFalse || !strings.Contains(scheduled.Message, part) {
				return fmt.Errorf("the condition is %+v", scheduled)
			}
		}
		return nil
	})
	neverWithout(t, tenant, "west", "web")
	tenant.WaitForUpstream(t, "web", available(1))
}

// TestT09EqualNamesOfTwoTenantsStayApart, on one member.
func TestT09EqualNamesOfTwoTenantsStayApart(t *testing.T) {
	t.Parallel()
	first := suite.NewPlacingTenant(t, "t09a", []string{"east"})
	second := suite.NewPlacingTenant(t, "t09b", []string{"east"})
	for i, tenant := range []*framework.PlacingTenant{first, second} {
		tenant.Apply(t, deployment("web", i+1))
		tenant.Apply(t, placement("web", "{}"))
	}
	suite.WaitForDeployment(t, first, "east", "web", available(1))
	suite.WaitForDeployment(t, second, "east", "web", available(2))
	if first.Namespace("default") == second.Namespace("default") {
		t.Error("both tenants have one namespace on the member")
	}
	first.WaitForUpstream(t, "web", available(1))
	second.WaitForUpstream(t, "web", available(2))
	for i, tenant := range []*framework.PlacingTenant{first, second} { // each sees its own, and nothing of the other
		seen := tenant.Kubectl.MustRun(t, "get", "placementstatuses,deployments", "-A", "-o", "name")
		if want := "placementstatus.tmc.kcp.io/web\ndeployment.apps/web\n"; seen != want {
			t.Errorf("%s sees %q, want %q", tenant.Workspace, seen, want)
		}
		everything := tenant.Kubectl.MustRun(t, "get", "deployments,placements,placementstatuses,events", "-A", "-o", "yaml")
		other := []*framework.PlacingTenant{second, first}[i]
		for _, secret := range []string{other.Workspace, other.Namespace("default")} {
			if strings.Contains(everything, secret) {
				t.Errorf("%s reads of %s", tenant.Workspace, secret)
			}
		}
	}
	first.Kubectl.MustRun(t, "delete", "deployment", "web", "--timeout=60s")
	suite.WaitForNoDeployment(t, first, "east", "web")
	suite.WaitForDeployment(t, second, "east", "web", available(2))
}

// TestT10PlacementOfMembersThatComeLater is pending until they do.
func TestT10PlacementOfMembersThatComeLater(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t10", []string{"east"})
	tenant.Apply(t, deployment("web", 1))
	tenant.Apply(t, placement("web", "{clusterNames: [west.later]}"))
	before := tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonNoClusterFits)
	suite.Lend(t, tenant, "later", "west")
	suite.WaitForDeployment(t, tenant, "west", "web", available(1))
	after := tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	if before.Generation != after.Generation {
		t.Errorf("the placement was touched: generation %d, then %d", before.Generation, after.Generation)
	}
	suite.WaitForNoDeployment(t, tenant, "east", "web")
}

// TestT12DeselectedWorkLeavesAndComesBack follows the selectors.
func TestT12DeselectedWorkLeavesAndComesBack(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t12", []string{"east"})
	tenant.Apply(t, deployment("web", 1))
	tenant.Apply(t, placement("web", "{resourceSelectors: [{labelSelector: {matchLabels: {app: web}}}]}"))
	suite.WaitForDeployment(t, tenant, "east", "web", available(1))

	// The cluster selector matches nothing any more: pending, and what runs stays.
	tenant.Kubectl.MustRun(t, "patch", "placement", "web", "--type=merge", "-p", `{"spec":{"clusterSelector":{"matchLabels":{"no":"where"}}}}`)
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, "")
	neverWithout(t, tenant, "east", "web") // nothing replaces it
	// The selector lets go of the workload: it leaves, and the object is released.
	tenant.Kubectl.MustRun(t, "patch", "placement", "web", "--type=merge", "-p", `{"spec":{"clusterSelector":null,"resourceSelectors":[{"labelSelector":{"matchLabels":{"app":"other"}}}]}}`)
	suite.WaitForNoDeployment(t, tenant, "east", "web")
	tenant.WaitForUpstream(t, "web", func(d *appsv1.Deployment) error {
		if len(d.Finalizers) > 0 {
			return fmt.Errorf("it has the finalizers %v", d.Finalizers)
		}
		if !equality.Semantic.DeepEqual(d.Status, appsv1.DeploymentStatus{}) {
			return fmt.Errorf("it runs nowhere, and says %+v", d.Status)
		}
		return nil
	})
	// Another placement brings it back.
	tenant.Apply(t, placement("again", "{}"))
	suite.WaitForDeployment(t, tenant, "east", "web", available(1))
	tenant.WaitForUpstream(t, "web", available(1))
}

// TestT13MemberThatLacksARightIsPassedOver until it is given the right.
func TestT13MemberThatLacksARightIsPassedOver(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t13", []string{"west"})
	suite.RegisterAs(t, tenant.Tenant, limitedMember, "readonly")
	tenant.Apply(t, deployment("web", 1))
	tenant.Apply(t, placement("web", "{numberOfClusters: 2}"))
	suite.WaitForDeployment(t, tenant, "west", "web", available(1))
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonTooFewClusters)
	waitForRejection(t, tenant, "web", "readonly", tmcv1alpha1.ReasonAPIMissing, "deployments")
	// The member's owner gives the rights: it is chosen unaided.
	grantSyncing(t, limitedMember, env.ReaderName)
	suite.WaitForDeployment(t, tenant, limitedMember, "web", available(1))
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

// grantSyncing lets an identity of a member do what syncing needs.
func grantSyncing(t *testing.T, member, name string) {
	t.Helper()
	rules, err := memberrole.Everything()
	if err != nil {
		t.Fatal(err)
	}
	grantOn(t, member, "granted-"+name, name, rules)
}

// grantOn gives rights on a member, under a name of their own, to one of TMC's identities there.
func grantOn(t *testing.T, member, name, identity string, rules []rbacv1.PolicyRule) {
	t.Helper()
	granted := memberrole.New(name, env.IdentityNamespace, rules)
	granted.Binding.Subjects[0].Name = identity
	client := suite.MemberClient(t, member).RbacV1()
	if _, err := client.ClusterRoles().Create(t.Context(), granted.Role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ClusterRoleBindings().Create(t.Context(), granted.Binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestT14DividedReplicasAddUp over two members, for two tenants.
func TestT14DividedReplicasAddUp(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		tenant   string
		replicas int32
	}{{"t14a", 4}, {"t14b", 8}} {
		t.Run(tc.tenant, func(t *testing.T) {
			t.Parallel()
			tenant := suite.NewPlacingTenant(t, tc.tenant, []string{"east", "west"})
			tenant.Apply(t, deployment("web", int(tc.replicas)))
			tenant.Apply(t, placement("web", "{replicaScheduling: {type: Divided}}"))
			for _, member := range []string{"east", "west"} {
				suite.WaitForDeployment(t, tenant, member, "web", available(tc.replicas/2))
			}
			up := tenant.WaitForUpstream(t, "web", available(tc.replicas))
			if up.Status.Replicas != tc.replicas || up.Status.ReadyReplicas != tc.replicas || up.Status.UpdatedReplicas != tc.replicas {
				t.Errorf("the workspace's status is %+v, want sums of %d", up.Status, tc.replicas)
			}
			tenant.Kubectl.MustRun(t, "scale", "deployment/web", fmt.Sprintf("--replicas=%d", tc.replicas+2))
			for _, member := range []string{"east", "west"} {
				suite.WaitForDeployment(t, tenant, member, "web", available(tc.replicas/2+1))
			}
			tenant.WaitForUpstream(t, "web", available(tc.replicas+2))
		})
	}
}

// TestT15StatusFollowsTheMembersThatRun: of one, of two, of the other. West never gets ready, so that no status can be
// that of the wrong member.
func TestT15StatusFollowsTheMembersThatRun(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t15", []string{"east", "west"})
	// A first object makes the namespace on west, before there is a pod.
	tenant.Apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: first, namespace: default}\n")
	tenant.Apply(t, placement("first", "{priority: 1, clusterNames: [west.t15], resourceSelectors: [{kind: ConfigMap, name: first}]}"))
	tenant.WaitForPlacement(t, "first", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	suite.Admit(t, "west", tenant.Namespace(metav1.NamespaceDefault), "pods", neverReady)
	tenant.Apply(t, deployment("web", 2))
	tenant.Apply(t, placement("web", "{clusterNames: [east.t15]}"))
	tenant.WaitForUpstream(t, "web", available(2))
	tenant.Kubectl.MustRun(t, "patch", "placement", "web", "--type=merge", "-p", `{"spec":{"clusterNames":["east.t15","west.t15"]}}`)
	// Every member runs all, and the object tells as one cluster would: ready are those of the member that has least.
	startsOnWest := func(d *appsv1.Deployment) error {
		if d.Status.Replicas != 2 || d.Status.ReadyReplicas != 0 {
			return fmt.Errorf("its status is %+v, want 2 replicas of which none is ready", d.Status)
		}
		return nil
	}
	suite.WaitForDeployment(t, tenant, "west", "web", startsOnWest)
	tenant.WaitForUpstream(t, "web", startsOnWest)
	suite.WaitForDeployment(t, tenant, "east", "web", available(2))
	tenant.Kubectl.MustRun(t, "patch", "placement", "web", "--type=merge", "-p", `{"spec":{"clusterNames":["west.t15"]}}`)
	neverWithout(t, tenant, "east", "web") // until west runs it in its place
	tenant.WaitForUpstream(t, "web", startsOnWest)
	wake(t, "west", tenant.Namespace(metav1.NamespaceDefault), "web")
	suite.WaitForNoDeployment(t, tenant, "east", "web")
	tenant.WaitForUpstream(t, "web", available(2))
	placed := tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	if len(placed.Status.Decisions) != 1 || placed.Status.Decisions[0].ClusterName != "west.t15" {
		t.Errorf("decisions are %+v, want west.t15 alone", placed.Status.Decisions)
	}
}

// TestT18TenantsOfBothShardsPlace and read the same kind of truth.
func TestT18TenantsOfBothShardsPlace(t *testing.T) {
	t.Parallel()
	for _, shard := range suite.Env.Shards() {
		t.Run(shard, func(t *testing.T) {
			t.Parallel()
			tenant := suite.NewPlacingTenant(t, "t18-"+shard, []string{"west"}, framework.OnShard(shard))
			tenant.Apply(t, deployment("web", 2))
			tenant.Apply(t, placement("web", "{}"))
			suite.WaitForDeployment(t, tenant, "west", "web", available(2))
			tenant.WaitForUpstream(t, "web", available(2))
			tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
		})
	}
}
