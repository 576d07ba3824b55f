// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	const scheduled, none, few = tmcv1alpha1.ReasonScheduled, tmcv1alpha1.ReasonNoClusterFits, tmcv1alpha1.ReasonTooFewClusters
	for name, test := range map[string]struct {
		clusters []placement.Cluster
		in       placement.Input
		want     []string
		rejected map[string]string
		reason   string
		messages []string // parts of any message
	}{
		"an empty spec chooses every member": {
			clusters: []placement.Cluster{cluster("east"), cluster("west")}, in: input(), want: []string{"east", "west"}, reason: scheduled,
			messages: []string{"2 members run the workloads"},
		},
		"no spec is an empty one": {
			clusters: []placement.Cluster{cluster("east")}, in: placement.Input{}, want: []string{"east"}, reason: scheduled, messages: []string{"1 member runs"},
		},
		"a workspace without members": {in: input(), want: []string{}, reason: none, messages: []string{"register one"}},
		"each filter has its reason": {
			clusters: []placement.Cluster{
				cluster("a-name"), cluster("b-label", label("region", "us")), cluster("c-execute", taint("k", corev1.TaintEffectNoExecute)),
				cluster("d-schedule", taint("k", corev1.TaintEffectNoSchedule)), cluster("e-cordon", cordoned), cluster("f-away", away),
				cluster("g-api", without), cluster("h-uncounted", uncounted), cluster("i-full", available("cpu", "9500m", "memory", "80Gi")),
				cluster("j-small", func(c *placement.Cluster) { c.LargestFree[0].Free = list("cpu", "500m", "memory", "10Gi") }),
				cluster("k-pods", available("cpu", "80", "memory", "80Gi", "pods", "9")), cluster("l-condition", func(c *placement.Cluster) { c.Ready = "" }), cluster("n-new", unlearnt),
			},
			in: input(selecting(map[string]string{"region": "eu"}), named("b-label", "c-execute", "d-schedule", "e-cordon", "f-away", "g-api", "h-uncounted", "i-full", "j-small", "k-pods", "l-condition", "m-gone", "n-new")),
			rejected: map[string]string{
				"a-name": "Filter NameNotListed", "b-label": "Filter LabelsDoNotMatch", "c-execute": "Filter UntoleratedTaint", "d-schedule": "Filter UntoleratedTaint",
				"e-cordon": "Filter Unschedulable", "f-away": "Filter ClusterNotReady", "g-api": "Filter APIMissing", "h-uncounted": "Filter CapacityUnknown",
				"i-full": "Filter InsufficientCapacity", "j-small": "Filter InsufficientCapacity", "k-pods": "Filter InsufficientCapacity",
				"l-condition": "Filter ClusterNotReady", "m-gone": "Filter ClusterNotFound", "n-new": "Filter APIUnknown",
			},
			want: []string{}, reason: none,
			messages: []string{
				"no member fits: 1 not named by clusterNames, 1 not selected by clusterSelector, 1 tainted, 1 tainted against new work, 1 unschedulable, 2 not ready, 1 without a kind that is placed, 1 not known to serve a kind that is placed, 1 of unknown capacity, 2 without enough room, 1 without a node that is large enough; the PlacementStatus",
				"add it there", `asks for "region=eu"`, `the taint "k=v:NoExecute" is not tolerated; add a toleration`, `"k=v:NoSchedule"`, "unset unschedulable", "Ready is Unknown",
				"does not serve deployments.apps: no?t there", "whether it serves deployments.apps to TMC; it is asked", "CapacityKnown", "need 10 of cpu there and 9500m is available", "need 10 of pods there and 9 is available",
				"a pod of Deployment web, which asks for cpu 1, memory 1Gi",
			},
		},
		"tolerations admit": {
			clusters: []placement.Cluster{
				cluster("all", taint("a", corev1.TaintEffectNoExecute)), cluster("equal", taint("b", corev1.TaintEffectNoSchedule)), cluster("exists", taint("c", corev1.TaintEffectNoSchedule)),
				cluster("value", taint("d", corev1.TaintEffectNoSchedule)), cluster("effect", taint("e", corev1.TaintEffectNoSchedule)), cluster("operator", taint("f", corev1.TaintEffectNoSchedule)),
			},
			in: input(func(in *placement.Input) {
				in.Spec.Tolerations = []tmcv1alpha1.Toleration{
					{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
					{Key: "b", Value: "v"},
					{Key: "c", Operator: corev1.TolerationOpExists},
					{Key: "d", Operator: corev1.TolerationOpEqual, Value: "other"},
					{Key: "e", Value: "v", Effect: corev1.TaintEffectNoExecute},
					{Key: "f", Operator: "Gt", Value: "v"},
				}
			}),
			want: []string{"all", "equal", "exists"}, reason: scheduled,
			rejected: map[string]string{"value": "Filter UntoleratedTaint", "effect": "Filter UntoleratedTaint", "operator": "Filter UntoleratedTaint"},
		},
		"the emptiest are chosen": {
			clusters: []placement.Cluster{cluster("a", available("cpu", "20", "memory", "20Gi")), cluster("b"), cluster("c", available("cpu", "60", "memory", "60Gi"))},
			in:       input(wanted(2)), want: []string{"b", "c"}, rejected: map[string]string{"a": "Assign LowerScore"}, reason: scheduled, messages: []string{"members that score higher were chosen, and numberOfClusters is 2; raise it"},
		},
		"fewer than wanted": {
			clusters: []placement.Cluster{cluster("a"), cluster("b", cordoned)}, in: input(wanted(2)), want: []string{"a"}, reason: few,
			rejected: map[string]string{"b": "Filter Unschedulable"}, messages: []string{"1 of 2 members that are wanted fit; of the others 1 unschedulable"},
		},
		"fewer members than wanted": {clusters: []placement.Cluster{cluster("a")}, in: input(wanted(2)), want: []string{"a"}, reason: few, messages: []string{"1 of 2 members that are wanted fit"}},
		"PreferNoSchedule is avoided however empty": {
			clusters: []placement.Cluster{cluster("empty", taint("k", corev1.TaintEffectPreferNoSchedule)), cluster("full", available("cpu", "10", "memory", "10Gi"))},
			in:       input(wanted(1)), want: []string{"full"}, rejected: map[string]string{"empty": "Assign LowerScore"}, reason: scheduled, messages: []string{"a member that scores higher was chosen"},
		},
		"PreferNoSchedule is taken where nothing else will do": {
			clusters: []placement.Cluster{cluster("empty", taint("k", corev1.TaintEffectPreferNoSchedule)), cluster("full", available("cpu", "9", "memory", "10Gi"))},
			in:       input(wanted(1)), want: []string{"empty"}, rejected: map[string]string{"full": "Filter InsufficientCapacity"}, reason: scheduled,
		},
		"a resource that the member does not have": {
			clusters: []placement.Cluster{cluster("a"), cluster("b", available("cpu", "80", "memory", "80Gi", "x/gpu", "4", "a/z", "1"), func(c *placement.Cluster) { c.LargestFree[0].Free = list("cpu", "9", "memory", "9Gi", "x/gpu", "2") })},
			in:       input(workloads(placement.Workload{Kind: "Job", Name: "train", Replicas: 2, Requests: list("cpu", "1", "x/gpu", "2")})),
			want:     []string{"b"}, rejected: map[string]string{"a": "Filter InsufficientCapacity"}, reason: scheduled, messages: []string{"need 4 of x/gpu there and 0 is available"},
		},
		"ephemeral storage counts, and what is not asked for does not": {
			clusters: []placement.Cluster{cluster("a", available("cpu", "0", "memory", "0", "ephemeral-storage", "3Gi"), func(c *placement.Cluster) { c.LargestFree[0].Free = list("ephemeral-storage", "1Gi") })},
			in:       input(workloads(placement.Workload{Replicas: 4, Requests: list("ephemeral-storage", "1Gi", "cpu", "0", "memory", "-1")})),
			want:     []string{}, rejected: map[string]string{"a": "Filter InsufficientCapacity"}, reason: none, messages: []string{"need 4Gi of ephemeral-storage there and 3Gi"},
		},
		"objects without pods need no capacity": {
			clusters: []placement.Cluster{cluster("a", uncounted), cluster("b", available())}, in: input(workloads(placement.Workload{Resource: configMaps, Kind: "ConfigMap", Name: "c"})), want: []string{"a", "b"}, reason: scheduled,
		},
		"pods without requests need places only, if they are counted": {
			clusters: []placement.Cluster{cluster("a", uncounted), cluster("b", available("pods", "1"))}, in: input(workloads(placement.Workload{Replicas: 2})),
			want: []string{"a"}, rejected: map[string]string{"b": "Filter InsufficientCapacity"}, reason: scheduled,
		},
		"a DaemonSet's pod must fit a node, and is counted once": {
			clusters: []placement.Cluster{cluster("a", available("cpu", "2", "memory", "10Gi")), cluster("b", available("cpu", "1", "memory", "10Gi"))},
			in:       input(workloads(placement.Workload{Kind: "DaemonSet", Replicas: 100, PerNode: true, Requests: list("cpu", "2")}), divided()),
			want:     []string{"a"}, rejected: map[string]string{"b": "Filter InsufficientCapacity"}, reason: scheduled,
		},
		"requests of several workloads add up": {
			clusters: []placement.Cluster{cluster("a", available("cpu", "20", "memory", "80Gi")), cluster("b", available("cpu", "19", "memory", "80Gi"))},
			in:       input(workloads(web(10), web(10), placement.Workload{Replicas: -5, Requests: list("cpu", "1000")})), want: []string{"a"}, rejected: map[string]string{"b": "Filter InsufficientCapacity"}, reason: scheduled,
		},
		"fractions of what there is are rounded down, of what is asked for up": {
			clusters: []placement.Cluster{cluster("a", available("cpu", "1500u", "memory", "1Gi", "x/y", "1500m")), cluster("b", available("cpu", "2m", "memory", "1Gi", "x/y", "2"), func(c *placement.Cluster) { c.LargestFree[0].Free = c.Available })},
			in:       input(workloads(placement.Workload{Replicas: 1, Requests: list("cpu", "1001u", "x/y", "1500m")})), want: []string{"b"}, rejected: map[string]string{"a": "Filter InsufficientCapacity"}, reason: scheduled,
		},
		"what runs comes before what is emptier": {
			clusters: []placement.Cluster{cluster("a", available("cpu", "0")), cluster("b")}, in: input(wanted(1), current("a")), want: []string{"a"}, rejected: map[string]string{"b": "Assign LowerScore"}, reason: scheduled,
			messages: []string{"a member that runs the workloads already, or scores higher, was chosen, and numberOfClusters is 1"},
		},
		"a member without a kind stays, and it is said": {
			clusters: []placement.Cluster{cluster("a", without), cluster("b")}, in: input(wanted(1), current("a")), want: []string{"a"}, rejected: map[string]string{"b": "Assign LowerScore"},
			reason: tmcv1alpha1.ReasonWorkloadsNotPlaced, messages: []string{"a stays chosen, but it does not serve deployments.apps"},
		},
		"of those that run it the worst goes": {
			clusters: []placement.Cluster{cluster("a", available("cpu", "70", "memory", "70Gi")), cluster("b", available("cpu", "10", "memory", "10Gi")), cluster("c", available("cpu", "1", "memory", "1Gi"))},
			in:       input(wanted(2), current("a", "b", "c")), want: []string{"a", "b"}, rejected: map[string]string{"c": "Assign LowerScore"}, reason: scheduled,
			messages: []string{"members that run the workloads already, or score higher, were chosen"},
		},
		"one that runs it does not go since it has not shown yet what it serves": {
			clusters: []placement.Cluster{cluster("a", unlearnt), cluster("b", away)},
			in:       input(wanted(1), current("a", "b")), want: []string{"a"}, rejected: map[string]string{"b": "Assign LowerScore"}, reason: scheduled,
		},
		"of those that run it the one that would not be chosen anew goes first": {
			clusters: []placement.Cluster{cluster("a", away), cluster("b", available("cpu", "10", "memory", "10Gi"))},
			in:       input(wanted(1), current("a", "b")), want: []string{"b"}, rejected: map[string]string{"a": "Assign LowerScore"}, reason: scheduled,
		},
		"what is being left is preferred to an equal": {
			clusters: []placement.Cluster{cluster("a"), cluster("b"), cluster("c"), cluster("d")}, in: input(wanted(1), leaving("c")), want: []string{"c"},
			rejected: map[string]string{"a": "Assign LowerScore", "b": "Assign LowerScore", "d": "Assign LowerScore"}, reason: scheduled,
		},
		"what is being left is a stranger to every filter": {
			clusters: []placement.Cluster{cluster("a"), cluster("c", cordoned)}, in: input(wanted(1), leaving("c")), want: []string{"a"}, rejected: map[string]string{"c": "Filter Unschedulable"}, reason: scheduled,
		},
		"what is being left gives way to a better one": {
			clusters: []placement.Cluster{cluster("a"), cluster("c", available("cpu", "40", "memory", "40Gi"))}, in: input(wanted(1), leaving("c")), want: []string{"a"}, rejected: map[string]string{"c": "Assign LowerScore"}, reason: scheduled,
		},
		"an unknown phase is an active one, and counts once": {
			clusters: []placement.Cluster{cluster("a", available("cpu", "0")), cluster("b")}, in: input(wanted(1), leaving("a"), func(in *placement.Input) {
				in.Current = append(in.Current, tmcv1alpha1.PlacementDecision{ClusterName: "a"})
			}), want: []string{"a"}, rejected: map[string]string{"b": "Assign LowerScore"}, reason: scheduled,
		},
		"suspension keeps what is there": {
			clusters: []placement.Cluster{cluster("a", taint("k", corev1.TaintEffectNoExecute)), cluster("b"), cluster("c", cordoned)},
			in:       input(current("a", "gone"), func(in *placement.Input) { in.Spec.Suspension = &tmcv1alpha1.Suspension{Scheduling: true} }),
			want:     []string{"a"}, rejected: map[string]string{"b": "Assign Suspended", "c": "Filter Unschedulable", "gone": "Filter ClusterNotFound"}, reason: tmcv1alpha1.ReasonSuspended,
			messages: []string{"unset it"},
		},
		"SEC-40 what a member says is shortened and printable": {
			clusters: []placement.Cluster{cluster("a", func(c *placement.Cluster) {
				without(c)
				c.Missing[deployments] = strings.Repeat("\x00\xff\u202e", 10_000)
			})},
			in: input(), want: []string{}, rejected: map[string]string{"a": "Filter APIMissing"}, reason: none, messages: []string{"????..."},
		},
		"SEC-41 sums end somewhere": {
			clusters: []placement.Cluster{cluster("a", available("cpu", "9e18", "memory", "9223372036854775807", "x/y", "1e18"), func(c *placement.Cluster) {
				c.Allocatable = list("cpu", "9e18", "memory", "9e18")
			}), cluster("b")},
			in:   input(workloads(placement.Workload{Replicas: 2147483647, Requests: list("cpu", "9e18", "memory", "9e18", "x/y", "9e18")}, placement.Workload{Replicas: 2147483647, Requests: list("cpu", "1", "x/y", "9e18", "a/a", "1")})),
			want: []string{}, rejected: map[string]string{"a": "Filter InsufficientCapacity", "b": "Filter InsufficientCapacity"}, reason: none,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := placement.Schedule(placement.NewSnapshot(test.clusters), test.in)
			if diff := cmp.Diff(test.want, chosen(out)); diff != "" {
				t.Errorf("chosen (-want +got):\n%s", diff)
			}
			if test.rejected == nil {
				test.rejected = map[string]string{}
			}
			if diff := cmp.Diff(test.rejected, rejected(out)); diff != "" {
				t.Errorf("rejected (-want +got):\n%s", diff)
			}
			suspended := test.reason == tmcv1alpha1.ReasonSuspended && len(test.want) > 0
			if out.Reason != test.reason || out.Satisfied != (test.reason == scheduled || suspended) {
				t.Errorf("got %s, satisfied %t, want %s", out.Reason, out.Satisfied, test.reason)
			}
			for _, part := range test.messages {
				if !strings.Contains(out.Message+"\n"+strings.Join(scores(out), "\n"), part) {
					t.Errorf("nothing says %q:\n%s", part, full(out))
				}
			}
			for _, line := range append(scores(out), out.Message) {
				if len(line) > 2000 {
					t.Errorf("a message has %d bytes", len(line))
				}
			}
		})
	}
}

