// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func wantDiff(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestPlacementIsDecidedAndWrittenOnce(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "8")
	w.join("west", "16")
	w.deploy("web", 2, "1")
	all := w.place("all", nil)
	w.settle()
	wantDiff(t, "decisions", "east west", w.chosen(all))
	wantDiff(t, "selected", int32(2), w.placements[all].Status.SelectedClusters)
	wantDiff(t, "condition", "True Scheduled", w.condition(all, tmcv1alpha1.ConditionScheduled))
	wantDiff(t, "patches", 1, w.tookPatches())
	for range 5 {
		w.c.EnqueueAll()
		w.settle()
		w.clock.Step(time.Hour)
	}
	wantDiff(t, "patches when nothing changed", 0, w.tookPatches())
	explained, known := w.c.Explain(all)
	if !known || len(explained.Outcome.Chosen) != 2 || len(explained.Stored.Decisions) != 2 {
		t.Errorf("it is explained by %+v", explained)
	}
	if _, known := w.c.Explain(key("other")); known {
		t.Error("what was never looked at is explained")
	}
	wantDiff(t, "division", map[string]int32{"east": 6, "west": 6}, w.c.Divide(w.placements[all], deploymentsGR, "web", 6))
	if member, found := w.c.Member("acme", "east"); !found || member != registration("east") {
		t.Errorf("east is %v, %v", member, found)
	}
	wantDiff(t, "members", 2, len(w.c.Members("acme")))
}

// A member that is ready before it has shown what it serves is chosen if it shows that it serves what is placed, and never
// if it shows that it does not: what is chosen once stays.
func TestMemberIsNotChosenBeforeItShowsWhatItServes(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	for _, name := range []string{"east", "west"} {
		w.join(name, "8")
		w.unknown[registration(name)] = sets.New(deploymentsGR, configmapsGR)
		w.c.MemberChanged(registration(name))
	}
	w.deploy("web", 1, "1")
	all := w.place("all", nil)
	w.reconcile(all)
	wantDiff(t, "chosen while nothing is known", "", w.chosen(all))
	w.unknown[registration("east")] = sets.New(configmapsGR) // of which nothing is placed
	w.c.MemberChanged(registration("east"))
	w.reconcile(all)
	wantDiff(t, "chosen", "east", w.chosen(all))
	// Who has what it needs looks again all the same, for what is said of the others.
	w.queued()
	w.unknown[registration("west")], w.missing[registration("west")] = nil, map[schema.GroupResource]string{deploymentsGR: "no"}
	w.c.MemberChanged(registration("west"))
	w.settle()
	wantDiff(t, "chosen when all is known", "east", w.chosen(all))
	explained, _ := w.c.Explain(all)
	wantDiff(t, "reason", tmcv1alpha1.ReasonAPIMissing, explained.Rejected[0].Reason)
}

// What was written counts until it is read back.
func TestDecisionCountsBeforeItIsReadBack(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "8")
	w.deploy("web", 1, "1")
	all := w.place("all", nil)
	w.lagging = true
	for range 4 {
		w.reconcile(all)
	}
	wantDiff(t, "patches", 1, w.tookPatches())
	wantDiff(t, "decisions", 1, len(w.c.Decisions(w.placements[all])))
	wantDiff(t, "stored", "", w.chosen(all))
	// Of another object of that name nothing is known.
	other := w.placements[all].DeepCopy()
	other.UID = "another"
	wantDiff(t, "decisions of another", 0, len(w.c.Decisions(other)))
}

// FLT-14: who looked the Placement up before the decision, and asks for the decision after it was read back, is told it
// all the same: nobody will be told again.
func TestDecisionIsToldToWhoHoldsAnOlderVersion(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "8")
	w.deploy("web", 1, "1")
	all := w.place("all", nil)
	older, _ := w.c.PlacementOf(deploymentsGR, w.objects[deploymentsGR][key("web")])
	w.reconcile(all)
	told := w.decisions[all]
	w.reconcile(all) // as it was read back
	wantDiff(t, "stored", "east", w.chosen(all))
	wantDiff(t, "told again", told, w.decisions[all])
	wantDiff(t, "decisions", 1, len(w.c.Decisions(older)))
	wantDiff(t, "replicas", map[string]int32{"east": 3}, w.c.Divide(older, deploymentsGR, "web", 3))
}

// Any number of Placements that race for room for some get exactly that room.
func TestRacesGetExactlyTheRoomThereIs(t *testing.T) {
	t.Parallel()
	const placed, room = 40, 13
	w := newWorld(t, clock.RealClock{})
	w.join("east", fmt.Sprint(room))
	for i := range placed {
		w.deploy(fmt.Sprintf("ns%d/web", i), 1, "1")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.c.Run(ctx) }()
	var group sync.WaitGroup
	for i := range placed {
		group.Go(func() { w.place(fmt.Sprintf("ns%d/all", i), selecting("web")) })
		group.Go(func() {
			for range 3 {
				w.c.EnqueueAll()
				w.c.MemberChanged(registration("east"))
				w.c.SetEntries(registration("east"))
				w.c.EnqueueObject("acme", fmt.Sprintf("ns%d", rand.IntN(placed)))
			}
		})
	}
	group.Wait()
	count := func() (active, decided int) {
		for i := range placed {
			at := key(fmt.Sprintf("ns%d/all", i))
			if w.chosen(at) != "" {
				active++
			}
			w.mu.Lock()
			if len(w.placements[at].Status.Conditions) > 0 {
				decided++
			}
			w.mu.Unlock()
		}
		return active, decided
	}
	wait := func(what string, holds func() bool) {
		t.Helper()
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		deadline := time.After(2 * time.Minute)
		for !holds() {
			select {
			case <-ticker.C:
			case <-deadline:
				active, decided := count()
				t.Fatalf("waited in vain until %s: %d active, %d decided", what, active, decided)
			}
		}
	}
	wait("all are decided", func() bool { _, decided := count(); return decided == placed && w.c.engine.Len() == 0 })
	if active, _ := count(); active != room {
		t.Errorf("%d got room for %d", active, room)
	}
	// Of those that wait, as many get room as there is when some go.
	var gone []workspace.Key
	for i := range placed {
		if at := key(fmt.Sprintf("ns%d/all", i)); len(gone) < 5 && w.chosen(at) != "" {
			gone = append(gone, at)
			w.edit(at, func(p *tmcv1alpha1.Placement) { p.Spec.ResourceSelectors[0].Name = "nothing" })
		}
	}
	wait("others got the room", func() bool {
		active, _ := count()
		return active == room && !slices.ContainsFunc(gone, func(at workspace.Key) bool { return w.chosen(at) != "" })
	})
	cancel()
	<-ended
	if active, _ := count(); active != room {
		t.Errorf("%d got room for %d", active, room)
	}
}

