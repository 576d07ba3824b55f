// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Controller keeps copies of placed objects on members.
type Controller struct {
	config Config
	engine *engine.Engine[Key]
	states *states
	lanes  *lanes

	// began is when this process did.
	began time.Time

	mu sync.RWMutex
	// kinds are those that were ever known: copies of a kind that is gone must be found to be removed.
	kinds map[schema.GroupResource]Kind
}

// New returns a controller that works while Run runs.
func New(config Config) *Controller {
	c := &Controller{config: config.withDefaults(), states: newStates(), kinds: map[schema.GroupResource]Kind{}}
	c.began = c.config.Clock.Now()
	c.engine = engine.New(engine.Config[Key]{
		Name: "sync", Reconcile: c.Reconcile, Workers: c.config.Workers, Clock: c.config.Clock, Metrics: c.config.Metrics,
	})
	c.lanes = &lanes{workers: c.config.WritesPerMember, qps: rate.Limit(c.config.WriteQPS), burst: c.config.WriteBurst, may: c.config.Leader.IsLeader, do: c.do, done: c.wrote, all: map[workspace.Key]*lane{}}
	return c
}

// Run works until the context ends.
func (c *Controller) Run(ctx context.Context) {
	c.lanes.ctx = ctx
	c.engine.Run(ctx)
	c.lanes.close()
}

// Len returns how many objects wait to be looked at.
func (c *Controller) Len() int { return c.engine.Len() }

// wrote takes in the outcome of a write, in the member's lane.
func (c *Controller) wrote(member workspace.Key, key Key, o outcome) {
	c.states.report(key, member, o)
	c.engine.Add(key)
}

// Enqueue makes the controller look at an object, and at what it scales if it is an autoscaler.
func (c *Controller) Enqueue(gr schema.GroupResource, object workspace.Key) {
	key := Key{Resource: gr, Object: object}
	c.engine.Add(key)
	if gr != autoscalers() {
		return
	}
	var now Key
	if hpa, found := c.config.Upstream.Find(gr, object); found {
		if scaled, ok := transform.ScaledBy(hpa); ok {
			object.Name = scaled.Name
			now = Key{Resource: scaled.GroupResource(), Object: object}
		}
	}
	for _, concerned := range c.states.scale(key, now) {
		c.engine.Add(concerned)
	}
}

// EnqueueNamespace makes the controller look at a namespace of a workspace.
func (c *Controller) EnqueueNamespace(ws logicalcluster.Name, name string) {
	c.engine.Add(Key{Resource: namespaces().GroupResource(), Object: workspace.Key{Workspace: ws, Name: name}})
}

// EnqueueCopy makes the controller look at the object that a copy on a member belongs to. The copy is the last known
// one; gone says that it is there no more.
func (c *Controller) EnqueueCopy(member workspace.Key, gvr schema.GroupVersionResource, live *unstructured.Unstructured, gone bool) {
	gr := gvr.GroupResource()
	if gr == namespaces().GroupResource() {
		if key, ok := namespaceOf(live); ok {
			if _, first := c.states.locate(key, member, !gone); first || gone {
				c.config.OnCopies(member)
			}
			c.engine.Add(key)
		}
		return
	}
	origin, ok := transform.OriginOf(live)
	if !ok || !isCopyOf(live, origin.Key()) {
		// Whatever it claims to be, it is not where a copy of that would be. It may be in the way of another one.
		if key, ours := c.placeOf(member, gr, live); ours {
			c.engine.Add(key)
		}
		return
	}
	c.remember(gr, Kind{GVR: gvr})
	key := Key{Resource: gr, Object: origin.Key()}
	c.states.shows(key, member)
	appeared, first := c.states.locate(key, member, !gone)
	if first || gone {
		c.config.OnCopies(member)
	}
	c.engine.Add(key)
	if appeared {
		workloads, _ := c.states.dependents(key)
		for _, workload := range workloads { // they may have been waiting for it
			c.engine.Add(workload)
		}
	}
	if gone {
		c.engine.Add(namespaceKey(key.Object))
		if c.states.shownBy(key, member) == (workspace.Key{}) { // otherwise its row tells
			c.enqueueServing(key, c.states.ownersOf(key))
		}
	}
}

