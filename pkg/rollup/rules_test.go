// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/rollup"
)

// fields is a JSON object.
type fields = map[string]any

var (
	deployments  = schema.GroupResource{Group: "apps", Resource: "deployments"}
	statefulSets = schema.GroupResource{Group: "apps", Resource: "statefulsets"}
	daemonSets   = schema.GroupResource{Group: "apps", Resource: "daemonsets"}
	replicaSets  = schema.GroupResource{Group: "apps", Resource: "replicasets"}
	jobs         = schema.GroupResource{Group: "batch", Resource: "jobs"}
	cronJobs     = schema.GroupResource{Group: "batch", Resource: "cronjobs"}
	services     = schema.GroupResource{Resource: "services"}
	configMaps   = schema.GroupResource{Resource: "configmaps"}
	claims       = schema.GroupResource{Resource: "persistentvolumeclaims"}
	ingresses    = schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}
	budgets      = schema.GroupResource{Group: "policy", Resource: "poddisruptionbudgets"}
	autoscalers  = schema.GroupResource{Group: "autoscaling", Resource: "horizontalpodautoscalers"}
	widgets      = schema.GroupResource{Group: "example.com", Resource: "widgets"}

	// unknown are kinds without a rule of their own.
	unknown = []schema.GroupResource{widgets, {Resource: "pods"}, {Group: "apps", Resource: "others"}, {Group: "batch", Resource: "others"}, {Group: "policy", Resource: "others"}}

	every = slices.Concat(unknown, []schema.GroupResource{
		deployments, statefulSets, daemonSets, replicaSets, jobs, cronJobs, services, configMaps, claims, ingresses, budgets, autoscalers,
		{Resource: "replicationcontrollers"},
		{Group: "apps", Resource: "controllerrevisions"},
		{Group: "networking.k8s.io", Resource: "networkpolicies"},
		{Group: "rbac.authorization.k8s.io", Resource: "roles"},
	})

	noon    = metav1.NewTime(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	evening = metav1.NewTime(time.Date(2026, 5, 1, 18, 0, 0, 0, time.UTC))
)

const (
	noonText    = "2026-05-01T12:00:00Z"
	eveningText = "2026-05-01T18:00:00Z"
	morningText = "2026-05-01T06:00:00Z"
)

// object makes the workspace's object, or a live one.
func object(generation int64, spec, status fields) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: fields{"metadata": fields{"name": "web", "namespace": "shop", "generation": generation}}}
	if spec != nil {
		o.Object["spec"] = spec
	}
	if status != nil {
		o.Object["status"] = status
	}
	return o
}

// on is a current copy on a member that answers.
func on(member string, live *unstructured.Unstructured) rollup.Copy {
	return rollup.Copy{Member: member, Object: live, Current: live != nil, Reachable: true}
}

// unheard is the copy on a member that has not been reached since the process started.
func unheard(member string) rollup.Copy { return rollup.Copy{Member: member} }

// told adds what the member was told to run.
func told(c rollup.Copy, replicas int32) rollup.Copy {
	c.Replicas = &replicas
	return c
}

// live is a copy with a status; its only spec is generation 1.
func live(status fields) *unstructured.Unstructured { return object(1, nil, status) }

func cond(kind, status, reason, message string) fields {
	return fields{"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": morningText, "lastUpdateTime": morningText}
}

// findCondition returns a condition of a status.
func findCondition(status fields, kind string) fields {
	list, _ := status["conditions"].([]any)
	for _, entry := range list {
		if c, _ := entry.(fields); c["type"] == kind {
			return c
		}
	}
	return nil
}

// decoded is the value after a trip over the wire, with whole numbers as the machinery decodes them.
func decoded(tb testing.TB, status fields) fields {
	tb.Helper()
	raw, err := json.Marshal(fields{"kind": "x", "apiVersion": "v1", "status": status})
	if err != nil {
		tb.Fatalf("encoding the status: %v", err)
	}
	var o unstructured.Unstructured
	if err := o.UnmarshalJSON(raw); err != nil {
		tb.Fatalf("decoding the status: %v", err)
	}
	out, _ := o.Object["status"].(fields)
	return out
}

func integer(status fields, field string) int64 {
	n, _ := status[field].(int64)
	return n
}

// The rules of the judges, written down from their sources. An outcome is done, waiting or failed.
type outcome string

const (
	done   outcome = "done"
	wait   outcome = "waiting"
	failed outcome = "failed"
)

func specReplicas(o *unstructured.Unstructured) int64 {
	spec, _ := o.Object["spec"].(fields)
	if n, ok := spec["replicas"].(int64); ok {
		return n
	}
	return 1
}