// Promises shrink only after the grace: the pods may not have been counted on the other stream.
func TestPromisesShrinkAfterTheGrace(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	east := w.join("east", "10")
	w.deploy("a", 4, "2")
	w.deploy("b", 4, "2")
	first := w.place("first", selecting("a"))
	w.settle()
	second := w.place("second", selecting("b"))
	w.settle()
	wantDiff(t, "second while nothing of the first is counted", "", w.chosen(second))
	promised := func() string { cpu := w.c.ledger.promised(east)[corev1.ResourceCPU]; return cpu.String() }
	wantDiff(t, "promised", "8", promised())
	told := w.promises[east]

	w.made[key("a")] = 4
	if after := w.reconcile(first).After; after <= 0 || after > DefaultPromiseGrace {
		t.Errorf("it is looked at again after %s", after)
	}
	wantDiff(t, "promised while the pods may not be counted", "8", promised())
	w.clock.Step(DefaultPromiseGrace - time.Millisecond)
	w.reconcile(first)
	wantDiff(t, "promised before the grace is over", "8", promised())
	wantDiff(t, "told in between", told, w.promises[east])
	w.clock.Step(time.Millisecond)
	wantDiff(t, "next look", time.Duration(0), w.reconcile(first).After)
	wantDiff(t, "promised afterwards", "0", promised())
	wantDiff(t, "told", told+1, w.promises[east])
	w.settle()
	wantDiff(t, "second when the member counts nothing", "east", w.chosen(second))
}

func TestLedger(t *testing.T) {
	t.Parallel()
	const grace = time.Second
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	east, west, p, q := registration("east"), registration("west"), key("p"), key("q")
	amounts := func(cpu string, members ...workspace.Key) map[workspace.Key]corev1.ResourceList {
		out := map[workspace.Key]corev1.ResourceList{}
		for _, member := range members {
			out[member] = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
		}
		return out
	}
	l := newLedger()
	set := func(placement workspace.Key, after time.Duration, wants map[workspace.Key]corev1.ResourceList, changed int, next time.Duration) {
		t.Helper()
		got, at := l.set(placement, wants, start.Add(after), grace)
		if len(got) != changed || (next == 0) != at.IsZero() || (next != 0 && at.Sub(start) != next) {
			t.Errorf("after %s: %v changed, next at %v", after, got, at)
		}
	}
	owes := func(member workspace.Key, want string) {
		t.Helper()
		if got := l.promised(member)[corev1.ResourceCPU]; got.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("%s owes %s, want %s", member.Name, got.String(), want)
		}
	}
	set(p, 0, amounts("2", east, west), 2, 0)
	set(q, 0, amounts("3", east), 1, 0)
	owes(east, "5")
	set(p, 0, amounts("2", east, west), 0, 0) // the same
	set(p, 0, amounts("4", east, west), 2, 0) // more, at once
	owes(east, "7")
	set(p, 0, amounts("1", east), 0, grace) // less, and one is left, later
	owes(east, "7")
	owes(west, "4")
	set(p, grace/2, amounts("4", east), 1, grace) // more again: that grace is over
	set(p, grace, amounts("4", east), 1, 0)
	owes(west, "0")
	owes(east, "7")
	set(p, 2*grace, amounts("1", east), 0, 3*grace)
	set(p, 3*grace, amounts("1", east), 2, 0)
	owes(east, "4")
	if others := l.owedToOthers(q, func(workspace.Key) bool { return true })[east][corev1.ResourceCPU]; others.String() != "1" {
		t.Errorf("to others it owes %s", others.String())
	}
	set(p, 4*grace, map[workspace.Key]corev1.ResourceList{east: {}}, 0, 5*grace)
	wantDiff(t, "forgotten", []workspace.Key{east}, l.forget(q))
	wantDiff(t, "forgotten", []workspace.Key{east}, l.forget(p))
	wantDiff(t, "members with promises", 0, len(l.promises)+len(l.sums))
}

// A Placement that is gone, or is being deleted, owes nobody anything, and nothing of it is remembered.
func TestNothingIsRememberedOfWhatIsGone(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	east := w.join("east", "10")
	w.deploy("a", 5, "2")
	w.deploy("b", 5, "2")
	first, second := w.place("first", selecting("a")), w.place("second", selecting("b"))
	w.settle()
	wantDiff(t, "second", "", w.chosen(second))
	now := metav1.NewTime(w.clock.Now())
	w.edit(first, func(p *tmcv1alpha1.Placement) { p.DeletionTimestamp = &now })
	w.settle()
	wantDiff(t, "second when there is room", "east", w.chosen(second))
	before := w.decisions[second]
	w.unplace(first)
	w.unplace(second)
	w.settle()
	if w.decisions[second] <= before {
		t.Error("nobody was told")
	}
	w.leave(east)
	w.settle()
	for name, left := range map[string]int{
		"decided": len(w.c.decided), "places": len(w.c.places.keys), "promises": len(w.c.ledger.promises), "tenants": len(w.c.roster.byTenant),
		"rows": len(w.c.roster.rows), "shapes": len(w.c.roster.shapes),
	} {
		if left != 0 {
			t.Errorf("%s has %d entries", name, left)
		}
	}
}

