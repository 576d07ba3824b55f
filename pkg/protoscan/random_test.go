// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan_test

import (
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// generator makes random objects with every feature that bears on requests; the same seed makes the same objects.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, 2))}
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g generator) quantity() resource.Quantity {
	suffix := pick(g, "", "", "m", "m", "u", "n", "k", "M", "G", "Ki", "Mi", "Mi", "Gi", "Ti", "E", "Ei", "e3", "e-4")
	digits := pick(g, "0", "1", "7", "100", "250", "1500", "2.5", "0.001", "123456789", "9223372036854775807")
	return resource.MustParse(digits + suffix)
}

func (g generator) list(most int) corev1.ResourceList {
	if most == 0 || g.chance(15) {
		return nil
	}
	names := []corev1.ResourceName{
		"cpu", "memory", "cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "nvidia.com/gpu", "example.com/fpga", "rdma/hca",
	}
	list := corev1.ResourceList{}
	for range g.IntN(most + 1) {
		list[pick(g, names...)] = g.quantity()
	}
	return list
}

func (g generator) requirements() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: g.list(5), Limits: g.list(3)}
}

func (g generator) container(name string, init bool) corev1.Container {
	c := corev1.Container{Name: name, Image: "registry.example/app:1", Resources: g.requirements()}
	for i := range g.IntN(4) {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("KEY_%d", i), Value: "value"})
	}
	if init && g.chance(50) {
		always := corev1.ContainerRestartPolicyAlways
		c.RestartPolicy = &always
	}
	return c
}

// status is in the midst of a resize, or says that the container has or was promised what it asks for, as most do.
func (g generator) status(c corev1.Container) corev1.ContainerStatus {
	s := corev1.ContainerStatus{Name: c.Name, Ready: true, ImageID: "sha256:0123", AllocatedResources: g.list(4)}
	if g.chance(40) {
		s.AllocatedResources = c.Resources.Requests
	}
	switch {
	case g.chance(40):
		s.Resources = &c.Resources
	case g.chance(70):
		r := g.requirements()
		s.Resources = &r
	}
	return s
}

func (g generator) pod() *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team-a", Name: "web", UID: types.UID(fmt.Sprintf("uid-%d", g.IntN(1000))), ResourceVersion: "4711",
		Labels: map[string]string{"app": "web"}, Finalizers: []string{"example.com/hold"},
	}}
	p.Spec.NodeName = pick(g, "", "node-1", "node-2")
	p.Status.Phase = pick(g, corev1.PodPending, corev1.PodRunning, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed, corev1.PodUnknown, "Odd", "")
	p.Spec.Overhead = g.list(2)
	many := 3
	if g.chance(2) {
		many = 200
	}
	for i := range g.IntN(many) + 1 {
		name := fmt.Sprintf("c%d", i)
		c := g.container(name, false)
		p.Spec.Containers = append(p.Spec.Containers, c)
		if g.chance(60) {
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, g.status(c))
		}
	}
	for i := range g.IntN(4) {
		name := fmt.Sprintf("i%d", i)
		if g.chance(5) {
			name = "c0" // no API server admits it, and the last status of a name counts
		}
		c := g.container(name, true)
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
		if g.chance(60) {
			p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, g.status(c))
		}
	}
	g.resize(p)
	return p
}

func (g generator) resize(p *corev1.Pod) {
	if g.chance(30) {
		r := g.requirements()
		p.Spec.Resources = &r
	}
	if g.chance(30) {
		r := g.requirements()
		p.Status.Resources = &r
		p.Status.AllocatedResources = g.list(3)
	}
	for range g.IntN(3) {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
			Type:   pick(g, corev1.PodReady, corev1.PodResizePending, corev1.PodResizeInProgress),
			Status: corev1.ConditionTrue,
			Reason: pick(g, corev1.PodReasonInfeasible, corev1.PodReasonDeferred, ""),
		})
	}
}

func (g generator) node() *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-n", ResourceVersion: "12"}}
	n.Spec.Unschedulable = g.chance(30)
	n.Spec.Taints = []corev1.Taint{{Key: "dedicated", Effect: corev1.TaintEffectNoSchedule}}
	n.Status.Capacity, n.Status.Allocatable = g.list(6), g.list(6)
	for _, kind := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeReady} {
		if g.chance(80) {
			n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{
				Type: kind, Status: pick(g, corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown),
			})
		}
	}
	n.Status.Images = []corev1.ContainerImage{{Names: []string{"a", "b"}, SizeBytes: 5}}
	return n
}
