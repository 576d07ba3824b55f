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
	corev1 "k8s.io/api/core/v1"
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
	tenant.Apply(t, deployment("web", 3))
	tenant.Apply(t, placement("web", "{clusterNames: [east.t01]}"))
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
	tenant.Apply(t, deployment("web", 1))
	tenant.Apply(t, placement("web", "{}"))
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

// release takes a finalizer off a Deployment, wherever it is among others.
func release(t *testing.T, tenant *framework.PlacingTenant, namespace, name, finalizer string) {
	t.Helper()
	deployments := tenant.Upstream.AppsV1().Deployments(namespace)
	framework.Eventually(t, "the finalizer to be taken off", framework.MemberTimeout, func(ctx context.Context) error {
		found, err := deployments.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		found.Finalizers = slices.DeleteFunc(found.Finalizers, func(own string) bool { return own == finalizer })
		_, err = deployments.Update(ctx, found, metav1.UpdateOptions{})
		return err
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
	tenant.Apply(t, inShop(deployment("web", 1)))
	tenant.Apply(t, inShop(placement("web", "{}")))
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
	release(t, tenant, "shop", "web", "example.com/hold")
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

// TestDependenciesFollow: what a workload refers to is there with it, and leaves with it.
func TestDependenciesFollow(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "deps", []string{"west"})
	tenant.Apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: default}\ndata: {color: blue}\n")
	tenant.Apply(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: password, namespace: default}\nstringData: {password: correct-horse}\n")
	tenant.Apply(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: unrelated, namespace: default}\nstringData: {password: battery-staple}\n")
	tenant.Apply(t, strings.Replace(deployment("web", 1), "resources:", "envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: password}}], resources:", 1))
	tenant.Apply(t, placement("web", "{resourceSelectors: [{kind: Deployment}]}"))
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
	tenant.Apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: default}\ndata: {color: green}\n")
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
