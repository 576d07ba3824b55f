// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

func deployment(name string, replicas int) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: default, labels: {app: %[1]s}}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
      - {name: web, image: "registry.example.com/web:1", resources: {requests: {cpu: 10m, memory: 16Mi}}}
`, name, replicas)
}

func placement(name, spec string) string {
	return "apiVersion: tmc.kcp.io/v1alpha1\nkind: Placement\nmetadata: {name: " + name + ", namespace: default}\nspec: " + spec + "\n"
}

func available(replicas int32) func(*appsv1.Deployment) error {
	return func(d *appsv1.Deployment) error {
		if d.Status.AvailableReplicas != replicas || d.Status.ObservedGeneration != d.Generation {
			return fmt.Errorf("it has %d of %d available replicas, observed generation %d of %d",
				d.Status.AvailableReplicas, replicas, d.Status.ObservedGeneration, d.Generation)
		}
		return nil
	}
}

// TestT01WorkloadRunsAndItsStatusComesBack is the main job.
func TestT01WorkloadRunsAndItsStatusComesBack(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t01", []string{"east", "west"})
	tenant.Kubectl.Apply(t, deployment("web", 3))
	tenant.Kubectl.Apply(t, placement("web", "{clusterNames: [east.t01]}"))
	suite.WaitForDeployment(t, tenant, "east", "web", available(3))
	up := tenant.WaitForUpstream(t, "web", available(3))
	if !slices.Contains(up.Finalizers, tmcv1alpha1.SyncFinalizer) {
		t.Errorf("the workspace's deployment has the finalizers %v, want ours among them", up.Finalizers)
	}
	tenant.Kubectl.MustRun(t, "rollout", "status", "deployment/web", "--timeout=30s")
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	table := tenant.Kubectl.MustRun(t, "get", "placementstatus")
	for _, want := range []string{"SATISFIED", "MEMBERS", "WORKLOADS", "READY", "DRIFT", "FAILED", "FRESHNESS", "AGE", "1/all", "1/1"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	status, err := tenant.PlacementStatus(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if len(status.Status.NotChosen) != 1 || status.Status.NotChosen[0].Reason != tmcv1alpha1.ReasonNameNotListed {
		t.Errorf("members that were not chosen: %+v, want west.t01 with the reason NameNotListed", status.Status.NotChosen)
	}
	suite.WaitForNoDeployment(t, tenant, "west", "web")
}

// TestT02CopyThatIsDeletedComesBack: a hand on a member undoes nothing.
func TestT02CopyThatIsDeletedComesBack(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t02", []string{"east"})
	tenant.Kubectl.Apply(t, deployment("web", 1))
	tenant.Kubectl.Apply(t, placement("web", "{}"))
	before := suite.WaitForDeployment(t, tenant, "east", "web", available(1))
	up := tenant.WaitForUpstream(t, "web", available(1))
	if err := suite.MemberClient(t, "east").AppsV1().Deployments(before.Namespace).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	suite.WaitForDeployment(t, tenant, "east", "web", func(d *appsv1.Deployment) error {
		if d.UID == before.UID {
			return errors.New("it is still the old one")
		}
		return available(1)(d)
	})
	after := tenant.WaitForUpstream(t, "web", available(1))
	if after.UID != up.UID || after.Generation != up.Generation {
		t.Errorf("the workspace's deployment changed: UID %s to %s, generation %d to %d", up.UID, after.UID, up.Generation, after.Generation)
	}
	// A copy that is edited by hand is repaired, too.
	patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"evil.example.com/web:1"}]}}}}`)
	if _, err := suite.MemberClient(t, "east").AppsV1().Deployments(before.Namespace).Patch(t.Context(), "web", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	suite.WaitForDeployment(t, tenant, "east", "web", func(d *appsv1.Deployment) error {
		if image := d.Spec.Template.Spec.Containers[0].Image; image != "registry.example.com/web:1" {
			return errors.New("its image is " + image)
		}
		return nil
	})
}

// TestT03DeletionWaitsForHoldsOfOthers and goes object first, namespace last.
func TestT03DeletionWaitsForHoldsOfOthers(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t03", []string{"east"})
	tenant.Kubectl.MustRun(t, "create", "namespace", "shop")
	inShop := func(manifest string) string {
		return strings.ReplaceAll(manifest, "namespace: default", "namespace: shop")
	}
	tenant.Kubectl.Apply(t, inShop(deployment("web", 1)))
	tenant.Kubectl.Apply(t, inShop(placement("web", "{}")))
	member := suite.MemberClient(t, "east")
	namespace := tenant.Namespace("shop")
	framework.Eventually(t, "the copy", framework.MemberTimeout, func(ctx context.Context) error {
		_, err := member.AppsV1().Deployments(namespace).Get(ctx, "web", metav1.GetOptions{})
		return err
	})
	tenant.Kubectl.MustRun(t, "-n", "shop", "patch", "deployment", "web", "--type=json", "-p", `[{"op":"add","path":"/metadata/finalizers/-","value":"example.com/hold"}]`)
	tenant.Kubectl.MustRun(t, "-n", "shop", "delete", "deployment", "web", "--wait=false")
	tenant.Kubectl.MustRun(t, "delete", "namespace", "shop", "--wait=false")
	framework.Never(t, "the copy goes while somebody holds the object", holdTime, func(ctx context.Context) error {
		_, err := member.AppsV1().Deployments(namespace).Get(ctx, "web", metav1.GetOptions{})
		return err
	})
	tenant.Kubectl.MustRun(t, "-n", "shop", "patch", "deployment", "web", "--type=json", "-p", `[{"op":"test","path":"/metadata/finalizers/1","value":"example.com/hold"},{"op":"remove","path":"/metadata/finalizers/1"}]`)
	framework.Eventually(t, "the namespace to go from the member", framework.MemberTimeout, func(ctx context.Context) error {
		_, err := member.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is there"), err)
	})
	framework.Eventually(t, "the namespace to go from the workspace", framework.MemberTimeout, func(ctx context.Context) error {
		_, err := tenant.Upstream.CoreV1().Namespaces().Get(ctx, "shop", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is there"), err)
	})
}
