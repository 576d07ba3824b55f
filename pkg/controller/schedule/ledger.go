// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// promise is room on a member that a Placement was given and whose pods have not been counted there yet.
type promise struct {
	amount corev1.ResourceList
	// until is when the promise ends; zero while pods are still to be made.
	until time.Time
}

// ledger keeps the promises. It is safe for concurrent use.
type ledger struct {
	mu       sync.RWMutex
	promises map[workspace.Key]map[workspace.Key]promise // by member, by Placement
	sums     map[workspace.Key]corev1.ResourceList       // of what each member owes
}

func newLedger() *ledger {
	return &ledger{promises: map[workspace.Key]map[workspace.Key]promise{}, sums: map[workspace.Key]corev1.ResourceList{}}
}

// owedToOthers sums what some members owe to all Placements but one, of those that owe anything.
func (l *ledger) owedToOthers(placement workspace.Key, of func(member workspace.Key) bool) map[workspace.Key]corev1.ResourceList {
	l.mu.RLock()
	defer l.mu.RUnlock()
	owed := map[workspace.Key]corev1.ResourceList{}
	for member, sum := range l.sums {
		if !of(member) {
			continue
		}
		own, has := l.promises[member][placement]
		if has && len(l.promises[member]) == 1 {
			continue
		}
		owed[member] = sum.DeepCopy() // quantities may share what they are made of
		takeFrom(owed[member], own.amount)
	}
	return owed
}

// promised sums what a member owes.
func (l *ledger) promised(member workspace.Key) corev1.ResourceList {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.sums[member].DeepCopy()
}

// put notes what a member owes to a Placement.
func (l *ledger) put(member, placement workspace.Key, next promise) {
	if l.promises[member] == nil {
		l.promises[member], l.sums[member] = map[workspace.Key]promise{}, corev1.ResourceList{}
	}
	takeFrom(l.sums[member], l.promises[member][placement].amount)
	addTo(l.sums[member], next.amount)
	l.promises[member][placement] = next
}

// drop notes that a member owes nothing to a Placement.
func (l *ledger) drop(member, placement workspace.Key) {
	takeFrom(l.sums[member], l.promises[member][placement].amount)
	delete(l.promises[member], placement)
	if len(l.promises[member]) == 0 {
		delete(l.promises, member)
		delete(l.sums, member)
	}
}

// set replaces what a Placement was promised, by member. What shrinks is held for the grace: the member's pods may not
// have been counted yet. It returns the members whose sum differs, and when the next promise ends.
func (l *ledger) set(placement workspace.Key, amounts map[workspace.Key]corev1.ResourceList, now time.Time, grace time.Duration) (changed []workspace.Key, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for member, held := range l.promises {
		before, had := held[placement]
		if !had {
			continue
		}
		wanted, wants := amounts[member]
		switch {
		case wants && covers(wanted, before.amount):
			continue // it grows or stays, see below
		case before.until.IsZero():
			before.until = now.Add(grace)
			held[placement] = before
		case !now.Before(before.until):
			l.drop(member, placement)
			changed = append(changed, member)
			continue
		}
		delete(amounts, member) // until the grace is over
		next = earlier(next, before.until)
	}
	for member, amount := range amounts {
		if len(amount) == 0 {
			continue
		}
		if before, had := l.promises[member][placement]; !had || !before.until.IsZero() || !equality.Semantic.DeepEqual(before.amount, amount) {
			changed = append(changed, member)
		}
		l.put(member, placement, promise{amount: amount})
	}
	return changed, next
}

// forget drops every promise to a Placement, and returns the members that owed it something.
func (l *ledger) forget(placement workspace.Key) []workspace.Key {
	l.mu.Lock()
	defer l.mu.Unlock()
	var changed []workspace.Key
	for member, held := range l.promises {
		if _, had := held[placement]; had {
			l.drop(member, placement)
			changed = append(changed, member)
		}
	}
	return changed
}

// covers reports whether a list has at least what another has.
func covers(larger, smaller corev1.ResourceList) bool {
	for name, amount := range smaller {
		other, found := larger[name]
		if amount.Sign() > 0 && (!found || other.Cmp(amount) < 0) {
			return false
		}
	}
	return true
}

func addTo(sum, list corev1.ResourceList) {
	for name, amount := range list {
		total := sum[name]
		total.Add(amount)
		sum[name] = total
	}
}

// takeFrom takes from a sum what was added to it.
func takeFrom(sum, list corev1.ResourceList) {
	for name, amount := range list {
		total := sum[name]
		total.Sub(amount)
		if total.IsZero() {
			delete(sum, name)
			continue
		}
		sum[name] = total
	}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
