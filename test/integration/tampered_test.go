// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// TestFLT17AndSEC19TamperedOriginReachesNobody: whatever a member's administrator writes onto a copy, it says nothing to
// another tenant, and our own is either restored or said to be taken.
func TestFLT17AndSEC19TamperedOriginReachesNobody(t *testing.T) {
	t.Parallel()
	victim := suite.NewPlacingTenant(t, "flt17-victim", []string{"east"})
	victim.Apply(t, deployment("web", 2))
	victim.Apply(t, placement("web", "{}"))
	suite.WaitForDeployment(t, victim, "east", "web", available(2))
	victim.WaitForPlacement(t, "web", "Ready", metav1.ConditionTrue, "")
	theirs := victim.WaitForUpstream(t, "web", available(2))

	owner := suite.NewPlacingTenant(t, "flt17-owner", []string{"east"})
	stolen := map[string]any{markWorkspace: victim.Cluster, markNamespace: "default", markName: "web", markUID: string(theirs.UID)}
	for name, metadata := range map[string]map[string]any{
		"everything":     {"annotations": stolen, "labels": map[string]any{markWorkspace: victim.Cluster}},
		"uid":            {"annotations": map[string]any{markUID: string(theirs.UID)}},
		"workspace":      {"annotations": map[string]any{markWorkspace: victim.Cluster}},
		"name":           {"annotations": map[string]any{markName: "other"}},
		"no-annotations": {"annotations": map[string]any{markWorkspace: nil, markNamespace: nil, markName: nil, markUID: nil}},
		"no-label":       {"labels": map[string]any{"tmc.kcp.io/managed": nil}},
		"nonsense":       {"annotations": map[string]any{markWorkspace: "root:../../..", markUID: "../" + string(theirs.UID)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine := "web-" + name
			owner.Apply(t, deployment(mine, 1))
			owner.Apply(t, placement(mine, "{resourceSelectors: [{kind: Deployment, name: "+mine+"}]}"))
			suite.WaitForDeployment(t, owner, "east", mine, available(1))
			owner.WaitForUpstream(t, mine, available(1))
			tamper(t, owner, mine, metadata)
			framework.Eventually(t, "the copy to be restored, or to be said to be taken", framework.MemberTimeout, func(ctx context.Context) error {
				return restoredOrCollision(ctx, t, owner, mine)
			})
		})
	}
	t.Cleanup(func() { untouched(t, victim, theirs) })
}

func tamper(t *testing.T, owner *framework.PlacingTenant, name string, metadata map[string]any) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": metadata, "spec": map[string]any{"replicas": 7}})
	if err != nil {
		t.Fatal(err)
	}
	deployments := suite.MemberClient(t, "east").AppsV1().Deployments(owner.Namespace("default"))
	if _, err := deployments.Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	// What the copy says of itself is the loudest that it can be.
	_, err = deployments.Patch(t.Context(), name, types.MergePatchType, []byte(`{"status":{"replicas":7,"readyReplicas":7,"availableReplicas":7}}`), metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsInvalid(err) { // it may be gone already, to be made anew
		t.Fatal(err)
	}
}

func restoredOrCollision(ctx context.Context, t *testing.T, owner *framework.PlacingTenant, name string) error {
	t.Helper()
	up, err := owner.Upstream.AppsV1().Deployments("default").Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	live, err := suite.MemberClient(t, "east").AppsV1().Deployments(owner.Namespace("default")).Get(ctx, name, metav1.GetOptions{})
	if err == nil && live.Annotations[markUID] == string(up.UID) && live.Annotations[markWorkspace] == owner.Cluster && live.Annotations[markName] == name &&
		live.Labels["tmc.kcp.io/managed"] == "true" && *live.Spec.Replicas == 1 {
		return nil
	}
	placement, placementErr := owner.Placement(ctx, name)
	if placementErr != nil {
		return placementErr
	}
	if taken := framework.WantCondition(placement.Status.Conditions, "Synchronized", metav1.ConditionFalse, "Collision"); taken != nil {
		return errors.Join(taken, err)
	}
	if up.Status.Replicas > 1 {
		return fmt.Errorf("the object that is not ours says %+v of the workspace's", up.Status)
	}
	return nil
}