// Members that owe nothing any more are forgotten also while Placements stay.
func TestLedgerForgetsMembers(t *testing.T) {
	t.Parallel()
	l := newLedger()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	wants := map[workspace.Key]corev1.ResourceList{registration("east"): list("1")}
	l.set(key("p"), wants, now, time.Second)
	l.set(key("p"), nil, now, time.Second)
	l.set(key("p"), nil, now.Add(time.Minute), time.Second)
	wantDiff(t, "members", 0, len(l.promises))
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "100")
	w.deploy("web", 1, "1")
	older := w.place("z-older", nil)
	younger := w.place("a-younger", nil)
	w.settle()
	object := w.objects[deploymentsGR][key("web")]
	winner := func() string {
		p, found := w.c.PlacementOf(deploymentsGR, object)
		if !found {
			return ""
		}
		return p.Name
	}
	wantDiff(t, "older goes first", "z-older", winner())
	wantDiff(t, "decisions of the older", "east", w.chosen(older))
	wantDiff(t, "decisions of the younger", "", w.chosen(younger))
	wantDiff(t, "condition of the younger", "False NothingSelected", w.condition(younger, tmcv1alpha1.ConditionScheduled))
	explained, _ := w.c.Explain(younger)
	if len(explained.Lost) != 1 || explained.Lost[0].Reason != tmcv1alpha1.ReasonPlacedByOther || !strings.Contains(explained.Lost[0].Message, "z-older") {
		t.Errorf("it lost %+v", explained.Lost)
	}
	w.edit(younger, func(p *tmcv1alpha1.Placement) { p.Spec.Priority = 1 })
	w.settle()
	wantDiff(t, "higher priority goes first", "a-younger", winner())
	wantDiff(t, "decisions of the younger", "east", w.chosen(younger))
	wantDiff(t, "decisions of the older", "", w.chosen(older))
	// Of equals the first by name.
	same := w.placements[younger].CreationTimestamp
	w.edit(younger, func(p *tmcv1alpha1.Placement) { p.Spec.Priority = 0 })
	w.edit(older, func(p *tmcv1alpha1.Placement) { p.CreationTimestamp = same })
	wantDiff(t, "first by name", "a-younger", winner())
	now := metav1.NewTime(w.clock.Now())
	w.edit(younger, func(p *tmcv1alpha1.Placement) { p.DeletionTimestamp = &now })
	wantDiff(t, "one that is being deleted does not count", "z-older", winner())
	object.SetNamespace("elsewhere")
	wantDiff(t, "of another namespace", "", winner())
}

// Partly lost, partly not syncable: the condition says so, and the list is bounded.
func TestWhatIsNotPlacedIsTold(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "100")
	for i := range 150 {
		w.deploy(fmt.Sprint("web-", i), 1, "1m")
	}
	w.deploy("mine", 1, "1m")
	w.place("first", func(p *tmcv1alpha1.Placement) {
		p.Spec.ResourceSelectors = []tmcv1alpha1.ResourceSelector{{Kind: "Deployment", LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"mine"}}}}}}
	})
	second := w.place("second", func(p *tmcv1alpha1.Placement) {
		p.Spec.ResourceSelectors = []tmcv1alpha1.ResourceSelector{{Kind: "Deployment"}}
	})
	w.settle()
	wantDiff(t, "condition", "True Scheduled", w.condition(second, tmcv1alpha1.ConditionScheduled)) // the others run elsewhere
	wantDiff(t, "decisions", "east", w.chosen(second))
	explained, _ := w.c.Explain(second)
	wantDiff(t, "told of", mostLost, len(explained.Lost))

	w.put(configmapsGR, &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
		"name": "BAD NAME", "namespace": "other", "annotations": map[string]any{"kcp.io/cluster": "acme"},
	}}})
	named := w.place("other/all", func(p *tmcv1alpha1.Placement) {
		p.Spec.ResourceSelectors = []tmcv1alpha1.ResourceSelector{{Kind: "ConfigMap"}}
	})
	silent := w.place("other/zall", nil)
	w.settle()
	if explained, _ := w.c.Explain(silent); len(explained.Lost) != 0 {
		t.Errorf("it lost %+v", explained.Lost)
	}
	w.deploy("other/web", 1, "1m")
	w.edit(named, func(p *tmcv1alpha1.Placement) {
		p.Spec.ResourceSelectors = append(p.Spec.ResourceSelectors, tmcv1alpha1.ResourceSelector{Kind: "Deployment"})
	})
	w.settle()
	wantDiff(t, "condition", "False WorkloadsNotPlaced", w.condition(named, tmcv1alpha1.ConditionScheduled))
	if explained, _ := w.c.Explain(named); len(explained.Lost) != 1 || explained.Lost[0].Reason != tmcv1alpha1.ReasonNotSyncable {
		t.Errorf("it lost %+v", explained.Lost)
	}
}

func TestNothingSelected(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "100")
	all, some := w.place("all", nil), w.place("some", selecting("x"))
	w.settle()
	for at, want := range map[workspace.Key]string{all: "has no object", some: "match no object"} {
		for _, condition := range w.placements[at].Status.Conditions {
			if condition.Type == tmcv1alpha1.ConditionScheduled && !strings.Contains(condition.Message, want) {
				t.Errorf("%s: %s", at.Name, condition.Message)
			}
		}
	}
	wantDiff(t, "condition", "False NothingPlaced", w.condition(all, tmcv1alpha1.ConditionSynchronized))
}

// Members that are not chosen any more leave, and stay in the decisions as long as they have copies.
func TestLeaving(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "10")
	w.join("west", "10")
	w.deploy("web", 1, "1")
	all := w.place("all", func(p *tmcv1alpha1.Placement) { p.Spec.ClusterNames = []string{"east"} })
	w.settle()
	w.progress[all] = Progress{Desired: 1, Synced: 1, Ready: 1, Occupied: map[string]bool{"east": true}}
	w.edit(all, func(p *tmcv1alpha1.Placement) { p.Spec.ClusterNames = []string{"west"} })
	w.settle()
	wantDiff(t, "decisions", "(east) west", w.chosen(all))
	wantDiff(t, "selected", int32(1), w.placements[all].Status.SelectedClusters)
	wantDiff(t, "synchronized", "False Syncing", w.condition(all, tmcv1alpha1.ConditionSynchronized))
	wantDiff(t, "division", map[string]int32{"west": 3}, w.c.Divide(w.placements[all], deploymentsGR, "web", 3))
	w.progress[all] = Progress{Desired: 1, Synced: 1, Ready: 1, Occupied: map[string]bool{"west": true}}
	w.reconcile(all)
	wantDiff(t, "decisions", "west", w.chosen(all))
	wantDiff(t, "ready", "True Ready", w.condition(all, tmcv1alpha1.ConditionReady))
	// Objects go, copies stay for now.
	delete(w.objects[deploymentsGR], key("web"))
	w.reconcile(all)
	wantDiff(t, "decisions", "(west)", w.chosen(all))
	w.progress[all] = Progress{}
	w.reconcile(all)
	wantDiff(t, "decisions", "", w.chosen(all))
}

