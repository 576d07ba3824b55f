// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement_test

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
)

var (
	deployments = schema.GroupResource{Group: "apps", Resource: "deployments"}
	configMaps  = schema.GroupResource{Resource: "configmaps"}
)

// list makes a ResourceList of names and quantities.
func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

// cluster is a ready member with 20 of 100 cores in use, on nodes of 10 cores.
func cluster(name string, edits ...func(c *placement.Cluster)) placement.Cluster {
	c := placement.Cluster{
		Name: name, Labels: map[string]string{"region": "eu"}, Ready: metav1.ConditionTrue, CapacityKnown: true,
		Allocatable: list("cpu", "100", "memory", "100Gi", "pods", "1000"), Available: list("cpu", "80", "memory", "80Gi", "pods", "900"),
		LargestFree: []tmcv1alpha1.FreeSlot{{Resource: "cpu", Free: list("cpu", "10", "memory", "10Gi", "pods", "100")}},
	}
	for _, edit := range edits {
		edit(&c)
	}
	return c
}

func label(key, value string) func(*placement.Cluster) {
	return func(c *placement.Cluster) {
		c.Labels = maps.Clone(c.Labels)
		c.Labels[key] = value
	}
}

func taint(key string, effect corev1.TaintEffect) func(*placement.Cluster) {
	return func(c *placement.Cluster) {
		c.Taints = append(slices.Clone(c.Taints), tmcv1alpha1.Taint{Key: key, Value: "v", Effect: effect})
	}
}

func available(pairs ...string) func(*placement.Cluster) {
	return func(c *placement.Cluster) { c.Available = list(pairs...) }
}

func cordoned(c *placement.Cluster)  { c.Unschedulable = true }
func away(c *placement.Cluster)      { c.Ready = metav1.ConditionUnknown }
func uncounted(c *placement.Cluster) { c.CapacityKnown = false }
func without(c *placement.Cluster) {
	c.Missing = map[schema.GroupResource]string{deployments: "no\x1bt there"}
}

func unlearnt(c *placement.Cluster) { c.Unknown = sets.New(deployments) }

// web is a Deployment of pods of one core each.
func web(replicas int32) placement.Workload {
	return placement.Workload{Resource: deployments, Kind: "Deployment", Name: "web", Replicas: replicas, Requests: list("cpu", "1", "memory", "1Gi")}
}

func input(edits ...func(in *placement.Input)) placement.Input {
	in := placement.Input{Key: "ws|ns/web", Spec: &tmcv1alpha1.PlacementSpec{}, Workloads: []placement.Workload{web(10)}}
	for _, edit := range edits {
		edit(&in)
	}
	return in
}

func wanted(n int32) func(*placement.Input) {
	return func(in *placement.Input) { in.Spec.NumberOfClusters = &n }
}

func named(names ...string) func(*placement.Input) {
	return func(in *placement.Input) { in.Spec.ClusterNames = names }
}

func selecting(labels map[string]string) func(*placement.Input) {
	return func(in *placement.Input) { in.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: labels} }
}

func divided(weights ...tmcv1alpha1.ClusterWeight) func(*placement.Input) {
	return func(in *placement.Input) {
		in.Spec.ReplicaScheduling = &tmcv1alpha1.ReplicaScheduling{Type: tmcv1alpha1.ReplicasDivided, Weights: weights}
	}
}

func workloads(list ...placement.Workload) func(*placement.Input) {
	return func(in *placement.Input) { in.Workloads = list }
}

func current(names ...string) func(*placement.Input) {
	return func(in *placement.Input) {
		for _, name := range names {
			in.Current = append(in.Current, tmcv1alpha1.PlacementDecision{ClusterName: name, Phase: tmcv1alpha1.DecisionActive})
		}
	}
}

func leaving(name string) func(*placement.Input) {
	return func(in *placement.Input) {
		in.Current = append(in.Current, tmcv1alpha1.PlacementDecision{ClusterName: name, Phase: tmcv1alpha1.DecisionLeaving})
	}
}

func chosen(out placement.Outcome) []string {
	names := make([]string, 0, len(out.Chosen))
	for _, c := range out.Chosen {
		names = append(names, c.Name)
	}
	return names
}

// rejected are the rejections in short.
func rejected(out placement.Outcome) map[string]string {
	short := map[string]string{}
	for _, r := range out.Rejected() {
		short[r.ClusterName] = r.Stage + " " + r.Reason
	}
	return short
}

func full(out placement.Outcome) string {
	return fmt.Sprintf("%+v %v %s %q %+v", out.Chosen, out.Satisfied, out.Reason, out.Message, scores(out))
}

func scores(out placement.Outcome) []string {
	var lines []string
	for _, r := range out.Rejected() {
		score := "-"
		if r.Score != nil {
			score = fmt.Sprint(*r.Score)
		}
		lines = append(lines, r.ClusterName+" "+r.Stage+" "+r.Reason+" "+score+" "+r.Message)
	}
	return lines
}

// amountsOf renders a list, whose quantities have no comparable form.
func amountsOf(list corev1.ResourceList) map[string]string {
	amounts := map[string]string{}
	for name, q := range list {
		amounts[string(name)] = q.String()
	}
	return amounts
}
