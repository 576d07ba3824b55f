// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish puts rows into the view store.
//
// One key is one registration: its content is computed once however many workspaces see it, and its rows are those
// that the grants give. Figures that change all the time are held back for a short window, so that a busy member
// costs a bounded number of encodings; a changed condition is published at once. Rows of a registration that is gone
// or whose workspace is no longer bound go at once. Every replica publishes; nothing is written to kcp.
package publish

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Defaults of Config.
const (
	DefaultCoalesceWindow  = 100 * time.Millisecond
	DefaultRefreshInterval = 30 * time.Second
)

// Registrations are those of bound workspaces.
type Registrations interface {
	Find(key workspace.Key) (*tmcv1alpha1.ClusterRegistration, bool)
}

// Members knows what is known of each member.
type Members interface {
	Observation(key workspace.Key) (view.Observation, bool)
}

// Lending knows who sees each member.
type Lending interface {
	Entries(key workspace.Key) []view.Entry
}

// Promises know what was decided to run on a member and has not been seen there yet.
type Promises interface {
	Assumed(member workspace.Key) corev1.ResourceList
}

// Store takes the rows.
type Store interface {
	SetContent(source workspace.Key, status *tmcv1alpha1.ClusterStatusStatus)
	SetEntries(source workspace.Key, entries []view.Entry)
	DeleteSource(source workspace.Key)
}

// Config says where rows come from and go to.
type Config struct {
	Registrations Registrations
	Members       Members
	Lending       Lending
	// Promises may be nil.
	Promises Promises
	Store    Store
	// CoalesceWindow is how long figures are held back at most, and RefreshInterval how often the time of observation
	// is renewed while nothing else changes; zero takes the defaults.
	CoalesceWindow, RefreshInterval time.Duration
	// Clock is the real clock if nil.
	Clock   clock.WithTicker
	Metrics *engine.Metrics
}

// Controller puts rows into the store.
type Controller struct {
	config Config
	engine *engine.Engine[workspace.Key]

	mu        sync.Mutex
	published map[workspace.Key]published
}

// published is what the store holds of a registration.
type published struct {
	status tmcv1alpha1.ClusterStatusStatus
	at     time.Time
}

// New returns a controller that publishes while Run runs.
func New(config Config) *Controller {
	if config.CoalesceWindow == 0 {
		config.CoalesceWindow = DefaultCoalesceWindow
	}
	if config.RefreshInterval == 0 {
		config.RefreshInterval = DefaultRefreshInterval
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	c := &Controller{config: config, published: map[workspace.Key]published{}}
	c.engine = engine.New(engine.Config[workspace.Key]{
		Name: "publish", Reconcile: c.Reconcile, Clock: config.Clock, Metrics: config.Metrics,
	})
	return c
}

// Enqueue makes the controller look at a registration, its member and its rows.
func (c *Controller) Enqueue(key workspace.Key) { c.engine.Add(key) }

// Run publishes until the context ends.
func (c *Controller) Run(ctx context.Context) { c.engine.Run(ctx) }

// Reconcile brings the rows of one registration up to date.
func (c *Controller) Reconcile(ctx context.Context, key workspace.Key) (engine.Result, error) {
	registration, found := c.config.Registrations.Find(key)
	entries := c.config.Lending.Entries(key)
	if !found || len(entries) == 0 {
		c.withdraw(ctx, key)
		return engine.Result{}, nil
	}
	observation, _ := c.config.Members.Observation(key)
	status := view.ClusterStatus(registration, observation)
	if c.config.Promises != nil {
		status = view.WithAssumed(status, c.config.Promises.Assumed(key))
	}
	again := c.setContent(key, status)
	c.config.Store.SetEntries(key, entries)
	return engine.Result{After: again}, nil
}

func (c *Controller) withdraw(ctx context.Context, key workspace.Key) {
	c.config.Store.DeleteSource(key)
	c.mu.Lock()
	_, known := c.published[key]
	delete(c.published, key)
	c.mu.Unlock()
	if known {
		klog.FromContext(ctx).V(2).Info("Withdrew member from views", logkey.Member, key)
	}
}

// setContent publishes what is due, and returns when to look again.
func (c *Controller) setContent(key workspace.Key, status tmcv1alpha1.ClusterStatusStatus) time.Duration {
	now := c.config.Clock.Now()
	c.mu.Lock()
	before, known := c.published[key]
	c.mu.Unlock()
	if known {
		if wait := c.delay(&before.status, &status) - now.Sub(before.at); wait > 0 {
			return wait
		}
	}
	if !known || !equality.Semantic.DeepEqual(before.status, status) {
		c.config.Store.SetContent(key, &status)
		c.mu.Lock()
		c.published[key] = published{status: status, at: now}
		c.mu.Unlock()
	}
	return c.config.RefreshInterval
}

// delay is how long after the last publication the next one is due.
func (c *Controller) delay(before, after *tmcv1alpha1.ClusterStatusStatus) time.Duration {
	if !equality.Semantic.DeepEqual(before.Conditions, after.Conditions) {
		return 0
	}
	if sameBut(before, after) {
		return c.config.RefreshInterval
	}
	return c.config.CoalesceWindow
}

// sameBut reports whether at most the time of observation differs.
func sameBut(before, after *tmcv1alpha1.ClusterStatusStatus) bool {
	a, b := *before, *after
	a.ObservationTime, b.ObservationTime = (*metav1.Time)(nil), nil
	return equality.Semantic.DeepEqual(a, b)
}