// What is merely not known yet moves nothing.
func TestDoubtKeepsDecisions(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	east := w.join("east", "10")
	w.join("west", "10")
	w.deploy("web", 1, "1")
	all := w.place("all", func(p *tmcv1alpha1.Placement) {
		p.Spec.NumberOfClusters = new(int32(1))
		p.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"name": "east"}}
	})
	w.settle()
	w.doubt = true
	w.leave(east)
	delete(w.objects[deploymentsGR], key("web"))
	w.edit(all, func(p *tmcv1alpha1.Placement) { p.Spec.ClusterSelector = nil })
	w.settle()
	wantDiff(t, "decisions in doubt", "east", w.chosen(all))
	fresh := w.place("fresh", nil)
	w.deploy("web", 1, "1")
	w.edit(all, func(p *tmcv1alpha1.Placement) { p.Spec.ResourceSelectors = selectorsOf("nothing") })
	w.settle()
	wantDiff(t, "new decisions in doubt", "west", w.chosen(fresh))
	w.edit(all, func(p *tmcv1alpha1.Placement) { p.Spec.ResourceSelectors = nil })
	if again := w.reconcile(all).After; again != uncertainPause {
		t.Errorf("it is looked at again after %s: nobody else tells when the doubt is over", again)
	}
	w.doubt = false
	w.c.EnqueueAll()
	w.settle()
	wantDiff(t, "decisions", "west", w.chosen(all))
}

// Doubt takes nothing away of what is said, and costs no write, neither of the server that decided nor of the next one.
func TestDoubtKeepsWhatIsSaid(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string]func(*tmcv1alpha1.PlacementSpec){
		"True Scheduled":       func(spec *tmcv1alpha1.PlacementSpec) { spec.ClusterNames = []string{"east"} },
		"False TooFewClusters": func(spec *tmcv1alpha1.PlacementSpec) { spec.NumberOfClusters = new(int32(3)) },
		"False WorkloadsNotPlaced": func(spec *tmcv1alpha1.PlacementSpec) {
			spec.ResourceSelectors = []tmcv1alpha1.ResourceSelector{{Kind: "Deployment"}, {Kind: "Deploymint"}}
		},
	} {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarted %t", want, restarted), func(t *testing.T) {
				t.Parallel()
				w := stepped(t)
				w.join("east", "10")
				w.join("west", "10")
				w.deploy("web", 1, "1")
				at := w.place("all", func(p *tmcv1alpha1.Placement) { edit(&p.Spec) })
				w.settle()
				before, _ := w.c.Explain(at)
				wantDiff(t, "condition", want, w.condition(at, tmcv1alpha1.ConditionScheduled))
				w.tookPatches()
				w.doubt = true
				if restarted {
					w.c.decided = map[workspace.Key]*decided{}
				}
				for range 2 {
					w.reconcile(at)
				}
				after, _ := w.c.Explain(at)
				wantDiff(t, "patches", 0, w.tookPatches())
				wantDiff(t, "condition in doubt", want, w.condition(at, tmcv1alpha1.ConditionScheduled))
				if !restarted {
					wantDiff(t, "members that were not chosen", before.Rejected, after.Rejected)
					wantDiff(t, "objects that are not placed", before.Lost, after.Lost)
				}
				// Who asks for something else is told.
				w.edit(at, func(p *tmcv1alpha1.Placement) { p.Spec.ClusterNames = []string{"nowhere"} })
				w.settle()
				w.reconcile(at)
				wantDiff(t, "condition after an edit", "False Pending", w.condition(at, tmcv1alpha1.ConditionScheduled))
				wantDiff(t, "decisions after an edit", before.Stored.Decisions, w.placements[at].Status.Decisions)
			})
		}
	}
}

// What another server decided meanwhile is not taken back by one that is in doubt.
func TestDoubtKeepsWhatAnotherServerDecided(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		edit          func(*tmcv1alpha1.Placement)
		members, said string
	}{
		"it moved":               {members: "west", said: "True Scheduled"},
		"it lacks members":       {members: "east", said: "False TooFewClusters"},
		"it was edited":          {members: "west", said: "True Scheduled", edit: func(p *tmcv1alpha1.Placement) { p.Spec.ClusterNames = []string{"west"} }},
		"it was edited, in vain": {members: "east", said: "False NoClusterFits", edit: func(p *tmcv1alpha1.Placement) { p.Spec.ClusterNames = []string{"nowhere"} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := stepped(t)
			w.join("east", "10")
			w.join("west", "9")
			w.deploy("web", 1, "1")
			at := w.place("all", func(p *tmcv1alpha1.Placement) { p.Spec.NumberOfClusters = new(int32(1)) })
			w.settle()
			wantDiff(t, "decisions", "east", w.chosen(at))
			w.doubt, w.follower = true, true
			if tc.edit != nil {
				w.edit(at, tc.edit)
				w.settle()
			}
			w.change(at, func(p *tmcv1alpha1.Placement) {
				p.Status.Decisions[0].ClusterName = tc.members
				status, reason, _ := strings.Cut(tc.said, " ")
				for _, condition := range []string{tmcv1alpha1.ConditionScheduled, tmcv1alpha1.ConditionReady} {
					if now := meta.FindStatusCondition(p.Status.Conditions, condition); condition == tmcv1alpha1.ConditionScheduled || status == "False" {
						now.Status, now.Reason = metav1.ConditionStatus(status), reason
						now.Message = meta.FindStatusCondition(p.Status.Conditions, tmcv1alpha1.ConditionScheduled).Message
					}
				}
				for i := range p.Status.Conditions {
					p.Status.Conditions[i].ObservedGeneration = p.Generation
				}
			})
			w.settle()
			w.tookPatches()
			w.follower = false
			w.c.EnqueueAll()
			w.settle()
			wantDiff(t, "patches", 0, w.tookPatches())
			wantDiff(t, "decisions", tc.members, w.chosen(at))
			wantDiff(t, "condition", tc.said, w.condition(at, tmcv1alpha1.ConditionScheduled))
			explained, _ := w.c.Explain(at)
			if tc.members == "west" && (len(explained.Rejected) > 0 || len(explained.Outcome.Chosen) > 0) {
				t.Errorf("what was not decided here is explained: %+v, %+v", explained.Rejected, explained.Outcome.Chosen)
			}
		})
	}
}

