// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestUnfinishedStatusIsHeldBack for one interval, so that what members make of a generation together is one write.
func TestUnfinishedStatusIsHeldBack(t *testing.T) {
	t.Parallel()
	const interval = 100 * time.Millisecond
	now := time.Unix(1_000_000, 0)
	for name, test := range map[string]struct {
		status    map[string]any
		statusAt  time.Time
		heldSince time.Time
		want      time.Duration // from now
	}{
		"finished, and none was written for long": {
			status: map[string]any{"observedGeneration": int64(2)}, statusAt: now.Add(-time.Hour), want: interval - time.Hour,
		},
		"finished, after an unfinished one was held": {
			status: map[string]any{"observedGeneration": int64(2)}, statusAt: now.Add(-time.Hour), heldSince: now.Add(-interval / 2), want: interval - time.Hour,
		},
		"finished, and one was written just now": {
			status: map[string]any{"observedGeneration": int64(2)}, statusAt: now.Add(-interval / 4), want: interval * 3 / 4,
		},
		"unfinished": {
			status: map[string]any{"observedGeneration": int64(1)}, statusAt: now.Add(-time.Hour), want: interval,
		},
		"unfinished for a while": {
			status: map[string]any{"observedGeneration": int64(1)}, statusAt: now.Add(-time.Hour), heldSince: now.Add(-interval / 2), want: interval / 2,
		},
		"unfinished for too long": {
			status: map[string]any{"observedGeneration": int64(1)}, statusAt: now.Add(-time.Hour), heldSince: now.Add(-interval), want: 0,
		},
		"unfinished, and one was written just now": {
			status: map[string]any{"observedGeneration": int64(1)}, statusAt: now, heldSince: now.Add(-interval / 2), want: interval,
		},
		"of a kind that counts no generations": {
			status: map[string]any{"loadBalancer": map[string]any{}}, statusAt: now.Add(-time.Hour), want: interval - time.Hour,
		},
		"of a wrong type": {
			status: map[string]any{"observedGeneration": "1"}, statusAt: now.Add(-time.Hour), want: interval - time.Hour,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := &unstructured.Unstructured{Object: map[string]any{}}
			upstream.SetGeneration(2)
			p := &pass{
				c: &Controller{config: Config{StatusInterval: interval}}, upstream: upstream,
				object: &object{statusAt: test.statusAt, heldSince: test.heldSince},
			}
			if diff := cmp.Diff(test.want, p.statusDue(test.status, now).Sub(now)); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
		})
	}
}

// What was being read while the pass looked at it counts as that, although it has been read before the status is written.
func TestStatusIsNotOfTwoMoments(t *testing.T) {
	t.Parallel()
	w := running(t, 2, east)
	w.patches = nil
	read := lateCopies(w)
	p := &pass{c: w.c, key: web, kind: w.kinds[web.Resource], object: w.c.states.object(web)}
	if !p.plan() {
		t.Fatal("it is not certain what should be")
	}
	p.carryOut()
	p.object.heldSince = w.clock.Now().Add(-time.Minute) // what is unfinished is not held back for that any more
	read()
	if err := p.writeStatus(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDiff(t, "patches", []string(nil), w.patches)
}

// A status waits while copies are being read, as when a watch broke or the server was started: what is not confirmed would
// count as not up to date. Not for ever, since other members go on.
func TestStatusWaitsForCopiesThatAreRead(t *testing.T) {
	t.Parallel()
	w := running(t, 2, east, west)
	w.patches = nil
	observed := func() int64 {
		found, _, _ := unstructured.NestedInt64(w.objects[web].Object, "status", "observedGeneration")
		return found
	}
	wantDiff(t, "observed generation", int64(1), observed())

	read := lateCopies(w)
	w.c.EnqueueMember(east)
	w.wait(readingPatience - time.Second)
	wantDiff(t, "patches while copies are read", []string(nil), w.patches)
	read()
	w.c.EnqueueMember(east)
	w.wait(time.Minute)
	wantDiff(t, "patches when they were", []string(nil), w.patches)

	w.members[east].uncalled = true
	w.c.EnqueueMember(east)
	w.wait(readingPatience - time.Second)
	wantDiff(t, "patches before the member was called", []string(nil), w.patches)
	sum := w.c.Summary(all)
	wantDiff(t, "copies that are desired, synced and being read", []int32{2, 1, 1}, []int32{sum.Desired, sum.Synced, sum.Reading})
	wantDiff(t, "rows before the member was called", []string{"east Unknown Healthy Syncing", "west True Healthy"}, w.rows(web))
	w.wait(2 * time.Second)
	wantDiff(t, "rows of a member that is never called", []string{"east Unknown Healthy MemberUnreachable", "west True Healthy"}, w.rows(web))
	w.members[east].uncalled = false
	w.c.EnqueueMember(east)
	w.wait(time.Minute)
	w.patches = nil

	_ = lateCopies(w)
	w.c.EnqueueMember(east)
	w.wait(readingPatience + time.Minute)
	wantDiff(t, "patches when they cannot be read", 1, len(w.patches))
	wantDiff(t, "observed generation when they cannot be read", int64(0), observed())
	wantDiff(t, "copies that are being read when they cannot be", int32(0), w.c.Summary(all).Reading)
}
