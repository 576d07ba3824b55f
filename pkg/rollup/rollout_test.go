// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup_test

import (
	"fmt"
	"maps"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/rollup"
)

type (
	judge     func(*unstructured.Unstructured) outcome
	aggregate func(schema.GroupResource, *unstructured.Unstructured, []rollup.Copy, metav1.Time) (map[string]any, bool)
)

// deploymentStep is what a member's status says in one moment of a rollout.
func deploymentStep(observed, replicas, updated, available int64) fields {
	status := fields{
		"observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated,
		"readyReplicas": available, "availableReplicas": available, "unavailableReplicas": replicas - available,
	}
	conditions := []any{cond("Available", "False", "MinimumReplicasUnavailable", "not enough"), cond("Progressing", "True", "ReplicaSetUpdated", "working")}
	if replicas == updated && available == updated {
		conditions = []any{cond("Available", "True", "MinimumReplicasAvailable", "enough"), cond("Progressing", "True", "NewReplicaSetAvailable", "done")}
	}
	status["conditions"] = conditions
	return status
}

// TestDeploymentRollout lets two members go through a change of the template, each at its own pace, in every possible
// order of their steps, and asks after each step what the judges say.
func TestDeploymentRollout(t *testing.T) {
	t.Parallel()
	steps := func(n int64) []fields {
		return []fields{
			nil,                                                                                                                                          // not there yet
			deploymentStep(0, 0, 0, 0), deploymentStep(1, 0, 0, 0), deploymentStep(1, n, n, 0), deploymentStep(1, n, n, n-1), deploymentStep(1, n, n, n), // done, 5
			deploymentStep(1, n, n, n),                                                                                         // the change has come, its controller has not seen it
			deploymentStep(2, n, 0, n), deploymentStep(2, n+1, 1, n), deploymentStep(2, n+1, n, n), deploymentStep(2, n, n, n), // done, 10
		}
	}
	const firstDone, changed, lastDone = 5, 6, 10
	cases := map[string]struct {
		replicas, east, west int64
		status               aggregate
		kstatus              bool // whether kstatus is content in the end
	}{
		"duplicated, summed":        {replicas: 3, east: 3, west: 3, status: rollup.Status},
		"duplicated, as one":        {replicas: 3, east: 3, west: 3, status: rollup.StatusAsOne, kstatus: true},
		"divided, summed":           {replicas: 5, east: 3, west: 2, status: rollup.Status, kstatus: true},
		"divided, as one":           {replicas: 5, east: 3, west: 2, status: rollup.StatusAsOne, kstatus: true},
		"divided with a surplus":    {replicas: 3, east: 3, west: 1, status: rollup.Status},
		"one replica each, summed":  {replicas: 1, east: 1, west: 1, status: rollup.Status},
		"one replica each, as one":  {replicas: 1, east: 1, west: 1, status: rollup.StatusAsOne, kstatus: true},
		"everything on one, summed": {replicas: 2, east: 2, west: 0, status: rollup.Status, kstatus: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			east, west := steps(c.east), steps(c.west)
			if c.west == 0 { // steps have no meaning there
				for i := range west {
					if west[i] != nil {
						west[i] = deploymentStep(integer(west[i], "observedGeneration"), 0, 0, 0)
					}
				}
			}
			var walk func(e, w int, generation int64, previous fields)
			visited := map[string]bool{}
			walk = func(e, w int, generation int64, previous fields) {
				key := fmt.Sprint(e, w, generation, previous)
				if visited[key] {
					return
				}
				visited[key] = true
				upstream := object(generation, fields{"replicas": c.replicas, "progressDeadlineSeconds": int64(600)}, previous)
				copies := []rollup.Copy{
					told(stepCopy("east", e, changed, generation, east), int32(c.east)), told(stepCopy("west", w, changed, generation, west), int32(c.west)),
				}
				status, ok := c.status(deployments, upstream, copies, noon)
				if !ok {
					status = previous
				}
				upstream.Object["status"] = status
				finished := e == lastDone && w == lastDone || generation == 1 && e == firstDone && w == firstDone
				if c.west == 0 { // west is done as soon as it has seen it
					finished = generation == 2 && e == lastDone && w > changed || generation == 1 && e == firstDone && w >= 2
				}
				want := map[bool]outcome{true: done, false: wait}[finished]
				if got := kubectlDeployment(upstream); got != want {
					t.Fatalf("generation %d, east at %d, west at %d: kubectl says %s, want %s of %v", generation, e, w, got, want, status)
				}
				if !c.kstatus {
					want = wait
				}
				if got := kstatusDeployment(upstream); got != want {
					t.Fatalf("generation %d, east at %d, west at %d: kstatus says %s, want %s of %v", generation, e, w, got, want, status)
				}
				limit := map[int64]int{1: firstDone, 2: lastDone}[generation]
				if e < limit {
					walk(e+1, w, generation, status)
				}
				if w < limit {
					walk(e, w+1, generation, status)
				}
				if generation == 1 && e == firstDone && w == firstDone {
					walk(e, w, 2, status)
				}
			}
			walk(0, 0, 1, nil)
		})
	}
}

