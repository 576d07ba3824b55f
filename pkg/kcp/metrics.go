// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import "k8s.io/component-base/metrics"

// Registerer takes metrics; the registries of component-base do.
type Registerer interface {
	Register(metric metrics.Registerable) error
}

// Metrics count what happens between kcp and us. A nil Metrics counts nothing.
type Metrics struct {
	listFailures *metrics.CounterVec
	undecodable  *metrics.CounterVec
	endpoints    *metrics.GaugeVec
	grace        *metrics.Counter
	writes       *metrics.CounterVec
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry Registerer) (*Metrics, error) {
	m := &Metrics{
		listFailures: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "tmc", Subsystem: "kcp", Name: "list_failures_total", StabilityLevel: metrics.ALPHA,
			Help: "Lists of a resource at an endpoint of kcp that failed, by HTTP status.",
		}, []string{"resource", "code"}),
		undecodable: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "tmc", Subsystem: "kcp", Name: "undecodable_objects_total", StabilityLevel: metrics.ALPHA,
			Help: "Objects that were left out since they could not be decoded.",
		}, []string{"resource"}),
		endpoints: metrics.NewGaugeVec(&metrics.GaugeOpts{
			Namespace: "tmc", Subsystem: "kcp", Name: "endpoints", StabilityLevel: metrics.ALPHA,
			Help: "Endpoints of an export that are followed, by whether all their resources were read.",
		}, []string{"export", "state"}),
		grace: metrics.NewCounter(&metrics.CounterOpts{
			Namespace: "tmc", Subsystem: "kcp", Name: "startup_grace_exceeded_total", StabilityLevel: metrics.ALPHA,
			Help: "Starts that went on without an endpoint that could not be read in time.",
		}),
		writes: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "tmc", Subsystem: "kcp", Name: "writes_total", StabilityLevel: metrics.ALPHA,
			Help: "Writes to workspaces, by what was written and what came of it.",
		}, []string{"verb", "outcome"}),
	}
	for _, metric := range []metrics.Registerable{m.listFailures, m.undecodable, m.endpoints, m.grace, m.writes} {
		if err := registry.Register(metric); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) listFailed(resource, code string) {
	if m != nil {
		m.listFailures.WithLabelValues(resource, code).Inc()
	}
}

func (m *Metrics) undecodableObject(resource string) {
	if m != nil {
		m.undecodable.WithLabelValues(resource).Inc()
	}
}

func (m *Metrics) observeEndpoints(export string, read, unread int) {
	if m != nil {
		m.endpoints.WithLabelValues(export, "read").Set(float64(read))
		m.endpoints.WithLabelValues(export, "unread").Set(float64(unread))
	}
}

func (m *Metrics) graceExceeded() {
	if m != nil {
		m.grace.Inc()
	}
}

func (m *Metrics) wrote(verb verb, outcome string) {
	if m != nil {
		m.writes.WithLabelValues(string(verb), outcome).Inc()
	}
}
