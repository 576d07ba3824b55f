// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// cloudAddress is the address of every load balancer.
const cloudAddress = "203.0.113.7"

// cloud does what a member's provider does: it makes volumes for claims, and gives addresses to services and ingresses.
type cloud struct {
	client    dynamic.Interface
	typed     kubernetes.Interface
	namespace string
}

func newCloud(t *testing.T, member, namespace string) *cloud {
	t.Helper()
	return &cloud{client: suite.MemberDynamic(t, member), typed: suite.MemberClient(t, member), namespace: namespace}
}

// tend does what there is to do now. What another one writes meanwhile is done the next time.
func (c *cloud) tend(ctx context.Context) error {
	err := errors.Join(c.bind(ctx), c.expose(ctx), c.route(ctx))
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func (c *cloud) bind(ctx context.Context) error {
	claims, err := c.typed.CoreV1().PersistentVolumeClaims(c.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing claims: %w", err)
	}
	for i := range claims.Items {
		if claims.Items[i].Status.Phase != corev1.ClaimBound {
			if err := c.provision(ctx, &claims.Items[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// provision makes a volume for a claim, and binds both.
func (c *cloud) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + string(claim.UID)},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: claim.Spec.AccessModes, Capacity: corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			ClaimRef:               &corev1.ObjectReference{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/volumes/" + string(claim.UID)}},
		},
	}
	if _, err := c.typed.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating a volume: %w", err)
	}
	claims := c.typed.CoreV1().PersistentVolumeClaims(c.namespace)
	claim.Spec.VolumeName = volume.Name
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, "pv.kubernetes.io/bind-completed", "yes")
	updated, err := claims.Update(ctx, claim, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	updated.Status.Phase, updated.Status.AccessModes, updated.Status.Capacity = corev1.ClaimBound, claim.Spec.AccessModes, volume.Spec.Capacity
	_, err = claims.UpdateStatus(ctx, updated, metav1.UpdateOptions{})
	return err
}

func (c *cloud) expose(ctx context.Context) error {
	services, err := c.typed.CoreV1().Services(c.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing services: %w", err)
	}
	for i := range services.Items {
		service := &services.Items[i]
		if service.Spec.Type != corev1.ServiceTypeLoadBalancer || len(service.Status.LoadBalancer.Ingress) > 0 {
			continue
		}
		service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: cloudAddress}}
		if _, err := c.typed.CoreV1().Services(c.namespace).UpdateStatus(ctx, service, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (c *cloud) route(ctx context.Context) error {
	ingresses, err := c.typed.NetworkingV1().Ingresses(c.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing ingresses: %w", err)
	}
	for i := range ingresses.Items {
		ingress := &ingresses.Items[i]
		if len(ingress.Status.LoadBalancer.Ingress) > 0 {
			continue
		}
		ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: cloudAddress}}
		if _, err := c.typed.NetworkingV1().Ingresses(c.namespace).UpdateStatus(ctx, ingress, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return nil
}
