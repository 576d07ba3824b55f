// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Classes of resources, in the order in which a person would apply them. Sync itself waits for what a workload refers to
// (Dependencies), whatever its class.
const (
	// ClassNamespace: the namespace that holds everything else.
	ClassNamespace = iota
	// ClassConfiguration: what pods need in order to start, and what limits them.
	ClassConfiguration
	// ClassService: what has to be there before pods are: their names, and the rules for them.
	ClassService
	// ClassWorkload: what makes pods, and everything that is not known.
	ClassWorkload
	// ClassEdge: what refers to services and workloads.
	ClassEdge
	// Classes is how many there are.
	Classes
)

// Class is the class of a resource.
func Class(gr schema.GroupResource) int {
	switch gr.Group {
	case "":
		switch gr.Resource {
		case "namespaces":
			return ClassNamespace
		case resourceConfigMaps, resourceSecrets, resourceServiceAccounts, resourceClaims, "resourcequotas", "limitranges":
			return ClassConfiguration
		case "services":
			return ClassService
		}
	case "policy":
		return ClassService
	case "networking.k8s.io":
		if gr.Resource == "networkpolicies" {
			return ClassService
		}
		return ClassEdge
	case "autoscaling", "autoscaling.k8s.io", "gateway.networking.k8s.io":
		return ClassEdge
	}
	return ClassWorkload
}

// IsWorkload says whether the objects of a resource make pods.
func IsWorkload(gr schema.GroupResource) bool {
	switch gr.Group {
	case "apps":
		return gr.Resource == "deployments" || gr.Resource == "statefulsets" || gr.Resource == "daemonsets"
	case "batch":
		return gr.Resource == "jobs" || gr.Resource == "cronjobs"
	case "":
		return gr.Resource == "replicationcontrollers"
	}
	return false
}

// ScaledBy is what an autoscaler scales. It is in the autoscaler's namespace.
func ScaledBy(autoscaler *unstructured.Unstructured) (Reference, bool) {
	if autoscaler == nil {
		return Reference{}, false
	}
	target := at(autoscaler.Object, "spec", "scaleTargetRef")
	r := Reference{Group: groupOf(asString(target["apiVersion"])), Kind: asString(target["kind"]), Name: asString(target["name"])}
	if r.Kind == "" || !properName(r.Name) {
		return Reference{}, false
	}
	plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Group: r.Group, Kind: r.Kind})
	r.Resource = plural.Resource
	return r, true
}

// Replicas is how many replicas an object of a workspace asks for, if it is one that replicas can be divided of.
func Replicas(upstream *unstructured.Unstructured) (int32, bool) {
	if upstream == nil {
		return 0, false
	}
	spec := asMap(upstream.Object["spec"])
	if spec == nil || !replicated(groupKind(upstream), spec) {
		return 0, false
	}
	n, ok := asInt(spec["replicas"])
	if !ok {
		return 1, true
	}
	return clamped(n), true
}

// Handover is what has to be applied, without force and by another field manager than the one of copies, before a copy
// is first applied with OmitReplicas: a field that its only manager leaves out goes back to its default, which would stop
// all but one pod. The autoscaler takes the field over when it first scales. A conflict means that it has.
//
// It is false if the live object has no number of replicas.
func Handover(live *unstructured.Unstructured) (*unstructured.Unstructured, bool) {
	if live == nil {
		return nil, false
	}
	replicas, ok := asInt(at(live.Object, "spec")["replicas"])
	if !ok || live.GetName() == "" || live.GetNamespace() == "" {
		return nil, false
	}
	metadata := map[string]any{"name": live.GetName(), "namespace": live.GetNamespace()}
	if uid := live.GetUID(); uid != "" {
		metadata["uid"] = string(uid) // so that nothing is created if it has gone
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": live.GetAPIVersion(),
		"kind":       live.GetKind(),
		"metadata":   metadata,
		"spec":       map[string]any{"replicas": replicas},
	}}, true
}
