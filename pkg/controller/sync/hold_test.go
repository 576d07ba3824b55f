// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"testing"
	"time"

	"github.com/kcp-dev/tmc/pkg/transform"
)

// FLT-14 and FLT-21: nothing is put onto a member whose registration could go meanwhile, with the way to take it off again.
func TestFLT21NoCopyBeforeTheRegistrationIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unheld[east] = true
	w.deployment(1, image("nginx"))
	w.place("all", "east", "west")
	w.wait(time.Minute)
	if w.copy(east, web) != nil || w.copy(east, shop) != nil || w.copy(west, web) == nil {
		t.Fatalf("the writes are %v", w.took())
	}
	if !w.c.Awaits(east) || w.c.Awaits(west) || w.copies[east] != 1 {
		t.Errorf("who holds registrations was told %d times", w.copies[east])
	}
	w.c.RegistrationChanged(east) // something else about it
	w.wait(time.Second)
	if w.copy(east, web) != nil {
		t.Error("the copy was made before")
	}
	delete(w.unheld, east)
	w.c.RegistrationChanged(east)
	w.wait(time.Second)
	if w.copy(east, web) == nil || w.c.Awaits(east) {
		t.Error("the copy is not made")
	}
	// One that goes meanwhile is waited for no longer.
	w.unheld[west] = true
	w.c.states.awaitHold(west)
	w.c.RemoveMember(west)
	if w.c.Awaits(west) {
		t.Error("a member that is gone is waited for")
	}
}

// A member whose registration goes is not let go as empty while a copy is on its way, or does not show yet.
func TestFLT21MemberIsNotEmptyWhileACopyDoesNotShow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.members[east].lagging = true
	w.place("all", "east")
	w.settle()
	if _, certain := w.c.On(east); certain {
		t.Error("it is certain what the member has, before its copy shows")
	}
	w.members[east].lagging = false
	w.show()
	w.settle()
	if copies, certain := w.c.On(east); copies == 0 || !certain {
		t.Errorf("it has %d copies, certain: %v", copies, certain)
	}
	w.c.lanes.submit(east, web, task{hash: "next"})
	if _, certain := w.c.On(east); certain {
		t.Error("it is certain what the member has, while a write waits")
	}
	w.c.lanes.cancel(east, web)
	w.c.states.written(web, east, w.clock.Now().Add(echoWait))
	w.clock.Step(echoWait)
	if _, certain := w.c.On(east); !certain {
		t.Error("a copy that never shows is waited for without end")
	}
}

func TestResidueNamesNamespaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	wantDiff(t, "residue of east", []string{transform.NamespaceName("acme", "shop") + " (1)"}, w.c.Residue(east))
	wantDiff(t, "residue of west", []string{}, w.c.Residue(west))
}
