// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// diagnosis is how a copy is doing, and why.
type diagnosis struct {
	health          tmcv1alpha1.Health
	reason, message string
}

func healthy() diagnosis { return diagnosis{health: tmcv1alpha1.HealthHealthy} }

func progressing(reason, message string) diagnosis {
	return diagnosis{health: tmcv1alpha1.HealthProgressing, reason: reason, message: message}
}

func waiting(message string) diagnosis { return progressing(tmcv1alpha1.ReasonProgressing, message) }

// degraded by a condition of the member.
func degraded(c *condition) diagnosis {
	d := diagnosis{health: tmcv1alpha1.HealthDegraded, reason: c.reason, message: c.message}
	if d.reason == "" {
		d.reason = tmcv1alpha1.ReasonDegraded
	}
	return d
}

// Health says how a copy is doing, by the rules that kubectl and GitOps tools have for its kind: the reason in a word,
// and a message that may be the member's. Both are empty of a healthy copy.
func Health(gr schema.GroupResource, live *unstructured.Unstructured) (tmcv1alpha1.Health, string, string) {
	if live == nil || live.Object == nil {
		return tmcv1alpha1.HealthUnknown, tmcv1alpha1.ReasonPending, "the member has not told of the object"
	}
	p := patient{object: live.Object, spec: mapping(live.Object["spec"]), view: view{status: mapping(live.Object["status"])}}
	d := p.examine(gr)
	return d.health, d.reason, d.message
}

// patient is the copy that is looked at.
type patient struct {
	view

	object, spec map[string]any
}

func (p *patient) examine(gr schema.GroupResource) diagnosis {
	if text(mapping(p.object["metadata"])["deletionTimestamp"]) != "" {
		return progressing("Terminating", "the object is being deleted")
	}
	if !observedItself(p.object, p.status, observes(gr)) {
		return waiting("the member has not observed the object yet")
	}
	switch gr {
	case schema.GroupResource{Group: "apps", Resource: "deployments"}:
		return p.deployment()
	case schema.GroupResource{Group: "apps", Resource: "statefulsets"}:
		return p.statefulSet()
	case schema.GroupResource{Group: "apps", Resource: "daemonsets"}:
		return p.daemonSet()
	case schema.GroupResource{Group: "apps", Resource: "replicasets"}, schema.GroupResource{Resource: "replicationcontrollers"}:
		return p.replicaSet()
	case schema.GroupResource{Group: "batch", Resource: "jobs"}:
		return p.job()
	case schema.GroupResource{Resource: "services"}:
		return p.service()
	case schema.GroupResource{Resource: "persistentvolumeclaims"}:
		return p.volumeClaim()
	case schema.GroupResource{Group: "autoscaling", Resource: "horizontalpodautoscalers"}:
		return p.autoscaler()
	case schema.GroupResource{Group: "policy", Resource: "poddisruptionbudgets"}:
		return p.disruptionBudget()
	}
	if ruleOf(gr) == nil {
		return healthy()
	}
	return p.other()
}

func (p *patient) deployment() diagnosis {
	advance, _ := p.condition(progressingCondition)
	failure, _ := p.condition(replicaFailureCondition)
	switch {
	case advance.reason == deadlineExceeded:
		return degraded(&advance)
	case failure.status == statusTrue:
		return degraded(&failure)
	}
	replicas, updated := count32(p.status["replicas"]), count32(p.status["updatedReplicas"])
	done := updated >= replicasOf(p.object) && replicas <= updated && count32(p.status["availableReplicas"]) >= updated
	if paused, _ := p.spec["paused"].(bool); paused && !done {
		return progressing("Paused", "the rollout is paused")
	}
	if !done {
		return waiting("replicas are being updated, or are not available yet")
	}
	return healthy()
}

func (p *patient) statefulSet() diagnosis {
	strategy := mapping(p.spec["updateStrategy"])
	replicas := replicasOf(p.object)
	partition, partitioned := mapping(strategy["rollingUpdate"])["partition"]
	switch {
	case count32(p.status["readyReplicas"]) < replicas:
		return waiting("replicas are not ready yet")
	case text(strategy["type"]) == "OnDelete":
		return healthy()
	case partitioned && count32(p.status["updatedReplicas"]) < replicas-count32(partition):
		return waiting("replicas are being updated")
	case count32(partition) == 0 && name(p.status["updateRevision"]) != name(p.status["currentRevision"]):
		return waiting("replicas are being updated")
	}
	return healthy()
}

