// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"
)

// fakeLock is a lease in memory, as one process sees it.
type fakeLock struct {
	resourcelock.Interface
	identity string
	record   *resourcelock.LeaderElectionRecord
	fails    error
}

func (f *fakeLock) Identity() string { return f.identity }
func (f *fakeLock) Describe() string { return "fake" }

func (f *fakeLock) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	raw, err := json.Marshal(f.record)
	stored := *f.record
	return &stored, raw, err
}

func (f *fakeLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return f.Update(ctx, record)
}

func (f *fakeLock) Update(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	if f.fails == nil {
		*f.record = record
	}
	return f.fails
}

func recordOf(holder string, seconds int) resourcelock.LeaderElectionRecord {
	return resourcelock.LeaderElectionRecord{HolderIdentity: holder, LeaseDurationSeconds: seconds, RenewTime: metav1.Now()}
}

// newLease is that of a process named one, beside others that share the record. It counts how often it was gained.
func newLease(record *resourcelock.LeaderElectionRecord) (*lease, *fakeLock, *int) {
	lock, gained := &fakeLock{identity: "one", record: record}, new(int)
	return &lease{Interface: lock, clock: clock.RealClock{}, gained: func() { *gained++ }}, lock, gained
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFLT15LeaseIsHeldNoLongerThanOthersBelieve(t *testing.T) {
	t.Parallel()
	l, lock, gained := newLease(&resourcelock.LeaderElectionRecord{})
	now := testingclock.NewFakePassiveClock(time.Unix(0, 0))
	l.clock = now
	if l.isHeld() {
		t.Error("held before it was written")
	}
	must(t, l.Create(t.Context(), recordOf("one", 15)))
	must(t, l.Update(t.Context(), recordOf("one", 15)))
	if !l.isHeld() || *gained != 1 {
		t.Errorf("held: %t, gained %d times by one holding", l.isHeld(), *gained)
	}
	now.SetTime(now.Now().Add(14 * time.Second))
	lock.fails = errors.New("kcp is away")
	if err := l.Update(t.Context(), recordOf("one", 15)); err == nil || !l.isHeld() {
		t.Errorf("a renewal that failed: %v, and the lease is held: %t", err, l.isHeld())
	}
	lock.fails = nil
	now.SetTime(now.Now().Add(time.Second)) // since the renewal that succeeded
	if l.isHeld() {
		t.Error("held although the lease has ended")
	}
	must(t, l.Update(t.Context(), recordOf("one", 15)))
	if !l.isHeld() || *gained != 2 {
		t.Errorf("held again: %t, gained %d times: what was not written in between is written by nobody", l.isHeld(), *gained)
	}
	lock.fails = errors.New("kcp is away")
	if err := l.Update(t.Context(), recordOf("", 1)); err == nil || l.isHeld() {
		t.Errorf("giving up failed with %v, and the lease is held: %t", err, l.isHeld())
	}
}

func TestLeaseOfATwinIsLeftToIt(t *testing.T) {
	t.Parallel()
	record := recordOf("one", 15) // that of a process that was killed, by now
	l, _, gained := newLease(&record)
	if seen, _, err := l.Get(t.Context()); err != nil || seen.HolderIdentity != "one" {
		t.Fatalf("the lease of the process before is shown as %+v, %v", seen, err)
	}
	must(t, l.Update(t.Context(), recordOf("one", 15)))
	if seen, _, err := l.Get(t.Context()); err != nil || seen.HolderIdentity != "one" || !l.isHeld() {
		t.Fatalf("what it wrote itself is shown as %+v, %v", seen, err)
	}
	record = recordOf("one", 15)
	record.RenewTime.Time = record.RenewTime.Add(time.Millisecond) // a twin writes at moments of its own
	seen, _, err := l.Get(t.Context())
	if err != nil || seen.HolderIdentity == "one" || l.isHeld() {
		t.Errorf("a twin's lease is shown as %+v, %v, and is held: %t", seen, err, l.isHeld())
	}
	if err := l.Update(t.Context(), recordOf("", 1)); !errors.Is(err, errNotOurs) {
		t.Errorf("a twin's lease was given up: %v", err)
	}
	if record.HolderIdentity != "one" || *gained != 1 {
		t.Errorf("the record is %+v, gained %d times", record, *gained)
	}
}

func TestLeaseOfARivalIsNotGivenUp(t *testing.T) {
	t.Parallel()
	record := resourcelock.LeaderElectionRecord{}
	l, _, _ := newLease(&record)
	must(t, l.Create(t.Context(), recordOf("one", 15)))
	record = recordOf("two", 15)
	if _, _, err := l.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Update(t.Context(), recordOf("", 1)); !errors.Is(err, errNotOurs) || record.HolderIdentity != "two" {
		t.Errorf("got %v, and the lease is held by %q", err, record.HolderIdentity)
	}
}

func TestLeaseKnowsItsLastWritesAgain(t *testing.T) {
	t.Parallel()
	record := resourcelock.LeaderElectionRecord{}
	l, lock, _ := newLease(&record)
	must(t, l.Create(t.Context(), recordOf("one", 15)))
	arrived := recordOf("one", 15)
	lock.fails = errors.New("the answer was lost")
	for range 2 * rememberedWrites {
		if l.Update(t.Context(), arrived) == nil {
			t.Fatal("it did not fail")
		}
	}
	record = arrived
	if seen, _, err := l.Get(t.Context()); err != nil || seen.HolderIdentity != "one" || len(l.wrote) > rememberedWrites {
		t.Errorf("what arrived though it failed is shown as %+v, %v; %d writes are remembered", seen, err, len(l.wrote))
	}
}
