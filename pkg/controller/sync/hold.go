// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"maps"
	"time"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// A registration that went together with its credentials would leave behind what is on its member. So it is held, by a
// finalizer, before the first copy is made there.

// awaitsHold reports whether a member's registration is not held yet, and asks for that.
func (p *pass) awaitsHold(member workspace.Key) bool {
	if p.c.config.Decisions.Held(member) {
		return false
	}
	if !p.c.config.Leader.IsLeader() || p.suspended {
		return true
	}
	asks := p.c.states.awaitHold(member)
	if p.c.config.Decisions.Held(member) { // since before that was noted, so that nobody tells
		p.c.states.endHold(member)
		p.c.EnqueueMember(member) // others may wait, and whoever is told of the registration finds nobody waiting
		return false
	}
	if asks {
		p.c.config.OnCopies(member)
	}
	return true
}

// Awaits reports whether copies wait to be made on a member until its registration is held.
func (c *Controller) Awaits(member workspace.Key) bool {
	c.states.mu.RLock()
	defer c.states.mu.RUnlock()
	return c.states.unheld.Has(member)
}

// RegistrationChanged makes the controller look at what waits for a member's registration to be held, if it is now, and at
// everything on the member if that is to go: copies that are left already are waited for no longer then.
func (c *Controller) RegistrationChanged(member workspace.Key) {
	if _, retiring := c.config.Decisions.RetiringSince(member); retiring {
		c.EnqueueMember(member)
	}
	if !c.Awaits(member) || !c.config.Decisions.Held(member) {
		return
	}
	c.states.endHold(member)
	c.EnqueueMember(member)
}

// awaitHold notes that a member is waited for, and returns whether that is new.
func (s *states) awaitHold(member workspace.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unheld.Has(member) {
		return false
	}
	s.unheld.Insert(member)
	return true
}

func (s *states) endHold(member workspace.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unheld.Delete(member)
}

// forgetMember drops what is remembered of a member that is gone.
func (s *states) forgetMember(member workspace.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unheld.Delete(member)
	delete(s.fresh, member)
}

// written notes that a member was given a copy, which shows a little later.
func (s *states) written(key Key, member workspace.Key, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fresh[member] == nil {
		s.fresh[member] = map[Key]time.Time{}
	}
	s.fresh[member][key] = until
}

// shows notes that a copy was seen, or seen to go.
func (s *states) shows(key Key, member workspace.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fresh[member], key)
	if len(s.fresh[member]) == 0 {
		delete(s.fresh, member)
	}
}

// hasFresh reports whether a member may have a copy that does not show yet.
func (s *states) hasFresh(member workspace.Key, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.fresh[member], func(_ Key, until time.Time) bool { return !now.Before(until) })
	if len(s.fresh[member]) == 0 {
		delete(s.fresh, member)
		return false
	}
	return true
}
