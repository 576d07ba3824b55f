// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"strings"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// adapt removes from a copy what servers and controllers fill in, and what names something outside of the namespace, and
// keeps what selects namespaces to those of the workspace.
func adapt(kind schema.GroupKind, desired map[string]any, name string, ws logicalcluster.Name) {
	spec := asMap(desired["spec"])
	switch kind {
	case schema.GroupKind{Kind: "Service"}:
		adaptService(spec)
	case schema.GroupKind{Kind: "PersistentVolumeClaim"}:
		adaptClaim(spec)
	case schema.GroupKind{Kind: "ServiceAccount"}:
		delete(desired, "secrets") // the tokens that the workspace made for it
	case schema.GroupKind{Group: "batch", Kind: "Job"}:
		adaptJob(spec, name)
	case schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:
		adaptPolicy(spec, ws)
	case schema.GroupKind{Group: "apps", Kind: "StatefulSet"}:
		for _, item := range asList(spec["volumeClaimTemplates"]) {
			template := asMap(item)
			delete(template, "status")
			adaptClaim(asMap(template["spec"]))
		}
	}
	for _, pod := range podSpecs(kind, desired) {
		adaptAffinity(pod, ws)
		for _, item := range asList(pod["volumes"]) {
			adaptClaim(at(asMap(item), "ephemeral", "volumeClaimTemplate", "spec"))
		}
	}
}

// adaptService lets the member assign addresses and ports, unless the service wants none.
func adaptService(spec map[string]any) {
	if asString(spec["clusterIP"]) != "None" {
		delete(spec, "clusterIP")
		delete(spec, "clusterIPs")
	}
	delete(spec, "healthCheckNodePort")
	for _, item := range asList(spec["ports"]) {
		delete(asMap(item), "nodePort")
	}
}

// adaptClaim keeps a claim from choosing a volume, which may be anybody's, and from naming a namespace of the member.
func adaptClaim(spec map[string]any) {
	delete(spec, "volumeName")
	delete(asMap(spec["dataSource"]), "namespace")
	delete(asMap(spec["dataSourceRef"]), "namespace")
}

// generatedSelector says whether a Job has the selector that its controller makes of its UID.
func generatedSelector(spec map[string]any) bool {
	return !asBool(spec["manualSelector"])
}

// adaptJob removes what binds a Job to the UID of the object that it was read from.
func adaptJob(spec map[string]any, name string) {
	if !generatedSelector(spec) {
		return
	}
	delete(spec, "selector")
	withoutGenerated(at(spec, "template", "metadata", "labels"), name, true)
}

// withoutGenerated removes the labels that the controller of Jobs generates. The name is the user's own label unless the
// UID beside it tells that both were generated.
func withoutGenerated(labels map[string]any, name string, generated bool) {
	if !generated {
		return
	}
	found := false
	for _, key := range []string{"controller-uid", "batch.kubernetes.io/controller-uid"} {
		if _, ok := labels[key]; ok {
			found = true
			delete(labels, key)
		}
	}
	if !found {
		return
	}
	for _, key := range []string{"job-name", "batch.kubernetes.io/job-name"} {
		if asString(labels[key]) == name {
			delete(labels, key)
		}
	}
}

// setReplicas writes the member's share, or nothing if an autoscaler decides there.
func setReplicas(kind schema.GroupKind, desired map[string]any, t Target) {
	spec := asMap(desired["spec"])
	if spec == nil || !replicated(kind, spec) {
		return
	}
	switch {
	case t.OmitReplicas:
		delete(spec, "replicas")
	case t.Replicas != nil:
		spec["replicas"] = int64(max(*t.Replicas, 0))
	}
}

// replicated says whether spec.replicas is a number of replicas.
func replicated(kind schema.GroupKind, spec map[string]any) bool {
	switch kind {
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}, schema.GroupKind{Group: "apps", Kind: "StatefulSet"},
		schema.GroupKind{Kind: "ReplicationController"}:
		return true
	}
	_, ok := asInt(spec["replicas"])
	return ok
}

// podSpecs returns the pod specs inside an object: those of the kinds that are known, and of others whatever stands
// where a pod template would.
func podSpecs(kind schema.GroupKind, object map[string]any) []map[string]any {
	spec := asMap(object["spec"])
	switch kind {
	case schema.GroupKind{Kind: "Pod"}:
		return nonNil(spec)
	case schema.GroupKind{Kind: "PodTemplate"}:
		return nonNil(at(object, "template", "spec"))
	case schema.GroupKind{Group: "batch", Kind: "CronJob"}:
		return nonNil(at(spec, "jobTemplate", "spec", "template", "spec"))
	}
	if builtIn(kind.Group) {
		return nonNil(at(spec, "template", "spec"))
	}
	return templates(spec, nil, 0)
}

func nonNil(spec map[string]any) []map[string]any {
	if spec == nil {
		return nil
	}
	return []map[string]any{spec}
}

// templates collects the specs of all pod templates, in any order.
func templates(value any, found []map[string]any, depth int) []map[string]any {
	if depth > maxDepth {
		return found
	}
	switch v := value.(type) {
	case map[string]any:
		if spec := at(v, "template", "spec"); asList(spec["containers"]) != nil {
			found = append(found, spec)
		}
		for _, inner := range v {
			found = templates(inner, found, depth+1)
		}
	case []any:
		for _, inner := range v {
			found = templates(inner, found, depth+1)
		}
	}
	return found
}

// builtIn says whether a group is one of Kubernetes itself.
func builtIn(group string) bool {
	switch group {
	case "", "apps", "batch", "policy", "autoscaling", "extensions":
		return true
	}
	return strings.HasSuffix(group, ".k8s.io")
}
