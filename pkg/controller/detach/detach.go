// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package detach lets a member go only after its copies are gone.
//
// A registration whose member has copies carries a finalizer. When the registration is deleted, the copies are moved or
// removed while its credentials still exist, and then the finalizer is taken off. A member that does not answer is
// waited for a stated time, or not at all if the registration says so; what is left behind then is logged, and told to
// the workspace in an event. A registration whose member never had a copy is not held at all. The package removes no copy itself.
package detach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/crashpoint"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// checkInterval is how often a deletion that waits is looked at, apart from when copies go.
const checkInterval = 2 * time.Second

// answeringPatience is by how much longer a member is waited for that answers.
const answeringPatience = 10

// Registrations are those of bound workspaces.
type Registrations interface {
	Find(key workspace.Key) (*tmcv1alpha1.ClusterRegistration, bool)
	List() []*tmcv1alpha1.ClusterRegistration
}

// Copies tell what a member has.
type Copies interface {
	// On returns how many copies a member has, as far as is known, and whether it is known for sure.
	On(member workspace.Key) (copies int, certain bool)
	// Knows says that a member answers, so that copies of every kind are known of, whatever is on its way there.
	Knows(member workspace.Key) bool
	// Residue names the namespaces on a member that have copies, as far as is known, with how many each.
	Residue(member workspace.Key) []string
	// Awaits says that copies wait to be made on a member until its registration is held.
	Awaits(member workspace.Key) bool
}

// Leader says whether this replica writes.
type Leader interface{ IsLeader() bool }

// Events sends an event into a workspace.
type Events interface {
	CreateEvent(ctx context.Context, ws logicalcluster.Name, event *corev1.Event) error
}

// MetadataPatcher sends a JSON merge patch to a registration.
type MetadataPatcher interface {
	PatchMetadata(ctx context.Context, key workspace.Key, patch []byte) error
}

// Config says what the controller works with.
type Config struct {
	Registrations Registrations
	Copies        Copies
	Leader        Leader
	Metadata      MetadataPatcher
	Events        Events
	// DetachAfter is how long a deletion waits for a member that does not answer, and a tenth of how long for one that
	// does.
	DetachAfter time.Duration
	// Clock is the real clock if nil.
	Clock   clock.WithTicker
	Metrics *engine.Metrics
}

// Controller holds registrations until their members have no copies.
type Controller struct {
	config Config
	engine *engine.Engine[workspace.Key]
}

// New returns a controller that works while Run runs.
func New(config Config) *Controller {
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	c := &Controller{config: config}
	c.engine = engine.New(engine.Config[workspace.Key]{
		Name: "detach", Reconcile: c.Reconcile, Clock: config.Clock, Metrics: config.Metrics,
	})
	return c
}

// Enqueue makes the controller look at a registration.
func (c *Controller) Enqueue(key workspace.Key) { c.engine.Add(key) }

// EnqueueAll makes the controller look at all registrations, as a new leader must.
func (c *Controller) EnqueueAll() {
	for _, registration := range c.config.Registrations.List() {
		c.engine.Add(workspace.Key{Workspace: logicalcluster.From(registration), Name: registration.Name})
	}
}

// Run works until the context ends.
func (c *Controller) Run(ctx context.Context) { c.engine.Run(ctx) }

// Reconcile puts the finalizer onto one registration, or takes it off.
func (c *Controller) Reconcile(ctx context.Context, key workspace.Key) (engine.Result, error) {
	registration, found := c.config.Registrations.Find(key)
	if !found || !c.config.Leader.IsLeader() {
		return engine.Result{}, nil
	}
	held := slices.Contains(registration.Finalizers, tmcv1alpha1.SyncFinalizer)
	copies, certain := c.config.Copies.On(key)
	switch {
	case registration.DeletionTimestamp == nil && !held && (copies > 0 || c.config.Copies.Awaits(key)):
		return engine.Result{}, c.patch(ctx, registration, append(slices.Clone(registration.Finalizers), tmcv1alpha1.SyncFinalizer))
	case registration.DeletionTimestamp == nil || !held:
		return engine.Result{}, nil
	case copies == 0 && certain:
	case c.givesUp(registration, c.config.Copies.Knows(key)): // what is on its way makes it no member that does not answer
		c.tellResidue(ctx, key, registration, copies)
	default:
		return engine.Result{After: checkInterval}, nil
	}
	return engine.Result{}, c.patch(ctx, registration, slices.DeleteFunc(slices.Clone(registration.Finalizers), func(name string) bool {
		return name == tmcv1alpha1.SyncFinalizer
	}))
}

// givesUp reports whether a deletion is waited for no longer. A member that answers gets more time: its copies can be
// removed. It does not get for ever: a tenant who suspended a Placement must not keep the member's owner from taking it
// away.
func (c *Controller) givesUp(registration *tmcv1alpha1.ClusterRegistration, answers bool) bool {
	if registration.Annotations[tmcv1alpha1.ForceDetachAnnotation] == tmcv1alpha1.ForceDetachValue {
		return true
	}
	patience := c.config.DetachAfter
	if answers {
		patience *= answeringPatience
	}
	return !c.config.Clock.Now().Before(registration.DeletionTimestamp.Add(patience))
}

func (c *Controller) patch(ctx context.Context, registration *tmcv1alpha1.ClusterRegistration, finalizers []string) error {
	key := workspace.Key{Workspace: logicalcluster.From(registration), Name: registration.Name}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": registration.UID, "resourceVersion": registration.ResourceVersion, "finalizers": finalizers,
	}})
	if err != nil {
		return fmt.Errorf("encoding the finalizers of registration %s: %w", key, err)
	}
	crashpoint.Hit(crashpoint.BeforeDetach)
	err = c.config.Metadata.PatchMetadata(ctx, key, patch)
	crashpoint.Hit(crashpoint.AfterDetach)
	var status apierrors.APIStatus
	if errors.As(err, &status) && (apierrors.IsNotFound(err) || apierrors.IsConflict(err)) {
		return nil // it is gone or another one by now, and the next event tells so
	}
	return err
}
