// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

var denyAll = Key{Resource: networkPolicies(), Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "deny-all"}}

// withPolicies is a world whose Placements select workloads alone.
func withPolicies(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.selects = func(_ *tmcv1alpha1.Placement, gr schema.GroupResource, _ *unstructured.Unstructured) bool {
		return gr == deploymentsGR
	}
	return w
}

func (w *world) denyAll() {
	w.put(denyAll, "NetworkPolicy", map[string]any{"spec": map[string]any{"podSelector": map[string]any{}, "policyTypes": []any{"Ingress"}}})
}

// What guards pods is there before them, goes where they go, and leaves after them, whatever the Placement selects.
func TestNetworkPoliciesComeFirstAndLeaveLast(t *testing.T) {
	t.Parallel()
	w := withPolicies(t)
	w.denyAll()
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	writes := w.took()
	policy, workload := slices.Index(writes, "east apply networkpolicies deny-all"), slices.Index(writes, "east apply deployments web")
	if policy < 0 || workload < policy {
		t.Fatalf("the writes are %q", writes)
	}
	wantDiff(t, "owner of the rows", workspace.Key{Workspace: "acme", Namespace: "shop", Name: "all"}, w.c.states.placedBy[denyAll])

	w.place("all", "west")
	w.wait(time.Minute)
	w.run(west, web)
	w.wait(time.Minute)
	writes = w.took()
	policy, workload = slices.Index(writes, "east delete networkpolicies deny-all"), slices.Index(writes, "east delete deployments web")
	if workload < 0 || policy < workload || w.copy(west, denyAll) == nil {
		t.Errorf("the writes are %q", writes)
	}

	w.remove(web)
	w.wait(time.Minute)
	if w.copy(west, web) != nil || w.copy(west, denyAll) != nil || w.copy(west, shop) != nil {
		t.Error("something is left on the member")
	}
	wantDiff(t, "needs", 0, len(w.c.states.needs)+len(w.c.states.neededBy))
}

// One that is made later follows at once, and one that is deleted goes; the workload is left alone.
func TestNetworkPoliciesThatComeAndGo(t *testing.T) {
	t.Parallel()
	w := withPolicies(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east", "west")
	w.settle()
	w.took()
	w.denyAll()
	w.settle()
	writes := w.took()
	for _, want := range []string{"east apply networkpolicies deny-all", "west apply networkpolicies deny-all"} {
		if !slices.Contains(writes, want) {
			t.Errorf("the writes when it is made are %q, want %s", writes, want)
		}
	}
	if slices.ContainsFunc(writes, func(write string) bool { return strings.HasSuffix(write, "deployments web") }) {
		t.Errorf("the workload was not left alone: %q", writes)
	}
	w.put(denyAll, "NetworkPolicy", map[string]any{"spec": map[string]any{"podSelector": map[string]any{}, "policyTypes": []any{"Ingress", "Egress"}}})
	w.wait(time.Second)
	wantDiff(t, "writes when it is edited", []string{"east force networkpolicies deny-all", "west force networkpolicies deny-all"}, slices.Sorted(slices.Values(w.took())))
	w.remove(denyAll)
	w.wait(time.Minute)
	wantDiff(t, "writes when it is deleted", []string{"east delete networkpolicies deny-all", "west delete networkpolicies deny-all"}, slices.Sorted(slices.Values(w.took())))
}

// A member that takes no policies gets no pods that they are for. What runs already goes on.
func TestNetworkPoliciesThatAMemberDoesNotTake(t *testing.T) {
	t.Parallel()
	w := withPolicies(t)
	w.members[east].missing[networkPolicies()] = "no right to list networkpolicies"
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	if w.copy(east, web) == nil {
		t.Fatal("without policies there is nothing to wait for")
	}
	w.denyAll()
	w.place("all", "east", "west")
	w.wait(time.Minute)
	if w.copy(east, web) == nil || w.copy(west, web) == nil {
		t.Error("what runs does not go on, or not where policies are taken")
	}
	second := Key{Resource: deploymentsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "second"}}
	w.put(second, "Deployment", map[string]any{"spec": map[string]any{"template": map[string]any{"spec": image("nginx")}}})
	w.wait(time.Minute)
	if w.copy(east, second) != nil {
		t.Error("pods run without the policy that is for them")
	}
	wantDiff(t, "rows", []string{"east False Progressing Syncing", "west True Progressing Progressing"}, w.rows(second))
}

// After a start, policies on members are kept until it is known what they are for.
func TestNetworkPoliciesSurviveARestart(t *testing.T) {
	t.Parallel()
	w := withPolicies(t)
	w.denyAll()
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.took()
	w.restart()
	w.show()
	w.c.engine = w.newEngine() // what informers tell first is not what has to be looked at first
	w.c.engine.Add(denyAll)
	w.wait(time.Minute)
	wantDiff(t, "writes after a restart", 0, len(w.took()))
	if w.copy(east, denyAll) == nil {
		t.Error("the policy is gone")
	}
}
