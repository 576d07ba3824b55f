// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package health_test

import (
	"testing"
	"time"

	"github.com/kcp-dev/tmc/pkg/health"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	type event struct {
		at   int
		what string // start, pass, forget, or + or - and a resource
		want string
	}
	const (
		pending  = "Unknown/Pending"
		counting = "False/Counting"
		known    = "True/CapacityKnown"
		stale    = "False/Stale"
	)
	tests := map[string][]event{
		"pending before counting":          {{1000, "pass", pending}},
		"counting until both are counted":  {{0, "start", counting}, {1, "+nodes", counting}, {2, "+pods", known}},
		"cannot be counted":                {{0, "start", counting}, {1, "-pods", counting}, {1000, "pass", counting}},
		"a short break does not show":      {{0, "+nodes", counting}, {0, "+pods", known}, {10, "-pods", known}, {39, "pass", known}, {39, "+pods", known}, {1000, "pass", known}},
		"a long break does":                {{0, "+nodes", counting}, {0, "+pods", known}, {10, "-pods", known}, {40, "pass", stale}, {50, "+pods", known}},
		"the longest break counts":         {{0, "+nodes", counting}, {0, "+pods", known}, {10, "-pods", known}, {20, "-nodes", known}, {30, "-pods", known}, {40, "pass", stale}},
		"stale until all are followed":     {{0, "+nodes", counting}, {0, "+pods", known}, {10, "-pods", known}, {10, "-nodes", known}, {40, "pass", stale}, {41, "+nodes", stale}, {42, "+pods", known}},
		"a late loss is noticed at once":   {{0, "+nodes", counting}, {0, "+pods", known}, {10, "-pods", known}, {50, "-pods", stale}},
		"forgotten figures count as never": {{0, "+nodes", counting}, {0, "+pods", known}, {10, "forget", counting}, {11, "+nodes", counting}, {12, "+pods", known}},
		"starting again changes nothing":   {{0, "+nodes", counting}, {0, "+pods", known}, {1, "start", known}},
		"an unknown resource is ignored":   {{0, "+services", counting}, {0, "-services", counting}},
	}
	for name, events := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := health.NewFigures(health.Thresholds{}, start, "nodes", "pods")
			for i, e := range events {
				now := start.Add(time.Duration(e.at) * time.Second)
				before := f.Condition()
				changed := apply(f, now, e.what)
				got := f.Condition()
				if text := string(got.Status) + "/" + got.Reason; text != e.want {
					t.Fatalf("event %d at %ds: %s, want %s", i, e.at, text, e.want)
				}
				if changed != (before != got) {
					t.Errorf("event %d: changed = %t, but %v became %v", i, changed, before, got)
				}
			}
		})
	}
}

func apply(f *health.Figures, now time.Time, what string) bool {
	switch {
	case what == "start":
		return f.Started(now)
	case what == "pass":
		return f.Advance(now)
	case what == "forget":
		return f.Forget(now)
	case what[0] == '+':
		return f.Followed(now, what[1:])
	default:
		return f.Lost(now, what[1:], "because")
	}
}

func TestFiguresSayWhatIsFollowedAndWhy(t *testing.T) {
	t.Parallel()
	f := health.NewFigures(health.Thresholds{}, start, "nodes", "pods")
	f.Followed(start, "nodes")
	f.Lost(start, "pods", "listing pods is forbidden")
	if got, want := f.Condition().Message, "nodes and pods are being counted: listing pods is forbidden"; got != want {
		t.Errorf("message = %q, want %q", got, want)
	}
	if !f.Following("nodes") || f.Following("pods") || f.Following("services") || f.Live() || f.Counted() {
		t.Error("only nodes are followed")
	}
	if _, ok := f.Expiry(); ok {
		t.Error("figures that are not known expire")
	}
}
