// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"testing"

	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// changing is a look at a member in the middle of which something happens.
type changing struct {
	*world
	meanwhile
}

func (i *changing) Observation(at workspace.Key) (view.Observation, bool) {
	found, ok := i.world.Observation(at)
	i.happen()
	return found, ok
}

// What changes while it is looked at is looked at again by whoever decides next.
func TestChangesWhileMembersAreLookedAt(t *testing.T) {
	t.Parallel()
	const few, many = "2", "100"
	for name, change := range map[string]func(*world){
		"a member has room": func(w *world) { w.observe(registration("east"), many, metav1.ConditionTrue) },
		"a member comes":    func(w *world) { w.join("west", many) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := stepped(t)
			members := &changing{world: w}
			w.c.config.Members = members
			w.join("east", few)
			w.deploy("web", 1, "10")
			all := w.place("all", selecting("web"))
			w.c.catalog.forget(registration("east"), "acme")
			members.meanwhile = func() { change(w) }
			w.reconcile(all)
			wantDiff(t, "chosen by what was there", "", w.chosen(all))
			w.reconcile(all)
			if w.chosen(all) == "" {
				t.Error("the change is not seen")
			}
		})
	}
}

// Nobody tells the scheduler when another workspace takes over the path that a lender is trusted by.
func TestTrustIsAskedForEachDecision(t *testing.T) {
	t.Parallel()
	trusts := true
	w := borrowing(t, &trusts)
	w.deploy("api", 2, "1")
	first := w.place("first", selecting("web"))
	w.settle()
	wantDiff(t, "chosen while it is trusted", "trap.gift", w.chosen(first))
	trusts = false
	second := w.place("second", selecting("api"))
	w.reconcile(second)
	wantDiff(t, "chosen when it is not", "east", w.chosen(second))
}

// kinds are others than the world has.
type kinds struct {
	*world

	asked []schema.GroupResource
}

func (k *kinds) Kinds() []schema.GroupResource { return k.asked }

// A kind that is asked for from now on is one of which nobody knows yet whether members serve it.
func TestOtherKindsAreAskedOfEveryMember(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	asked := &kinds{world: w, asked: []schema.GroupResource{deploymentsGR}}
	w.c.config.Workloads = asked
	w.join("east", "4")
	w.deploy("web", 1, "1")
	all := w.place("all", nil)
	w.settle()
	wantDiff(t, "chosen", "east", w.chosen(all))
	w.missing[registration("east")] = map[schema.GroupResource]string{deploymentsGR: "not any more"} // and nobody tells
	w.reconcile(all)
	before, _ := w.c.Explain(all)
	asked.asked = append(asked.asked, configmapsGR)
	w.reconcile(all)
	after, _ := w.c.Explain(all)
	if before.Outcome.Reason != tmcv1alpha1.ReasonScheduled || after.Outcome.Reason == tmcv1alpha1.ReasonScheduled {
		t.Errorf("it was %+v, and is %+v", before.Outcome, after.Outcome)
	}
}

// Workspaces that see a member by the same name share what is made of it, and what is forgotten leaves nothing behind.
func TestLooksAreSharedAndForgotten(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	at := w.join("east", "4")
	w.lendFrom("platform")
	lent := workspace.Key{Workspace: "platform", Name: "trap"}
	w.entries[lent] = append(w.entries[lent], view.Entry{Key: workspace.Key{Workspace: "globex", Name: "trap.gift"}})
	w.c.SetEntries(lent)
	for _, ws := range []logicalcluster.Name{"acme", "globex"} {
		w.c.snapshot(workspace.Key{Workspace: ws, Namespace: "shop", Name: "all"})
	}
	wantDiff(t, "looks and pages", []int{1, 1, 2}, []int{len(w.c.catalog.looks[at]), len(w.c.catalog.looks[lent]), len(w.c.catalog.pages)})
	w.leave(at)
	w.leave(lent)
	wantDiff(t, "looks and pages", []int{0, 0}, []int{len(w.c.catalog.looks), len(w.c.catalog.pages)})
}
