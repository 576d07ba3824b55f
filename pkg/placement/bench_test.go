// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
)

// benchNodes is how many nodes each member has.
const benchNodes = 100

// benchStatus is the state of a member as its ClusterStatus has it: 100 nodes of 64 cores and 256 Gi, partly in use, in
// one of ten regions, with a few labels, and one in ten with a taint.
func benchStatus(i int) *tmcv1alpha1.ClusterStatus {
	quantities := func(nodes, percent int64) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceCPU:              *resource.NewMilliQuantity(nodes*64000*percent/100, resource.DecimalSI),
			corev1.ResourceMemory:           *resource.NewQuantity(nodes*256<<30*percent/100, resource.BinarySI),
			corev1.ResourceEphemeralStorage: *resource.NewQuantity(nodes*100<<30, resource.BinarySI),
			corev1.ResourcePods:             *resource.NewQuantity(nodes*250*percent/100, resource.DecimalSI),
		}
	}
	used := int64(i * 37 % 95)
	cst := &tmcv1alpha1.ClusterStatus{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("member-%05d", i),
		Labels: map[string]string{
			"topology.kubernetes.io/region": fmt.Sprintf("region-%d", i%10), "topology.kubernetes.io/zone": fmt.Sprintf("zone-%d", i%30),
			"env": []string{"prod", "test"}[i%2], "provider": "metal", "tier": fmt.Sprint(i % 3),
		},
	}}
	for _, kind := range []string{tmcv1alpha1.ConditionReady, tmcv1alpha1.ConditionReachable, tmcv1alpha1.ConditionCapacityKnown} {
		cst.Status.Conditions = append(cst.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: kind, Message: "as it should be"})
	}
	if i%10 == 3 {
		cst.Status.Taints = []tmcv1alpha1.Taint{{Key: "team", Value: "ml", Effect: corev1.TaintEffectNoSchedule}}
	}
	cst.Status.Version = "v1.36.3"
	cst.Status.Nodes = &tmcv1alpha1.NodeSummary{Total: benchNodes, Ready: benchNodes}
	cst.Status.Pods = &tmcv1alpha1.PodSummary{Bound: 1000}
	cst.Status.Capacity, cst.Status.Allocatable = quantities(benchNodes, 100), quantities(benchNodes, 100)
	cst.Status.Allocated, cst.Status.Available = quantities(benchNodes, used), quantities(benchNodes, 100-used)
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceEphemeralStorage, corev1.ResourceMemory, corev1.ResourcePods} {
		cst.Status.LargestFree = append(cst.Status.LargestFree, tmcv1alpha1.FreeSlot{Resource: name, Free: quantities(1, 100-used)})
	}
	return cst
}

func benchCluster(cst *tmcv1alpha1.ClusterStatus) placement.Cluster {
	return placement.Cluster{
		Name: cst.Name, Labels: cst.Labels, Taints: cst.Status.Taints, Unschedulable: cst.Status.Unschedulable,
		Ready: metav1.ConditionTrue, CapacityKnown: true,
		Allocatable: cst.Status.Allocatable, Available: cst.Status.Available, LargestFree: cst.Status.LargestFree,
	}
}

func benchMembers(n int) ([]*tmcv1alpha1.ClusterStatus, *placement.Snapshot) {
	statuses, clusters := make([]*tmcv1alpha1.ClusterStatus, n), make([]placement.Cluster, n)
	for i := range n {
		statuses[i] = benchStatus(i)
		clusters[i] = benchCluster(statuses[i])
	}
	return statuses, placement.NewSnapshot(clusters)
}

// benchInput wants two members of one environment for two workloads.
func benchInput(i int) placement.Input {
	return placement.Input{
		Key: fmt.Sprintf("ws|team/web-%d", i),
		Spec: &tmcv1alpha1.PlacementSpec{
			ClusterSelector:  &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}},
			NumberOfClusters: new(int32(2)),
		},
		Workloads: []placement.Workload{
			{Resource: schema.GroupResource{Group: "apps", Resource: "deployments"}, Kind: "Deployment", Name: "web", Replicas: int32(3 + i%5), Requests: corev1.ResourceList{
				corev1.ResourceCPU: *resource.NewMilliQuantity(500, resource.DecimalSI), corev1.ResourceMemory: *resource.NewQuantity(1<<30, resource.BinarySI),
			}},
			{Resource: schema.GroupResource{Resource: "services"}, Kind: "Service", Name: "web"},
		},
	}
}

// referenceSchedule decides as schedulers do that keep their members as API objects: they copy every object so that the
// decision sees one state, and compare quantities.
func referenceSchedule(statuses []*tmcv1alpha1.ClusterStatus, in placement.Input) []string {
	members := make([]*tmcv1alpha1.ClusterStatus, len(statuses))
	for i, cst := range statuses {
		members[i] = cst.DeepCopy()
	}
	selector, err := metav1.LabelSelectorAsSelector(in.Spec.ClusterSelector)
	if err != nil {
		return nil
	}
	need := corev1.ResourceList{}
	for _, w := range in.Workloads {
		for name, q := range w.Requests {
			q = q.DeepCopy()
			q.Mul(int64(w.Replicas))
			sum := need[name]
			sum.Add(q)
			need[name] = sum
		}
	}
	type scored struct {
		name  string
		score float64
	}
	var passing []scored
	for _, m := range members {
		if !selector.Matches(labels.Set(m.Labels)) || !meta.IsStatusConditionTrue(m.Status.Conditions, tmcv1alpha1.ConditionReady) || m.Status.Unschedulable ||
			slices.ContainsFunc(m.Status.Taints, func(t tmcv1alpha1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule }) {
			continue
		}
		ok, score := true, 0.0
		for name, q := range need {
			available, allocatable := m.Status.Available[name], m.Status.Allocatable[name]
			if available.Cmp(q) < 0 {
				ok = false
				break
			}
			available.Sub(q)
			score += available.AsApproximateFloat64() / allocatable.AsApproximateFloat64()
		}
		for _, w := range in.Workloads {
			ok = ok && (len(w.Requests) == 0 || slices.ContainsFunc(m.Status.LargestFree, func(s tmcv1alpha1.FreeSlot) bool {
				for name, q := range w.Requests {
					if free := s.Free[name]; free.Cmp(q) < 0 {
						return false
					}
				}
				return true
			}))
		}
		if ok {
			passing = append(passing, scored{m.Name, score})
		}
	}
	slices.SortFunc(passing, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.name, b.name)) })
	var names []string
	for _, s := range passing[:min(len(passing), int(*in.Spec.NumberOfClusters))] {
		names = append(names, s.name)
	}
	return names
}