// stepCopy is a copy at one step: it has the change from a certain step on.
func stepCopy(member string, step, changed int, generation int64, steps []fields) rollup.Copy {
	if steps[step] == nil {
		return on(member, nil)
	}
	has := int64(1)
	if step >= changed {
		has = 2
	}
	c := on(member, object(has, nil, steps[step]))
	c.Current = has == generation
	return c
}

// figuresOf are all states of a member with up to n replicas.
func figuresOf(n int64) []fields {
	var out []fields
	for r := range n + 1 {
		for u := range r + 1 {
			for a := range r + 1 {
				out = append(out, deploymentStep(1, r, u, a))
			}
		}
	}
	return out
}

// TestDeploymentStates compares kubectl's word on the sums with its words on every copy, for all states of two members.
func TestDeploymentStates(t *testing.T) {
	t.Parallel()
	states := figuresOf(3)
	for _, split := range [][3]int64{{2, 2, 2}, {3, 2, 1}, {4, 2, 2}, {2, 2, 0}, {0, 0, 0}} {
		for _, e := range states {
			for _, w := range states {
				east, west := object(1, fields{"replicas": split[1]}, e), object(1, fields{"replicas": split[2]}, w)
				copies := []rollup.Copy{told(on("east", east), int32(split[1])), told(on("west", west), int32(split[2]))}
				want := wait
				if kubectlDeployment(east) == done && kubectlDeployment(west) == done {
					want = done
				}
				upstream := object(1, fields{"replicas": split[0]}, nil)
				status, _ := rollup.Status(deployments, upstream, copies, noon)
				upstream.Object["status"] = status
				if got := kubectlDeployment(upstream); got != want {
					t.Fatalf("%v: kubectl says %s, want %s of %v, from %v and %v", split, got, want, status, e, w)
				}
				status, _ = rollup.StatusAsOne(deployments, upstream, copies, noon)
				upstream.Object["status"] = status
				// What is about to be scaled down may be waited for.
				surplus := integer(e, "replicas") > split[1] || integer(w, "replicas") > split[2]
				if got := kubectlDeployment(upstream); got != want && (got == done || !surplus) {
					t.Fatalf("%v as one: kubectl says %s, want %s of %v, from %v and %v", split, got, want, status, e, w)
				}
			}
		}
	}
}

