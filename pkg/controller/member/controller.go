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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/logicalcluster/v3"

	"github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Registrations are those of bound workspaces; one of a workspace that is no longer bound is not found.
type Registrations interface {
	Find(key workspace.Key) (*v1alpha1.ClusterRegistration, bool)
	ByWorkspace(ws logicalcluster.Name) []*v1alpha1.ClusterRegistration
	List() []*v1alpha1.ClusterRegistration
}

// Secrets are those of bound workspaces that hold credentials of members.
type Secrets interface {
	Find(key workspace.Key) (*corev1.Secret, bool)
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
	engine *engine.Engine

	mu      sync.Mutex
	members map[workspace.Key]*member
	byUID   map[types.UID]map[workspace.Key]*member // the members that claim a cluster
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
	c := &Controller{config: config, members: map[workspace.Key]*member{}, byUID: map[types.UID]map[workspace.Key]*member{}}
	c.engine = engine.New(engine.Config{
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

// EnqueueSecret makes the controller look at the registrations that name a Secret.
func (c *Controller) EnqueueSecret(key workspace.Key) {
	for _, registration := range c.config.Registrations.ByWorkspace(key.Workspace) {
		if secretOf(registration) == key {
			c.engine.Add(keyOf(registration))
		}
	}
}

// Run works until the context ends.
func (c *Controller) Run(ctx context.Context) { c.engine.Run(ctx) }

// Observation returns what is known of a member, with the conditions that the controller reports. What it returns is
// shared and must not be changed.
func (c *Controller) Observation(key workspace.Key) (view.Observation, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.members[key]
	if !ok {
		return view.Observation{}, false
	}
	return found.observation, true
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
	if problem == nil {
		c.observe(m, key, connection)
	} else {
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
func (c *Controller) memberOf(registration *v1alpha1.ClusterRegistration) *member {
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
	c.enqueueRivals(key, claimed)
	c.config.OnChange(key)
}

func (c *Controller) untilExpiry(m *member) time.Duration {
	if m.validUntil.IsZero() {
		return 0
	}
	return max(m.validUntil.Sub(c.config.Clock.Now()), time.Second)
}

func sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