// What cannot be placed is told at once, and what was told before stays.
func TestDoubtTellsWhatIsLost(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "10")
	w.deploy("web", 1, "1")
	at := w.place("all", func(p *tmcv1alpha1.Placement) {
		p.Spec.ResourceSelectors = []tmcv1alpha1.ResourceSelector{{Kind: "Deployment"}, {Kind: "ConfigMap"}, {Kind: "Deploymint"}}
	})
	w.settle()
	w.doubt = true
	w.put(configmapsGR, &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
		"name": "BAD NAME", "namespace": at.Namespace, "annotations": map[string]any{"kcp.io/cluster": "acme"},
	}}})
	for range 2 {
		w.reconcile(at)
		explained, _ := w.c.Explain(at)
		var kinds []string
		for _, lost := range explained.Lost {
			kinds = append(kinds, lost.Kind)
		}
		wantDiff(t, "lost", []string{"Deploymint", "ConfigMap"}, kinds)
	}
}

func selectorsOf(name string) []tmcv1alpha1.ResourceSelector {
	return []tmcv1alpha1.ResourceSelector{{Kind: "Deployment", Name: name}}
}

func TestSuspension(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "10")
	w.deploy("web", 1, "1")
	all := w.place("all", nil)
	w.settle()
	w.edit(all, func(p *tmcv1alpha1.Placement) { p.Spec.Suspension = &tmcv1alpha1.Suspension{Scheduling: true} })
	w.join("west", "10")
	w.leave(registration("east"))
	w.settle()
	wantDiff(t, "decisions", "east", w.chosen(all))
	wantDiff(t, "condition", "True Suspended", w.condition(all, tmcv1alpha1.ConditionScheduled))
	w.edit(all, func(p *tmcv1alpha1.Placement) { p.Spec.Suspension = &tmcv1alpha1.Suspension{Dispatching: true} })
	w.settle()
	wantDiff(t, "decisions", "west", w.chosen(all))
	wantDiff(t, "condition", "Unknown Suspended", w.condition(all, tmcv1alpha1.ConditionSynchronized))
}

func TestOnlyTheLeaderWrites(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.follower = true
	w.join("east", "10")
	w.deploy("web", 1, "1")
	all := w.place("all", nil)
	w.settle()
	wantDiff(t, "patches", 0, w.tookPatches())
	wantDiff(t, "decisions", 0, len(w.c.Decisions(w.placements[all])))
	w.follower = false
	w.c.EnqueueAll()
	w.settle()
	wantDiff(t, "decisions", "east", w.chosen(all))
}

func TestWritesThatFail(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		fails bool
	}{
		"gone":        {err: apierrors.NewNotFound(schema.GroupResource{}, "all")},
		"conflict":    {err: fmt.Errorf("patching: %w", apierrors.NewConflict(schema.GroupResource{}, "all", errors.New("x")))},
		"kcp is away": {err: errors.New("away"), fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := stepped(t)
			w.join("east", "10")
			w.deploy("web", 1, "1")
			all := w.place("all", nil)
			w.patchErr = tc.err
			if _, err := w.c.Reconcile(t.Context(), all); (err != nil) != tc.fails {
				t.Errorf("got error %v", err)
			}
			if tc.fails {
				wantDiff(t, "decisions", 0, len(w.c.Decisions(w.placements[all])))
			}
			w.patchErr = nil
			w.edit(all, func(*tmcv1alpha1.Placement) {}) // the next event
			w.settle()
			wantDiff(t, "decisions", "east", w.chosen(all))
		})
	}
}

// The trigger matrix: what changes is looked at by those whom it may matter to, and by nobody else.
func TestTriggers(t *testing.T) {
	t.Parallel()
	// first has east, second waits for room there, third lists west alone in another namespace, elsewhere is in another
	// workspace.
	everybody := []string{"first", "second", "third"}
	concerned := []string{"first", "second"}
	waiting := []string{"second"}
	none := []string{}
	tests := map[string]struct {
		change func(w *world)
		want   []string
	}{
		"a member joins":  {func(w *world) { w.join("north", "1") }, everybody},
		"a member leaves": {func(w *world) { w.leave(registration("east")) }, everybody},
		"a member is being deleted": {func(w *world) {
			w.register(registration("east"), func(r *tmcv1alpha1.ClusterRegistration) { r.DeletionTimestamp = &metav1.Time{Time: w.clock.Now()} })
		}, everybody},
		"labels": {func(w *world) {
			w.register(registration("east"), func(r *tmcv1alpha1.ClusterRegistration) { r.Labels = map[string]string{"a": "b"} })
		}, concerned},
		"a taint": {func(w *world) {
			w.register(registration("east"), func(r *tmcv1alpha1.ClusterRegistration) {
				r.Generation++
				r.Spec.Taints = []tmcv1alpha1.Taint{{Key: "a"}}
			})
		}, concerned},
		"a cordon": {func(w *world) {
			w.register(registration("east"), func(r *tmcv1alpha1.ClusterRegistration) { r.Generation++; r.Spec.Unschedulable = true })
		}, concerned},
		"it is away": {func(w *world) { w.observe(registration("east"), "4", metav1.ConditionFalse) }, concerned},
		"it lacks a kind": {func(w *world) {
			w.missing[registration("east")] = map[schema.GroupResource]string{deploymentsGR: "no"}
			w.c.MemberChanged(registration("east"))
		}, concerned},
		"it has not shown that it serves a kind": {func(w *world) {
			w.unknown[registration("east")] = sets.New(deploymentsGR)
			w.c.MemberChanged(registration("east"))
		}, waiting},
		"its figures":            {func(w *world) { w.observe(registration("east"), "3", metav1.ConditionTrue) }, waiting},
		"nothing about it":       {func(w *world) { w.c.MemberChanged(registration("east")) }, waiting},
		"its last known figures": {func(w *world) { w.observe(registration("gone"), "3", metav1.ConditionTrue) }, none},
		"who sees it": {func(w *world) {
			w.entries[registration("east")] = append(w.entries[registration("east")], view.Entry{Key: workspace.Key{Workspace: "globex", Name: "east.g"}})
			w.c.SetEntries(registration("east"))
		}, append([]string{"elsewhere"}, concerned...)},
		"it is lent to others only": {func(w *world) { w.lend(registration("lent")) }, []string{"elsewhere"}},
		"a Placement":               {func(w *world) { w.edit(key("first"), func(*tmcv1alpha1.Placement) {}) }, []string{"first", "second"}},
		"a Placement's conditions": {func(w *world) {
			w.change(key("first"), func(p *tmcv1alpha1.Placement) { p.Status.Conditions = nil })
		}, []string{"first"}},
		"a Placement's decisions": {func(w *world) {
			w.change(key("first"), func(p *tmcv1alpha1.Placement) { p.Status.Decisions = nil })
		}, []string{"first", "second"}},
		"a forced detach": {func(w *world) {
			w.change(key("first"), func(p *tmcv1alpha1.Placement) {
				p.Annotations = map[string]string{tmcv1alpha1.ForceDetachAnnotation: tmcv1alpha1.ForceDetachValue}
			})
		}, []string{"first", "second"}},
		"a Placement elsewhere":                 {func(w *world) { w.edit(key("ns/third"), func(*tmcv1alpha1.Placement) {}) }, []string{"third"}},
		"all":                                   {func(w *world) { w.c.EnqueueAll() }, append([]string{"elsewhere"}, everybody...)},
		"a member owes less":                    {func(w *world) { w.unplace(key("first")); w.queued(); w.reconcile(key("first")) }, waiting},
		"objects of another namespace":          {func(w *world) { w.c.EnqueueObject("acme", "nowhere") }, none},
		"an object of one that has nothing yet": {func(w *world) { w.c.EnqueueObject("globex", "shop") }, []string{"elsewhere"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := triggers(t)
			tc.change(w)
			wantDiff(t, "looked at", tc.want, w.queued())
		})
	}
}

