// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
)

func TestSnapshotIsImmutable(t *testing.T) {
	t.Parallel()
	c := cluster("b")
	base := placement.NewSnapshot([]placement.Cluster{c, cluster("a")})
	c.Labels["region"] = "us"
	added, replaced, both := with(base, cluster("c")), with(base, cluster("a", cordoned)), with(base, cluster("0"), cluster("b", cordoned), cluster("c"))
	for name, test := range map[string]struct {
		s    *placement.Snapshot
		want []string
	}{
		"base": {base, []string{"a", "b"}}, "added": {added, []string{"a", "b", "c"}}, "replaced": {replaced, []string{"b"}},
		"both": {both, []string{"0", "a", "c"}}, "none": {with(base), []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, chosen(placement.Schedule(test.s, input(selecting(map[string]string{"region": "eu"}))))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if base.Len() != 2 || added.Len() != 3 || replaced.Len() != 2 || both.Len() != 4 {
		t.Error("members were lost")
	}
	want := []placement.Target{{Name: "b", Labels: map[string]string{"region": "eu"}}}
	if diff := cmp.Diff(want, base.Targets("b", "none")); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

// with returns a snapshot with some more members, given in the order of their names.
func with(s *placement.Snapshot, clusters ...placement.Cluster) *placement.Snapshot {
	members := make([]*placement.Member, 0, len(clusters))
	for i := range clusters {
		members = append(members, placement.NewMember(&clusters[i]))
	}
	return s.With(members...)
}

func TestTheLastOfOneNameCounts(t *testing.T) {
	t.Parallel()
	s := placement.NewSnapshot([]placement.Cluster{cluster("a", cordoned), cluster("b"), cluster("a"), cluster("b", cordoned)})
	if diff := cmp.Diff([]string{"a"}, chosen(placement.Schedule(s, input()))); diff != "" || s.Len() != 2 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTiesAreSpread checks that equal members share the placements that want one of them, and that it is always the same.
func TestTiesAreSpread(t *testing.T) {
	t.Parallel()
	clusters := make([]placement.Cluster, 10)
	for i := range clusters {
		clusters[i] = cluster(name(i))
	}
	s := placement.NewSnapshot(clusters)
	count := map[string]int{}
	for i := range 2000 {
		in := input(wanted(1), func(in *placement.Input) { in.Key = fmt.Sprint("ws|ns/p-", i) })
		count[chosen(placement.Schedule(s, in))[0]]++
	}
	for n, c := range count {
		if c < 140 || c > 260 {
			t.Errorf("%s was chosen %d times of 2,000", n, c)
		}
	}
	if len(count) != 10 {
		t.Errorf("only %d members were chosen", len(count))
	}
}

// TestManyShapes has more different pods than are looked at one by one: each fits a node of its own, and the last do not
// fit together.
func TestManyShapes(t *testing.T) {
	t.Parallel()
	var list0 []placement.Workload
	wide := cluster("wide")
	wide.LargestFree = nil
	for i := range 80 {
		w := placement.Workload{Kind: "Deployment", Name: fmt.Sprintf("w%02d", i), Replicas: 1, Requests: list("cpu", fmt.Sprint(i+1, "m"), "memory", fmt.Sprint(100-i))}
		list0 = append(list0, w)
		wide.LargestFree = append(wide.LargestFree, tmcv1alpha1.FreeSlot{Free: w.Requests})
	}
	s := placement.NewSnapshot([]placement.Cluster{wide, cluster("one")})
	for n, test := range map[string]struct {
		workloads []placement.Workload
		want      []string
	}{
		"few":  {list0[:60], []string{"one", "wide"}},
		"many": {list0, []string{"one"}},
	} {
		t.Run(n, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, chosen(placement.Schedule(s, input(workloads(test.workloads...))))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSharesThatDoNotSettle has members that drop out one by one, each since the one before did, for more rounds than are
// made: then the choice is who has room for all.
func TestSharesThatDoNotSettle(t *testing.T) {
	t.Parallel()
	const n, replicas = 40, 100_000
	clusters := []placement.Cluster{cluster("all", available("cpu", fmt.Sprint(replicas), "memory", "1"))}
	for i := range n {
		clusters = append(clusters, cluster(name(i), available("cpu", fmt.Sprint((replicas+n-i)/(n+1-i)-1), "memory", "1")))
	}
	in := input(divided(), workloads(placement.Workload{Replicas: replicas, Requests: list("cpu", "1")}))
	out := placement.Schedule(placement.NewSnapshot(clusters), in)
	if diff := cmp.Diff([]string{"all"}, chosen(out)); diff != "" || !out.Satisfied {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