// TestScaledDeploymentStates: where autoscalers on the members decide on other replicas than the workspace's object asks
// for, tools that read that one are done exactly when they would be of every copy.
func TestScaledDeploymentStates(t *testing.T) {
	t.Parallel()
	for _, decided := range [][2]int64{{1, 1}, {5, 3}, {0, 4}, {2, 2}} {
		for _, e := range figuresOf(decided[0]) {
			for _, w := range figuresOf(decided[1]) {
				east, west := object(1, fields{"replicas": decided[0]}, e), object(1, fields{"replicas": decided[1]}, w)
				want := wait
				if kubectlDeployment(east) == done && kubectlDeployment(west) == done {
					want = done
				}
				for name, tc := range map[string]struct {
					whole  int64
					shares [2]int32
					sum    func(schema.GroupResource, *unstructured.Unstructured, []rollup.Copy, metav1.Time) (map[string]any, bool)
				}{
					"divided": {4, [2]int32{2, 2}, rollup.Status}, "divided by weights": {3, [2]int32{3, 0}, rollup.Status}, "duplicated": {2, [2]int32{2, 2}, rollup.StatusAsOne},
				} {
					first, second := told(on("east", east), tc.shares[0]), told(on("west", west), tc.shares[1])
					first.Scaled, second.Scaled = true, true
					upstream := object(1, fields{"replicas": tc.whole}, nil)
					status, _ := tc.sum(deployments, upstream, []rollup.Copy{first, second}, noon)
					upstream.Object["status"] = status
					surplus := integer(e, "replicas") > decided[0] || integer(w, "replicas") > decided[1]
					if got := kubectlDeployment(upstream); got != want && (got == done || !surplus) {
						t.Fatalf("%s, %v: kubectl says %s, want %s of %v, from %v and %v", name, decided, got, want, status, e, w)
					}
					if whole := integer(status, "replicas"); want == done && whole != tc.whole {
						t.Fatalf("%s, %v: %d replicas, where %d are asked for", name, decided, whole, tc.whole)
					}
				}
			}
		}
	}
}

// TestStatefulSetStates is the same for StatefulSets, with and without partition.
func TestStatefulSetStates(t *testing.T) {
	t.Parallel()
	var states []fields
	for ready := range int64(4) {
		for updated := range ready + 1 {
			for _, current := range []string{"web-1", "web-2"} {
				states = append(states, fields{
					"observedGeneration": int64(1), "replicas": int64(3), "readyReplicas": ready, "updatedReplicas": updated, "availableReplicas": ready,
					"currentReplicas": ready, "currentRevision": current, "updateRevision": "web-2",
				})
			}
		}
	}
	for _, strategy := range []fields{nil, {"type": "RollingUpdate"}, {"rollingUpdate": fields{"partition": int64(0)}}, {"rollingUpdate": fields{"partition": int64(2)}}} {
		for _, split := range [][3]int64{{3, 3, 3}, {6, 3, 3}} {
			for _, e := range states {
				for _, w := range states {
					spec := func(replicas int64) fields { return fields{"replicas": replicas, "updateStrategy": strategy} }
					east, west := object(1, spec(split[1]), e), object(1, spec(split[2]), w)
					copies := []rollup.Copy{told(on("east", east), int32(split[1])), told(on("west", west), int32(split[2]))}
					want := wait
					if kubectlStatefulSet(east) == done && kubectlStatefulSet(west) == done {
						want = done
					}
					upstream := object(1, spec(split[0]), nil)
					for name, status := range map[string]aggregate{"sum": rollup.Status, "as one": rollup.StatusAsOne} {
						upstream.Object["status"], _ = status(statefulSets, upstream, copies, noon)
						got := kubectlStatefulSet(upstream)
						// A partition counts from zero on each member, but kubectl counts it once.
						divided := split[0] > split[1] && strategy["rollingUpdate"] != nil
						if got != want && (got == done || !divided) {
							t.Fatalf("%v, %v, %s: kubectl says %s, want %s of %v, from %v and %v", split, strategy, name, got, want, upstream.Object["status"], e, w)
						}
						if kstatusStatefulSet(upstream) == done && want != done {
							t.Fatalf("%v, %v, %s: kstatus is content with %v, from %v and %v", split, strategy, name, upstream.Object["status"], e, w)
						}
						if kstatusStatefulSet(east) == done && kstatusStatefulSet(west) == done && name == "as one" && !divided && kstatusStatefulSet(upstream) != done {
							t.Fatalf("%v, %v: kstatus is not content with %v", split, strategy, upstream.Object["status"])
						}
					}
				}
			}
		}
	}
}

