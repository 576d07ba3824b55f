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
			Help: "Endpoints of the export that are followed, by whether all their resources were read.",
		}, []string{"state"}),
		grace: metrics.NewCounter(&metrics.CounterOpts{
			Namespace: "tmc", Subsystem: "kcp", Name: "startup_grace_exceeded_total", StabilityLevel: metrics.ALPHA,
			Help: "Starts that went on without an endpoint that could not be read in time.",
		}),
	}
	for _, metric := range []metrics.Registerable{m.listFailures, m.undecodable, m.endpoints, m.grace} {
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

func (m *Metrics) observeEndpoints(read, unread int) {
	if m != nil {
		m.endpoints.WithLabelValues("read").Set(float64(read))
		m.endpoints.WithLabelValues("unread").Set(float64(unread))
	}
}

func (m *Metrics) graceExceeded() {
	if m != nil {
		m.grace.Inc()
	}
}
