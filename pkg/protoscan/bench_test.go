// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/protoscan"
)

// BenchmarkScanPod is the scanner alone, on a running pod of usual size.
func BenchmarkScanPod(b *testing.B) {
	requests := corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("256Mi")}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team-a", Name: "web", UID: "01234567-89ab-cdef-0123-456789abcdef", ResourceVersion: "4711",
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: &metav1.FieldsV1{Raw: make([]byte, 2500)}}},
	}}
	for _, name := range []string{"app", "proxy"} {
		c := corev1.Container{Name: name, Image: "registry.example/app:v1", Resources: corev1.ResourceRequirements{Requests: requests, Limits: requests}}
		for i := range 10 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", i), Value: "some-value-of-usual-length"})
		}
		p.Spec.Containers = append(p.Spec.Containers, c)
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: name, Ready: true, Resources: &corev1.ResourceRequirements{Requests: requests, Limits: requests}, AllocatedResources: requests,
		})
	}
	raw, err := p.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	var into capacity.Pod
	b.ReportAllocs()
	for b.Loop() {
		if err := protoscan.Pod(raw, &into); err != nil {
			b.Fatal(err)
		}
	}
}