func (p *patient) daemonSet() diagnosis {
	desired := count32(p.status["desiredNumberScheduled"])
	switch {
	case text(mapping(p.spec["updateStrategy"])["type"]) == "OnDelete":
		return healthy()
	case count32(p.status["updatedNumberScheduled"]) < desired:
		return waiting("pods are being updated")
	case count32(p.status["numberAvailable"]) < desired:
		return waiting("pods are not available yet")
	}
	return healthy()
}

func (p *patient) replicaSet() diagnosis {
	if failure, _ := p.condition(replicaFailureCondition); failure.status == statusTrue {
		return degraded(&failure)
	}
	if wanted := replicasOf(p.object); count32(p.status["availableReplicas"]) < wanted {
		return waiting("replicas are not available yet")
	}
	return healthy()
}

func (p *patient) job() diagnosis {
	if failed, _ := p.condition(failedCondition); failed.status == statusTrue {
		return degraded(&failed)
	}
	if complete, _ := p.condition(completeCondition); complete.status == statusTrue {
		return healthy()
	}
	if suspended, _ := p.condition("Suspended"); suspended.status == statusTrue {
		return progressing("Suspended", suspended.message)
	}
	return waiting("the job has not ended yet")
}

func (p *patient) service() diagnosis {
	if text(p.spec["type"]) == "LoadBalancer" && len(list(mapping(p.status["loadBalancer"])["ingress"])) == 0 {
		return waiting("the load balancer has no address yet")
	}
	return healthy()
}

func (p *patient) volumeClaim() diagnosis {
	switch text(p.status["phase"]) {
	case phaseBound:
		return healthy()
	case phaseLost:
		return degraded(&condition{reason: phaseLost, message: "the volume of the claim is gone"})
	}
	return waiting("the claim is not bound yet")
}

// autoscaler is degraded for what gitops-engine takes for it: metrics that cannot be had at the start are not.
func (p *patient) autoscaler() diagnosis {
	for _, kind := range [...]string{"AbleToScale", "ScalingActive"} {
		c, ok := p.condition(kind)
		switch c.reason {
		case "FailedGetScale", "FailedUpdateScale", "FailedGetResourceMetric", "InvalidSelector":
			return degraded(&c)
		}
		if !ok {
			return waiting("the member has not told yet")
		}
	}
	return healthy()
}

func (p *patient) disruptionBudget() diagnosis {
	if c, _ := p.condition("DisruptionAllowed"); c.reason == "SyncFailed" {
		return degraded(&c)
	}
	return healthy()
}

// other follows kstatus for kinds that it does not know.
func (p *patient) other() diagnosis {
	if stalled, _ := p.condition("Stalled"); stalled.status == statusTrue {
		return degraded(&stalled)
	}
	for _, kind := range [...]string{"Reconciling", "Ready"} {
		c, ok := p.condition(kind)
		if ok && (c.status == statusTrue) == (kind == "Reconciling") {
			if c.reason == "" {
				c.reason = tmcv1alpha1.ReasonProgressing
			}
			return progressing(c.reason, c.message)
		}
	}
	return healthy()
}

// Replicas counts the replicas of one copy; false if its kind has none, or there is no copy.
func Replicas(gr schema.GroupResource, live *unstructured.Unstructured) (tmcv1alpha1.ReplicaSummary, bool) {
	var none tmcv1alpha1.ReplicaSummary
	if live == nil || live.Object == nil {
		return none, false
	}
	status := mapping(live.Object["status"])
	summary := tmcv1alpha1.ReplicaSummary{
		Desired: int32(replicasOf(live.Object)), Ready: int32(count32(status["readyReplicas"])),
		Available: int32(count32(status["availableReplicas"])), Updated: int32(count32(status["updatedReplicas"])),
	}
	switch gr {
	case schema.GroupResource{Group: "apps", Resource: "deployments"}, schema.GroupResource{Group: "apps", Resource: "statefulsets"}:
		return summary, true
	case schema.GroupResource{Group: "apps", Resource: "replicasets"}, schema.GroupResource{Resource: "replicationcontrollers"}:
		summary.Updated = int32(count32(status["replicas"])) // all of them are of its only template
		return summary, true
	case schema.GroupResource{Group: "apps", Resource: "daemonsets"}:
		return tmcv1alpha1.ReplicaSummary{
			Desired: int32(count32(status["desiredNumberScheduled"])), Ready: int32(count32(status["numberReady"])),
			Available: int32(count32(status["numberAvailable"])), Updated: int32(count32(status["updatedNumberScheduled"])),
		}, true
	}
	return none, false
}