// Objects may wait for a member that nobody knew by its name, while the decision says it all along.
func TestWhoSeesAMemberConcernsWhatIsPlaced(t *testing.T) {
	t.Parallel()
	w := triggers(t)
	east := registration("east")
	seen := w.entries[east]
	for _, step := range []struct {
		name    string
		entries []view.Entry
		want    int
	}{{"the same", seen, 0}, {"not seen", nil, 1}, {"still not seen", nil, 0}, {"seen again", seen, 1}} {
		before := w.decisions[key("first")]
		w.entries[east] = step.entries
		w.c.SetEntries(east)
		wantDiff(t, step.name, step.want, w.decisions[key("first")]-before)
	}
}

func (w *world) lend(at workspace.Key) {
	w.registrations[at] = &tmcv1alpha1.ClusterRegistration{}
	w.entries[at] = []view.Entry{{Key: workspace.Key{Workspace: "globex", Name: "x.g"}}}
	w.c.SetEntries(at)
}

func triggers(t *testing.T) *world {
	t.Helper()
	w := stepped(t)
	w.join("east", "4")
	w.join("west", "4")
	w.deploy("a", 4, "1")
	w.deploy("b", 4, "1")
	w.deploy("ns/c", 4, "1")
	w.place("first", func(p *tmcv1alpha1.Placement) { selecting("a")(p); p.Spec.ClusterNames = []string{"east"} })
	w.settle()
	w.place("second", func(p *tmcv1alpha1.Placement) { selecting("b")(p); p.Spec.ClusterNames = []string{"east"} })
	w.place("ns/third", func(p *tmcv1alpha1.Placement) { selecting("c")(p); p.Spec.ClusterNames = []string{"west"} })
	at := workspace.Key{Workspace: "globex", Namespace: "shop", Name: "elsewhere"}
	w.placements[at] = &tmcv1alpha1.Placement{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere", Namespace: "shop", UID: "e", ResourceVersion: "1", Annotations: map[string]string{"kcp.io/cluster": "globex"}}}
	w.c.Enqueue(at)
	w.settle()
	if w.chosen(key("first")) != "east" || w.chosen(key("second")) != "" || w.chosen(key("ns/third")) != "west" {
		t.Fatalf("decided %q %q %q", w.chosen(key("first")), w.chosen(key("second")), w.chosen(key("ns/third")))
	}
	return w
}

// Changes of objects and of copies are gathered before what is decided already is looked at again.
func TestChangesSettle(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world){
		"objects":  func(w *world) { w.deploy("ns/c", 2, "1") },
		"progress": func(w *world) { w.c.EnqueueProgress(key("ns/third")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := triggers(t)
			change(w)
			if got := w.c.engine.Len(); got != 0 {
				t.Errorf("%d were looked at at once", got)
			}
			w.awaitQueued()
			wantDiff(t, "looked at", []string{"third"}, w.queued())
		})
	}
}

// The others are told of what changed, and of nothing else.
func TestOthersAreTold(t *testing.T) {
	t.Parallel()
	w := triggers(t)
	w.deploy("ns/d", 1, "1")
	third := key("ns/third")
	decisions, explanations := w.decisions[third], w.explanations[third]
	w.reconcile(third)
	wantDiff(t, "told of nothing", []int{decisions, explanations}, []int{w.decisions[third], w.explanations[third]})
	w.lagging = true // what is read back is looked at again, with its selectors
	w.progress[third] = Progress{Desired: 1, Problem: "Deployment c on member west: no", Occupied: map[string]bool{"west": true}}
	w.reconcile(third)
	wantDiff(t, "told of the explanation", []int{decisions, explanations + 1}, []int{w.decisions[third], w.explanations[third]})
	w.leave(registration("west"))
	w.reconcile(third)
	if w.decisions[third] <= decisions {
		t.Error("nobody was told of the decision")
	}
}

