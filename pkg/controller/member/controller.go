// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package member turns ClusterRegistrations into live members, and says on them what came of it.
//
// A registration and its Secret are hostile input: they become a connection or a condition, never an error. A cluster
// that is registered twice is observed for the older registration alone. Every replica observes members; the leader
// alone writes statuses, on transitions only. No credential, and no name of another workspace, leaves the package.
// Observing is the fleet's work, judging input that of memberconfig.
package member

import (
	"context"
	"sync"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// mostWait bounds for how long the queue keeps a key, which it does even when the registration is gone: a tenant may
// make and delete any number of registrations whose certificates end in a hundred years.
const mostWait = time.Hour

// Registrations are those of bound workspaces; one of a workspace that is no longer bound is not found.
type Registrations interface {
	Find(key workspace.Key) (*tmcv1alpha1.ClusterRegistration, bool)
	List() []*tmcv1alpha1.ClusterRegistration
}

// Secrets are those of bound workspaces that hold credentials of members.
type Secrets interface {
	Find(key workspace.Key) (*corev1.Secret, bool)
	// Read reports whether the Secrets of a workspace have been read; before, one that is not found may exist.
	Read(ws logicalcluster.Name) bool
	// Refused returns the name of the workspace's APIBinding if that does not accept our claim on Secrets.
	Refused(ws logicalcluster.Name) (binding string, refused bool)
}

// Fleet observes members.
type Fleet interface {
	Ensure(key workspace.Key, connection memberconfig.Connection)
	Remove(key workspace.Key)
	State(key workspace.Key) (view.Observation, bool)
}

// Leader says whether this replica writes.
type Leader interface{ IsLeader() bool }

// StatusPatcher sends a JSON merge patch to the status of a registration.
type StatusPatcher interface {
	PatchStatus(ctx context.Context, key workspace.Key, patch []byte) error
}

// Config says what the controller works with.
type Config struct {
	Registrations Registrations
	Secrets       Secrets
	Fleet         Fleet
	Leader        Leader
	Status        StatusPatcher
	// Check says what speaks against calling a server, such as its address; nil for nothing. It may be nil.
	Check func(connection memberconfig.Connection) *memberconfig.Problem
	// OnChange is told when Observation of a member may differ. It must not block.
	OnChange func(key workspace.Key)
	// Clock is the real clock if nil.
	Clock   clock.WithTicker
	Metrics *engine.Metrics
}

// Controller turns registrations into members.
type Controller struct {
	config Config
	engine *engine.Engine[workspace.Key]

	mu       sync.Mutex
	members  map[workspace.Key]*member
	byUID    map[types.UID]map[workspace.Key]*member   // the members that claim a cluster
	bySecret map[workspace.Key]sets.Set[workspace.Key] // the registrations that name a Secret
}

// New returns a controller that works while Run runs.
func New(config Config) *Controller {
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	if config.Check == nil {
		config.Check = func(memberconfig.Connection) *memberconfig.Problem { return nil }
	}
	if config.OnChange == nil {
		config.OnChange = func(workspace.Key) {}
	}
	c := &Controller{
		config:   config,
		members:  map[workspace.Key]*member{},
		byUID:    map[types.UID]map[workspace.Key]*member{},
		bySecret: map[workspace.Key]sets.Set[workspace.Key]{},
	}
	c.engine = engine.New(engine.Config[workspace.Key]{
		Name: "member", Reconcile: c.Reconcile, Workers: 4, Clock: config.Clock, Metrics: config.Metrics,
	})
	return c
}

// Enqueue makes the controller look at a registration.
func (c *Controller) Enqueue(key workspace.Key) { c.engine.Add(key) }

// EnqueueAll makes the controller look at all registrations, as a new leader must.
func (c *Controller) EnqueueAll() {
	for _, registration := range c.config.Registrations.List() {
		c.engine.Add(keyOf(registration))
	}
}

// EnqueueSecret makes the controller look at the registrations that name a Secret. One that was never looked at is
// queued anyway.
func (c *Controller) EnqueueSecret(key workspace.Key) {
	c.mu.Lock()
	named := c.bySecret[key].UnsortedList()
	c.mu.Unlock()
	for _, registration := range named {
		c.engine.Add(registration)
	}
}

// Run works until the context ends.
func (c *Controller) Run(ctx context.Context) { c.engine.Run(ctx) }

// Observation returns what is known of a member, with the conditions that the controller reports. What it returns is
// shared and must not be changed.
func (c *Controller) Observation(key workspace.Key) (view.Observation, bool) {
	c.mu.Lock()
	found, ok := c.members[key]
	if !ok {
		c.mu.Unlock()
		return view.Observation{}, false
	}
	observation := found.observation
	c.mu.Unlock()
	// A member that goes on confirming the same figures changes nothing that would lead to a reconcile.
	if state, running := c.config.Fleet.State(key); running && state.Generation == observation.Generation {
		observation.ConfirmedAt = state.ConfirmedAt
	}
	return observation, true
}

// Reconcile brings one member, and the status of its registration, to where they should be.
func (c *Controller) Reconcile(ctx context.Context, key workspace.Key) (engine.Result, error) {
	registration, found := c.config.Registrations.Find(key)
	if !found {
		c.forget(key)
		return engine.Result{}, nil
	}
	m := c.memberOf(registration)
	connection, problem := c.read(m, registration)
	switch {
	case problem == nil:
		c.observe(m, key, connection)
	case problem.Reason != tmcv1alpha1.ReasonPending: // a member that is observed goes on being so while nothing is known
		c.stop(m, key)
	}
	changed := c.report(m, key, registration, problem)
	if changed {
		c.config.OnChange(key)
	}
	wait, err := c.writeStatus(ctx, m, registration)
	return engine.Result{After: sooner(wait, c.untilExpiry(m))}, err
}

// memberOf returns the state of a registration; a registration of the same name that was made anew starts anew.
func (c *Controller) memberOf(registration *tmcv1alpha1.ClusterRegistration) *member {
	key := keyOf(registration)
	c.mu.Lock()
	known, found := c.members[key]
	c.mu.Unlock()
	if found && known.uid == registration.UID {
		return known
	}
	if found {
		c.forget(key)
	}
	fresh := &member{uid: registration.UID, created: registration.CreationTimestamp.Time, conditions: seed(registration)}
	if ready := meta.FindStatusCondition(fresh.conditions, tmcv1alpha1.ConditionReady); ready != nil && ready.ObservedGeneration == registration.Generation {
		fresh.seeded = c.config.Clock.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[key] = fresh
	return fresh
}

// forget ends a member whose registration is gone, and gives way to those that it kept out.
func (c *Controller) forget(key workspace.Key) {
	c.config.Fleet.Remove(key)
	c.mu.Lock()
	gone, found := c.members[key]
	delete(c.members, key)
	var claimed types.UID
	if found {
		claimed = gone.identity.uid
		c.setIdentity(gone, key, identity{})
	}
	c.mu.Unlock()
	if found {
		c.nameSecret(gone, key, workspace.Key{})
	}
	c.enqueueRivals(key, claimed)
	c.config.OnChange(key)
}

func (c *Controller) untilExpiry(m *member) time.Duration {
	if m.validUntil.IsZero() {
		return 0
	}
	return min(max(m.validUntil.Sub(c.config.Clock.Now()), time.Second), mostWait)
}

func sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
