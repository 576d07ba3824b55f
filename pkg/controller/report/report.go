// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report puts PlacementStatuses into the view store.
//
// One key is one Placement. What was decided and what became of it is gathered for a short window, so that a rollout
// costs a bounded number of encodings; the larger a status is, the longer the window. Every replica reports; nothing is
// written to kcp.
package report

import (
	"context"
	"sync"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Defaults of Config.
const (
	DefaultCoalesceWindow  = 100 * time.Millisecond
	DefaultRefreshInterval = 30 * time.Second
	// perCopy makes the window grow with the size of a status: encoding takes some microseconds a copy.
	perCopy = 200 * time.Microsecond
)

// Placements are those of bound workspaces.
type Placements interface {
	Find(key workspace.Key) (*tmcv1alpha1.Placement, bool)
}

// Facts gathers what is known of a Placement, and says false if it was not looked at yet.
type Facts interface {
	Facts(placement *tmcv1alpha1.Placement) (view.PlacementFacts, bool)
}

// Store takes the statuses.
type Store interface {
	SetContent(source workspace.Key, status *tmcv1alpha1.PlacementStatusStatus)
	SetEntries(source workspace.Key, entries []view.Entry)
	DeleteSource(source workspace.Key)
}

// Config says where statuses come from and go to.
type Config struct {
	Placements Placements
	Facts      Facts
	Store      Store
	// CoalesceWindow is how long changes are held back at least, and RefreshInterval how often the time of observation is
	// renewed while nothing else changes; zero takes the defaults.
	CoalesceWindow, RefreshInterval time.Duration
	// Clock is the real clock if nil.
	Clock   clock.WithTicker
	Metrics *engine.Metrics
}

// Controller puts statuses into the store.
type Controller struct {
	config Config
	engine *engine.Engine[workspace.Key]

	mu       sync.Mutex
	reported map[workspace.Key]reported
}

// reported is what the store holds of a Placement.
type reported struct {
	status tmcv1alpha1.PlacementStatusStatus
	at     time.Time
}

// New returns a controller that reports while Run runs.
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
	c := &Controller{config: config, reported: map[workspace.Key]reported{}}
	c.engine = engine.New(engine.Config[workspace.Key]{
		Name: "report", Reconcile: c.Reconcile, Clock: config.Clock, Metrics: config.Metrics,
	})
	return c
}

// Enqueue makes the controller look at a Placement.
func (c *Controller) Enqueue(key workspace.Key) { c.engine.Add(key) }

// Run reports until the context ends.
func (c *Controller) Run(ctx context.Context) { c.engine.Run(ctx) }

// Reconcile brings the status of one Placement up to date.
func (c *Controller) Reconcile(_ context.Context, key workspace.Key) (engine.Result, error) {
	placement, found := c.config.Placements.Find(key)
	if !found {
		c.config.Store.DeleteSource(key)
		c.mu.Lock()
		delete(c.reported, key)
		c.mu.Unlock()
		return engine.Result{}, nil
	}
	facts, known := c.config.Facts.Facts(placement)
	if !known {
		return engine.Result{}, nil // the decision queues it again
	}
	status := view.PlacementStatus(facts)
	again := c.setContent(key, status, len(facts.Copies))
	c.config.Store.SetEntries(key, []view.Entry{{
		Key: key, UID: placement.UID, CreationTimestamp: placement.CreationTimestamp, Labels: placement.Labels,
		Annotations: map[string]string{logicalcluster.AnnotationKey: key.Workspace.String()},
	}})
	return engine.Result{After: again}, nil
}

// setContent reports what is due, and returns when to look again.
func (c *Controller) setContent(key workspace.Key, status tmcv1alpha1.PlacementStatusStatus, copies int) time.Duration {
	now := c.config.Clock.Now()
	c.mu.Lock()
	before, known := c.reported[key]
	c.mu.Unlock()
	if known {
		if wait := c.delay(&before.status, &status, copies) - now.Sub(before.at); wait > 0 {
			return wait
		}
	}
	if !known || !equality.Semantic.DeepEqual(before.status, status) {
		c.config.Store.SetContent(key, &status)
		c.mu.Lock()
		c.reported[key] = reported{status: status, at: now}
		c.mu.Unlock()
	}
	return c.config.RefreshInterval
}

// delay is how long after the last report the next one is due.
func (c *Controller) delay(before, after *tmcv1alpha1.PlacementStatusStatus, copies int) time.Duration {
	if !equality.Semantic.DeepEqual(before.Conditions, after.Conditions) {
		return 0
	}
	if sameBut(before, after) {
		return c.config.RefreshInterval
	}
	return max(c.config.CoalesceWindow, time.Duration(copies)*perCopy)
}

// sameBut reports whether at most times of observation differ.
func sameBut(before, after *tmcv1alpha1.PlacementStatusStatus) bool {
	a, b := timeless(before), timeless(after)
	return equality.Semantic.DeepEqual(a, b)
}

func timeless(status *tmcv1alpha1.PlacementStatusStatus) tmcv1alpha1.PlacementStatusStatus {
	out := *status
	out.ObservationTime = (*metav1.Time)(nil)
	out.Clusters = make([]tmcv1alpha1.PlacementCluster, len(status.Clusters))
	copy(out.Clusters, status.Clusters)
	for i := range out.Clusters {
		out.Clusters[i].ObservationTime = nil
	}
	return out
}
