// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/rollup"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

const (
	// echoWait is how long a write that succeeded may take to show in the informer before it is done again.
	echoWait = 5 * time.Second
	// Pauses after failures double from the first to the last. What a member refuses for good is tried rarely.
	firstRetry   = time.Second
	refusedRetry = 30 * time.Second
	lastRetry    = 5 * time.Minute
	// messageLength bounds what is passed on of a member's words.
	messageLength = 512
)

// takeIn notes what became of writes since the last pass.
func (p *pass) takeIn(outcomes map[workspace.Key]outcome) {
	now := p.c.config.Clock.Now()
	for member, o := range outcomes {
		state := p.object.copyOf(member)
		if o.err != nil {
			state.fail(problemOf(o.err), o.task.hash, now)
			continue
		}
		state.failed, state.failures = nil, 0
		if o.task.repair {
			state.repaired(now)
		}
		state.awaiting, state.waitUntil = true, now.Add(echoWait)
		state.hash, state.signature = o.task.hash, ""
		if o.live != nil {
			state.signature, state.uid = transform.LiveSignature(o.live), o.live.GetUID()
			state.origin = types.UID(o.task.desired.GetAnnotations()[transform.UIDAnnotation])
			for _, dependent := range p.dependentsOf() {
				p.c.engine.Add(dependent)
			}
		}
	}
}

func (p *pass) dependentsOf() []Key {
	workloads, _ := p.c.states.dependents(p.key)
	return workloads
}

func (s *copyState) fail(problem *CallProblem, hash string, now time.Time) {
	pause := firstRetry
	switch problem.Reason {
	case tmcv1alpha1.ReasonCollision, tmcv1alpha1.ReasonMemberDenied, tmcv1alpha1.ReasonInvalidOnMember, tmcv1alpha1.ReasonImmutableField,
		tmcv1alpha1.ReasonTooLarge, tmcv1alpha1.ReasonMemberForbidden, tmcv1alpha1.ReasonAPIMissing:
		pause = refusedRetry
	}
	if s.failed == nil || s.failed.Reason != problem.Reason || s.failedHash != hash {
		s.failures = 0
	}
	for range s.failures {
		pause = min(2*pause, lastRetry)
	}
	s.failures++
	s.failed, s.failedHash, s.retryAt = problem, hash, now.Add(max(pause, problem.RetryAfter))
	s.awaiting = false
}

// carryOut compares every member with what it should have, and hands out what differs.
func (p *pass) carryOut() {
	for _, member := range slices.SortedFunc(maps.Keys(p.wanted), workspace.Key.Compare) {
		p.ensure(member, p.wanted[member])
	}
	p.tellUnlent()
	replaced := len(p.wanted) > 0 && !p.undecided && !slices.ContainsFunc(p.rows, func(r Row) bool {
		return r.Object.Synced != metav1.ConditionTrue || r.Object.Health != tmcv1alpha1.HealthHealthy
	})
	p.keepNeeded()
	for _, member := range slices.SortedFunc(maps.Keys(p.staying), workspace.Key.Compare) {
		_, needed := p.needed[member]
		switch {
		case needed:
		case p.retired(member), replaced && !p.serves(member):
			p.remove(member, p.staying[member], true)
		default:
			p.stay(member, p.staying[member], "the member is not chosen any more; its copy stays until those on the chosen members are available")
		}
	}
	for _, member := range p.leftovers() {
		p.remove(member, p.nameOf(member), false)
	}
	for member, state := range p.object.copies {
		if !p.concerns(member) {
			delete(p.object.copies, member)
		} else if _, wants := p.wanted[member]; !wants {
			state.readingSince = time.Time{}
		}
	}
}

// keepNeeded keeps copies that are needed where they are.
func (p *pass) keepNeeded() {
	for _, member := range slices.SortedFunc(maps.Keys(p.needed), workspace.Key.Compare) {
		why := "the member is not chosen any more; the copy stays as long as another one there needs it"
		if p.unclear && p.retired(member) {
			p.remove(member, p.needed[member], true)
			continue
		}
		if p.unclear {
			why = "a Placement that may have selected the object has a selector that cannot be parsed; the copy stays until that is mended"
		}
		p.stay(member, p.needed[member], why)
	}
}

// retired reports whether a member that is being taken away was given enough time for its copies to be replaced.
func (p *pass) retired(member workspace.Key) bool {
	since, retiring := p.c.config.Decisions.RetiringSince(member)
	if !retiring {
		return false
	}
	deadline := since.Add(p.c.config.DetachAfter / 2)
	if p.c.config.Clock.Now().Before(deadline) {
		p.later(deadline)
		return false
	}
	return true
}