// untouched says that nobody wrote to an object of a workspace, or changed what its Placement says.
func untouched(t *testing.T, victim *framework.PlacingTenant, before *appsv1.Deployment) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	after, err := victim.Upstream.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
	if err != nil || after.ResourceVersion != before.ResourceVersion {
		t.Errorf("the victim's deployment was written to: %v, before %+v, after %+v", err, before.Status, after.Status)
	}
	status, err := victim.PlacementStatus(ctx, "web")
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range status.Status.Clusters {
		for _, object := range cluster.Objects {
			if object.Name != "web" || object.Synced != metav1.ConditionTrue || object.Drifted || object.Replicas == nil || object.Replicas.Ready != 2 {
				t.Errorf("the victim's view tells of %+v", object)
			}
		}
	}
	if len(status.Status.Clusters) != 1 || len(status.Status.Clusters[0].Objects) != 1 {
		t.Errorf("the victim's view tells of other copies: %+v", status.Status.Clusters)
	}
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
	tenant.Apply(t, deployment("web", 1))
	tenant.Apply(t, placement("web", "{}"))
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
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionSynchronized, metav1.ConditionTrue, "")

	// An object of that name, in a namespace that is ours by now.
	other := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "taken", Labels: map[string]string{"tmc.kcp.io/managed": "true"}, Annotations: map[string]string{"tmc.kcp.io/workspace": "other"}},
		Spec:       web.Spec,
	}
	made, err := member.AppsV1().Deployments(taken).Create(t.Context(), other, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tenant.Apply(t, deployment("taken", 1))
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionSynchronized, metav1.ConditionFalse, tmcv1alpha1.ReasonCollision)
	tenant.WaitForView(t, "web", "which object collides", func(view *tmcv1alpha1.PlacementStatus) error {
		row, err := copyOf(view, tenant.Members["west"], "Deployment", "taken")
		if err == nil && row.Reason != tmcv1alpha1.ReasonCollision {
			err = fmt.Errorf("the row is %+v", row)
		}
		return err
	})
	framework.Never(t, "the foreign deployment is touched", holdTime, func(ctx context.Context) error {
		untouched, err := member.AppsV1().Deployments(taken).Get(ctx, "taken", metav1.GetOptions{})
		if err == nil && (untouched.UID != made.UID || untouched.Generation != made.Generation || untouched.Annotations["tmc.kcp.io/workspace"] != "other") {
			err = fmt.Errorf("it is %+v", untouched)
		}
		return err
	})
	// Its owner takes it away, and the workspace's own comes in its place.
	if err := member.AppsV1().Deployments(taken).Delete(t.Context(), "taken", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

// TestSEC19GiftsAndForgedCopies: a tenant lends a member of her own to another workspace, unasked, and makes there what looks
// like a copy of a workload of that workspace. It brings her neither the workload nor the Secret that it refers to.
func TestSEC19GiftsAndForgedCopies(t *testing.T) {
	t.Parallel()
	mallory := suite.NewTenant(t, "sec19-mallory")
	victim := suite.NewPlacingTenant(t, "sec19-victim", []string{"west"})
	takeSpare(t, map[*framework.Tenant][]string{mallory: {spareMember}})
	suite.Register(t, mallory, spareMember)
	mallory.Client.WaitForStatus(t, spareMember, "Ready", metav1.ConditionTrue)
	mallory.Apply(t, grantManifest("gift", fmt.Sprintf("{clusterNames: [%s], workspaces: [{path: %q}]}", spareMember, victim.Workspace)))
	gift := spareMember + ".gift"
	victim.Client.WaitForStatus(t, gift, "Ready", metav1.ConditionTrue)

	victim.Apply(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: password, namespace: default}\nstringData: {password: correct-horse}\n")
	victim.Apply(t, strings.Replace(deployment("web", 1), "resources:", "envFrom: [{secretRef: {name: password}}], resources:", 1))
	victim.Apply(t, placement("web", "{}"))
	copied := suite.WaitForDeployment(t, victim, "west", "web", available(1))
	victim.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	victim.WaitForView(t, "web", "why the gift is not used", func(view *tmcv1alpha1.PlacementStatus) error {
		for _, rejected := range view.Status.NotChosen {
			if rejected.ClusterName == gift && rejected.Reason == tmcv1alpha1.ReasonUntoleratedTaint && strings.Contains(rejected.Message, mallory.Cluster) {
				return nil
			}
		}
		return fmt.Errorf("not chosen are %+v", view.Status.NotChosen)
	})

	trap, place := suite.MemberClient(t, spareMember), victim.Namespace("default")
	forge(t, trap, suite.MemberClient(t, "west"), copied)
	framework.Eventually(t, "the forged copy to be removed", framework.MemberTimeout, func(ctx context.Context) error {
		_, err := trap.AppsV1().Deployments(place).Get(ctx, "web", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is there"), err)
	})
	framework.Never(t, "the Secret is given away", holdTime, func(ctx context.Context) error {
		stolen, err := trap.CoreV1().Secrets(place).List(ctx, metav1.ListOptions{})
		if err == nil && len(stolen.Items) > 0 {
			err = fmt.Errorf("the member has the Secrets %v", names(stolen))
		}
		return err
	})

	// Who asks for that lender has the member.
	victim.Kubectl.MustRun(t, "patch", "placement", "web", "--type=merge", "-p",
		fmt.Sprintf(`{"spec":{"tolerations":[{"key":%q,"value":%q}]}}`, tmcv1alpha1.LenderTaint, mallory.Cluster))
	suite.WaitForDeployment(t, victim, spareMember, "web", available(1))
	victim.Kubectl.MustRun(t, "delete", "placement", "web")
	suite.WaitForNoDeployment(t, victim, spareMember, "web")
}

// forge puts a copy that a member has onto another one, as that one's administrator can, with its namespace.
func forge(t *testing.T, onto, from kubernetes.Interface, copied *appsv1.Deployment) {
	t.Helper()
	home, err := from.CoreV1().Namespaces().Get(t.Context(), copied.Namespace, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, metadata := range []*metav1.ObjectMeta{&home.ObjectMeta, &copied.ObjectMeta} {
		*metadata = metav1.ObjectMeta{Name: metadata.Name, Namespace: metadata.Namespace, Labels: metadata.Labels, Annotations: metadata.Annotations}
	}
	if _, err := onto.CoreV1().Namespaces().Create(t.Context(), home, metav1.CreateOptions{}); there(err) != nil {
		t.Fatal(err)
	}
	if _, err := onto.AppsV1().Deployments(copied.Namespace).Create(t.Context(), copied, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
