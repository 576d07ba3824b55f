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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// TestT04KindsThatAreNotSyncedSayWhy: what no member would take is named, and nothing of it reaches a member.
func TestT04KindsThatAreNotSyncedSayWhy(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t04", []string{"east"})
	tenant.Kubectl.Apply(t, `apiVersion: v1
kind: Secret
metadata: {name: token, namespace: default, annotations: {kubernetes.io/service-account.name: default}}
type: kubernetes.io/service-account-token
`)
	tenant.Kubectl.Apply(t, deployment("web", 1))
	tenant.Kubectl.Apply(t, placement("web", "{resourceSelectors: [{kind: Deployment}, {kind: Secret, name: token}]}"))
	suite.WaitForDeployment(t, tenant, "east", "web", available(1))
	framework.Eventually(t, "the view to say why the token is not synced", framework.MemberTimeout, func(ctx context.Context) error {
		status, err := tenant.PlacementStatus(ctx, "web")
		if err != nil {
			return err
		}
		for _, lost := range status.Status.NotPlaced {
			if lost.Kind == "Secret" && lost.Name == "token" && lost.Reason == tmcv1alpha1.ReasonNotSyncable {
				return nil
			}
		}
		return fmt.Errorf("not placed: %+v", status.Status.NotPlaced)
	})
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonWorkloadsNotPlaced)
	secrets, err := suite.MemberClient(t, "east").CoreV1().Secrets(tenant.Namespace("default")).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(secrets.Items) > 0 {
		t.Errorf("the member got %d Secrets, want none", len(secrets.Items))
	}
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
	owner.Kubectl.Apply(t, deployment("old", 1))
	owner.Kubectl.Apply(t, placement("old", "{numberOfClusters: 1, clusterNames: ["+cordonedMember+", west.t06], resourceSelectors: [{kind: Deployment, name: old}], clusterSelector: {matchLabels: {topology.kubernetes.io/region: lab}}}"))
	suite.WaitForDeployment(t, owner, cordonedMember, "old", available(1))

	patchRegistration(t, owner.Tenant, cordonedMember, `{"spec":{"unschedulable":true}}`)
	owner.Kubectl.Apply(t, deployment("new", 1))
	owner.Kubectl.Apply(t, placement("new", "{clusterNames: ["+cordonedMember+"], resourceSelectors: [{kind: Deployment, name: new}]}"))
	refused := owner.WaitForPlacement(t, "new", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonNoClusterFits)
	if len(refused.Status.Decisions) > 0 {
		t.Errorf("a cordoned member was chosen: %+v", refused.Status.Decisions)
	}
	suite.WaitForDeployment(t, owner, cordonedMember, "old", available(1))

	patchRegistration(t, owner.Tenant, cordonedMember, `{"spec":{"unschedulable":false}}`)
	suite.WaitForDeployment(t, owner, cordonedMember, "new", available(1))

	owner.Kubectl.MustRun(t, "patch", "placement", "old", "--type=merge", "-p", `{"spec":{"clusterSelector":null}}`)
	patchRegistration(t, owner.Tenant, cordonedMember, `{"spec":{"taints":[{"key":"maintenance","effect":"NoExecute"}]}}`)
	suite.WaitForDeployment(t, owner, "west", "old", available(1))
	suite.WaitForNoDeployment(t, owner, cordonedMember, "old")
	owner.WaitForUpstream(t, "old", available(1))
	// Nothing else fits for the other one, so that it stays where it runs.
	owner.WaitForPlacement(t, "new", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, "")
	suite.WaitForDeployment(t, owner, cordonedMember, "new", available(1))
}

// TestT07WorkWaitsForAMember and is placed unaided when one comes.
func TestT07WorkWaitsForAMember(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t07", nil)
	tenant.Kubectl.Apply(t, deployment("web", 1))
	tenant.Kubectl.Apply(t, placement("web", "{}"))
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonNoClusterFits)
	suite.Lend(t, tenant, "t07", "west")
	suite.WaitForDeployment(t, tenant, "west", "web", available(1))
	tenant.WaitForUpstream(t, "web", available(1))
}

// TestT09EqualNamesOfTwoTenantsStayApart, on one member.
func TestT09EqualNamesOfTwoTenantsStayApart(t *testing.T) {
	t.Parallel()
	first := suite.NewPlacingTenant(t, "t09a", []string{"east"})
	second := suite.NewPlacingTenant(t, "t09b", []string{"east"})
	for i, tenant := range []*framework.PlacingTenant{first, second} {
		tenant.Kubectl.Apply(t, deployment("web", i+1))
		tenant.Kubectl.Apply(t, placement("web", "{}"))
	}
	suite.WaitForDeployment(t, first, "east", "web", available(1))
	suite.WaitForDeployment(t, second, "east", "web", available(2))
	if first.Namespace("default") == second.Namespace("default") {
		t.Error("both tenants have one namespace on the member")
	}
	first.WaitForUpstream(t, "web", available(1))
	second.WaitForUpstream(t, "web", available(2))
	first.Kubectl.MustRun(t, "delete", "deployment", "web", "--timeout=60s")
	suite.WaitForNoDeployment(t, first, "east", "web")
	suite.WaitForDeployment(t, second, "east", "web", available(2))
}