func TestScores(t *testing.T) {
	t.Parallel()
	half := available("cpu", "60", "memory", "60Gi")
	for name, test := range map[string]struct {
		cluster placement.Cluster
		in      placement.Input
		want    int32
	}{
		"what is free after it is placed":         {cluster("a", half), input(), 10 + 50*90/100},
		"the mean of the resources":               {cluster("a", available("cpu", "10", "memory", "100Gi")), input(), 10 + (0+90)/2*90/100},
		"a current member's needs are in already": {cluster("a", half), input(current("a")), 10 + 60*90/100},
		"avoided": {cluster("a", half, taint("k", corev1.TaintEffectPreferNoSchedule)), input(), 50 * 9 / 100},
		"a member that is being left has a bonus":   {cluster("a", half), input(leaving("a")), 10 + 55*90/100},
		"one that stays only has none":              {cluster("a", half, cordoned), input(current("a")), 0},
		"nothing is known":                          {cluster("a", uncounted), input(workloads()), 10},
		"without allocatable, of what is available": {cluster("a", half, func(c *placement.Cluster) { c.Allocatable = nil }), input(), 10 + (50*100/60+50*100/60)/2*90/100},
		"devices count if asked for": {
			cluster("a", available("cpu", "100", "memory", "100Gi", "x/gpu", "4"), func(c *placement.Cluster) { c.LargestFree[0].Free["x/gpu"] = list("x/gpu", "4")["x/gpu"] }),
			input(workloads(placement.Workload{Replicas: 1, Requests: list("x/gpu", "4")})), 10 + (100+100)/3*90/100,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := placement.Schedule(placement.NewSnapshot([]placement.Cluster{test.cluster}), test.in)
			if len(out.Chosen) != 1 || out.Chosen[0].Score != test.want {
				t.Errorf("got %s, want the score %d", full(out), test.want)
			}
		})
	}
}

