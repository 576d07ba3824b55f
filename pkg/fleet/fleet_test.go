// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/fleet"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var east = workspace.Key{Workspace: "ws1", Name: "east"}

// harness runs a fleet with short times and notes of which members it was told.
type harness struct {
	*fleet.Fleet
	t    testing.TB
	stop func()

	mu   sync.Mutex
	told map[workspace.Key]int
}

// fast are times with which everything happens within a second or so.
func fast() fleet.Config {
	return fleet.Config{
		Addresses:        memberconfig.NewAddressPolicy([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}),
		ProbeInterval:    100 * time.Millisecond,
		ProbeTimeout:     2 * time.Second,
		UnreachableAfter: 700 * time.Millisecond,
		RequestTimeout:   3 * time.Second,
		RetryMin:         10 * time.Millisecond,
		RetryMax:         100 * time.Millisecond,
	}
}

func run(t testing.TB, config fleet.Config) *harness {
	t.Helper()
	h := &harness{t: t, told: map[workspace.Key]int{}}
	config.OnChange = func(key workspace.Key) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.told[key]++
	}
	h.Fleet = fleet.New(config)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Run(ctx)
	}()
	h.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(h.stop)
	return h
}

func (h *harness) timesTold(key workspace.Key) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.told[key]
}

// wait polls until the state is as wanted.
func (h *harness) wait(key workspace.Key, what string, wanted func(fleet.State) bool) fleet.State {
	h.t.Helper()
	var last fleet.State
	eventually(h.t, func() bool {
		last, _ = h.State(key)
		return wanted(last)
	}, func() string { return fmt.Sprintf("%s; state: %s", what, describe(last)) })
	return last
}

func eventually(t testing.TB, wanted func() bool, what func() string) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !wanted() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("did not see: %s", what())
		}
	}
}

func describe(s fleet.State) string {
	var out strings.Builder
	for _, c := range s.Conditions {
		fmt.Fprintf(&out, "%s=%s/%s (%s) ", c.Type, c.Status, c.Reason, c.Message)
	}
	fmt.Fprintf(&out, "pods %+v nodes %+v counted %t version %q uid %q", s.Capacity.Pods, s.Capacity.Nodes, s.CapacityCounted, s.Version, s.ClusterUID)
	return out.String()
}

func condition(s fleet.State, conditionType string) metav1.Condition {
	for _, c := range s.Conditions {
		if c.Type == conditionType {
			return c
		}
	}
	return metav1.Condition{}
}

// is says whether a condition has a status and reason, written status/reason.
func is(s fleet.State, conditionType, want string) bool {
	c := condition(s, conditionType)
	return string(c.Status)+"/"+c.Reason == want
}

func allTrue(s fleet.State) bool {
	for _, c := range s.Conditions {
		if c.Status != metav1.ConditionTrue {
			return false
		}
	}
	return len(s.Conditions) == 3
}

func (h *harness) waitCondition(key workspace.Key, conditionType, want string) fleet.State {
	h.t.Helper()
	return h.wait(key, conditionType+"="+want, func(s fleet.State) bool { return is(s, conditionType, want) })
}

func (h *harness) waitPods(key workspace.Key, bound int64) fleet.State {
	h.t.Helper()
	return h.wait(key, fmt.Sprintf("%d bound pods and all conditions true", bound), func(s fleet.State) bool {
		return allTrue(s) && s.Capacity.Pods.Bound == bound
	})
}

func TestFleetCountsAndFollows(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(3, 7)
	config := fast()
	config.PageSize = 2 // so that there are several pages
	h := run(t, config)
	h.Ensure(east, member.connection())
	state := h.waitPods(east, 7)
	if cpu := state.Capacity.Allocated["cpu"]; state.Capacity.Nodes.Ready != 3 || cpu.MilliValue() != 700 {
		t.Errorf("capacity = %+v", state.Capacity)
	}
	if state.Version != "v1.36.3" || state.ClusterUID != "uid-1" || state.VerifiedRoot == [32]byte{} || state.ConfirmedAt.IsZero() {
		t.Errorf("state = %s, root %x, confirmed at %s", describe(state), state.VerifiedRoot, state.ConfirmedAt)
	}

	told := h.timesTold(east)
	member.addPod("late", "node-0", "1")
	member.addNode("node-9", "8")
	member.deletePod("pod-0")
	state = h.wait(east, "the changes", func(s fleet.State) bool {
		return s.Capacity.Nodes.Total == 4 && s.Capacity.Pods.Bound == 7 && is1600(s)
	})
	eventually(t, func() bool { return h.timesTold(east) > told }, func() string { return "a call of OnChange" })
	if at, ok := h.ConfirmedAt(east); !ok || at.Before(state.ConfirmedAt) {
		t.Errorf("ConfirmedAt() = %s, %t", at, ok)
	}
	if got := member.count("/api/v1/pods?watch"); got != 1 {
		t.Errorf("%d watches of pods, want 1", got)
	}
}

func is1600(s fleet.State) bool {
	cpu := s.Capacity.Allocated["cpu"]
	return cpu.MilliValue() == 1600
}

func TestFleetConfirmsFiguresWhileNothingHappens(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 1)
	h := run(t, fast())
	h.Ensure(east, member.connection())
	first := h.waitPods(east, 1)
	second := h.wait(east, "a later confirmation", func(s fleet.State) bool { return s.ConfirmedAt.After(first.ConfirmedAt) })
	h.wait(east, "a further confirmation", func(s fleet.State) bool { return s.ConfirmedAt.After(second.ConfirmedAt) })
	if state, _ := h.State(east); state.Generation != second.Generation {
		t.Errorf("generation went from %d to %d though nothing changed", second.Generation, state.Generation)
	}
}

func TestFleetKnowsNothingOfStrangers(t *testing.T) {
	t.Parallel()
	h := run(t, fast())
	if _, ok := h.State(east); ok {
		t.Error("there is a state")
	}
	if _, ok := h.ConfirmedAt(east); ok {
		t.Error("there is a confirmation")
	}
	h.Remove(east)
}

func TestFleetBeforeRunIsPending(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	f := fleet.New(fleet.Config{Addresses: fast().Addresses})
	f.Ensure(east, member.connection())
	state, ok := f.State(east)
	if !ok || !is(state, tmcv1alpha1.ConditionReachable, "Unknown/Pending") || !is(state, tmcv1alpha1.ConditionCredentialsValid, "Unknown/Pending") ||
		!is(state, tmcv1alpha1.ConditionCapacityKnown, "Unknown/Pending") || state.CapacityCounted {
		t.Errorf("state = %s", describe(state))
	}
	if got, observed := f.Reachable(east); got.Reason != tmcv1alpha1.ReasonPending || !observed {
		t.Errorf("Reachable() = %+v, %t", got, observed)
	}
	if _, ok := f.ConfirmedAt(east); ok {
		t.Error("a member that was never called confirmed its figures")
	}
	if member.count("/version") != 0 {
		t.Error("the member was called")
	}
	f.Remove(east)
}

func TestRemoveClosesEverything(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 1)
	h := run(t, fast())
	h.Ensure(east, member.connection())
	h.waitPods(east, 1)
	h.Remove(east)
	if _, ok := h.State(east); ok {
		t.Error("the state is still there")
	}
	eventually(t, func() bool {
		return member.openConnections() == 0
	}, func() string { return "all connections closed" })
	asked := member.count("/version")
	other := newFakeMember(t)
	h.Ensure(east, other.connection())
	h.waitPods(east, 0)
	if member.count("/version") != asked {
		t.Error("a removed member was called")
	}
}
