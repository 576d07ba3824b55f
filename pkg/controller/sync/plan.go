// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"slices"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// pass is one look at one object.
type pass struct {
	c      *Controller
	key    Key
	kind   Kind
	object *object

	// upstream is the workspace's object; nil if it is not there.
	upstream *unstructured.Unstructured
	// deleting says that it is to go, and nobody but us holds it.
	deleting bool
	// stopped says that nothing comes back from members any more: the workspace gives up its binding.
	stopped   bool
	placement *tmcv1alpha1.Placement
	owner     workspace.Key // that Placement's key
	suspended bool
	// undecided says that the decision is about to be another one.
	undecided bool
	// unclear says that a Placement may have the object, but says so in a way that cannot be understood any more.
	unclear bool
	// loans says that it was known who sees which member before anything was looked up.
	loans bool
	// wanted are the members that should have a copy, staying those that keep theirs until it is replaced, and needed those
	// that keep theirs as long as something there needs it.
	wanted          map[workspace.Key]target
	staying, needed map[workspace.Key]string

	// reading says that copies that should be there are being read, and that this is waited for.
	reading bool
	// unlent are members of the decision that are not known to be lent yet.
	unlent []string

	rows []Row
	// blocked are members that may still have a copy that has to go, away those of them that cannot be reached.
	blocked, away sets.Set[string]
	again         time.Duration
}

// target is what one member should have.
type target struct {
	name     string
	replicas *int32
	// owner is the Placement because of which.
	owner workspace.Key
	// held says that the replicas are fewer than they should be by all that is known.
	held bool
	// answers says whether the member did when it was looked at, and called whether that was known.
	answers, called bool
}

func (p *pass) ws() workspace.Key { return p.key.Object }

// plan finds out what should be where. It returns false if that is not certain.
func (p *pass) plan() bool {
	p.wanted, p.staying, p.needed = map[workspace.Key]target{}, map[workspace.Key]string{}, map[workspace.Key]string{}
	p.blocked, p.away = sets.New[string](), sets.New[string]()
	p.loans = p.c.config.Upstream.LoansKnown()
	p.dropUnregistered()
	up := p.c.config.Upstream
	// Before looking, since what is not found must have been read; and after, since it may have been dropped meanwhile.
	certain := p.certain()
	found, exists := up.Find(p.key.Resource, p.key.Object)
	certain = certain && p.certain()
	if !exists {
		if certain {
			p.c.require(p.key, nil, nil)
		}
		return certain
	}
	p.upstream = found
	p.stopped = up.Leaving(p.key.Object.Workspace)
	p.deleting = found.GetDeletionTimestamp() != nil && (p.stopped || !heldByOthers(found))
	if !p.deleting && !p.stopped {
		if !p.planPlacement(certain) {
			return false
		}
	}
	p.planDependencies()
	p.planLeftovers()
	return !p.unheard()
}

// dropUnregistered forgets members whose registration is gone: their last events and writes may come after that.
func (p *pass) dropUnregistered() {
	for _, member := range p.c.states.membersWith(p.key) {
		if !p.c.config.Decisions.Registered(member) {
			p.c.states.locate(p.key, member, false)
		}
	}
	for member := range p.object.copies {
		if !p.c.config.Decisions.Registered(member) {
			delete(p.object.copies, member)
		}
	}
}

// certain says that what is not found is not there, neither the object nor its Placement.
func (p *pass) certain() bool {
	return p.c.config.Upstream.Certain(p.key.Resource, p.key.Object.Workspace)
}

// heldByOthers reports whether somebody else's finalizer keeps an object. Those of garbage collection hold nothing that
// runs.
func heldByOthers(object *unstructured.Unstructured) bool {
	return slices.ContainsFunc(object.GetFinalizers(), func(name string) bool {
		return name != tmcv1alpha1.SyncFinalizer && name != metav1.FinalizerDeleteDependents && name != metav1.FinalizerOrphanDependents
	})
}