// TestDaemonSetStates is the same for DaemonSets.
func TestDaemonSetStates(t *testing.T) {
	t.Parallel()
	var states []fields
	for updated := range int64(4) {
		for available := range int64(4) {
			states = append(states, fields{
				"observedGeneration": int64(1), "desiredNumberScheduled": int64(2), "currentNumberScheduled": int64(2), "updatedNumberScheduled": updated,
				"numberReady": available, "numberAvailable": available, "numberUnavailable": max(0, 2-available), "numberMisscheduled": int64(1),
			})
		}
	}
	for _, e := range states {
		for _, w := range states {
			east, west := live(e), live(w)
			upstream := object(1, nil, nil)
			for name, judge := range map[string]judge{"kubectl": kubectlDaemonSet, "kstatus": kstatusDaemonSet} {
				want := wait
				if judge(east) == done && judge(west) == done {
					want = done
				}
				upstream.Object["status"], _ = rollup.Status(daemonSets, upstream, []rollup.Copy{on("east", east), on("west", west)}, noon)
				if got := judge(upstream); got != want {
					t.Fatalf("%s says %s, want %s of %v, from %v and %v", name, got, want, upstream.Object["status"], e, w)
				}
			}
		}
	}
}

// TestMemberJoins adds a member to a Placement whose workload had been rolled out: no generation tells of it.
func TestMemberJoins(t *testing.T) {
	t.Parallel()
	daemon := fields{
		"observedGeneration": int64(1), "desiredNumberScheduled": int64(2), "currentNumberScheduled": int64(2), "updatedNumberScheduled": int64(2),
		"numberReady": int64(2), "numberAvailable": int64(2),
	}
	stateful := fields{
		"observedGeneration": int64(1), "replicas": int64(3), "readyReplicas": int64(3), "updatedReplicas": int64(3), "availableReplicas": int64(3),
		"currentReplicas": int64(3), "currentRevision": "web-1", "updateRevision": "web-1",
	}
	cases := map[string]struct {
		gr       schema.GroupResource
		complete fields
		judges   []judge
	}{
		"Deployment":  {deployments, deploymentStep(1, 3, 3, 3), []judge{kubectlDeployment, kstatusDeployment}},
		"StatefulSet": {statefulSets, stateful, []judge{kubectlStatefulSet, kstatusStatefulSet}},
		"DaemonSet":   {daemonSets, daemon, []judge{kubectlDaemonSet, kstatusDaemonSet}},
	}
	for name, c := range cases {
		for mode, status := range map[string]aggregate{"sum": rollup.Status, "as one": rollup.StatusAsOne} {
			t.Run(name+", "+mode, func(t *testing.T) {
				t.Parallel()
				upstream := object(4, fields{"replicas": int64(3)}, nil)
				step := func(what string, want outcome, judges []judge, copies ...rollup.Copy) {
					t.Helper()
					for i := range copies {
						copies[i] = told(copies[i], 3)
					}
					upstream.Object["status"], _ = status(c.gr, upstream, copies, noon)
					for i, judge := range judges {
						if got := judge(upstream); got != want {
							t.Errorf("%s: judge %d says %s, want %s of %v", what, i, got, want, upstream.Object["status"])
						}
					}
				}
				kept := c.judges
				if mode == "sum" {
					kept = kept[:1] // kstatus is not content with sums, as the package comment says
				}
				east := on("east", live(c.complete))
				step("alone", done, c.judges, east)
				step("west is not there yet", wait, c.judges, east, on("west", nil))
				step("west has not observed it", wait, c.judges, east, on("west", live(nil)))
				empty := maps.Clone(c.complete)
				for field := range empty {
					if _, ok := empty[field].(int64); ok && field != "observedGeneration" && field != "desiredNumberScheduled" {
						empty[field] = int64(0)
					}
				}
				delete(empty, "conditions")
				step("west has no replicas yet", wait, c.judges, east, on("west", live(empty)))
				step("both", done, kept, east, on("west", live(c.complete)))
				away := on("west", live(c.complete))
				away.Reachable = false
				step("west is away", done, kept, east, away)
				step("west is away, and this process never saw it", done, c.judges[:1], east, unheard("west"))
				step("both are away", done, c.judges[:1], unheard("east"), unheard("west"))
				step("west joins while it is away", wait, c.judges, told(east, 3), unheard("west"), on("edge", nil))
			})
		}
	}
}
