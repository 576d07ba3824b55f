// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
)

// randomCluster makes a member that is as it should be, more or less.
func randomCluster(random *rand.Rand, name string) placement.Cluster {
	c := cluster(name, label("region", []string{"eu", "us", "ap"}[random.IntN(3)]))
	if random.IntN(3) == 0 {
		c.Labels["tier"] = fmt.Sprint(random.IntN(2))
	}
	for _, effect := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule} {
		if random.IntN(8) == 0 {
			taint(fmt.Sprint("k", random.IntN(2)), effect)(&c)
		}
	}
	for _, edit := range []func(*placement.Cluster){cordoned, away, uncounted, without, unlearnt} {
		if random.IntN(10) == 0 {
			edit(&c)
		}
	}
	free := int64(random.IntN(60))
	c.Available = corev1.ResourceList{
		"cpu": *resource.NewQuantity(free, resource.DecimalSI), "memory": *resource.NewQuantity(int64(random.IntN(80))<<30, resource.BinarySI), "pods": resource.MustParse("200"),
	}
	if random.IntN(2) == 0 {
		c.Available["x/gpu"] = *resource.NewQuantity(int64(random.IntN(20)), resource.DecimalSI)
	}
	c.LargestFree = []tmcv1alpha1.FreeSlot{
		{Resource: "cpu", Free: list("cpu", fmt.Sprint(random.IntN(6)), "memory", "1Gi", "pods", "9")},
		{Resource: "memory", Free: list("cpu", "2", "memory", "9Gi", "pods", "9", "x/gpu", fmt.Sprint(random.IntN(3)))},
	}
	return c
}

func randomInput(random *rand.Rand, names []string) placement.Input {
	in := input(func(in *placement.Input) { in.Key = fmt.Sprint("key-", random.IntN(1000)) })
	in.Workloads = nil
	for i := range random.IntN(4) {
		w := placement.Workload{Resource: deployments, Kind: "Deployment", Name: fmt.Sprint("w", i), Replicas: random.Int32N(12), Requests: list("cpu", fmt.Sprint(random.IntN(4)), "memory", "1Gi"), PerNode: random.IntN(6) == 0}
		if random.IntN(4) == 0 {
			w.Requests["x/gpu"] = resource.MustParse("1")
		}
		if random.IntN(4) == 0 {
			w.Resource, w.Replicas = configMaps, 0
		}
		in.Workloads = append(in.Workloads, w)
	}
	if random.IntN(2) == 0 {
		wanted(1 + random.Int32N(5))(&in)
	}
	if random.IntN(3) == 0 {
		in.Spec.ClusterNames = append([]string{"gone"}, names[:1+random.IntN(len(names))]...)
	}
	if random.IntN(2) == 0 {
		in.Spec.ClusterSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "region", Operator: []metav1.LabelSelectorOperator{metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn}[random.IntN(2)], Values: []string{"eu", "us"}[:1+random.IntN(2)]},
			{Key: "tier", Operator: []metav1.LabelSelectorOperator{metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist}[random.IntN(2)]},
		}[:1+random.IntN(2)]}
	}
	if random.IntN(3) == 0 {
		in.Spec.Tolerations = []tmcv1alpha1.Toleration{{Key: "k0", Operator: corev1.TolerationOpExists, Effect: []corev1.TaintEffect{"", corev1.TaintEffectNoExecute}[random.IntN(2)]}}
	}
	for _, name := range names {
		if random.IntN(4) == 0 {
			in.Current = append(in.Current, tmcv1alpha1.PlacementDecision{ClusterName: name, Phase: []tmcv1alpha1.DecisionPhase{tmcv1alpha1.DecisionActive, tmcv1alpha1.DecisionLeaving}[random.IntN(2)]})
		}
	}
	return in
}

