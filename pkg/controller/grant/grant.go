// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package grant keeps who sees which member, and says on ClusterGrants whether they are in effect.
//
// Grants of one workspace matter to rows of others, so all of them are resolved together, by view.Resolve, once for a
// burst of changes. Every replica resolves; the leader alone writes statuses, on transitions only.
package grant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// resolveInterval is how long changes are collected after a resolution. The first change is resolved at once.
const resolveInterval = 50 * time.Millisecond

// uncertainPause is how often is looked whether everything has been read.
const uncertainPause = time.Second

// restFactor is how much longer than a resolution the pause after it is at least, so that a tenant who changes
// something all the time cannot keep a processor busy.
const restFactor = 4

// Registrations are those of bound workspaces.
type Registrations interface {
	List() []*tmcv1alpha1.ClusterRegistration
}

// Grants are those of bound workspaces.
type Grants interface {
	Find(key workspace.Key) (*tmcv1alpha1.ClusterGrant, bool)
	List() []*tmcv1alpha1.ClusterGrant
}

// Workspaces are the bound ones, with their paths.
type Workspaces interface {
	All() map[logicalcluster.Name]logicalcluster.Path
}

// Leader says whether this replica writes.
type Leader interface{ IsLeader() bool }

// StatusPatcher sends a JSON merge patch to the status of a grant.
type StatusPatcher interface {
	PatchStatus(ctx context.Context, key workspace.Key, patch []byte) error
}

// Config says what the controller works with.
type Config struct {
	Registrations Registrations
	Grants        Grants
	Workspaces    Workspaces
	Leader        Leader
	Status        StatusPatcher
	// Trusts says whose grants have the names before those of others; it may be nil.
	Trusts func(lender logicalcluster.Name) bool
	// CompleteSince is since when all registrations, grants and bindings have been read without a break; zero is not at
	// all. If it is nil, they always have been.
	CompleteSince func() time.Time
	// OnChange is told the registrations whose rows differ. It must not block.
	OnChange func(registration workspace.Key)
	// Clock is the real clock if nil.
	Clock   clock.WithTicker
	Metrics *engine.Metrics
}

// Controller keeps who sees which member.
type Controller struct {
	config Config
	engine *engine.Engine[workspace.Key]
	kick   chan struct{}

	resolving sync.Mutex // an older resolution must not replace a newer one
	mu        sync.RWMutex
	lending   view.Lending
	written   map[workspace.Key]written
	// resolvedOf is the time since which everything had been read when the last resolution began that has been told.
	resolvedOf time.Time
}

// written is the last status that was written, and on top of which version of the grant.
type written struct {
	version   string
	condition metav1.Condition
}

// New returns a controller that works while Run runs.
func New(config Config) *Controller {
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	if config.CompleteSince == nil {
		always := config.Clock.Now()
		config.CompleteSince = func() time.Time { return always }
	}
	if config.OnChange == nil {
		config.OnChange = func(workspace.Key) {}
	}
	c := &Controller{config: config, kick: make(chan struct{}, 1), written: map[workspace.Key]written{}}
	c.engine = engine.New(engine.Config[workspace.Key]{
		Name: "grant", Reconcile: c.Reconcile, Clock: config.Clock, Metrics: config.Metrics,
	})
	return c
}

// Changed makes the controller resolve anew: a registration, a grant or a binding changed.
func (c *Controller) Changed() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// Enqueue makes the controller look at a grant that changed.
func (c *Controller) Enqueue(key workspace.Key) {
	c.engine.Add(key)
	c.Changed()
}

// EnqueueAll makes the controller look at all grants, as a new leader must.
func (c *Controller) EnqueueAll() {
	for _, grant := range c.config.Grants.List() {
		c.engine.Add(keyOf(grant))
	}
}

// Entries returns the rows of a registration. They are shared and must not be changed.
func (c *Controller) Entries(registration workspace.Key) []view.Entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.lending.Entries[registration]
}

// Certain says that who is not seen to see a member does not: everything has been read, and what follows from it has been
// told.
func (c *Controller) Certain() bool {
	since := c.config.CompleteSince()
	c.mu.RLock()
	defer c.mu.RUnlock()
	return !since.IsZero() && c.resolvedOf.Equal(since)
}

