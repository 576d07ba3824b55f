// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import "k8s.io/component-base/metrics"

// Metrics count reviews. A nil Metrics counts nothing. No label grows with tenants.
type Metrics struct {
	reviews *metrics.CounterVec
}

// Registerer is where metrics are made known.
type Registerer interface {
	Register(metric metrics.Registerable) error
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry Registerer) (*Metrics, error) {
	m := &Metrics{reviews: metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "tmc", Subsystem: "patchguard", Name: "reviews_total",
		Help: "Updates of tenants' workloads that kcp asked about, by what became of them: untouched, mended, refused; " +
			"malformed, busy and panic were not reviewed.",
		StabilityLevel: metrics.ALPHA,
	}, []string{"outcome"})}
	return m, registry.Register(m.reviews)
}

func (m *Metrics) review(outcome string) {
	if m != nil {
		m.reviews.WithLabelValues(outcome).Inc()
	}
}