// judge is the naive reference: whether a member may have the workloads at all, and whether it takes them anew, when it
// would get so many replicas of each.
func judge(c *placement.Cluster, in *placement.Input, share func(w placement.Workload) int32) (belongs, takes bool) {
	selector := labels.Everything()
	if in.Spec.ClusterSelector != nil {
		selector, _ = metav1.LabelSelectorAsSelector(in.Spec.ClusterSelector)
	}
	belongs = (len(in.Spec.ClusterNames) == 0 || slices.Contains(in.Spec.ClusterNames, c.Name)) && selector.Matches(labels.Set(c.Labels))
	takes = !c.Unschedulable && c.Ready == metav1.ConditionTrue
	for _, t := range c.Taints {
		tolerated := slices.ContainsFunc(in.Spec.Tolerations, func(o tmcv1alpha1.Toleration) bool { return o.Key == t.Key && (o.Effect == "" || o.Effect == t.Effect) })
		if !tolerated && t.Effect == corev1.TaintEffectNoExecute {
			belongs = false
		}
		if !tolerated && t.Effect == corev1.TaintEffectNoSchedule {
			takes = false
		}
	}
	need := corev1.ResourceList{}
	asks := false
	for _, w := range in.Workloads {
		if _, ok := c.Missing[w.Resource]; ok {
			takes = false
		}
		if c.Unknown.Has(w.Resource) {
			takes = false
		}
		replicas := share(w)
		if w.PerNode {
			replicas = 1
		}
		for range replicas {
			for name, q := range w.Requests {
				sum := need[name]
				sum.Add(q)
				need[name] = sum
				asks = asks || !q.IsZero()
			}
		}
		if replicas > 0 && c.CapacityKnown && !slices.ContainsFunc(c.LargestFree, func(s tmcv1alpha1.FreeSlot) bool { return contains(s.Free, w.Requests) }) {
			takes = false
		}
	}
	if !c.CapacityKnown {
		return belongs, takes && !asks
	}
	return belongs, takes && contains(c.Available, need)
}

func contains(room, need corev1.ResourceList) bool {
	for name, q := range need {
		if has := room[name]; has.Cmp(q) < 0 {
			return false
		}
	}
	return true
}

// TestModel compares random decisions with the naive reference: who passes, that those that pass are chosen, that who runs
// it comes first and then who scores higher, and that what is said of the others is what the reference says.
func TestModel(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 2000 {
		clusters, names := make([]placement.Cluster, 1+random.IntN(12)), []string{}
		for i := range clusters {
			clusters[i] = randomCluster(random, name(i))
			names = append(names, name(i))
		}
		in := randomInput(random, names)
		out := placement.Schedule(placement.NewSnapshot(clusters), in)
		all := func(w placement.Workload) int32 { return w.Replicas }
		var stay, join, excluded []string
		for i := range clusters {
			c := &clusters[i]
			belongs, takes := judge(c, &in, all)
			active := slices.ContainsFunc(in.Current, func(d tmcv1alpha1.PlacementDecision) bool {
				return d.ClusterName == c.Name && d.Phase == tmcv1alpha1.DecisionActive
			})
			switch {
			case active && belongs:
				stay = append(stay, c.Name)
			case active:
				excluded = append(excluded, c.Name)
			case belongs && takes:
				join = append(join, c.Name)
			}
		}
		limit := len(clusters)
		if in.Spec.NumberOfClusters != nil {
			limit = int(*in.Spec.NumberOfClusters)
		}
		picked := chosen(out)
		if len(stay)+len(join) == 0 {
			if out.Satisfied || len(picked) != min(limit, len(excluded)) || slices.ContainsFunc(picked, func(n string) bool { return !slices.Contains(excluded, n) }) {
				t.Fatalf("round %d: nothing fits and %v should stay: %s", round, excluded, full(out))
			}
			continue
		}
		score, where := map[string]int32{}, map[string]string{}
		for _, c := range out.Chosen {
			score[c.Name], where[c.Name] = c.Score, "chosen"
		}
		for _, r := range out.Rejected() {
			if r.Score != nil {
				score[r.ClusterName] = *r.Score
			}
			where[r.ClusterName] = r.Stage
		}
		if len(picked) != min(limit, len(stay)+len(join)) || !slices.IsSorted(picked) {
			t.Fatalf("round %d: of %v and %v at most %d should be chosen: %s", round, stay, join, limit, full(out))
		}
		group := func(n string) int {
			return slices.Index([]bool{slices.Contains(stay, n), slices.Contains(join, n), true}, true)
		}
		for _, n := range names {
			if got := where[n]; (group(n) == 2) != (got == "Filter") {
				t.Fatalf("round %d: %s is %q, want it in group %d: %s", round, n, got, group(n), full(out))
			}
			for _, p := range picked {
				if where[n] == "Assign" && (group(p) > group(n) || (group(p) == group(n) && score[p] < score[n])) {
					t.Fatalf("round %d: %s was chosen before %s: %s", round, p, n, full(out))
				}
			}
		}
		if out.Satisfied && len(picked) < min(limit, 1) || out.Satisfied && in.Spec.NumberOfClusters != nil && len(picked) != limit {
			t.Fatalf("round %d: satisfied with %s", round, full(out))
		}
	}
}