// Run works until the context ends.
func (c *Controller) Run(ctx context.Context) {
	var queue sync.WaitGroup
	defer queue.Wait()
	queue.Go(func() { c.engine.Run(ctx) })
	c.Changed()
	ticker := c.config.Clock.NewTicker(uncertainPause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.kick:
		case <-ticker.C(): // nobody tells when the last has been read
			if c.config.CompleteSince().IsZero() || c.Certain() {
				continue
			}
		}
		begin := c.config.Clock.Now()
		c.Resolve()
		select {
		case <-ctx.Done():
			return
		case <-c.config.Clock.After(max(resolveInterval, restFactor*c.config.Clock.Since(begin))):
		}
	}
}

// Resolve decides anew who sees which member, and tells what differs.
func (c *Controller) Resolve() {
	c.resolving.Lock()
	defer c.resolving.Unlock()
	since := c.config.CompleteSince() // before looking
	after := view.Resolve(view.Input{
		Registrations: c.config.Registrations.List(),
		Grants:        c.config.Grants.List(),
		Bound:         c.config.Workspaces.All(),
		Trusts:        c.config.Trusts,
		Former:        c.lending, // written by this function alone
	})
	c.mu.Lock()
	before := c.lending
	c.lending = after
	for key := range c.written {
		if _, found := after.Verdicts[key]; !found {
			delete(c.written, key)
		}
	}
	c.mu.Unlock()
	for key, verdict := range after.Verdicts {
		if before.Verdicts[key] != verdict {
			c.engine.Add(key)
		}
	}
	for _, registration := range differing(before.Entries, after.Entries) {
		c.config.OnChange(registration)
	}
	c.mu.Lock()
	c.resolvedOf = since
	c.mu.Unlock()
}

// differing returns the registrations whose rows differ.
func differing(before, after map[workspace.Key][]view.Entry) []workspace.Key {
	var out []workspace.Key
	for key, entries := range after {
		if !slices.EqualFunc(before[key], entries, view.Entry.Equal) {
			out = append(out, key)
		}
	}
	for key := range before {
		if _, found := after[key]; !found {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, workspace.Key.Compare)
	return out
}

// Reconcile writes the status of one grant, if this replica leads and it differs.
func (c *Controller) Reconcile(ctx context.Context, key workspace.Key) (engine.Result, error) {
	grant, found := c.config.Grants.Find(key)
	c.mu.RLock()
	verdict, resolved := c.lending.Verdicts[key]
	last := c.written[key]
	c.mu.RUnlock()
	if !found || !resolved || !c.config.Leader.IsLeader() {
		return engine.Result{}, nil
	}
	if verdict.UID != grant.UID || verdict.Generation != grant.Generation {
		return engine.Result{}, nil // judged before the grant changed: the next resolution queues it again
	}
	stored := slices.Clone(grant.Status.Conditions)
	if last.version == grant.ResourceVersion {
		stored = []metav1.Condition{last.condition}
	}
	desired := slices.Clone(stored)
	if !meta.SetStatusCondition(&desired, c.condition(grant, verdict)) {
		return engine.Result{}, nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": grant.UID},
		"status":   tmcv1alpha1.ClusterGrantStatus{Conditions: desired},
	})
	if err != nil {
		return engine.Result{}, fmt.Errorf("encoding the status patch: %w", err)
	}
	if err := c.config.Status.PatchStatus(ctx, key, patch); err != nil {
		return engine.Result{}, ignoreGone(err)
	}
	c.mu.Lock()
	c.written[key] = written{version: grant.ResourceVersion, condition: *meta.FindStatusCondition(desired, tmcv1alpha1.ConditionReady)}
	c.mu.Unlock()
	klog.FromContext(ctx).V(2).Info("Wrote status of grant", logkey.Grant, key)
	return engine.Result{}, nil
}

func (c *Controller) condition(grant *tmcv1alpha1.ClusterGrant, verdict view.Verdict) metav1.Condition {
	return metav1.Condition{
		Type: tmcv1alpha1.ConditionReady, Status: verdict.Status, Reason: verdict.Reason, Message: verdict.Message,
		ObservedGeneration: grant.Generation, LastTransitionTime: metav1.NewTime(c.config.Clock.Now()).Rfc3339Copy(),
	}
}

// ignoreGone leaves out errors that the next event explains: the grant is gone, or is another one by now.
func ignoreGone(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) && (apierrors.IsNotFound(err) || apierrors.IsConflict(err)) {
		return nil
	}
	return err
}

func keyOf(grant *tmcv1alpha1.ClusterGrant) workspace.Key {
	return workspace.Key{Workspace: logicalcluster.From(grant), Name: grant.Name}
}