// leftovers are the members that have, or may have, a copy that should not be there.
func (p *pass) leftovers() []workspace.Key {
	found := map[workspace.Key]struct{}{}
	for _, member := range p.c.states.membersWith(p.key) {
		found[member] = struct{}{}
	}
	for member, state := range p.object.copies {
		if state.awaiting || p.c.lanes.pending(member, p.key) {
			found[member] = struct{}{}
		}
	}
	for member := range p.formerMembers() {
		found[member] = struct{}{}
	}
	maps.DeleteFunc(found, func(member workspace.Key, _ struct{}) bool { return !p.c.config.Decisions.Registered(member) })
	var out []workspace.Key
	for _, member := range slices.SortedFunc(maps.Keys(found), workspace.Key.Compare) {
		if !p.keeps(member) {
			out = append(out, member)
		}
	}
	return out
}

// keeps reports whether a member should have a copy, or keeps the one that it has.
func (p *pass) keeps(member workspace.Key) bool {
	_, wants := p.wanted[member]
	_, stays := p.staying[member]
	_, needs := p.needed[member]
	return wants || stays || needs
}

// formerMembers are those that the object's last Placement chose: a member that was away since this process began is
// known from there alone.
func (p *pass) formerMembers() map[workspace.Key]struct{} {
	found := map[workspace.Key]struct{}{}
	if p.upstream == nil || !slices.Contains(p.upstream.GetFinalizers(), tmcv1alpha1.SyncFinalizer) {
		return found
	}
	chosen, ok := p.c.config.Decisions.PlacementOf(p.key.Resource, p.upstream)
	if !ok {
		return found
	}
	for _, decision := range p.c.config.Decisions.Decisions(chosen) {
		member, known := p.c.config.Decisions.Member(p.ws().Workspace, decision.ClusterName)
		switch {
		case known && p.c.config.Decisions.Accepts(chosen, member):
			found[member] = struct{}{}
		case !p.loans:
			p.blocked.Insert(decision.ClusterName) // it may have a copy, and who it is has not been read yet
			p.away.Insert(decision.ClusterName)
			p.later(p.c.config.Clock.Now().Add(doubtPause))
		}
	}
	return found
}

func (p *pass) concerns(member workspace.Key) bool {
	return p.keeps(member) || p.comes(member) || slices.Contains(p.c.states.membersWith(p.key), member)
}

// comes reports whether a write is on its way to a member, or does not show there yet.
func (p *pass) comes(member workspace.Key) bool {
	state, known := p.object.copies[member]
	awaited := known && state.awaiting && p.c.config.Clock.Now().Before(state.waitUntil)
	return awaited || p.c.lanes.pending(member, p.key)
}

func (p *pass) at() Location {
	return Location{
		Resource: p.kind.GVR, Namespace: transform.NamespaceName(p.ws().Workspace, p.ws().Namespace), Name: p.ws().Name,
	}
}

func (p *pass) newRow(member workspace.Key, name string) Row {
	row := Row{Cluster: name, Member: member, Owner: p.ownerAt(member), Object: tmcv1alpha1.PlacedObject{
		Name: p.ws().Name, Synced: metav1.ConditionUnknown, Health: tmcv1alpha1.HealthUnknown,
	}}
	if p.upstream != nil {
		row.Object.APIVersion, row.Object.Kind = p.upstream.GetAPIVersion(), p.upstream.GetKind()
	}
	return row
}

func (r *Row) explain(reason, message string) {
	r.Object.Reason, r.Object.Message = reason, transform.PrintableMessage(message, messageLength)
}

// observe fills in what a copy says of itself.
func (p *pass) observe(row *Row, live *unstructured.Unstructured) {
	health, reason, message := rollup.Health(p.key.Resource, live)
	row.Object.Health = health
	if health != tmcv1alpha1.HealthHealthy {
		row.explain(reason, message)
	}
	if replicas, ok := rollup.Replicas(p.key.Resource, live); ok {
		row.Object.Replicas = &replicas
	}
}

// stay leaves a copy as it is for now, whatever waits to be done with it.
func (p *pass) stay(member workspace.Key, name, why string) {
	p.c.lanes.cancel(member, p.key)
	live, there := p.c.config.Downstream.Copy(member, p.at())
	if !there || !isCopyOf(live, p.key.Object) || p.isStranger(member) {
		return
	}
	row := p.newRow(member, name)
	row.Leaving = true
	p.observe(&row, live)
	row.explain(tmcv1alpha1.ReasonSyncing, why)
	p.rows = append(p.rows, row)
}

