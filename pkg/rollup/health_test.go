// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/rollup"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	const healthy, progressing, degraded = tmcv1alpha1.HealthHealthy, tmcv1alpha1.HealthProgressing, tmcv1alpha1.HealthDegraded
	conditions := func(entries ...any) fields { return fields{"observedGeneration": int64(1), "conditions": entries} }
	three := fields{"replicas": int64(3)}
	rolling := func(strategy fields) fields { return fields{"replicas": int64(3), "updateStrategy": strategy} }
	stateful := func(ready, updated int64, current string) fields {
		return fields{"observedGeneration": int64(1), "readyReplicas": ready, "updatedReplicas": updated, "currentRevision": current, "updateRevision": "web-2"}
	}
	daemon := func(updated, available int64) fields {
		return fields{"observedGeneration": int64(1), "desiredNumberScheduled": int64(2), "updatedNumberScheduled": updated, "numberAvailable": available}
	}
	cases := map[string]struct {
		gr           schema.GroupResource
		spec, status fields
		want         tmcv1alpha1.Health
		reason       string
	}{
		"deployment, complete":                 {deployments, three, deploymentStep(1, 3, 3, 3), healthy, ""},
		"deployment, not observed":             {deployments, three, deploymentStep(0, 3, 3, 3), progressing, "Progressing"},
		"deployment, no status":                {deployments, three, nil, progressing, "Progressing"},
		"deployment, updating":                 {deployments, three, deploymentStep(1, 4, 3, 3), progressing, "Progressing"},
		"deployment, unavailable":              {deployments, three, deploymentStep(1, 3, 3, 2), progressing, "Progressing"},
		"deployment, too few":                  {deployments, three, deploymentStep(1, 2, 2, 2), progressing, "Progressing"},
		"deployment, paused":                   {deployments, fields{"replicas": int64(3), "paused": true}, deploymentStep(1, 3, 2, 3), progressing, "Paused"},
		"deployment, paused when complete":     {deployments, fields{"replicas": int64(3), "paused": true}, deploymentStep(1, 3, 3, 3), healthy, ""},
		"deployment, stuck":                    {deployments, three, conditions(cond("Progressing", "False", "ProgressDeadlineExceeded", "late")), degraded, "ProgressDeadlineExceeded"},
		"deployment, quota":                    {deployments, three, conditions(cond("ReplicaFailure", "True", "", "quota")), degraded, "Degraded"},
		"statefulset, complete":                {statefulSets, three, stateful(3, 3, "web-2"), healthy, ""},
		"statefulset, not observed":            {statefulSets, three, nil, progressing, "Progressing"},
		"statefulset, not ready":               {statefulSets, three, stateful(2, 3, "web-2"), progressing, "Progressing"},
		"statefulset, on delete":               {statefulSets, rolling(fields{"type": "OnDelete"}), stateful(3, 0, "web-1"), healthy, ""},
		"statefulset, updating":                {statefulSets, rolling(fields{"rollingUpdate": fields{"partition": int64(0)}}), stateful(3, 2, "web-1"), progressing, "Progressing"},
		"statefulset, between revisions":       {statefulSets, three, stateful(3, 3, "web-1"), progressing, "Progressing"},
		"statefulset, partitioned":             {statefulSets, rolling(fields{"rollingUpdate": fields{"partition": int64(2)}}), stateful(3, 1, "web-1"), healthy, ""},
		"daemonset, complete":                  {daemonSets, nil, daemon(2, 2), healthy, ""},
		"daemonset, not observed":              {daemonSets, nil, nil, progressing, "Progressing"},
		"daemonset, updating":                  {daemonSets, nil, daemon(1, 2), progressing, "Progressing"},
		"daemonset, unavailable":               {daemonSets, nil, daemon(2, 1), progressing, "Progressing"},
		"daemonset, on delete":                 {daemonSets, fields{"updateStrategy": fields{"type": "OnDelete"}}, daemon(0, 1), healthy, ""},
		"replicaset, complete":                 {replicaSets, three, fields{"observedGeneration": int64(1), "availableReplicas": int64(3)}, healthy, ""},
		"replicaset, too few":                  {replicaSets, three, fields{"observedGeneration": int64(1), "availableReplicas": int64(2)}, progressing, "Progressing"},
		"replicaset, quota":                    {replicaSets, three, conditions(cond("ReplicaFailure", "True", "FailedCreate", "")), degraded, "FailedCreate"},
		"job, running":                         {jobs, nil, fields{"active": int64(1)}, progressing, "Progressing"},
		"job, suspended":                       {jobs, nil, conditions(cond("Suspended", "True", "JobSuspended", "")), progressing, "Suspended"},
		"job, complete":                        {jobs, nil, conditions(cond("Complete", "True", "", "")), healthy, ""},
		"job, failed":                          {jobs, nil, conditions(cond("Failed", "True", "BackoffLimitExceeded", "")), degraded, "BackoffLimitExceeded"},
		"cron job":                             {cronJobs, nil, nil, healthy, ""},
		"service":                              {services, nil, nil, healthy, ""},
		"load balancer":                        {services, fields{"type": "LoadBalancer"}, fields{"loadBalancer": fields{"ingress": []any{fields{"ip": "10.0.0.1"}}}}, healthy, ""},
		"load balancer, pending":               {services, fields{"type": "LoadBalancer"}, fields{"loadBalancer": fields{}}, progressing, "Progressing"},
		"ingress without address":              {ingresses, nil, nil, healthy, ""},
		"claim, bound":                         {claims, nil, fields{"phase": "Bound"}, healthy, ""},
		"claim, pending":                       {claims, nil, nil, progressing, "Progressing"},
		"claim, lost":                          {claims, nil, fields{"phase": "Lost"}, degraded, "Lost"},
		"autoscaler":                           {autoscalers, nil, conditions(cond("AbleToScale", "True", "", ""), cond("ScalingActive", "True", "", "")), healthy, ""},
		"autoscaler, new":                      {autoscalers, nil, nil, progressing, "Progressing"},
		"autoscaler, no metrics":               {autoscalers, nil, conditions(cond("AbleToScale", "True", "", ""), cond("ScalingActive", "False", "FailedGetResourceMetric", "")), degraded, "FailedGetResourceMetric"},
		"budget":                               {budgets, nil, conditions(cond("DisruptionAllowed", "False", "InsufficientPods", "")), healthy, ""},
		"budget, not observed":                 {budgets, nil, nil, progressing, "Progressing"},
		"budget, failed":                       {budgets, nil, conditions(cond("DisruptionAllowed", "False", "SyncFailed", "")), degraded, "SyncFailed"},
		"config map":                           {configMaps, nil, nil, healthy, ""},
		"other":                                {widgets, nil, nil, healthy, ""},
		"other, generation not observed":       {widgets, nil, fields{"observedGeneration": int64(0)}, progressing, "Progressing"},
		"other, stalled":                       {widgets, nil, conditions(cond("Stalled", "True", "Broken", "")), degraded, "Broken"},
		"other, reconciling":                   {widgets, nil, conditions(cond("Reconciling", "True", "", "")), progressing, "Progressing"},
		"other, reconciled":                    {widgets, nil, conditions(cond("Reconciling", "False", "", ""), cond("Ready", "True", "", "")), healthy, ""},
		"other, not ready":                     {widgets, nil, conditions(cond("Ready", "Unknown", "Waiting", "")), progressing, "Waiting"},
		"other, not ready for a broken reason": {widgets, nil, conditions(cond("Ready", "False", "no word!", "")), progressing, "Progressing"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			health, reason, message := rollup.Health(c.gr, object(1, c.spec, c.status))
			if health != c.want || reason != c.reason {
				t.Errorf("Health is %s, %q (%q), want %s, %q", health, reason, message, c.want, c.reason)
			}
			if health == healthy && message != "" {
				t.Errorf("a healthy copy has the message %q", message)
			}
		})
	}
	if health, reason, _ := rollup.Health(deployments, nil); health != tmcv1alpha1.HealthUnknown || reason != "Pending" {
		t.Errorf("a missing copy is %s, %q", health, reason)
	}
	leaving := object(1, three, deploymentStep(1, 3, 3, 3))
	leaving.Object["metadata"].(fields)["deletionTimestamp"] = noonText
	if health, reason, _ := rollup.Health(deployments, leaving); health != progressing || reason != "Terminating" {
		t.Errorf("a copy that is being deleted is %s, %q", health, reason)
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	status := fields{
		"replicas": int64(5), "readyReplicas": int64(4), "availableReplicas": int64(3), "updatedReplicas": float64(2),
		"desiredNumberScheduled": int64(9), "numberReady": int64(8), "numberAvailable": int64(7), "updatedNumberScheduled": int64(1) << 40,
	}
	copyOf := object(1, fields{"replicas": int64(6)}, status)
	cases := map[string]struct {
		gr   schema.GroupResource
		live *unstructured.Unstructured
		want *tmcv1alpha1.ReplicaSummary
	}{
		"deployment":            {deployments, copyOf, &tmcv1alpha1.ReplicaSummary{Desired: 6, Ready: 4, Available: 3, Updated: 2}},
		"deployment by default": {deployments, live(nil), &tmcv1alpha1.ReplicaSummary{Desired: 1}},
		"statefulset":           {statefulSets, copyOf, &tmcv1alpha1.ReplicaSummary{Desired: 6, Ready: 4, Available: 3, Updated: 2}},
		"replicaset":            {replicaSets, copyOf, &tmcv1alpha1.ReplicaSummary{Desired: 6, Ready: 4, Available: 3, Updated: 5}},
		"daemonset":             {daemonSets, copyOf, &tmcv1alpha1.ReplicaSummary{Desired: 9, Ready: 8, Available: 7, Updated: 1<<31 - 1}},
		"job":                   {jobs, copyOf, nil},
		"missing":               {deployments, nil, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := rollup.Replicas(c.gr, c.live)
			if ok != (c.want != nil) {
				t.Fatalf("Replicas returns %v", ok)
			}
			if ok {
				if diff := cmp.Diff(*c.want, got); diff != "" {
					t.Errorf("unexpected replicas (-want +got):\n%s", diff)
				}
			}
		})
	}
}
