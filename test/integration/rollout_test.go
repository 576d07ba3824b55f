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
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

const (
	behaviorAnnotation = "tmc.test/behavior"
	// toldWithin is what the design promises for a member's news; a busy machine gets told times ten.
	toldWithin = 2 * time.Second
	patience   = 10
)

// TestRolloutWaitsForTheSlowestMember: kubectl waits as long as one of two members has not got the new pods running.
func TestRolloutWaitsForTheSlowestMember(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "rollout", []string{"east", "west"})
	tenant.Apply(t, deployment("web", 2))
	tenant.Apply(t, placement("web", "{}"))
	tenant.WaitForUpstream(t, "web", available(2))
	tenant.Kubectl.MustRun(t, "rollout", "status", "deployment/web", "--timeout=30s")

	// From now on, pods on west start and do not get ready, until that is taken back.
	namespace := tenant.Namespace(metav1.NamespaceDefault)
	suite.Admit(t, "west", namespace, "pods", neverReady)
	tenant.Kubectl.MustRun(t, "set", "image", "deployment/web", "web=registry.example.com/web:2")
	status := tenant.Kubectl.Start(t, "rollout", "status", "deployment/web", "--timeout=120s")
	newImage := func(d *appsv1.Deployment) error {
		if image := d.Spec.Template.Spec.Containers[0].Image; image != "registry.example.com/web:2" {
			return errors.New("its image is " + image)
		}
		return nil
	}
	suite.WaitForDeployment(t, tenant, "east", "web", func(d *appsv1.Deployment) error { return errors.Join(newImage(d), available(2)(d), rolledOut(d)) })
	suite.WaitForDeployment(t, tenant, "west", "web", newImage)
	framework.Never(t, "kubectl says that the rollout is done", holdTime, func(context.Context) error {
		if status.Ended() || slices.ContainsFunc(status.Lines(), func(line string) bool { return strings.Contains(line, "successfully rolled out") }) {
			return fmt.Errorf("it said %q", status.Lines())
		}
		return nil
	})
	wake(t, "west", namespace, "web")
	suite.WaitForDeployment(t, tenant, "west", "web", func(d *appsv1.Deployment) error { return errors.Join(newImage(d), rolledOut(d)) })
	framework.Eventually(t, "kubectl to say that the rollout is done", framework.MemberTimeout, func(context.Context) error {
		if lines := status.Lines(); !status.Ended() || len(lines) < 2 || !strings.Contains(lines[len(lines)-1], "successfully rolled out") {
			return fmt.Errorf("it said %q", lines)
		}
		return nil
	})
}

// neverReady has new pods start and not get ready, until that is taken back.
func neverReady(request *admissionv1.AdmissionRequest) framework.Verdict {
	if request.Operation != admissionv1.Create {
		return framework.Verdict{}
	}
	return framework.Verdict{Patch: `[{"op":"add","path":"/metadata/annotations","value":{"` + behaviorAnnotation + `":"never-ready"}}]`}
}

func rolledOut(d *appsv1.Deployment) error {
	if s := d.Status; s.ObservedGeneration != d.Generation || s.UpdatedReplicas != *d.Spec.Replicas || s.Replicas != s.UpdatedReplicas || s.AvailableReplicas != s.UpdatedReplicas {
		return fmt.Errorf("it is not rolled out: %+v", s)
	}
	return nil
}

// wake lets the pods of an app on a member get ready, also those that come while it does so.
func wake(t *testing.T, member, namespace, app string) {
	t.Helper()
	client := suite.MemberClient(t, member)
	framework.Eventually(t, "the pods on "+member+" to get ready", framework.MemberTimeout, func(ctx context.Context) error {
		pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil {
			return err
		}
		d, err := client.AppsV1().Deployments(namespace).Get(ctx, app, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if pod.Annotations[behaviorAnnotation] == "" || pod.Status.Phase != corev1.PodRunning {
				continue
			}
			patch := []byte(`{"metadata":{"annotations":{"` + behaviorAnnotation + `":null}}}`)
			if _, err := client.CoreV1().Pods(namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				return err
			}
		}
		return rolledOut(d)
	})
}