func parts(o *unstructured.Unstructured) (spec, status fields) {
	spec, _ = o.Object["spec"].(fields)
	status, _ = o.Object["status"].(fields)
	return spec, status
}

// kubectlDeployment is DeploymentStatusViewer.Status (kubectl, pkg/polymorphichelpers/rollout_status.go); Argo CD's
// gitops-engine has the same in pkg/health/health_deployment.go.
func kubectlDeployment(o *unstructured.Unstructured) outcome {
	_, status := parts(o)
	if o.GetGeneration() > integer(status, "observedGeneration") {
		return wait
	}
	if findCondition(status, "Progressing")["reason"] == "ProgressDeadlineExceeded" {
		return failed
	}
	updated := integer(status, "updatedReplicas")
	if updated < specReplicas(o) || integer(status, "replicas") > updated || integer(status, "availableReplicas") < updated {
		return wait
	}
	return done
}

// kubectlStatefulSet is StatefulSetStatusViewer.Status.
func kubectlStatefulSet(o *unstructured.Unstructured) outcome {
	spec, status := parts(o)
	observed, replicas := integer(status, "observedGeneration"), specReplicas(o)
	if observed == 0 || o.GetGeneration() > observed || integer(status, "readyReplicas") < replicas {
		return wait
	}
	strategy, _ := spec["updateStrategy"].(fields)
	if rolling, ok := strategy["rollingUpdate"].(fields); ok {
		if partition, ok := rolling["partition"].(int64); ok && integer(status, "updatedReplicas") < replicas-partition {
			return wait
		}
		return done
	}
	if status["updateRevision"] != status["currentRevision"] {
		return wait
	}
	return done
}

// kubectlDaemonSet is DaemonSetStatusViewer.Status.
func kubectlDaemonSet(o *unstructured.Unstructured) outcome {
	_, status := parts(o)
	desired := integer(status, "desiredNumberScheduled")
	if o.GetGeneration() > integer(status, "observedGeneration") || integer(status, "updatedNumberScheduled") < desired ||
		integer(status, "numberAvailable") < desired {
		return wait
	}
	return done
}

// kstatusDeployment is deploymentConditions after the checks that kstatus makes of every kind (cli-utils,
// pkg/kstatus/status/core.go and generic.go).
func kstatusDeployment(o *unstructured.Unstructured) outcome {
	spec, status := parts(o)
	if observed, ok := status["observedGeneration"].(int64); ok && observed != o.GetGeneration() {
		return wait
	}
	advance := findCondition(status, "Progressing")
	if advance["reason"] == "ProgressDeadlineExceeded" {
		return failed
	}
	_, deadline := spec["progressDeadlineSeconds"]
	progressing := !deadline || advance["status"] == "True" && advance["reason"] == "NewReplicaSetAvailable"
	wanted, replicas, updated := specReplicas(o), integer(status, "replicas"), integer(status, "updatedReplicas")
	if wanted > replicas || wanted > updated || replicas > wanted || updated > integer(status, "availableReplicas") ||
		wanted > integer(status, "readyReplicas") || !progressing || findCondition(status, "Available")["status"] != "True" {
		return wait
	}
	return done
}

// kstatusStatefulSet is stsConditions.
func kstatusStatefulSet(o *unstructured.Unstructured) outcome {
	spec, status := parts(o)
	if observed, ok := status["observedGeneration"].(int64); ok && observed != o.GetGeneration() {
		return wait
	}
	wanted := specReplicas(o)
	if wanted > integer(status, "replicas") || wanted > integer(status, "readyReplicas") || integer(status, "replicas") > wanted {
		return wait
	}
	strategy, _ := spec["updateStrategy"].(fields)
	rolling, _ := strategy["rollingUpdate"].(fields)
	if partition, ok := rolling["partition"].(int64); ok {
		if integer(status, "updatedReplicas") < wanted-partition {
			return wait
		}
		return done
	}
	if wanted > integer(status, "currentReplicas") || status["currentRevision"] != status["updateRevision"] {
		return wait
	}
	return done
}

// kstatusDaemonSet is daemonsetConditions.
func kstatusDaemonSet(o *unstructured.Unstructured) outcome {
	_, status := parts(o)
	observed, ok := status["observedGeneration"].(int64)
	desired, told := status["desiredNumberScheduled"].(int64)
	if !ok || !told || observed != o.GetGeneration() {
		return wait
	}
	for _, field := range []string{"currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady"} {
		if desired > integer(status, field) {
			return wait
		}
	}
	return done
}
