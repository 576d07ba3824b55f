// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/placement"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Controller decides Placements.
type Controller struct {
	config Config
	engine *engine.Engine[workspace.Key]
	roster *roster
	places *byPlace
	ledger *ledger
	// catalog is what the members look like.
	catalog *catalog

	// noting is held from a look at a Placement, or a member, until what was seen is noted: what is noted last must be what
	// was seen last.
	noting sync.Mutex

	// deciding is held from a look at the members until what was decided is promised: the next one must know of it.
	deciding sync.Mutex

	mu      sync.RWMutex
	decided map[workspace.Key]*decided
	shown   map[workspace.Key]shown
	// trusted are the lenders that are known to be. It is noted as Placements are.
	trusted map[logicalcluster.Name]bool
}

// shown is what others than the Placement itself depend on, as it was seen last. What its status says besides is nobody
// else's concern, or each status would have everything in the namespace looked at.
type shown struct {
	uid        types.UID
	generation int64
	deleting   bool
	detach     string
	decisions  []tmcv1alpha1.PlacementDecision
}

func shownOf(p *tmcv1alpha1.Placement) shown {
	return shown{
		uid: p.UID, generation: p.Generation, deleting: p.DeletionTimestamp != nil,
		detach: p.Annotations[tmcv1alpha1.ForceDetachAnnotation], decisions: p.Status.Decisions,
	}
}

func (s shown) same(other shown) bool {
	return s.uid == other.uid && s.generation == other.generation && s.deleting == other.deleting && s.detach == other.detach &&
		slices.Equal(s.decisions, other.decisions)
}

// workers is how many statuses are written at once.
const workers = 8

// uncertainPause is how often a Placement is looked at whose decisions are kept until more has been read.
const uncertainPause = time.Second

// decided is what is known of one Placement. It is replaced as a whole.
type decided struct {
	uid types.UID
	// stored is the status as it was last written or read, and version the resourceVersion that it was written on top of.
	stored  tmcv1alpha1.PlacementOutcome
	version string
	// outcome, rejected and lost explain it.
	outcome  placement.Outcome
	rejected []tmcv1alpha1.ClusterRejection
	lost     []tmcv1alpha1.UnplacedObject
	// unplaced says which replicas have no place on the members that were chosen.
	unplaced string
	waiting  bool // for members to change
	// seeks says that it takes every member that fits, and some have too little room.
	seeks bool
	// unknown names the ready members, with the kinds of which it was not known whether they serve them.
	unknown string
	// uncertain says that the decisions were kept since not everything has been read that they depend on.
	uncertain bool
}

// missed says whether something may have happened since the members were looked at that would have been told to this
// decision, and was not to the last one; nil is none, which is told everything. It is so once for each difference.
func (d *decided) missed(last *decided) bool {
	if last == nil {
		return d.unknown != ""
	}
	return (d.unknown != "" && d.unknown != last.unknown) || ((d.waiting || d.seeks) && !last.waiting && !last.seeks)
}

// New returns a controller that works while Run runs.
func New(config Config) *Controller {
	c := &Controller{
		config: config.withDefaults(), roster: newRoster(), places: newByPlace(), ledger: newLedger(), catalog: newCatalog(),
		decided: map[workspace.Key]*decided{}, shown: map[workspace.Key]shown{}, trusted: map[logicalcluster.Name]bool{},
	}
	c.engine = engine.New(engine.Config[workspace.Key]{
		// Decisions are made one after the other, but are written together: no Placement waits for another's write.
		Name: "schedule", Reconcile: c.Reconcile, Workers: workers, Clock: c.config.Clock, Metrics: c.config.Metrics,
	})
	return c
}

// Run decides until the context ends.
func (c *Controller) Run(ctx context.Context) { c.engine.Run(ctx) }

// Enqueue makes the controller look at a Placement that changed, and, if it concerns them, at those of its namespace
// that compete with it.
func (c *Controller) Enqueue(key workspace.Key) {
	if c.note(key) {
		c.engine.Add(key)
		return
	}
	c.enqueueWhole(key)
}

// note takes in whether a Placement exists and what others depend on of it, and reports whether that is what is known.
func (c *Controller) note(key workspace.Key) (same bool) {
	c.noting.Lock()
	defer c.noting.Unlock()
	p, exists := c.config.Placements.Find(key)
	c.places.set(key, exists)
	return exists && c.showsTheSame(key, shownOf(p))
}

// enqueueWhole does as Enqueue, whether the Placement changed or not.
func (c *Controller) enqueueWhole(key workspace.Key) {
	for _, other := range c.places.at(key.Workspace, key.Namespace) {
		c.engine.Add(other)
	}
	c.engine.Add(key)
	c.config.OnDecision(key) // its selectors may be others, and objects with them another's
}

