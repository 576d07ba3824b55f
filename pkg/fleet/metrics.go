// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"

	"k8s.io/component-base/metrics"
)

// Metrics counts what a fleet does. No series is bound to a member or a workspace, so their number stays the same
// however many there are.
type Metrics struct {
	members        *metrics.GaugeVec
	probes         *metrics.CounterVec
	probeSeconds   *metrics.Histogram
	lists          *metrics.CounterVec
	watches        *metrics.CounterVec
	events         *metrics.CounterVec
	clusterChanges *metrics.Counter
	audits         *metrics.Counter
	drifts         *metrics.Counter
	requests       *metrics.CounterVec
}

// NewMetrics creates the metrics and registers each, with legacyregistry.Register for example.
func NewMetrics(register func(metrics.Registerable) error) (*Metrics, error) {
	m := newMetrics()
	for _, metric := range []metrics.Registerable{
		m.members, m.probes, m.probeSeconds, m.lists, m.watches, m.events, m.clusterChanges, m.audits, m.drifts, m.requests,
	} {
		if err := register(metric); err != nil {
			return nil, fmt.Errorf("registering metric %s: %w", metric.FQName(), err)
		}
	}
	return m, nil
}

func newMetrics() *Metrics {
	return &Metrics{
		members: metrics.NewGaugeVec(&metrics.GaugeOpts{
			Namespace: "tmc", Subsystem: "fleet", Name: "members", StabilityLevel: metrics.ALPHA,
			Help: "Number of members by the status of their condition Reachable.",
		}, []string{"reachable"}),
		probes: newCounterVec("probes_total", "Number of probes by result: OK or a reason of the condition Reachable.", "result"),
		probeSeconds: metrics.NewHistogram(&metrics.HistogramOpts{
			Namespace: "tmc", Subsystem: "fleet", Name: "probe_duration_seconds", StabilityLevel: metrics.ALPHA,
			Help:    "How long probes took.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}),
		lists:          newCounterVec("lists_total", "Number of complete lists of members' objects by resource and result.", "resource", "result"),
		watches:        newCounterVec("watches_total", "Number of watches of members' objects by resource and how they ended.", "resource", "result"),
		events:         newCounterVec("watch_events_total", "Number of events that members sent by resource.", "resource"),
		clusterChanges: newCounter("cluster_changes_total", "Number of times that another cluster answered at the address of a member."),
		audits:         newCounter("audits_total", "Number of recounts of a member's figures."),
		drifts:         newCounter("audit_drifts_total", "Number of sums that a recount found wrong. It must be 0."),
		requests: metrics.NewCounterVec(&metrics.CounterOpts{
			Namespace: "tmc", Subsystem: "member", Name: "requests_total", StabilityLevel: metrics.ALPHA,
			Help: "Number of requests about copies that members were sent, by verb and class of the answer's code.",
		}, []string{"verb", "code"}),
	}
}

func newCounter(name, help string) *metrics.Counter {
	return metrics.NewCounter(&metrics.CounterOpts{
		Namespace: "tmc", Subsystem: "fleet", Name: name, Help: help, StabilityLevel: metrics.ALPHA,
	})
}

func newCounterVec(name, help string, labels ...string) *metrics.CounterVec {
	return metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "tmc", Subsystem: "fleet", Name: name, Help: help, StabilityLevel: metrics.ALPHA,
	}, labels)
}

// resultOf turns an error into a label value, of which there are as many as there are reasons.
func resultOf(err error) string {
	if err == nil {
		return "OK"
	}
	return failureOf(err).reason
}