// TestDividedModel checks random decisions on divided replicas: a member that joins has room for the share that it gets,
// and if all members are wanted none is left out that has room for what it would get beside the chosen ones.
func TestDividedModel(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	joined, settled := 0, 0
	for round := range 2000 {
		clusters, names := make([]placement.Cluster, 1+random.IntN(12)), []string{}
		for i := range clusters {
			clusters[i] = randomCluster(random, name(i))
			names = append(names, name(i))
		}
		in := randomInput(random, names)
		in.Spec.ReplicaScheduling = &tmcv1alpha1.ReplicaScheduling{Type: tmcv1alpha1.ReplicasDivided}
		weighted := random.IntN(2) == 0
		if weighted {
			in.Spec.ReplicaScheduling.Weights = []tmcv1alpha1.ClusterWeight{
				weigh(random.Int32N(4), random.Int32N(3), 3+random.Int32N(9), names[0]),
				{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"region": "eu"}}, Weight: new(random.Int32N(4))},
			}
		}
		s := placement.NewSnapshot(clusters)
		out := placement.Schedule(s, in)
		targets := s.Targets(chosen(out)...)
		share := func(name string, among []placement.Target) func(w placement.Workload) int32 {
			return func(w placement.Workload) int32 {
				return placement.Divide(w.Replicas, in.Spec.ReplicaScheduling, among, placement.DivideKey(in.Key, w.Resource, w.Name))[name]
			}
		}
		for i := range clusters {
			c := &clusters[i]
			active := slices.Contains(in.Current, tmcv1alpha1.PlacementDecision{ClusterName: c.Name, Phase: tmcv1alpha1.DecisionActive})
			picked := slices.Contains(chosen(out), c.Name)
			if belongs, takes := judge(c, &in, share(c.Name, targets)); picked && !active && (!belongs || !takes) {
				t.Fatalf("round %d: %s was chosen without room for its share: %s", round, c.Name, full(out))
			}
			if picked && !active {
				joined++
			}
			everything := func(w placement.Workload) int32 { return w.Replicas }
			if belongs, takes := judge(c, &in, everything); !picked && !active && belongs && takes && in.Spec.NumberOfClusters == nil {
				t.Fatalf("round %d: %s has room for all replicas and was not chosen: %s", round, c.Name, full(out))
			}
		}
		if weighted || in.Spec.NumberOfClusters != nil || len(in.Current) > 0 {
			continue
		}
		// Evenly divided, the choice is the largest set whose members all have room for the rounded-up share.
		set := names
		for before := -1; before != len(set) && len(set) > 0; {
			before = len(set)
			set = slices.DeleteFunc(slices.Clone(set), func(n string) bool {
				belongs, takes := judge(&clusters[slices.Index(names, n)], &in, func(w placement.Workload) int32 { return (w.Replicas + int32(before) - 1) / int32(before) })
				return !belongs || !takes
			})
		}
		if diff := cmp.Diff(set, chosen(out), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("round %d (-want +got):\n%s\n%s", round, diff, full(out))
		}
		settled++
	}
	if joined < 2000 || settled < 50 {
		t.Errorf("%d members joined and %d sets were compared, too few to trust the test", joined, settled)
	}
}