func TestRetiringSince(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	east := w.join("east", "1")
	if _, retiring := w.c.RetiringSince(east); retiring {
		t.Error("it retires")
	}
	if _, retiring := w.c.RetiringSince(registration("nobody")); retiring {
		t.Error("nobody retires")
	}
	now := metav1.NewTime(w.clock.Now())
	w.register(east, func(r *tmcv1alpha1.ClusterRegistration) { r.DeletionTimestamp = &now })
	if since, retiring := w.c.RetiringSince(east); !retiring || !since.Equal(now.Time) {
		t.Errorf("it retires since %v, %v", since, retiring)
	}
	w.deploy("web", 1, "1")
	all := w.place("all", nil)
	w.settle()
	wantDiff(t, "decisions", "", w.chosen(all))
}

// progressed is a world with one Placement, whose copies have come so far.
func progressed(t *testing.T, progress Progress) (w *world, all workspace.Key) {
	t.Helper()
	w = stepped(t)
	w.join("east", "10")
	w.deploy("web", 1, "1")
	all = w.place("all", nil)
	w.progress[all] = progress
	w.settle()
	return w, all
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		progress                       Progress
		synchronized, available, ready string
	}{
		"on the way":  {Progress{Desired: 2, Synced: 1}, "False Syncing", "False Progressing", "False Syncing"},
		"starting":    {Progress{Desired: 2, Synced: 2, Ready: 1}, "True Synchronized", "False Progressing", "False Progressing"},
		"degraded":    {Progress{Desired: 2, Synced: 2, Ready: 1, Degraded: "x"}, "True Synchronized", "False Degraded", "False Degraded"},
		"refused":     {Progress{Desired: 2, Synced: 1, Ready: 1, Problem: "x", Reason: "MemberDenied"}, "False MemberDenied", "False Progressing", "False MemberDenied"},
		"no reason":   {Progress{Desired: 2, Problem: "x"}, "False ApplyFailed", "False Progressing", "False ApplyFailed"},
		"all is well": {Progress{Desired: 2, Synced: 2, Ready: 2}, "True Synchronized", "True Available", "True Ready"},
		"away":        {Progress{Desired: 2, Synced: 1, Ready: 1, Away: "east"}, "Unknown MemberUnreachable", "Unknown MemberUnreachable", "Unknown MemberUnreachable"},
		"nothing yet": {Progress{}, "False Syncing", "False Progressing", "False Syncing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, all := progressed(t, tc.progress)
			wantDiff(t, "conditions", []string{tc.synchronized, tc.available, tc.ready}, []string{
				w.condition(all, tmcv1alpha1.ConditionSynchronized), w.condition(all, tmcv1alpha1.ConditionAvailable), w.condition(all, tmcv1alpha1.ConditionReady),
			})
			before := w.placements[all].Status.Conditions
			w.clock.Step(time.Hour)
			w.reconcile(all)
			wantDiff(t, "conditions later", before, w.placements[all].Status.Conditions)
		})
	}
}

// What is being read, as after a start, takes nothing back that was said: but what is known to be otherwise does, and so
// does what was said of another generation.
func TestVerdictsStandWhileCopiesAreRead(t *testing.T) {
	t.Parallel()
	const synced, available, syncing, progressing = "True Synchronized", "True Available", "False Syncing", "False Progressing"
	for name, tc := range map[string]struct {
		before, progress        Progress
		edited                  bool
		synchronized, available string
	}{
		"after a start":    {Progress{Desired: 2, Synced: 2, Ready: 2}, Progress{Desired: 2, Reading: 2}, false, synced, available},
		"one of two":       {Progress{Desired: 2, Synced: 2, Ready: 2}, Progress{Desired: 2, Synced: 1, Ready: 1, Reading: 1}, false, synced, available},
		"one lags":         {Progress{Desired: 2, Synced: 2, Ready: 2}, Progress{Desired: 2, Reading: 1}, false, syncing, progressing},
		"one starts":       {Progress{Desired: 2, Synced: 2, Ready: 2}, Progress{Desired: 2, Synced: 1, Reading: 1}, false, synced, progressing},
		"one is degraded":  {Progress{Desired: 2, Synced: 2, Ready: 2}, Progress{Desired: 2, Synced: 1, Reading: 1, Degraded: "x"}, false, synced, "False Degraded"},
		"edited":           {Progress{Desired: 2, Synced: 2, Ready: 2}, Progress{Desired: 2, Reading: 2}, true, syncing, progressing},
		"was on its way":   {Progress{Desired: 2, Synced: 1, Ready: 1}, Progress{Desired: 2, Synced: 1, Ready: 1, Reading: 1}, false, syncing, progressing},
		"was refused":      {Progress{Desired: 1, Problem: "x", Reason: "MemberDenied"}, Progress{Desired: 1, Reading: 1}, false, "False MemberDenied", progressing},
		"is refused":       {Progress{Desired: 2, Synced: 2, Ready: 2}, Progress{Desired: 2, Reading: 2, Problem: "x", Reason: "MemberDenied"}, false, "False MemberDenied", available},
		"nothing was said": {Progress{}, Progress{Desired: 1, Reading: 1}, false, syncing, progressing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, all := progressed(t, tc.before)
			if tc.edited {
				w.placements[all].Generation++
			}
			w.progress[all] = tc.progress
			w.reconcile(all)
			wantDiff(t, "conditions", []string{tc.synchronized, tc.available}, []string{
				w.condition(all, tmcv1alpha1.ConditionSynchronized), w.condition(all, tmcv1alpha1.ConditionAvailable),
			})
		})
	}
}

// scheduled settles, and returns what the condition Scheduled of a Placement says.
func (w *world) scheduled(at workspace.Key) string {
	w.c.EnqueueAll() // an object that changes is looked at only after a while
	w.settle()
	c := meta.FindStatusCondition(w.placements[at].Status.Conditions, tmcv1alpha1.ConditionScheduled)
	return c.Reason + ": " + c.Message
}

