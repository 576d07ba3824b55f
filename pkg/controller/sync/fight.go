// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// What is changed on a member is repaired. Somebody who changes it back each time is not fought for ever: both would
// write without end, and each write restarts pods.
const (
	// fightRepairs is how many repairs, each within fightWindow of the one before, are a fight.
	fightRepairs = 8
	fightWindow  = time.Minute
	// fightPause is how long a contested copy is then left alone before one more repair.
	fightPause = 5 * time.Minute
)

// repaired notes that content was applied again that had been applied before.
func (s *copyState) repaired(now time.Time) {
	calm := fightWindow
	if s.repairs >= fightRepairs {
		calm += fightPause
	}
	if now.Sub(s.repairedAt) > calm {
		s.repairs = 0
	}
	s.repairs++
	s.repairedAt = now
}

// contested reports whether a copy is left to somebody else for now, and says so. Content that is new is not.
func (p *pass) contested(state *copyState, row *Row, next task, what string) bool {
	until := state.repairedAt.Add(fightPause)
	if state.repairs < fightRepairs || state.hash != next.hash || !p.c.config.Clock.Now().Before(until) {
		return false
	}
	row.explain(tmcv1alpha1.ReasonContested, "something else on the member "+what+" again and again; it is repaired every "+
		"few minutes only. Have the member's owner stop what does it, or leave the field out of the workspace's object")
	p.later(until)
	return true
}

// isRepair reports whether a copy that differs from what was applied was changed by somebody else, and is not merely an
// older one than our last write.
func (s *copyState) isRepair(next task, live *unstructured.Unstructured) bool {
	return s.hash == next.hash && s.echo != live.GetResourceVersion()
}