// planPlacement adds the members that the object's Placement chose.
func (p *pass) planPlacement(certain bool) bool {
	if _, _, ok := transform.Syncable(p.key.Resource, true, p.upstream); !ok {
		return true
	}
	chosen, found := p.c.config.Decisions.PlacementOf(p.key.Resource, p.upstream)
	if !found {
		p.unclear = p.c.config.Decisions.Unclear(p.key.Resource, p.upstream)
		return certain && p.certain()
	}
	p.placement, p.owner = chosen, workspace.Key{Workspace: p.ws().Workspace, Namespace: chosen.Namespace, Name: chosen.Name}
	p.suspended = chosen.Spec.Suspension != nil && chosen.Spec.Suspension.Dispatching
	shares := p.shares()
	for _, decision := range p.c.config.Decisions.Decisions(chosen) {
		member, known := p.c.config.Decisions.Member(p.ws().Workspace, decision.ClusterName)
		known = known && p.c.config.Decisions.Registered(member)
		switch leaving := decision.Phase == tmcv1alpha1.DecisionLeaving; {
		case leaving && known:
			p.planLeaving(member, decision.ClusterName)
		case leaving:
		case !known:
			// A member that this workspace does not see any more: what is there is found by its copies. One that is merely not
			// known to be lent counts as not replaced.
			if !p.loans {
				p.undecided, p.unlent = true, append(p.unlent, decision.ClusterName)
			}
		case !p.c.config.Decisions.Accepts(chosen, member):
			// Another one of that name, or one whose lender is not trusted or asked for any more, or not known to be yet. Until
			// another decision is written, what is there counts as not replaced.
			p.undecided = true
			if p.isBlind(member) {
				p.staying[member] = decision.ClusterName
			}
		default:
			p.wanted[member] = p.share(member, decision.ClusterName, shares)
		}
	}
	return true
}

// planLeaving keeps what a member has that is to be left. Another one may have its name, which was given nothing.
func (p *pass) planLeaving(member workspace.Key, name string) {
	if p.c.config.Decisions.Accepts(p.placement, member) || !p.isStranger(member) {
		p.staying[member] = name
	}
}

// planDependencies adds the members of the workloads that need the object, and notes what the object needs itself.
func (p *pass) planDependencies() {
	workloads, members := p.c.states.dependents(p.key)
	if _, _, ok := transform.Syncable(p.key.Resource, true, p.upstream); ok && !p.deleting && !p.stopped {
		for member, at := range members {
			_, known := p.wanted[member]
			switch {
			case known:
			case !at.found:
				p.wanted[member] = target{name: at.name, owner: at.owner}
				delete(p.staying, member)
			case p.mayHave(member):
				p.needed[member] = at.name
			}
		}
		if p.placement == nil {
			p.suspended = slices.ContainsFunc(workloads, p.c.isSuspended)
		}
	}
	reach := map[workspace.Key]reached{}
	for member, t := range p.wanted {
		reach[member] = reached{name: t.name, owner: t.owner}
	}
	for member, name := range p.staying {
		// One that is left and has no copy any more needs nothing: what it needed would keep the member from being left.
		if p.mayHave(member) {
			reach[member] = reached{name: name, owner: p.ownerAt(member), found: true}
		}
	}
	for _, member := range p.c.states.membersWith(p.key) {
		if _, known := reach[member]; !known {
			reach[member] = reached{name: p.nameOf(member), owner: p.ownerAt(member), found: true}
		}
	}
	needs := needsOf(p.key, transform.Dependencies(p.upstream))
	if len(reach) == 0 {
		needs = nil
	}
	p.c.require(p.key, needs, reach)
}

// mayHave reports whether a member has a copy, is being given one, or may have one that is not known.
func (p *pass) mayHave(member workspace.Key) bool {
	live, there := p.c.config.Downstream.Copy(member, p.at())
	return (there && isCopyOf(live, p.key.Object)) || p.isBlind(member) || p.c.lanes.pending(member, p.key) || p.isUnseen(member)
}

// isUnseen reports whether a copy was written that does not show yet, and has that looked at again.
func (p *pass) isUnseen(member workspace.Key) bool {
	state, known := p.object.copies[member]
	unseen := known && state.awaiting && state.hash != "" && p.c.config.Clock.Now().Before(state.waitUntil)
	if unseen {
		p.later(state.waitUntil)
	}
	return unseen
}

