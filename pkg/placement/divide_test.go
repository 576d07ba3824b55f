// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
)

func name(i int) string { return fmt.Sprintf("member-%04d", i) }

func targets(names ...string) []placement.Target {
	list := make([]placement.Target, 0, len(names))
	for _, name := range names {
		list = append(list, placement.Target{Name: name, Labels: map[string]string{"name": name}})
	}
	return list
}

// weigh makes an entry by name; bounds below 0 are unset.
func weigh(weight, least, most int32, names ...string) tmcv1alpha1.ClusterWeight {
	w := tmcv1alpha1.ClusterWeight{ClusterNames: names, Weight: &weight}
	if least >= 0 {
		w.MinReplicas = &least
	}
	if most >= 0 {
		w.MaxReplicas = &most
	}
	return w
}

func TestDivide(t *testing.T) {
	t.Parallel()
	type divided = []tmcv1alpha1.ClusterWeight
	for name, test := range map[string]struct {
		replicas int32
		weights  divided
		want     map[string]int32
	}{
		"evenly":                      {9, nil, map[string]int32{"a": 3, "b": 3, "c": 3}},
		"nothing":                     {0, nil, map[string]int32{"a": 0, "b": 0, "c": 0}},
		"less than nothing":           {-3, nil, map[string]int32{"a": 0, "b": 0, "c": 0}},
		"by weight":                   {12, divided{weigh(3, -1, -1, "a"), weigh(2, -1, -1, "b")}, map[string]int32{"a": 6, "b": 4, "c": 2}},
		"by largest remainder":        {10, divided{weigh(3, -1, -1, "a"), weigh(2, -1, -1, "b")}, map[string]int32{"a": 5, "b": 3, "c": 2}}, // 5, 3.33, 1.67
		"the first entry counts":      {6, divided{weigh(1, -1, -1, "a"), weigh(0, -1, -1, "a", "b", "c")}, map[string]int32{"a": 6, "b": 0, "c": 0}},
		"by label":                    {6, divided{{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"name": "b"}}, Weight: new(int32(4))}}, map[string]int32{"a": 1, "b": 4, "c": 1}},
		"the default weight is 1":     {6, divided{{ClusterNames: []string{"a"}}}, map[string]int32{"a": 2, "b": 2, "c": 2}},
		"nothing has a weight":        {6, divided{weigh(0, -1, -1, "a", "b", "c")}, map[string]int32{"a": 0, "b": 0, "c": 0}},
		"a least with weight 0":       {6, divided{weigh(0, 2, -1, "a")}, map[string]int32{"a": 2, "b": 2, "c": 2}},
		"a least takes":               {9, divided{weigh(1, 5, -1, "a")}, map[string]int32{"a": 5, "b": 2, "c": 2}},
		"a least that is no bound":    {9, divided{weigh(1, 2, -1, "a")}, map[string]int32{"a": 3, "b": 3, "c": 3}},
		"a most gives":                {9, divided{weigh(1, -1, 1, "a")}, map[string]int32{"a": 1, "b": 4, "c": 4}},
		"most leaves some over":       {9, divided{weigh(1, -1, 2, "a", "b", "c")}, map[string]int32{"a": 2, "b": 2, "c": 2}},
		"a most of 0":                 {4, divided{weigh(5, -1, 0, "a")}, map[string]int32{"a": 0, "b": 2, "c": 2}},
		"least and most":              {10, divided{weigh(8, -1, 3, "a"), weigh(1, 4, -1, "b")}, map[string]int32{"a": 3, "b": 4, "c": 3}},
		"both bounds at once":         {9, divided{weigh(4, 0, 5, "a"), weigh(1, 2, -1, "b")}, map[string]int32{"a": 5, "b": 2, "c": 2}},
		"least as far as it suffices": {6, divided{weigh(1, 8, -1, "a"), weigh(1, 4, -1, "b")}, map[string]int32{"a": 4, "b": 2, "c": 0}},
		"least above most":            {9, divided{weigh(1, 7, 1, "a")}, map[string]int32{"a": 1, "b": 4, "c": 4}},
		"SEC-42 absurd numbers":       {2147483647, divided{weigh(2147483647, 2147483647, 2147483647, "a"), weigh(-5, -1, -7, "b")}, map[string]int32{"a": 2147483647, "b": 0, "c": 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rs := &tmcv1alpha1.ReplicaScheduling{Type: tmcv1alpha1.ReplicasDivided, Weights: test.weights}
			if diff := cmp.Diff(test.want, placement.Divide(test.replicas, rs, targets("c", "a", "b", "a"), "key")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnplaced(t *testing.T) {
	t.Parallel()
	none := []tmcv1alpha1.ClusterWeight{weigh(0, -1, -1, "a", "b", "c")}
	few := []tmcv1alpha1.ClusterWeight{weigh(1, -1, 2, "a", "b", "c")}
	for name, test := range map[string]struct {
		kind    tmcv1alpha1.ReplicaSchedulingType
		weights []tmcv1alpha1.ClusterWeight
		targets string
		want    int32
	}{
		"no weight at all":      {tmcv1alpha1.ReplicasDivided, none, "abc", 9},
		"bounds that are short": {tmcv1alpha1.ReplicasDivided, few, "abc", 3},
		"enough":                {tmcv1alpha1.ReplicasDivided, nil, "abc", 0},
		"duplicated":            {tmcv1alpha1.ReplicasDuplicated, none, "abc", 0},
		"nobody to ask":         {tmcv1alpha1.ReplicasDivided, none, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rs := &tmcv1alpha1.ReplicaScheduling{Type: test.kind, Weights: test.weights}
			shares := placement.Divide(9, rs, targets(strings.Split(test.targets, "")...), "key")
			if got := placement.Unplaced(9, rs, shares); got != test.want {
				t.Errorf("%d of %v have no place, want %d", got, shares, test.want)
			}
		})
	}
	if placement.Unplaced(9, nil, map[string]int32{"a": 1}) != 0 {
		t.Error("without replicaScheduling nothing is divided")
	}
}

func TestDuplicate(t *testing.T) {
	t.Parallel()
	for name, rs := range map[string]*tmcv1alpha1.ReplicaScheduling{
		"unset": nil, "no type": {}, "another type": {Type: "Tripled"},
		"weights have no meaning": {Type: tmcv1alpha1.ReplicasDuplicated, Weights: []tmcv1alpha1.ClusterWeight{weigh(0, -1, 1, "a")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(map[string]int32{"a": 7, "b": 7}, placement.Divide(7, rs, targets("a", "b"), "key")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := placement.Divide(7, nil, nil, "key"); len(got) != 0 {
		t.Errorf("got %v for no targets", got)
	}
}

// TestDivideProperties checks random divisions: the sum, the bounds, the order of targets, and that it is proportional:
// no replica that one could give and another take would bring both nearer to the same share per weight.
func TestDivideProperties(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		names := make([]string, 1+random.IntN(6))
		type bounds struct{ weight, least, most int32 }
		of := map[string]bounds{}
		var weights []tmcv1alpha1.ClusterWeight
		for i := range names {
			names[i] = name(i)
			b := bounds{weight: random.Int32N(5), least: random.Int32N(4), most: 4 + random.Int32N(20)}
			of[names[i]] = b
			weights = append(weights, weigh(b.weight, b.least, b.most, names[i]))
		}
		rs := &tmcv1alpha1.ReplicaScheduling{Type: tmcv1alpha1.ReplicasDivided, Weights: weights}
		replicas, key := random.Int32N(60), fmt.Sprint(random.Int())
		got := placement.Divide(replicas, rs, targets(names...), key)
		sum, least, most := int32(0), int32(0), int32(0)
		for n, b := range of {
			sum += got[n]
			least += b.least
			if b.weight == 0 {
				most += b.least
			} else {
				most += b.most
			}
			if got[n] > b.most {
				t.Fatalf("%s got %d of at most %d", n, got[n], b.most)
			}
		}
		if want := min(replicas, max(most, least)); sum != want {
			t.Fatalf("%d replicas became %d, want %d: %v of %v", replicas, sum, want, got, of)
		}
		for n, b := range of {
			if replicas >= least && got[n] < b.least {
				t.Fatalf("%s got %d of at least %d", n, got[n], b.least)
			}
			for other, o := range of {
				// Rounding moves a share by less than 1, so a difference of 2 shares is not explained by it.
				if replicas >= least && b.weight > 0 && o.weight > 0 && got[n] > b.least && got[other] < o.most &&
					(got[n]-1)*o.weight > (got[other]+1)*b.weight {
					t.Fatalf("%s has too much, %s too little: %v of %v", n, other, got, of)
				}
			}
		}
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		if diff := cmp.Diff(got, placement.Divide(replicas, rs, targets(names...), key)); diff != "" {
			t.Fatalf("the order of targets matters (-want +got):\n%s", diff)
		}
	}
}

// TestDivideSpreadsRemainders checks that what cannot be divided is not always the same member's, and that it stays where
// it is when another member goes.
func TestDivideSpreadsRemainders(t *testing.T) {
	t.Parallel()
	rs := &tmcv1alpha1.ReplicaScheduling{Type: tmcv1alpha1.ReplicasDivided}
	all := targets("a", "b", "c", "d")
	total := map[string]int{}
	for i := range 1000 {
		key := placement.DivideKey("ws|ns/p", deployments, fmt.Sprint("web-", i))
		before := placement.Divide(1, rs, all, key)
		for n, replicas := range before {
			total[n] += int(replicas)
		}
		after := placement.Divide(1, rs, all[:3], key)
		if before["d"] == 0 && !maps.Equal(after, map[string]int32{"a": before["a"], "b": before["b"], "c": before["c"]}) {
			t.Fatalf("a replica moved from %v to %v", before, after)
		}
	}
	if least := slices.Min(slices.Collect(maps.Values(total))); least < 200 {
		t.Errorf("1,000 single replicas were spread as %v", total)
	}
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	daemon := placement.Workload{Kind: "DaemonSet", Name: "agent", PerNode: true, Requests: list("cpu", "100m", "x/gpu", "1")}
	plain := placement.Workload{Resource: configMaps, Kind: "ConfigMap", Name: "c"}
	want := list("cpu", "5100m", "memory", "5Gi", "pods", "6", "x/gpu", "1")
	if diff := cmp.Diff(amountsOf(want), amountsOf(placement.Requirement([]placement.Workload{web(5), daemon, plain}))); diff != "" {
		t.Errorf("with all replicas (-want +got):\n%s", diff)
	}
	all := []placement.Workload{web(5), daemon, plain}
	got := placement.Requirements("key", nil, all, targets("a", "b"))
	if diff := cmp.Diff(map[string]map[string]string{"a": amountsOf(want), "b": amountsOf(want)}, map[string]map[string]string{"a": amountsOf(got["a"]), "b": amountsOf(got["b"])}); diff != "" {
		t.Errorf("duplicated (-want +got):\n%s", diff)
	}
	in := input(divided(weigh(4, -1, -1, "a")))
	got = placement.Requirements("key", in.Spec, all, targets("a", "b"))
	if diff := cmp.Diff(map[string]string{"cpu": "4100m", "memory": "4Gi", "pods": "5", "x/gpu": "1"}, amountsOf(got["a"])); diff != "" {
		t.Errorf("divided (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"cpu": "1100m", "memory": "1Gi", "pods": "2", "x/gpu": "1"}, amountsOf(got["b"])); diff != "" {
		t.Errorf("divided (-want +got):\n%s", diff)
	}
}
