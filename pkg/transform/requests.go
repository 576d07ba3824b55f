// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	helpers "k8s.io/component-helpers/resource"
)

const (
	// maxNames is how many resources of one list count.
	maxNames = 64
	// maxResourceName is the length of a prefix, a slash and a name.
	maxResourceName = 253 + 1 + 63
)

// Requests returns what one pod of an object requests, with the arithmetic of the Kubernetes scheduler and the defaults
// of its API server (a limit without a request is one), and how many such pods run at once, everywhere together, or
// perNode on every node. Amounts that cannot be read, or are negative, count as none. A CronJob, a suspended Job and
// a finished one run no pods now. It is false for objects without pods.
func Requests(obj *unstructured.Unstructured) (perPod corev1.ResourceList, replicas int32, perNode, ok bool) {
	if obj == nil {
		return nil, 0, false, false
	}
	kind, spec := groupKind(obj), asMap(obj.Object["spec"])
	pods := podSpecs(kind, obj.Object)
	if len(pods) == 0 {
		return nil, 0, false, false
	}
	perPod = podRequests(pods[0])
	for _, pod := range pods[1:] { // nobody knows how many pods there are of each; the largest has to fit
		raise(perPod, podRequests(pod))
	}
	replicas = 1
	switch kind {
	case schema.GroupKind{Group: "apps", Kind: "DaemonSet"}:
		perNode = true
	case schema.GroupKind{Group: "batch", Kind: "CronJob"}, schema.GroupKind{Kind: "PodTemplate"}:
		replicas = 0
	case schema.GroupKind{Group: "batch", Kind: "Job"}:
		replicas = jobPods(spec, asMap(obj.Object["status"]))
	default:
		if n, found := asInt(spec["replicas"]); found {
			replicas = clamped(n)
		}
	}
	return perPod, replicas, perNode, true
}

// jobPods is how many pods of a Job run at once.
func jobPods(spec, status map[string]any) int32 {
	if asBool(spec["suspend"]) {
		return 0
	}
	for _, item := range asList(status["conditions"]) {
		condition := asMap(item)
		kind := asString(condition["type"])
		if (kind == "Complete" || kind == "Failed") && asString(condition["status"]) == "True" {
			return 0
		}
	}
	parallelism := int64(1)
	if n, ok := asInt(spec["parallelism"]); ok {
		parallelism = n
	}
	if n, ok := asInt(spec["completions"]); ok {
		parallelism = min(parallelism, n)
	}
	return clamped(parallelism)
}

// podRequests lets the scheduler's own code add up what a pod spec asks for.
func podRequests(spec map[string]any) corev1.ResourceList {
	pod := &corev1.Pod{}
	for _, item := range asList(spec["containers"]) {
		pod.Spec.Containers = append(pod.Spec.Containers, containerRequests(asMap(item)))
	}
	for _, item := range asList(spec["initContainers"]) {
		container := containerRequests(asMap(item))
		if asString(asMap(item)["restartPolicy"]) == string(corev1.ContainerRestartPolicyAlways) {
			container.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, container)
	}
	if overhead := amounts(spec["overhead"]); len(overhead) > 0 {
		pod.Spec.Overhead = overhead
	}
	if whole := asMap(spec["resources"]); whole != nil {
		pod.Spec.Resources = &corev1.ResourceRequirements{Requests: amounts(whole["requests"])}
		requested := helpers.PodRequests(pod, helpers.PodResourcesOptions{ExcludeOverhead: true, SkipPodLevelResources: true})
		for name, limit := range amounts(whole["limits"]) {
			if _, found := requested[name]; found {
				continue // the API server takes the sum of the containers
			}
			if _, found := pod.Spec.Resources.Requests[name]; !found {
				pod.Spec.Resources.Requests[name] = limit
			}
		}
	}
	return helpers.PodRequests(pod, helpers.PodResourcesOptions{})
}

func containerRequests(container map[string]any) corev1.Container {
	resources := asMap(container["resources"])
	requests := amounts(resources["requests"])
	for name, limit := range amounts(resources["limits"]) {
		if _, found := requests[name]; !found {
			requests[name] = limit
		}
	}
	return corev1.Container{Resources: corev1.ResourceRequirements{Requests: requests}}
}

// amounts reads a list of resources. Of a list that is too long, those of Kubernetes itself count first.
func amounts(value any) corev1.ResourceList {
	m := asMap(value)
	names := make([]string, 0, len(m))
	for name := range m {
		if name != "" && len(name) <= maxResourceName {
			names = append(names, name)
		}
	}
	if len(names) > maxNames {
		slices.SortFunc(names, func(a, b string) int {
			return cmp.Or(compareBool(strings.Contains(a, "/"), strings.Contains(b, "/")), strings.Compare(a, b))
		})
		names = names[:maxNames]
	}
	list := make(corev1.ResourceList, len(names))
	for _, name := range names {
		if q, ok := quantityOf(m[name]); ok && q.Sign() >= 0 {
			list[corev1.ResourceName(name)] = q
		}
	}
	return list
}

// raise makes amounts at least those of another list.
func raise(list, other corev1.ResourceList) {
	for name, amount := range other {
		if present, found := list[name]; !found || amount.Cmp(present) > 0 {
			list[name] = amount
		}
	}
}