// showsTheSame notes what others depend on of a Placement, and reports whether that is what is known.
func (c *Controller) showsTheSame(key workspace.Key, now shown) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, known := c.shown[key]
	c.shown[key] = now
	return known && before.same(now)
}

// EnqueueAll makes the controller look at every Placement, as a new leader must.
func (c *Controller) EnqueueAll() {
	for _, p := range c.config.Placements.List() {
		c.note(keyOf(p))
		c.enqueueWhole(keyOf(p))
	}
}

// EnqueueObject makes the controller look at the Placements of a namespace in which an object changed. One that was
// decided already is looked at when things have settled: its new objects follow the decision without being waited for.
func (c *Controller) EnqueueObject(ws logicalcluster.Name, namespace string) {
	for _, key := range c.places.at(ws, namespace) {
		if c.hasDecision(key) {
			c.engine.AddAfter(key, c.config.SettleInterval)
			continue
		}
		c.engine.Add(key)
	}
}

// EnqueueProgress makes the controller look at a Placement whose copies changed.
func (c *Controller) EnqueueProgress(key workspace.Key) {
	c.engine.AddAfter(key, c.config.SettleInterval)
}

// SetEntries takes over who sees a member, after that changed. Where it is not seen any more, or is seen now, what is
// placed has to be looked at even if the decisions stay: objects may wait for a member that nobody knew by its name.
func (c *Controller) SetEntries(registration workspace.Key) {
	lent := sets.Set[logicalcluster.Name]{}
	differing := c.roster.set(registration, c.config.Lending.Entries(registration))
	c.catalog.forget(registration, slices.Collect(maps.Keys(differing))...)
	for ws, moved := range differing {
		if moved.Len() == 0 {
			c.enqueueViewers(ws, changedShape, registration)
			continue
		}
		c.enqueueViewers(ws, changedPresence, registration)
		lent.Insert(ws)
		c.tellNamed(ws, moved)
	}
	if lent.Len() > 0 {
		c.config.OnLending(registration, lent)
	}
}

// ignores reports whether a Placement lists the members that it may have, has none of some others, and says of them only
// that they are not listed, whatever becomes of them.
func (c *Controller) ignores(key workspace.Key, members sets.Set[string]) bool {
	p, found := c.config.Placements.Find(key)
	return found && len(p.Spec.ClusterNames) > 0 && !members.HasAny(p.Spec.ClusterNames...) && !c.names(key, members)
}

// names reports whether the decisions of a Placement name one of some members.
func (c *Controller) names(key workspace.Key, members sets.Set[string]) bool {
	p, found := c.config.Placements.Find(key)
	return found && slices.ContainsFunc(c.Decisions(p), func(d tmcv1alpha1.PlacementDecision) bool { return members.Has(d.ClusterName) })
}

// tellNamed tells of the Placements of a workspace whose decisions name one of some members: who is behind a name, or may have
// it, differs although the decisions stay.
func (c *Controller) tellNamed(ws logicalcluster.Name, members sets.Set[string]) {
	for _, key := range c.places.in(ws) {
		if c.names(key, members) {
			c.config.OnDecision(key)
		}
	}
}

// MemberChanged makes the controller look at the Placements that a change of a member may matter to: all of those who see
// it if it takes work or not for another reason than before, those that wait for room if only its figures differ, and
// those that were decided without knowing which kinds some member serves if it shows that.
func (c *Controller) MemberChanged(registration workspace.Key) {
	viewers := c.roster.viewers(registration)
	c.catalog.forget(registration, viewers...)
	what := c.reshape(registration)
	for _, ws := range viewers {
		c.enqueueViewers(ws, what, registration)
	}
}

func (c *Controller) reshape(registration workspace.Key) change {
	c.noting.Lock()
	defer c.noting.Unlock()
	return c.roster.reshape(registration, c.shapeOf(registration))
}

// roomChanged makes the controller look at the Placements that wait for room on a member.
func (c *Controller) roomChanged(registration workspace.Key) {
	c.config.OnPromise(registration)
	for _, ws := range c.roster.viewers(registration) {
		c.enqueueViewers(ws, changedFigures, registration)
	}
}

