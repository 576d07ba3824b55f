// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kcp-dev/tmc/test/integration/framework"
)

// makeDeployment creates a Deployment whose every pod asks for 100m, and waits until it is available.
func makeDeployment(t *testing.T, client kubernetes.Interface, namespace string, replicas int32) {
	t.Helper()
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "web", Image: "registry.example/web:1",
					Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}},
				}}},
			},
		},
	}
	if _, err := client.AppsV1().Deployments(namespace).Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatalf("creating a deployment: %v", err)
	}
	waitForReplicas(t, client, namespace, replicas)
}

func scale(t *testing.T, client kubernetes.Interface, namespace string, replicas int) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	if _, err := client.AppsV1().Deployments(namespace).Patch(t.Context(), "web", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatalf("scaling a deployment: %v", err)
	}
}

func waitForReplicas(t *testing.T, client kubernetes.Interface, namespace string, replicas int32) {
	t.Helper()
	framework.Eventually(t, fmt.Sprintf("%d replicas to be available", replicas), framework.MemberTimeout, func(ctx context.Context) error {
		deployment, err := client.AppsV1().Deployments(namespace).Get(ctx, "web", metav1.GetOptions{})
		if err == nil && deployment.Status.AvailableReplicas != replicas {
			err = fmt.Errorf("%d are available", deployment.Status.AvailableReplicas)
		}
		return err
	})
}

// TestWatchShowsARowChange: `kubectl get cst -w` prints a new line when a Deployment on a member is scaled.
func TestWatchShowsARowChange(t *testing.T) {
	t.Parallel()
	client := suite.MemberClient(t, "east")
	namespace := makeNamespace(t, client, "watched")
	makeDeployment(t, client, namespace, 1)
	// The row must have settled before the watch, else its own start is taken for the change.
	waitForRecount(t, suite.Acme, "east")

	stream := suite.Acme.Kubectl.Start(t, "get", "cst", "east", "-w", "-o",
		`jsonpath={.status.allocated.cpu}{" "}{.metadata.resourceVersion}{"\n"}`)
	var before string
	framework.Eventually(t, "the first row", framework.MemberTimeout, func(context.Context) error {
		if lines := stream.Lines(); len(lines) > 0 {
			before = lines[len(lines)-1]
			return nil
		}
		return errors.New("nothing was printed")
	})
	scale(t, client, namespace, 4)
	took := framework.Eventually(t, "a changed row", framework.MemberTimeout, func(context.Context) error {
		lines := stream.Lines()
		last := lines[len(lines)-1]
		if strings.Fields(last)[0] == strings.Fields(before)[0] {
			return fmt.Errorf("the last of %d lines still reads %q", len(lines), last)
		}
		return nil
	})
	t.Logf("the row changed %s after the scaling", took.Round(time.Millisecond))
	if stream.Ended() {
		t.Errorf("the watch ended:\n%s", strings.Join(stream.Lines(), "\n"))
	}
}

// TestWatchTableIsReadable looks at what a person sees with -w: no empty row, no failure, one header.
func TestWatchTableIsReadable(t *testing.T) {
	t.Parallel()
	stream := suite.Acme.Kubectl.Start(t, "get", "cst", "-w")
	framework.Eventually(t, "the header and all members", framework.MemberTimeout, func(context.Context) error {
		if got := len(stream.Lines()); got < 1+len(sharedMembers) {
			return fmt.Errorf("there are %d lines", got)
		}
		return nil
	})
	for i, line := range stream.Lines() {
		switch {
		case (i == 0) != strings.HasPrefix(line, "NAME"):
			t.Errorf("line %d reads %q", i, line)
		case strings.TrimSpace(line) == "", strings.Contains(line, "Failure"):
			t.Errorf("line %d reads %q", i, line)
		}
	}
}