// TestFailingImageIsToldAtOnce: what a member knows of a failure is in the workspace's object and in the view soon after.
func TestFailingImageIsToldAtOnce(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "failing-image", []string{"east", "west"})
	tenant.Apply(t, deployment("web", 2))
	tenant.Apply(t, placement("web", "{clusterNames: ["+tenant.Members["east"]+"]}"))
	tenant.WaitForUpstream(t, "web", available(2))

	failed := func(object *unstructured.Unstructured) bool {
		conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions") // none is no failure
		return slices.ContainsFunc(conditions, func(c any) bool {
			fields, _ := c.(map[string]any)
			return fields["type"] == "Progressing" && fields["reason"] == "ProgressDeadlineExceeded"
		})
	}
	deployments := appsv1.SchemeGroupVersion.WithResource("deployments")
	onMember := framework.When(t, "the member to know", suite.MemberDynamic(t, "east"), deployments, tenant.Namespace(metav1.NamespaceDefault), "web", failed)
	inWorkspace := framework.When(t, "the workspace to know", tenant.Client.Dynamic(), deployments, metav1.NamespaceDefault, "web", failed)
	inView := framework.When(t, "the view to know", tenant.Client.Dynamic(), tmcv1alpha1.SchemeGroupVersion().WithResource("placementstatuses"), metav1.NamespaceDefault, "web",
		func(object *unstructured.Unstructured) bool {
			view := &tmcv1alpha1.PlacementStatus{}
			if err := framework.Decode(object, view); err != nil {
				return false
			}
			row, err := copyOf(view, tenant.Members["east"], "Deployment", "web")
			return err == nil && row.Health == tmcv1alpha1.HealthDegraded && row.Reason == "ProgressDeadlineExceeded"
		})

	broken := strings.NewReplacer("  replicas: 2\n", "  replicas: 2\n  progressDeadlineSeconds: 3\n",
		"web:1", "web:missing", "metadata: {labels: {app: web}}", "metadata: {labels: {app: web}, annotations: {"+behaviorAnnotation+": image-pull-fail}}").Replace(deployment("web", 2))
	tenant.Apply(t, broken)
	known := onMember.Wait(t)
	for what, moment := range map[string]*framework.Moment{"the workspace's object": inWorkspace, "the view": inView} {
		took := moment.Wait(t).Sub(known).Round(time.Millisecond)
		t.Logf("%s told of it %s after the member knew", what, took)
		if took > toldWithin*patience {
			t.Errorf("%s told of it after %s, want %s", what, took, toldWithin)
		}
	}
	result := tenant.Kubectl.Run(t, "rollout", "status", "deployment/web", "--timeout=60s")
	if result.ExitCode == 0 || !strings.Contains(result.Output(), "exceeded its progress deadline") {
		t.Errorf("kubectl rollout status ended with %d:\n%s", result.ExitCode, result.Output())
	}
	degraded := tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionFalse, tmcv1alpha1.ReasonDegraded)
	t.Logf("the placement says: %+v", degraded.Status.Conditions)

	// The old pods serve on; what is right again is told, too.
	tenant.Apply(t, deployment("web", 2))
	tenant.WaitForUpstream(t, "web", func(d *appsv1.Deployment) error { return errors.Join(available(2)(d), rolledOut(d)) })
	tenant.WaitForPlacement(t, "web", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

// copyOf returns what the view says of one copy.
func copyOf(view *tmcv1alpha1.PlacementStatus, member, kind, name string) (*tmcv1alpha1.PlacedObject, error) {
	for i := range view.Status.Clusters {
		if view.Status.Clusters[i].ClusterName != member {
			continue
		}
		for j := range view.Status.Clusters[i].Objects {
			if found := &view.Status.Clusters[i].Objects[j]; found.Kind == kind && found.Name == name {
				return found, nil
			}
		}
	}
	return nil, fmt.Errorf("the view has no %s %s on %s: %+v", kind, name, member, view.Status)
}