// measure returns how long one call of f takes.
func measure(f func()) float64 {
	f()
	n, start := 0, time.Now()
	for time.Since(start) < 300*time.Millisecond {
		f()
		n++
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

func reportRatio(b *testing.B, reference float64) {
	b.Helper()
	own := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	b.ReportMetric(reference, "reference-ns/op")
	b.ReportMetric(reference/own, "x-reference")
}

// BenchmarkPlaceOne decides on a new placement, from its objects to the decision. The reference does so on copies of the
// members' objects.
func BenchmarkPlaceOne(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		statuses, snapshot := benchMembers(n)
		in := benchInput(0)
		b.Run(fmt.Sprintf("%dclusters", n), func(b *testing.B) {
			reference := measure(func() {
				if len(referenceSchedule(statuses, in)) != 2 {
					b.Fatal("the reference does not place")
				}
			})
			b.ReportAllocs()
			for b.Loop() {
				if out := placement.Schedule(snapshot, in); !out.Satisfied {
					b.Fatal(out.Message)
				}
			}
			reportRatio(b, reference)
		})
	}
	_, snapshot := benchMembers(1000)
	for name, edit := range map[string]func(in *placement.Input){
		"divided": func(in *placement.Input) {
			in.Spec.ReplicaScheduling = &tmcv1alpha1.ReplicaScheduling{Type: tmcv1alpha1.ReplicasDivided}
		},
		"all":    func(in *placement.Input) { in.Spec.NumberOfClusters = nil },
		"sticky": func(in *placement.Input) { in.Current = decisions(placement.Schedule(snapshot, *in)) },
		"explained": func(in *placement.Input) {
			in.Spec.Tolerations = []tmcv1alpha1.Toleration{{Operator: corev1.TolerationOpExists}}
		},
	} {
		in := benchInput(0)
		edit(&in)
		b.Run("1000clusters/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				out := placement.Schedule(snapshot, in)
				if !out.Satisfied || (name == "explained" && len(out.Rejected()) == 0) {
					b.Fatal(out.Message)
				}
			}
		})
	}
}

// BenchmarkReschedule10k decides anew on 10,000 placements over 1,000 members, from the objects. The reference is measured on
// 20 of them. BenchmarkDecideAgain of the controller has the rest of what each costs the server.
func BenchmarkReschedule10k(b *testing.B) {
	const placements, members, sample = 10_000, 1000, 20
	statuses, snapshot := benchMembers(members)
	inputs := make([]placement.Input, placements)
	for i := range inputs {
		inputs[i] = benchInput(i)
		if i%20 == 0 { // one in twenty wants more members of its zone than there are
			inputs[i].Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"topology.kubernetes.io/zone": fmt.Sprintf("zone-%d", i/20%30)}}
			inputs[i].Spec.NumberOfClusters = new(int32(50))
		}
		inputs[i].Current = decisions(placement.Schedule(snapshot, inputs[i]))
	}
	reference := measure(func() {
		for i := range sample {
			referenceSchedule(statuses, inputs[i])
		}
	}) * placements / sample
	b.ReportAllocs()
	for b.Loop() {
		for i := range inputs {
			placement.Schedule(snapshot, inputs[i])
		}
	}
	reportRatio(b, reference)
}

// BenchmarkSnapshotWith is what a change of one of 1,000 members costs.
func BenchmarkSnapshotWith(b *testing.B) {
	statuses, snapshot := benchMembers(1000)
	c := benchCluster(statuses[500])
	b.ReportAllocs()
	for b.Loop() {
		if with(snapshot, c).Len() != 1000 {
			b.Fatal("a member was lost")
		}
	}
}

// BenchmarkDivide divides replicas among members.
func BenchmarkDivide(b *testing.B) {
	for _, n := range []int{3, 1000} {
		targets := make([]placement.Target, n)
		for i := range targets {
			targets[i].Name = fmt.Sprintf("member-%05d", i)
		}
		b.Run(fmt.Sprintf("%dtargets", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				placement.Divide(int32(n*3+1), &tmcv1alpha1.ReplicaScheduling{Type: tmcv1alpha1.ReplicasDivided}, targets, "key")
			}
		})
	}
}

// decisions are an outcome as it is kept in the status of a Placement.
func decisions(out placement.Outcome) []tmcv1alpha1.PlacementDecision {
	list := make([]tmcv1alpha1.PlacementDecision, 0, len(out.Chosen))
	for _, c := range out.Chosen {
		list = append(list, tmcv1alpha1.PlacementDecision{ClusterName: c.Name, Phase: tmcv1alpha1.DecisionActive})
	}
	return list
}