// TestOrderDoesNotMatter shuffles everything that has no order, and takes the snapshot apart and together again.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	for round := range 500 {
		clusters, names := make([]placement.Cluster, 2+random.IntN(12)), []string{}
		for i := range clusters {
			clusters[i] = randomCluster(random, name(i))
			names = append(names, name(i))
		}
		in := randomInput(random, names)
		if random.IntN(2) == 0 {
			divided()(&in)
		}
		want := full(placement.Schedule(placement.NewSnapshot(clusters), in))
		random.Shuffle(len(clusters), func(i, j int) { clusters[i], clusters[j] = clusters[j], clusters[i] })
		random.Shuffle(len(in.Workloads), func(i, j int) { in.Workloads[i], in.Workloads[j] = in.Workloads[j], in.Workloads[i] })
		random.Shuffle(len(in.Current), func(i, j int) { in.Current[i], in.Current[j] = in.Current[j], in.Current[i] })
		random.Shuffle(len(in.Spec.ClusterNames), func(i, j int) {
			in.Spec.ClusterNames[i], in.Spec.ClusterNames[j] = in.Spec.ClusterNames[j], in.Spec.ClusterNames[i]
		})
		s := placement.NewSnapshot(nil)
		for _, c := range clusters {
			s = with(with(s, cluster(c.Name, cordoned)), c)
		}
		if diff := cmp.Diff(want, full(placement.Schedule(s, in))); diff != "" {
			t.Fatalf("round %d (-want +got):\n%s", round, diff)
		}
	}
}

// FuzzSchedule lets anything be a label, a quantity or a name.
func FuzzSchedule(f *testing.F) {
	f.Add("east", "region", "eu", int64(100), int64(10), int32(3), "cpu", "s")
	f.Add("", "", "", int64(-1), int64(1)<<62, int32(-1), "x/gpu", "\xff")
	f.Fuzz(func(t *testing.T, member, key, value string, has, asks int64, n int32, kind, text string) {
		c := cluster(member, label(key, value), func(c *placement.Cluster) {
			c.Available = corev1.ResourceList{corev1.ResourceName(kind): *resource.NewQuantity(has, resource.DecimalSI)}
			c.Missing = map[schema.GroupResource]string{{Resource: text}: text}
			c.Taints = []tmcv1alpha1.Taint{{Key: text, Effect: corev1.TaintEffect(value)}}
			c.LargestFree = append(c.LargestFree, tmcv1alpha1.FreeSlot{Free: c.Available})
		})
		in := input(selecting(map[string]string{key: value}), wanted(n), named(member, text), divided(weigh(n, n, n, member), weigh(n, -1, n, text)), workloads(
			placement.Workload{Replicas: n, Requests: corev1.ResourceList{corev1.ResourceName(kind): *resource.NewQuantity(asks, resource.DecimalSI)}},
			placement.Workload{Resource: schema.GroupResource{Resource: value}, Replicas: 5, Requests: corev1.ResourceList{corev1.ResourceName(text): *resource.NewQuantity(asks, resource.DecimalSI)}}))
		s := placement.NewSnapshot([]placement.Cluster{c, cluster("other")})
		out := placement.Schedule(s, in)
		if got, want := full(placement.Schedule(s, in)), full(out); got != want {
			t.Errorf("got %s and %s", got, want)
		}
		if len(out.Chosen)+len(out.Rejected()) > 4 {
			t.Errorf("got %s", full(out))
		}
		placement.Requirements(in.Key, in.Spec, in.Workloads, s.Targets(chosen(out)...))
		placement.MatchesSelector(&tmcv1alpha1.PlacementSpec{ResourceSelectors: []tmcv1alpha1.ResourceSelector{{APIVersion: key, Kind: kind, LabelSelector: in.Spec.ClusterSelector}}}, schema.GroupResource{Group: text, Resource: kind}, schema.GroupVersionKind{}, member, c.Labels)
	})
}
