// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"slices"
	"strings"
	"sync"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// catalog keeps what members look like to those who decide, as long as nothing of it changes: gathering and compiling that of
// a thousand members takes a thousand times as long as a decision. Who is told of a change forgets what it concerns before
// any Placement is looked at because of it.
type catalog struct {
	mu sync.Mutex
	// looks are members, by registration and how they are seen. What is there and not made yet is being made.
	looks map[workspace.Key]map[lookKey]*look
	pages map[logicalcluster.Name]*page
	// kinds are those that were asked for of each member.
	kinds sets.Set[schema.GroupResource]
}

func newCatalog() *catalog {
	return &catalog{looks: map[workspace.Key]map[lookKey]*look{}, pages: map[logicalcluster.Name]*page{}}
}

// lookKey says how a member is seen: by which name, and whether as one whose lender is not trusted. Workspaces that see it
// alike share what is made of it.
type lookKey struct {
	registration workspace.Key
	name         string
	untrusted    bool
}

// look is what a member looks like, without what it owes.
type look struct {
	made bool
	// there is false if nothing is to be decided to go there: its registration is not known, or is being deleted.
	there    bool
	cluster  placement.Cluster
	compiled *placement.Member
}

// page is what the members of a workspace look like.
type page struct {
	made     bool
	snapshot *placement.Snapshot
	looks    map[workspace.Key][]*look    // by registration, of which a workspace may see one by several names
	trusted  map[logicalcluster.Name]bool // whether each lender was
	// unknown names the ready members, with the kinds of which it is not known yet whether they serve them.
	unknown string
}

// forget drops what is known of a member, and of the workspaces that see it.
func (c *catalog) forget(registration workspace.Key, viewers ...logicalcluster.Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.looks, registration)
	for _, ws := range viewers {
		delete(c.pages, ws)
	}
}

// ask drops everything if other kinds are asked for than before.
func (c *catalog) ask(kinds []schema.GroupResource) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(kinds) == c.kinds.Len() && c.kinds.HasAll(kinds...) {
		return
	}
	c.kinds = sets.New(kinds...)
	clear(c.looks)
	clear(c.pages)
}

// page returns what is known of a workspace, or what is to be made known by the one who asks: whoever forgets it meanwhile
// takes it out of the catalog, so that it is used this once.
func (c *catalog) page(ws logicalcluster.Name, trusts func(ws, lender logicalcluster.Name) bool) (found *page, made bool) {
	c.mu.Lock()
	found = c.pages[ws]
	made = found != nil && found.made
	c.mu.Unlock()
	if made && found.holds(ws, trusts) {
		return found, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found = &page{looks: map[workspace.Key][]*look{}, trusted: map[logicalcluster.Name]bool{}}
	c.pages[ws] = found
	return found, false
}

// holds reports whether lenders are trusted as they were. That may change with no one being told: another workspace may claim
// the path that a lender was trusted by.
func (p *page) holds(ws logicalcluster.Name, trusts func(ws, lender logicalcluster.Name) bool) bool {
	for lender, trusted := range p.trusted {
		if trusts(ws, lender) != trusted {
			return false
		}
	}
	return true
}

// look returns what is known of a member as page does of a workspace.
func (c *catalog) look(key lookKey) (found *look, made bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found = c.looks[key.registration][key]; found != nil && found.made {
		return found, true
	}
	if c.looks[key.registration] == nil {
		c.looks[key.registration] = map[lookKey]*look{}
	}
	found = &look{}
	c.looks[key.registration][key] = found
	return found, false
}

// keep says that something is made.
func (c *catalog) keep(made *bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*made = true
}

// snapshot returns what the members of a workspace look like to one Placement: what it was promised itself is free for it.
// It also names the kinds of which it is not known yet whether the members that are ready serve them. It is called by one at
// a time.
func (c *Controller) snapshot(key workspace.Key) (snapshot *placement.Snapshot, unknown string) {
	c.catalog.ask(c.config.Workloads.Kinds())
	known, made := c.catalog.page(key.Workspace, c.trusts)
	if !made {
		c.fill(known, key.Workspace)
		if len(known.looks) == 0 { // it is made at once, and may be asked for never again
			c.catalog.forget(workspace.Key{}, key.Workspace)
		}
		c.catalog.keep(&known.made)
	}
	var owing []*placement.Member
	sees := func(registration workspace.Key) bool { return known.looks[registration] != nil }
	for registration, promised := range c.ledger.owedToOthers(key, sees) {
		for _, seen := range known.looks[registration] {
			if seen.cluster.CapacityKnown {
				cluster := seen.cluster
				cluster.Available = view.Available(cluster.Available, promised)
				owing = append(owing, placement.NewMember(&cluster))
			}
		}
	}
	slices.SortFunc(owing, func(a, b *placement.Member) int { return strings.Compare(a.Name(), b.Name()) })
	return known.snapshot.With(owing...), known.unknown
}

// fill gathers what is known of the members of a workspace.
func (c *Controller) fill(p *page, ws logicalcluster.Name) {
	members := c.roster.of(ws)
	compiled := make([]*placement.Member, 0, len(members))
	var unknowns []string
	for name, registration := range members {
		lender := registration.Workspace
		if _, asked := p.trusted[lender]; !asked {
			p.trusted[lender] = c.trusts(ws, lender)
		}
		seen := c.lookAt(lookKey{registration, name, !p.trusted[lender]})
		if !seen.there {
			continue
		}
		compiled = append(compiled, seen.compiled)
		p.looks[registration] = append(p.looks[registration], seen)
		if seen.cluster.Ready == metav1.ConditionTrue && len(seen.cluster.Unknown) > 0 {
			unknowns = append(unknowns, name+": "+joined(seen.cluster.Unknown))
		}
	}
	slices.Sort(unknowns)
	p.snapshot, p.unknown = placement.SnapshotOf(compiled), strings.Join(unknowns, "; ")
}

// lookAt returns what a member looks like.
func (c *Controller) lookAt(key lookKey) *look {
	seen, made := c.catalog.look(key)
	if made {
		return seen
	}
	if seen.cluster, seen.there = c.clusterOf(key); !seen.there {
		c.catalog.forget(key.registration) // nobody may tell of it again
		return seen
	}
	seen.compiled = placement.NewMember(&seen.cluster)
	c.catalog.keep(&seen.made)
	return seen
}

func (c *Controller) clusterOf(key lookKey) (placement.Cluster, bool) {
	registration, found := c.config.Registrations.Find(key.registration)
	if !found || registration.DeletionTimestamp != nil {
		return placement.Cluster{}, false
	}
	observed, _ := c.config.Members.Observation(key.registration)
	status := view.ClusterStatus(registration, observed)
	apis := c.config.Copies.APIs(key.registration)
	cluster := placement.Cluster{
		Name: key.name, Labels: registration.Labels, Taints: status.Taints, Unschedulable: status.Unschedulable,
		Ready: metav1.ConditionUnknown, CapacityKnown: observed.CapacityCounted, LargestFree: status.LargestFree,
		Missing: apis.Missing, Unknown: apis.Unknown,
	}
	if key.untrusted {
		cluster.Taints = append(slices.Clip(cluster.Taints), lenderTaint(key.registration.Workspace))
	}
	if ready := meta.FindStatusCondition(status.Conditions, tmcv1alpha1.ConditionReady); ready != nil {
		cluster.Ready = ready.Status
	}
	if observed.CapacityCounted {
		cluster.Allocatable, cluster.Available = status.Allocatable, status.Available
	}
	return cluster, true
}
