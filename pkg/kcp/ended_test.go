// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"testing"
)

// A workspace has ended when its last binding was seen to go, and not when its endpoint went, or nothing was ever seen.
func TestWorkspaceThatEndedIsNotMerelyUnknown(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.set(at("b", bindings), binding("two"))
	f.endpoints("a", "b")
	s := start(t, f, nil)
	if s.CompleteFor() != 0 {
		t.Error("complete before anything was read")
	}
	eventually(t, "both are bound", func() bool { return s.Bound("one") && s.Bound("two") })
	eventually(t, "complete for some time", func() bool { return s.Complete() && s.CompleteFor() > 0 })
	if s.Ended("one") || s.Ended("two") || s.Ended("nobody") {
		t.Error("a workspace has ended that did not")
	}
	f.remove(at("a", bindings), binding("one"))
	eventually(t, "the binding is gone", func() bool { return !s.Bound("one") })
	if !s.Ended("one") {
		t.Error("the workspace has not ended")
	}
	f.endpoints("a")
	eventually(t, "the endpoint is gone", func() bool { return !s.Bound("two") })
	if s.Ended("two") {
		t.Error("a workspace has ended whose endpoint went")
	}
	f.set(at("a", bindings), binding("one"))
	eventually(t, "it is bound again", func() bool { return s.Bound("one") })
	if s.Ended("one") {
		t.Error("a workspace that is bound has ended")
	}
}

// While an endpoint cannot be read, nothing is complete, and the time begins anew afterwards.
func TestCompletenessIsLostWithAnEndpoint(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.endpoints("a")
	s := start(t, f, nil)
	eventually(t, "complete", func() bool { return s.CompleteFor() > 0 })
	f.fail("/b/", 503)
	f.endpoints("a", "b")
	eventually(t, "complete no more", func() bool { return !s.Complete() && s.CompleteFor() == 0 })
	f.fail("/b/", 0)
	eventually(t, "complete again", func() bool { return s.CompleteFor() > 0 })
}

// Who lends what concerns workspaces of other endpoints, so nothing is complete without it.
func TestCompletenessNeedsRegistrationsAndGrants(t *testing.T) {
	t.Parallel()
	for _, resource := range []string{registrations, grants} {
		f := newFakeKCP(t)
		f.set(at("a", bindings), binding("one"))
		f.fail(at("a", resource), 503)
		f.endpoints("a")
		s := start(t, f, nil)
		eventually(t, "bound", func() bool { return s.Bound("one") })
		if s.Complete() {
			t.Errorf("complete without %s", resource)
		}
		f.fail(at("a", resource), 0)
		eventually(t, "complete", s.Complete)
	}
}

// kcp names an endpoint from the first binding on, which may be one that never gets bound: then it shows none of our
// kinds, and must not keep everybody else waiting.
func TestCompletenessDoesNotNeedAnEndpointWithoutBoundWorkspaces(t *testing.T) {
	t.Parallel()
	f := newFakeKCP(t)
	f.set(at("a", bindings), binding("one"))
	f.fail(at("b", registrations), 404)
	f.fail(at("b", grants), 404)
	f.endpoints("a", "b")
	s := start(t, f, nil)
	eventually(t, "complete", s.Complete)
	f.set(at("b", bindings), binding("two"))
	eventually(t, "complete no more, since somebody there could lend", func() bool { return s.Bound("two") && !s.Complete() })
	f.fail(at("b", registrations), 0)
	f.fail(at("b", grants), 0)
	eventually(t, "complete again", s.Complete)
}