func TestReplicasWithoutAPlaceAreSaid(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "100")
	w.join("west", "100")
	w.deploy("web", 10, "1")
	weights := func(weight int32, most *int32) func(*tmcv1alpha1.Placement) {
		return func(p *tmcv1alpha1.Placement) {
			p.Spec.ReplicaScheduling = &tmcv1alpha1.ReplicaScheduling{
				Type:    tmcv1alpha1.ReplicasDivided,
				Weights: []tmcv1alpha1.ClusterWeight{{ClusterNames: []string{"east", "west"}, Weight: &weight, MaxReplicas: most}},
			}
		}
	}
	all := w.place("all", weights(1, new(int32(3))))
	const why = "by replicaScheduling.weights every chosen member has the weight 0 or runs its maxReplicas; raise these, or choose more members"
	wantDiff(t, "with bounds", "ReplicasNotPlaced: 4 of 10 replicas of Deployment web have no place: "+why, w.scheduled(all))
	wantDiff(t, "ready", "False ReplicasNotPlaced", w.condition(all, tmcv1alpha1.ConditionReady))
	w.change(all, weights(0, nil))
	wantDiff(t, "without weights", "ReplicasNotPlaced: 10 of 10 replicas of Deployment web have no place: "+why+"; what runs stays as it is", w.scheduled(all))
	wantDiff(t, "decisions", "east west", w.chosen(all))
	w.deploy("web", 0, "1")
	wantDiff(t, "scaled to 0", "Scheduled: 2 members run the workloads", w.scheduled(all))
	w.deploy("web", 10, "1")
	w.change(all, weights(1, nil))
	wantDiff(t, "with weights", "Scheduled: 2 members run the workloads", w.scheduled(all))
}

// A kind that nobody can place is said, also beside others: it may be misspelt.
func TestKindsThatCannotBePlacedAreSaid(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "10")
	w.deploy("web", 1, "1")
	selectors := func(all ...tmcv1alpha1.ResourceSelector) func(*tmcv1alpha1.Placement) {
		return func(p *tmcv1alpha1.Placement) { p.Spec.ResourceSelectors = all }
	}
	web := tmcv1alpha1.ResourceSelector{Kind: "Deployment"}
	all := w.place("all", selectors(web, tmcv1alpha1.ResourceSelector{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role", Name: "admin"}))
	wantDiff(t, "a kind that is never synced", "WorkloadsNotPlaced: 1 selected objects are not placed; Role admin: resourceSelectors[1] names a kind that cannot be placed; ConfigMap, Deployment can", w.scheduled(all))
	wantDiff(t, "the others", "east", w.chosen(all))
	w.change(all, selectors(tmcv1alpha1.ResourceSelector{Kind: "Deploymnet"}, web))
	wantDiff(t, "a kind that is misspelt", "WorkloadsNotPlaced: 1 selected objects are not placed; Deploymnet: resourceSelectors[0] names a kind that cannot be placed; ConfigMap, Deployment can", w.scheduled(all))
	w.change(all, selectors(tmcv1alpha1.ResourceSelector{APIVersion: "batch/v1", Kind: "Deployment"}))
	wantDiff(t, "the kind of another group", "NothingSelected: none of the 1 selected objects can be placed: Deployment: resourceSelectors[0] names a kind that cannot be placed; ConfigMap, Deployment can", w.scheduled(all))
	w.change(all, selectors(tmcv1alpha1.ResourceSelector{APIVersion: "apps/v1", Kind: "Deployment"}, tmcv1alpha1.ResourceSelector{Name: "any"}))
	wantDiff(t, "kinds that can be placed", "Scheduled: 1 member runs the workloads", w.scheduled(all))
}

// Weird content makes no panic.
func TestHostileContent(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "10")
	for i, content := range []map[string]any{
		{},
		{"spec": "x"},
		{"spec": map[string]any{"replicas": "many", "template": []any{}}},
		{"metadata": "x"},
		{"metadata": map[string]any{"labels": []any{"x"}, "annotations": "y"}},
		{"spec": map[string]any{"replicas": int64(1) << 62, "template": map[string]any{"spec": map[string]any{"containers": []any{"x", map[string]any{"resources": map[string]any{"requests": map[string]any{"cpu": "-5", "memory": []any{}}}}}}}}},
	} {
		w.objects[deploymentsGR][key(fmt.Sprint("x", i))] = &unstructured.Unstructured{Object: content}
	}
	all := w.place("all", nil)
	w.place("broken", func(p *tmcv1alpha1.Placement) {
		p.Spec.ResourceSelectors = []tmcv1alpha1.ResourceSelector{{LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "?", Operator: "?"}}}}}
		p.Status.Decisions = []tmcv1alpha1.PlacementDecision{{ClusterName: "nobody", Phase: "?"}, {}}
	})
	w.settle()
	if w.condition(all, tmcv1alpha1.ConditionScheduled) == "none" {
		t.Error("nothing was decided")
	}
}

// What a selector selected stays when it cannot be parsed any more, and nothing new is selected by it.
func TestBrokenSelectorKeepsWhatItHad(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "100")
	w.deploy("web", 1, "1")
	w.deploy("other", 1, "1")
	placed := w.place("all", selecting("web"))
	w.settle()
	wantDiff(t, "chosen", "east", w.chosen(placed))
	web, other := w.objects[deploymentsGR][key("web")].DeepCopy(), w.objects[deploymentsGR][key("other")]
	web.SetAnnotations(map[string]string{"kcp.io/cluster": "acme", tmcv1alpha1.PlacedByAnnotation: "all"})
	w.put(deploymentsGR, web)
	for name, selector := range map[string]tmcv1alpha1.ResourceSelector{
		"of its kind": {Kind: "Deployment"}, "of any kind": {}, "of others alone": {Kind: "ConfigMap"},
	} {
		selector.LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "in", Values: []string{"web"}}}}
		w.edit(placed, func(p *tmcv1alpha1.Placement) { p.Spec.ResourceSelectors = []tmcv1alpha1.ResourceSelector{selector} })
		w.settle()
		wantDiff(t, name+": chosen", "east", w.chosen(placed))
		wantDiff(t, name+": condition", "False InvalidPlacement", w.condition(placed, tmcv1alpha1.ConditionScheduled))
		_, has := w.c.PlacementOf(deploymentsGR, web)
		_, grew := w.c.PlacementOf(deploymentsGR, other)
		concerned := selector.Kind != "ConfigMap"
		if has != concerned || grew || w.c.Unclear(deploymentsGR, other) != concerned {
			t.Errorf("%s: it has what it had: %t, something new: %t, unclear: %t", name, has, grew, w.c.Unclear(deploymentsGR, other))
		}
	}
	w.edit(placed, selecting("web"))
	w.settle()
	wantDiff(t, "chosen when it is mended", "east", w.chosen(placed))
	wantDiff(t, "condition", "True Scheduled", w.condition(placed, tmcv1alpha1.ConditionScheduled))
}