// enqueueViewers makes the controller look at the Placements of a workspace that a change of a member concerns.
func (c *Controller) enqueueViewers(ws logicalcluster.Name, what change, member workspace.Key) {
	names := c.roster.namesIn(ws, member)
	for _, key := range c.places.in(ws) {
		c.mu.RLock()
		known, found := c.decided[key]
		c.mu.RUnlock()
		switch {
		case found && what != changedPresence && c.ignores(key, names):
		case what >= changedShape, !found, known.waiting, known.unknown != "" && what == changedKnowledge:
			c.engine.Add(key)
		case known.seeks: // figures change all the time, and nothing waits for this
			c.engine.AddAfter(key, c.config.SettleInterval)
		}
	}
}

func (c *Controller) hasDecision(key workspace.Key) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	known, found := c.decided[key]
	return found && len(known.stored.Decisions) > 0
}

// Member returns the registration behind a name that a workspace sees.
func (c *Controller) Member(ws logicalcluster.Name, name string) (workspace.Key, bool) {
	return c.roster.find(ws, name)
}

// Assumed returns what a member owes to all Placements: what was decided to run there and has not been seen there yet.
func (c *Controller) Assumed(member workspace.Key) corev1.ResourceList {
	return c.ledger.promised(member)
}

// Members returns the members that a workspace sees, by name.
func (c *Controller) Members(ws logicalcluster.Name) map[string]workspace.Key { return c.roster.of(ws) }

// Registered says that a member has a registration.
func (c *Controller) Registered(member workspace.Key) bool {
	_, found := c.config.Registrations.Find(member)
	return found
}

// Held says that a member's registration cannot go without its copies.
func (c *Controller) Held(member workspace.Key) bool {
	registration, found := c.config.Registrations.Find(member)
	return found && slices.Contains(registration.Finalizers, tmcv1alpha1.SyncFinalizer)
}

// RetiringSince says since when a member's registration is being deleted, if it is.
func (c *Controller) RetiringSince(member workspace.Key) (since time.Time, retiring bool) {
	registration, found := c.config.Registrations.Find(member)
	if !found || registration.DeletionTimestamp == nil {
		return time.Time{}, false
	}
	return registration.DeletionTimestamp.Time, true
}

// PlacementOf returns the Placement that places an object.
func (c *Controller) PlacementOf(gr schema.GroupResource, object *unstructured.Unstructured) (*tmcv1alpha1.Placement, bool) {
	first := winner(c.contenders(logicalcluster.From(object), object.GetNamespace()), gr, object)
	return first, first != nil
}

// Unclear reports whether an object that no Placement places may be one that a Placement had before one of its selectors
// could not be parsed any more. Objects that TMC does not write to carry no mark that would tell.
func (c *Controller) Unclear(gr schema.GroupResource, object *unstructured.Unstructured) bool {
	return slices.ContainsFunc(c.contenders(logicalcluster.From(object), object.GetNamespace()), func(p contender) bool {
		return p.mayHave(gr, object)
	})
}

// Decisions returns the members of a Placement as they are written, now: whoever asks may hold an older version of the
// Placement. The result is shared and must not be changed.
func (c *Controller) Decisions(p *tmcv1alpha1.Placement) []tmcv1alpha1.PlacementDecision {
	key := keyOf(p)
	c.mu.RLock()
	known, found := c.decided[key]
	c.mu.RUnlock()
	// In this order: what was decided is never based on a newer version than the one that is found after it. The other way
	// round a version from before the decision would be compared with what replaced the decision once it was read back, and
	// nobody would be told again.
	now, exists := c.config.Placements.Find(key)
	if !exists || now.UID != p.UID {
		now = p
	}
	if found && known.uid == now.UID && known.version == now.ResourceVersion {
		return known.stored.Decisions // written by us, and not read back yet
	}
	return now.Status.Decisions
}

// Explanation is why a Placement has the members that it has.
type Explanation struct {
	Outcome  placement.Outcome
	Rejected []tmcv1alpha1.ClusterRejection
	Lost     []tmcv1alpha1.UnplacedObject
	// Conditions are those of the Placement's status.
	Stored tmcv1alpha1.PlacementOutcome
}

// Explain returns why a Placement has the members that it has, and false if it was not looked at yet.
func (c *Controller) Explain(key workspace.Key) (Explanation, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	known, found := c.decided[key]
	if !found {
		return Explanation{}, false
	}
	return Explanation{Outcome: known.outcome, Rejected: known.rejected, Lost: known.lost, Stored: known.stored}, true
}

func (c *Controller) forget(key workspace.Key) {
	c.mu.Lock()
	_, known := c.decided[key]
	delete(c.decided, key)
	delete(c.shown, key)
	c.mu.Unlock()
	changed := c.ledger.forget(key)
	for _, member := range changed {
		c.roomChanged(member)
	}
	if known {
		c.config.OnDecision(key)
	}
}
