// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// interrupted is a look at a Placement in the middle of which something happens.
type interrupted struct {
	placements
	meanwhile
}

// meanwhile is what happens once, in the middle of a look.
type meanwhile func()

func (m *meanwhile) happen() {
	if happens := *m; happens != nil {
		*m = nil
		happens()
	}
}

func (i *interrupted) Find(at workspace.Key) (*tmcv1alpha1.Placement, bool) {
	found, exists := i.placements.Find(at)
	i.happen()
	return found, exists
}

// Two who are told of a Placement at once note what they saw in the order in which they looked: one that looked before it
// was there must not have the last word.
func TestWhatIsNotedLastWasSeenLast(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	all := w.place("all", nil)
	w.c.config.Placements = &interrupted{placements: placements{w}, meanwhile: func() {
		if w.c.noting.TryLock() {
			w.c.noting.Unlock()
			t.Error("somebody else can look and note between look and note")
		}
	}}
	w.c.Enqueue(all)
	w.c.EnqueueAll()
	wantDiff(t, "known", 1, len(w.c.places.at(all.Workspace, all.Namespace)))
}

// A Placement of every member that fits takes one that has room now.
func TestRoomIsTakenByWhoTakesEveryMember(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "8")
	west := w.join("west", "1")
	w.deploy("web", 4, "1")
	at := w.place("all", nil)
	w.settle()
	wantDiff(t, "chosen", "east", w.chosen(at))
	w.observe(west, "8", metav1.ConditionTrue)
	wantDiff(t, "queued at once", 0, w.c.engine.Len())
	w.awaitQueued()
	w.settle()
	wantDiff(t, "chosen", "east west", w.chosen(at))
	// Without one that lacks room, figures concern nobody.
	w.c.mu.RLock()
	defer w.c.mu.RUnlock()
	if known := w.c.decided[at]; known.waiting || known.seeks {
		t.Errorf("it waits (%v) or seeks (%v) though every member has it", known.waiting, known.seeks)
	}
}

// Another registration of the same name is another member.
func TestReplacedRegistrationIsAnotherMember(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	east := w.join("east", "8")
	w.deploy("web", 1, "1")
	w.place("all", nil)
	w.settle()
	w.c.MemberChanged(east)
	wantDiff(t, "queued for nothing", []string{}, w.queued())
	w.mu.Lock()
	replaced := w.registrations[east].DeepCopy()
	replaced.UID = "another"
	w.registrations[east] = replaced
	w.mu.Unlock()
	w.c.MemberChanged(east)
	wantDiff(t, "queued", []string{"all"}, w.queued())
}

// What becomes known of a member matters to those that were decided without it, and to nobody else.
func TestWhatBecomesKnownIsLookedAt(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "100")
	west := w.join("west", "8")
	w.deploy("web", 4, "1")
	w.deploy("other/web", 4, "1")
	one := int32(1)
	single := func(p *tmcv1alpha1.Placement) { p.Spec.NumberOfClusters = &one }
	w.place("other/other", single)
	w.settle()
	w.unknown[west] = sets.New(deploymentsGR)
	w.c.MemberChanged(west)
	at := w.place("all", single)
	w.settle()
	explained, _ := w.c.Explain(at)
	wantDiff(t, "reason", tmcv1alpha1.ReasonAPIUnknown, explained.Rejected[0].Reason)
	w.observe(west, "7", metav1.ConditionTrue)
	wantDiff(t, "looked at for figures", []string{}, w.queued())
	w.unknown[west] = nil
	w.c.MemberChanged(west)
	wantDiff(t, "looked at for kinds", []string{"all"}, w.queued())
	w.reconcile(at)
	explained, _ = w.c.Explain(at)
	wantDiff(t, "reason", tmcv1alpha1.ReasonLowerScore, explained.Rejected[0].Reason)
}

// What changed since the members were looked at was told to those who had to hear it then.
func TestDecisionThatMayHaveMissedSomethingIsLookedAtOnceMore(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("east", "8")
	w.deploy("web", 1, "1")
	at := w.place("all", nil)
	w.settle()
	west := w.join("west", "8")
	w.unknown[west] = sets.New(deploymentsGR)
	w.queued()
	w.reconcile(at)
	w.awaitQueued()
	wantDiff(t, "looked at", []string{"all"}, w.queued())
	wantDiff(t, "unknown", "west: deployments.apps", w.c.decided[at].unknown)
	w.observe(west, "8", metav1.ConditionFalse) // which everybody is told when it changes
	w.reconcile(at)
	wantDiff(t, "unknown of who is away", "", w.c.decided[at].unknown)
}

func TestMissed(t *testing.T) {
	t.Parallel()
	nothing, unknown, other := &decided{}, &decided{unknown: "west: a"}, &decided{unknown: "west: a b"}
	waiting, seeking, both := &decided{waiting: true}, &decided{seeks: true}, &decided{waiting: true, unknown: "west: a"}
	for name, tc := range map[string]struct {
		last, now *decided
		want      bool
	}{
		"the first":                         {nil, waiting, false},
		"the first, with something unknown": {nil, unknown, true},
		"nothing":                           {both, nothing, false},
		"something unknown":                 {nothing, unknown, true},
		"something unknown, when waiting":   {waiting, both, true},
		"the same unknown":                  {unknown, unknown, false},
		"another thing unknown":             {unknown, other, true},
		"waiting":                           {nothing, waiting, true},
		"seeking":                           {nothing, seeking, true},
		"waiting, with something unknown":   {unknown, both, true},
		"waiting still":                     {seeking, waiting, false},
		"seeking still":                     {waiting, seeking, false},
		"both still":                        {both, both, false},
	} {
		if got := tc.now.missed(tc.last); got != tc.want {
			t.Errorf("%s: missed() = %t, want %t", name, got, tc.want)
		}
	}
}