// TestT10PlacementOfMembersThatComeLater is pending until they do.
func TestT10PlacementOfMembersThatComeLater(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t10", []string{"east"})
	tenant.Kubectl.Apply(t, deployment("web", 1))
	tenant.Kubectl.Apply(t, placement("web", "{clusterNames: [west.later]}"))
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
	tenant.Kubectl.Apply(t, deployment("web", 1))
	tenant.Kubectl.Apply(t, placement("web", "{resourceSelectors: [{labelSelector: {matchLabels: {app: web}}}]}"))
	suite.WaitForDeployment(t, tenant, "east", "web", available(1))

	// The cluster selector matches nothing any more: pending, and what runs stays.
	tenant.Kubectl.MustRun(t, "patch", "placement", "web", "--type=merge", "-p", `{"spec":{"clusterSelector":{"matchLabels":{"no":"where"}}}}`)
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, "")
	framework.Never(t, "a copy that nothing replaces is removed", holdTime, func(ctx context.Context) error {
		_, err := suite.MemberClient(t, "east").AppsV1().Deployments(tenant.Namespace("default")).Get(ctx, "web", metav1.GetOptions{})
		return err
	})
	// The selector lets go of the workload: it leaves, and the object is released.
	tenant.Kubectl.MustRun(t, "patch", "placement", "web", "--type=merge", "-p", `{"spec":{"clusterSelector":null,"resourceSelectors":[{"labelSelector":{"matchLabels":{"app":"other"}}}]}}`)
	suite.WaitForNoDeployment(t, tenant, "east", "web")
	tenant.WaitForUpstream(t, "web", func(d *appsv1.Deployment) error {
		if len(d.Finalizers) > 0 {
			return fmt.Errorf("it has the finalizers %v", d.Finalizers)
		}
		return nil
	})
	// Another placement brings it back.
	tenant.Kubectl.Apply(t, placement("again", "{}"))
	suite.WaitForDeployment(t, tenant, "east", "web", available(1))
	tenant.WaitForUpstream(t, "web", available(1))
}

// TestT13MemberThatLacksARightIsPassedOver until it is given the right.
func TestT13MemberThatLacksARightIsPassedOver(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t13", []string{"west"})
	suite.RegisterAs(t, tenant.Tenant, limitedMember, "readonly")
	tenant.Kubectl.Apply(t, deployment("web", 1))
	tenant.Kubectl.Apply(t, placement("web", "{numberOfClusters: 2}"))
	suite.WaitForDeployment(t, tenant, "west", "web", available(1))
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonTooFewClusters)
	framework.Eventually(t, "the view to say which right is missing", framework.MemberTimeout, func(ctx context.Context) error {
		status, err := tenant.PlacementStatus(ctx, "web")
		if err != nil {
			return err
		}
		for _, rejected := range status.Status.NotChosen {
			if rejected.ClusterName == "readonly" && rejected.Reason == tmcv1alpha1.ReasonAPIMissing && strings.Contains(rejected.Message, "deployments") {
				return nil
			}
		}
		return fmt.Errorf("not chosen: %+v", status.Status.NotChosen)
	})
	// The rights come with other credentials: the member is chosen unaided.
	suite.UpdateCredentials(t, tenant.Tenant, "readonly", suite.SyncerKubeconfig(t, limitedMember))
	suite.WaitForDeployment(t, tenant, limitedMember, "web", available(1))
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
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
			tenant.Kubectl.Apply(t, deployment("web", int(tc.replicas)))
			tenant.Kubectl.Apply(t, placement("web", "{replicaScheduling: {type: Divided}}"))
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

// TestT15StatusFollowsTheMembersThatRun: of one, of two, of the other.
func TestT15StatusFollowsTheMembersThatRun(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t15", []string{"east", "west"})
	tenant.Kubectl.Apply(t, deployment("web", 2))
	tenant.Kubectl.Apply(t, placement("web", "{clusterNames: [east.t15]}"))
	tenant.WaitForUpstream(t, "web", available(2))
	tenant.Kubectl.MustRun(t, "patch", "placement", "web", "--type=merge", "-p", `{"spec":{"clusterNames":["east.t15","west.t15"]}}`)
	suite.WaitForDeployment(t, tenant, "west", "web", available(2))
	suite.WaitForDeployment(t, tenant, "east", "web", available(2))
	tenant.WaitForUpstream(t, "web", available(2)) // every member runs all: the object tells as one cluster would
	tenant.Kubectl.MustRun(t, "patch", "placement", "web", "--type=merge", "-p", `{"spec":{"clusterNames":["west.t15"]}}`)
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
			tenant.Kubectl.Apply(t, deployment("web", 2))
			tenant.Kubectl.Apply(t, placement("web", "{}"))
			suite.WaitForDeployment(t, tenant, "west", "web", available(2))
			tenant.WaitForUpstream(t, "web", available(2))
			tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
		})
	}
}