// remove takes a copy off a member.
func (p *pass) remove(member workspace.Key, name string, leaving bool) {
	down := p.c.config.Downstream
	live, there := down.Copy(member, p.at())
	stranger := p.isStranger(member)
	if p.isBlind(member) {
		if stranger {
			return
		}
		p.blocked.Insert(name)
		p.away.Insert(name)
		row := p.newRow(member, name)
		row.Leaving = leaving
		row.explain(tmcv1alpha1.ReasonDetachPending, "the copy is to be removed, and the member does not show it: it cannot be reached, or lacks the kind now")
		p.rows = append(p.rows, row)
		return
	}
	if !there || !isCopyOf(live, p.key.Object) {
		p.c.lanes.cancel(member, p.key)
		if p.c.lanes.pending(member, p.key) {
			p.blocked.Insert(name) // the write is on its way, and tells when it has ended
			return
		}
		p.c.states.locate(p.key, member, false) // whatever is there, it is no copy any more
		if p.isUnseen(member) {
			p.blocked.Insert(name)
		}
		return
	}
	row := p.newRow(member, name)
	row.Leaving = leaving
	row.explain(tmcv1alpha1.ReasonSyncing, "the copy is being removed")
	if live.GetDeletionTimestamp() == nil {
		p.discard(member, &row, live)
	}
	if stranger {
		return
	}
	p.blocked.Insert(name)
	p.rows = append(p.rows, row)
}

// isStranger reports whether a member is none that the object may have, and was none since this process began. What is
// there and looks like a copy is removed, for it may be one of a time before; but it may as well have been put there by the
// member's owner, so it neither holds the object nor shows with it.
func (p *pass) isStranger(member workspace.Key) bool {
	state := p.object.copyOf(member)
	if !state.known {
		state.known = member.Workspace == p.ws().Workspace || (p.sees(member) && p.mayHaveGiven(member))
	}
	return !state.known && p.upstream != nil && p.loans
}

// isNamed reports whether a member has the name of a decision. What is there may be needed there, whosever it is.
func (p *pass) isNamed(member workspace.Key) bool {
	_, named := p.c.config.Decisions.Concerns(p.ws().Workspace, p.ws().Namespace, member)
	return named && p.sees(member)
}

// mayHaveGiven reports whether a member may have been given the object before this process began: by a Placement that may
// have it, or by a decision that names it. A name may be somebody else's by now, who does not know the UID of an object
// that he was never given.
func (p *pass) mayHaveGiven(member workspace.Key) bool {
	accepted, named := p.c.config.Decisions.Concerns(p.ws().Workspace, p.ws().Namespace, member)
	if accepted || !named || p.upstream == nil {
		return accepted
	}
	live, there := p.c.config.Downstream.Copy(member, p.at())
	if !there {
		return false
	}
	origin, _ := transform.OriginOf(live)
	return origin.UID == p.upstream.GetUID()
}

// holds reports whether one of some members that keep their copies is one that the object may have.
func (p *pass) holds(members map[workspace.Key]string) bool {
	for member := range members {
		if !p.isStranger(member) {
			return true
		}
	}
	return false
}

// discard hands out the deletion of a copy, unless it was sent already and does not show yet.
func (p *pass) discard(member workspace.Key, row *Row, live *unstructured.Unstructured) {
	state := p.object.copyOf(member)
	sent := state.awaiting && state.hash == "" && state.echo == live.GetResourceVersion()
	if sent && p.c.config.Clock.Now().Before(state.waitUntil) {
		p.later(state.waitUntil)
		return
	}
	if !p.c.lanes.pending(member, p.key) {
		state.echo = live.GetResourceVersion()
	}
	p.hand(member, row, task{at: p.at(), uid: live.GetUID()})
}

// hand gives a task to the member's lane, unless it failed before and is not due again.
func (p *pass) hand(member workspace.Key, row *Row, t task) {
	state := p.object.copyOf(member)
	if state.failed != nil && state.failedHash == t.hash {
		row.explain(state.failed.Reason, state.failed.Message)
		row.Object.Synced = metav1.ConditionFalse
		if p.c.config.Clock.Now().Before(state.retryAt) {
			p.later(state.retryAt)
			return
		}
	}
	if !p.c.config.Leader.IsLeader() || p.suspended {
		p.c.lanes.cancel(member, p.key)
		return
	}
	p.c.lanes.submit(member, p.key, t)
}

// later asks for another pass at a time.
func (p *pass) later(at time.Time) {
	p.again = soonest(p.again, max(at.Sub(p.c.config.Clock.Now()), time.Millisecond))
}