// placeOf returns the object whose copy would be where an object on a member is, if the namespace there is ours.
func (c *Controller) placeOf(member workspace.Key, gr schema.GroupResource, live *unstructured.Unstructured) (Key, bool) {
	namespace, found := c.config.Downstream.Copy(member, Location{Resource: namespaces(), Name: live.GetNamespace()})
	if !found {
		return Key{}, false
	}
	key, ours := namespaceOf(namespace)
	if !ours {
		return Key{}, false
	}
	key.Object.Namespace, key.Object.Name = key.Object.Name, live.GetName()
	return Key{Resource: gr, Object: key.Object}, true
}

func namespaceKey(object workspace.Key) Key {
	return Key{Resource: namespaces().GroupResource(), Object: workspace.Key{Workspace: object.Workspace, Name: object.Namespace}}
}

// EnqueueMember makes the controller look at everything that is, or should be, on a member: it is back, gone, or serves
// other kinds.
func (c *Controller) EnqueueMember(member workspace.Key) {
	for _, key := range c.states.onMember(member) {
		c.engine.Add(key)
	}
}

// EnqueueNamespaces makes the controller look at the namespaces on a member of workspaces that see it no more, or do now.
func (c *Controller) EnqueueNamespaces(member workspace.Key, workspaces sets.Set[logicalcluster.Name]) {
	if c.states.countOn(member) == 0 {
		return
	}
	for key := range c.states.copiesOn(member) {
		if key.Resource == namespaces().GroupResource() && workspaces.Has(key.Object.Workspace) {
			c.engine.Add(key)
		}
	}
}

// RemoveMember ends the work for a member whose registration is gone. What is left there is out of reach.
func (c *Controller) RemoveMember(member workspace.Key) {
	c.lanes.remove(member)
	c.states.forgetMember(member)
	concerned := c.states.onMember(member)
	for _, key := range concerned {
		c.states.locate(key, member, false)
		c.engine.Add(key)
	}
}

// On returns how many copies a member has, as far as is known, and whether it is known for sure: nothing is on its way.
func (c *Controller) On(member workspace.Key) (copies int, certain bool) {
	idle := c.lanes.idle(member) // first: what ends then is fresh
	return c.states.countOn(member), idle && !c.states.hasFresh(member, c.config.Clock.Now()) && c.Knows(member)
}

// Residue names the namespaces on a member that have copies, as far as is known, and how many each has.
func (c *Controller) Residue(member workspace.Key) []string {
	counts := map[string]int{}
	for key := range c.states.copiesOn(member) {
		if key.Resource != namespaces().GroupResource() {
			counts[transform.NamespaceName(key.Object.Workspace, key.Object.Namespace)]++
		}
	}
	residue := make([]string, 0, len(counts))
	for _, namespace := range slices.Sorted(maps.Keys(counts)) {
		residue = append(residue, fmt.Sprintf("%s (%d)", namespace, counts[namespace]))
	}
	return residue
}

// do carries out a task, and notes a copy that was written before it may show.
func (c *Controller) do(ctx context.Context, member workspace.Key, key Key, t task) (*unstructured.Unstructured, error) {
	live, err := c.execute(ctx, member, key, t)
	if err == nil && t.desired != nil {
		c.states.written(key, member, c.config.Clock.Now().Add(echoWait))
	}
	return live, err
}