// TestDependenciesFollow: what a workload refers to is there with it, and leaves with it.
func TestDependenciesFollow(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "deps", []string{"west"})
	tenant.Kubectl.Apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: default}\ndata: {color: blue}\n")
	tenant.Kubectl.Apply(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: password, namespace: default}\nstringData: {password: correct-horse}\n")
	tenant.Kubectl.Apply(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: unrelated, namespace: default}\nstringData: {password: battery-staple}\n")
	tenant.Kubectl.Apply(t, strings.Replace(deployment("web", 1), "resources:", "envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: password}}], resources:", 1))
	tenant.Kubectl.Apply(t, placement("web", "{resourceSelectors: [{kind: Deployment}]}"))
	suite.WaitForDeployment(t, tenant, "west", "web", available(1))
	member := suite.MemberClient(t, "west").CoreV1()
	namespace := tenant.Namespace("default")
	settings, err := member.ConfigMaps(namespace).Get(t.Context(), "settings", metav1.GetOptions{})
	if err != nil || settings.Data["color"] != "blue" {
		t.Fatalf("the ConfigMap on the member: %v, %v", settings, err)
	}
	secrets, err := member.Secrets(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(secrets.Items) != 1 || secrets.Items[0].Name != "password" {
		t.Fatalf("the member has the Secrets %v (%v), want the one that is referred to", names(secrets), err)
	}
	tenant.Kubectl.Apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: default}\ndata: {color: green}\n")
	framework.Eventually(t, "the edit to arrive", framework.MemberTimeout, func(ctx context.Context) error {
		found, err := member.ConfigMaps(namespace).Get(ctx, "settings", metav1.GetOptions{})
		if err == nil && found.Data["color"] != "green" {
			err = errors.New("it is " + found.Data["color"])
		}
		return err
	})
	tenant.Kubectl.MustRun(t, "delete", "deployment", "web", "--timeout=60s")
	framework.Eventually(t, "what the workload needed to leave", framework.MemberTimeout, func(ctx context.Context) error {
		left, err := member.Secrets(namespace).List(ctx, metav1.ListOptions{})
		if err == nil && len(left.Items) > 0 {
			err = fmt.Errorf("there are the Secrets %v", names(left))
		}
		return err
	})
}

func names(secrets *corev1.SecretList) []string {
	var out []string
	for i := range secrets.Items {
		out = append(out, secrets.Items[i].Name)
	}
	return out
}

// TestSEC19LookAlikesAreLeftAlone: neither a namespace nor an object that somebody else made is touched.
func TestSEC19LookAlikesAreLeftAlone(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "sec19", []string{"west"})
	member := suite.MemberClient(t, "west")
	taken := tenant.Namespace("default")
	foreign := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: taken, Labels: map[string]string{"tmc.kcp.io/managed": "true"}}}
	if _, err := member.CoreV1().Namespaces().Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	tenant.Kubectl.Apply(t, deployment("web", 1))
	tenant.Kubectl.Apply(t, placement("web", "{}"))
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionSynchronized, metav1.ConditionFalse, tmcv1alpha1.ReasonCollision)
	deployments, err := member.AppsV1().Deployments(taken).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(deployments.Items) > 0 {
		t.Errorf("the foreign namespace has %d deployments (%v), want none", len(deployments.Items), err)
	}
	found, err := member.CoreV1().Namespaces().Get(t.Context(), taken, metav1.GetOptions{})
	if err != nil || len(found.Annotations) > 0 || len(found.ManagedFields) != 1 {
		t.Errorf("the foreign namespace was touched: %+v, %v", found, err)
	}
	if err := member.CoreV1().Namespaces().Delete(t.Context(), taken, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	web := suite.WaitForDeployment(t, tenant, "west", "web", available(1))

	// An object of that name, in a namespace that is ours by now.
	other := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "taken", Labels: map[string]string{"tmc.kcp.io/managed": "true"}, Annotations: map[string]string{"tmc.kcp.io/workspace": "other"}},
		Spec:       web.Spec,
	}
	made, err := member.AppsV1().Deployments(taken).Create(t.Context(), other, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tenant.Kubectl.Apply(t, deployment("taken", 1))
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionSynchronized, metav1.ConditionFalse, tmcv1alpha1.ReasonCollision)
	untouched, err := member.AppsV1().Deployments(taken).Get(t.Context(), "taken", metav1.GetOptions{})
	if err != nil || untouched.Generation != made.Generation || untouched.Annotations["tmc.kcp.io/workspace"] != "other" {
		t.Errorf("the foreign deployment was touched: %+v, %v", untouched, err)
	}
}
