// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"k8s.io/component-base/metrics"
)

// Registerer takes metrics; the registries of component-base do.
type Registerer interface {
	Register(metric metrics.Registerable) error
}

// Metrics count what controllers do. A nil Metrics counts nothing.
type Metrics struct {
	duration *metrics.HistogramVec
	panics   *metrics.CounterVec
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry Registerer) (*Metrics, error) {
	m := &Metrics{
		duration: metrics.NewHistogramVec(&metrics.HistogramOpts{
			Namespace: "tmc", Subsystem: "controller", Name: "reconcile_duration_seconds", StabilityLevel: metrics.ALPHA,
			Help:    "Time that reconciles took, by controller and outcome.",
			Buckets: []float64{.0001, .001, .01, .1, 1, 10},
		}, []string{"controller", "outcome"}),
		panics: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "tmc", Subsystem: "controller", Name: "panics_total", StabilityLevel: metrics.ALPHA,
			Help: "Reconciles that panicked and were recovered.",
		}, []string{"controller"}),
	}
	for _, metric := range []metrics.Registerable{m.duration, m.panics} {
		if err := registry.Register(metric); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) observe(controller string, took time.Duration, err error) {
	if m == nil {
		return
	}
	outcome := "done"
	if err != nil {
		outcome = "failed"
	}
	m.duration.WithLabelValues(controller, outcome).Observe(took.Seconds())
}

func (m *Metrics) panicked(controller string) {
	if m != nil {
		m.panics.WithLabelValues(controller).Inc()
	}
}
