// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"errors"

	"k8s.io/component-base/metrics"
)

// Metrics count requests and reviews. A nil Metrics counts nothing. No label grows with tenants.
type Metrics struct {
	requests *metrics.CounterVec
	refusals *metrics.CounterVec
	reviews  *metrics.CounterVec
}

// Registerer is where metrics are made known.
type Registerer interface {
	Register(metric metrics.Registerable) error
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "tmc", Subsystem: "door", Name: "requests_total",
			Help:           "Requests by the door they took and by who vouches for them.",
			StabilityLevel: metrics.ALPHA,
		}, []string{"door", "trust"}),
		refusals: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "tmc", Subsystem: "door", Name: "refusals_total",
			Help:           "Requests that were refused before they reached the API server's handler chain, or that reached it without an identity, by reason.",
			StabilityLevel: metrics.ALPHA,
		}, []string{"reason"}),
		reviews: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "tmc", Subsystem: "door", Name: "access_reviews_total",
			Help:           "Access reviews by result: hit was answered from the cache, miss was asked, error failed.",
			StabilityLevel: metrics.ALPHA,
		}, []string{"result"}),
	}
	return m, errors.Join(registry.Register(m.requests), registry.Register(m.refusals), registry.Register(m.reviews))
}

func (m *Metrics) request(identity *Identity) {
	if m != nil {
		m.requests.WithLabelValues(identity.Door(), string(identity.Trust())).Inc()
	}
}

func (m *Metrics) refusal(reason string) {
	if m != nil {
		m.refusals.WithLabelValues(reason).Inc()
	}
}

func (m *Metrics) review(result string) {
	if m != nil {
		m.reviews.WithLabelValues(result).Inc()
	}
}