// Knows reports whether the copies of every kind have been read that a member may have had, whatever is on its way there.
func (c *Controller) Knows(member workspace.Key) bool {
	for _, gr := range c.config.Upstream.Kinds() {
		c.kind(gr) // remembers it
	}
	c.mu.RLock()
	kinds := maps.Clone(c.kinds)
	c.mu.RUnlock()
	for gr, kind := range kinds {
		if c.config.Downstream.Synced(member, kind.GVR) {
			continue
		}
		if _, missing := c.config.Downstream.Missing(member, gr); !missing {
			return false
		}
	}
	return true
}

// EnqueuePlacement makes the controller look at the objects of a Placement, those that it had and those that it may have.
func (c *Controller) EnqueuePlacement(placement workspace.Key) {
	for _, key := range c.states.placedIn(placement) {
		c.engine.Add(key)
	}
	for _, gr := range c.config.Upstream.Kinds() {
		for _, found := range c.config.Upstream.InNamespace(gr, placement.Workspace, placement.Namespace) {
			c.engine.Add(Key{Resource: gr, Object: workspace.Key{Workspace: placement.Workspace, Namespace: placement.Namespace, Name: found.GetName()}})
		}
	}
}

// EnqueueWorkspace makes the controller look at everything of a workspace.
func (c *Controller) EnqueueWorkspace(ws logicalcluster.Name) {
	c.states.mu.RLock()
	defer c.states.mu.RUnlock()
	for key := range c.states.rows {
		if key.Object.Workspace == ws {
			c.engine.Add(key)
		}
	}
	for key := range c.states.located {
		if key.Object.Workspace == ws {
			c.engine.Add(key)
		}
	}
}

// EnqueueAll makes the controller look at everything, as a new leader must.
func (c *Controller) EnqueueAll() {
	c.states.mu.RLock()
	defer c.states.mu.RUnlock()
	for key := range c.states.objects {
		c.engine.Add(key)
	}
	for key := range c.states.located {
		c.engine.Add(key)
	}
}

// Rows returns the copies of a Placement, by object.
func (c *Controller) Rows(placement workspace.Key) map[Key][]Row { return c.states.rowsOf(placement) }

// kind returns what is known of a resource, also after it went.
func (c *Controller) kind(gr schema.GroupResource) (Kind, bool) {
	if kind, found := c.config.Upstream.Kind(gr); found {
		c.remember(gr, kind)
		return kind, true
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	kind, found := c.kinds[gr]
	return kind, found
}

func (c *Controller) remember(gr schema.GroupResource, kind Kind) {
	c.mu.RLock()
	known, found := c.kinds[gr]
	c.mu.RUnlock()
	if found && known == kind {
		return
	}
	if _, offered := c.config.Upstream.Kind(gr); found && offered && kind == (Kind{GVR: kind.GVR}) {
		return // what a member tells does not replace what workspaces tell
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds[gr] = kind
}

// Reconcile brings one object's copies, and its own status, to where they should be.
func (c *Controller) Reconcile(ctx context.Context, key Key) (engine.Result, error) {
	if key.Resource == namespaces().GroupResource() {
		return c.reconcileNamespace(key), nil
	}
	kind, known := c.kind(key.Resource)
	if !known {
		return engine.Result{}, nil
	}
	p := &pass{c: c, key: key, kind: kind, object: c.states.object(key)}
	p.takeIn(c.states.takeOutcomes(key))
	if !p.plan() {
		result := p.doubt() // it is not certain yet what should be
		result.After = soonest(result.After, c.endReading(key))
		return result, nil
	}
	if stale, err := p.mark(ctx); stale || err != nil {
		c.endReading(key)
		return engine.Result{}, err // of one that changed meanwhile, nothing is known that could be carried out
	}
	p.carryOut()
	if err := p.release(ctx); err != nil {
		return engine.Result{}, err
	}
	statusErr := p.writeStatus(ctx)
	p.tell(ctx)
	p.publish()
	return engine.Result{After: p.again}, statusErr
}

// soonest returns the earlier of two delays, of which zero is none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