// isBlind reports whether what is not known of a member's copies may be there all the same. A member that lacks the kind,
// or keeps it from us, was never given one, as far as is known.
func (p *pass) isBlind(member workspace.Key) bool {
	down := p.c.config.Downstream
	if down.Synced(member, p.kind.GVR) {
		return false
	}
	_, there := down.Copy(member, p.at())
	_, missing := down.Missing(member, p.key.Resource)
	return there || !missing
}

// require notes what an object needs and where, and has what that concerns looked at.
func (c *Controller) require(key Key, needs sets.Set[Key], reach map[workspace.Key]reached) {
	for _, need := range c.states.require(key, needs, reach) {
		c.engine.Add(need)
	}
}

// isSuspended reports whether the Placement of a workload keeps members as they are.
func (c *Controller) isSuspended(workload Key) bool {
	found, exists := c.config.Upstream.Find(workload.Resource, workload.Object)
	if !exists {
		return false
	}
	placement, placed := c.config.Decisions.PlacementOf(workload.Resource, found)
	return placed && placement.Spec.Suspension != nil && placement.Spec.Suspension.Dispatching
}

// planLeftovers keeps copies on members that are not chosen any more until the others are available, as long as the
// object is to run at all, and all copies while that is not clear.
func (p *pass) planLeftovers() {
	keep := p.staying
	switch {
	case p.deleting, p.stopped, p.placement == nil && !p.unclear:
		clear(p.staying)
		return
	case p.unclear:
		keep = p.needed
	}
	for _, member := range p.c.states.membersWith(p.key) {
		if _, wants := p.wanted[member]; wants {
			p.object.copyOf(member).unseenSince = time.Time{}
		} else if !p.takenBack(member) {
			keep[member] = p.nameOf(member)
		}
	}
}

// takenBack reports whether a member is not lent to the workspace any more: then its copies go, replaced or not. A
// while is waited, since who sees what is put together from several sources. It begins once all of them have been read.
func (p *pass) takenBack(member workspace.Key) bool {
	back, after := p.c.takenBack(p.ws().Workspace, member, p.object.copyOf(member))
	if after > 0 {
		p.later(p.c.config.Clock.Now().Add(after))
	}
	return back
}

// takenBack reports whether a member is not lent to a workspace any more, and when to look again if that is not certain
// yet.
func (c *Controller) takenBack(ws logicalcluster.Name, member workspace.Key, state *copyState) (back bool, after time.Duration) {
	if member.Workspace == ws || c.sees(ws, member) {
		state.unseenSince = time.Time{}
		return false, 0
	}
	if !c.config.Upstream.LoansKnown() {
		state.unseenSince = time.Time{}
		return false, takeBackGrace
	}
	now := c.config.Clock.Now()
	if state.unseenSince.IsZero() {
		state.unseenSince = now
	}
	after = state.unseenSince.Add(takeBackGrace).Sub(now)
	return after <= 0, max(after, 0)
}

func (p *pass) sees(member workspace.Key) bool { return p.c.sees(p.ws().Workspace, member) }

// sees reports whether a workspace has a member, its own or a lent one.
func (c *Controller) sees(ws logicalcluster.Name, member workspace.Key) bool {
	for _, key := range c.config.Decisions.Members(ws) {
		if key == member {
			return true
		}
	}
	return false
}

// nameOf returns the name by which the workspace knows a member. A member that it does not see any more has the name of
// its registration, if that is the workspace's own, and none otherwise.
func (p *pass) nameOf(member workspace.Key) string {
	for name, key := range p.c.config.Decisions.Members(p.ws().Workspace) {
		if key == member {
			return name
		}
	}
	if member.Workspace == p.ws().Workspace {
		return member.Name
	}
	return "a member that is not lent any more"
}

// ownerAt is the Placement that a copy on a member is shown with: the one because of which it is there or, if nothing wants
// it there any more, was.
func (p *pass) ownerAt(member workspace.Key) workspace.Key {
	switch t, wants := p.wanted[member]; {
	case wants:
		return t.owner
	case p.owner != workspace.Key{}:
		return p.owner
	}
	return p.c.states.shownBy(p.key, member)
}