func TestInvalidPlacement(t *testing.T) {
	t.Parallel()
	bad := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}
	for name, test := range map[string]struct {
		edit  func(in *placement.Input)
		field string
	}{
		"clusterSelector": {func(in *placement.Input) { in.Spec.ClusterSelector = bad }, "spec.clusterSelector:"},
		"resourceSelectors": {func(in *placement.Input) {
			in.Spec.ResourceSelectors = []tmcv1alpha1.ResourceSelector{{}, {LabelSelector: bad}, {LabelSelector: bad}}
		}, "spec.resourceSelectors[1].labelSelector:"},
		"weights":          {divided(tmcv1alpha1.ClusterWeight{ClusterSelector: bad}, tmcv1alpha1.ClusterWeight{ClusterSelector: bad}), "spec.replicaScheduling.weights[0].clusterSelector:"},
		"numberOfClusters": {wanted(0), "spec.numberOfClusters:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input(current("a", "gone"), named("b"), test.edit)
			s := placement.NewSnapshot([]placement.Cluster{cluster("a"), cluster("b")})
			out := placement.Schedule(s, in)
			if out.Satisfied || out.Reason != tmcv1alpha1.ReasonInvalidPlacement || !strings.Contains(out.Message, test.field) {
				t.Errorf("got %s, want the field %s", full(out), test.field)
			}
			if diff := cmp.Diff([]string{"a"}, chosen(out)); diff != "" {
				t.Errorf("what runs does not stay (-want +got):\n%s", diff)
			}
			if out.Rejected() != nil {
				t.Error("what is not understood was judged by")
			}
		})
	}
}

func TestRejectionsAreBounded(t *testing.T) {
	t.Parallel()
	clusters := make([]placement.Cluster, 0, 1500)
	for i := range 1500 {
		edit := label("region", "us")
		if i >= 1400 {
			edit = cordoned
		}
		clusters = append(clusters, cluster(name(i), edit))
	}
	out := placement.Schedule(placement.NewSnapshot(clusters), input(selecting(map[string]string{"region": "eu"})))
	list := out.Rejected()
	if len(list) != 1000 {
		t.Fatalf("got %d rejections", len(list))
	}
	if list[0].ClusterName != name(0) || list[899].ClusterName != name(899) || list[900].ClusterName != name(1400) || list[999].ClusterName != name(1499) {
		t.Errorf("what says most was left out: %s to %s, %s to %s", list[0].ClusterName, list[899].ClusterName, list[900].ClusterName, list[999].ClusterName)
	}
}
