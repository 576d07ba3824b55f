// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

import "time"

// disruptionBudget sums: each member grants its own disruptions.
func (m *merge) disruptionBudget() map[string]any {
	fields := [...]string{"expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed"}
	out := make(map[string]any, 6)
	m.read(fields[:], 0)
	m.add(out, fields[:])
	out["observedGeneration"] = m.observed
	m.addConditions(out, shape{generation: true})
	return out
}

// autoscaler sums replicas. Metrics of several members are different measures of different pods, and left out.
func (m *merge) autoscaler() map[string]any {
	fields := [...]string{"currentReplicas", "desiredReplicas"}
	out := make(map[string]any, 6)
	m.read(fields[:], 0)
	m.add(out, fields[:])
	out["observedGeneration"] = m.observed
	if t := m.extreme("lastScaleTime", time.Time.After, true); t != "" {
		out["lastScaleTime"] = t
	}
	if len(m.views) == 1 {
		told := m.views[0].status
		if m.views[0].unheard {
			told = m.previous // as the replicas are those that were last known
		}
		if metrics := metricsOf(list(told["currentMetrics"])); len(metrics) > 0 {
			out["currentMetrics"] = metrics
		}
	}
	m.addConditions(out, shape{})
	return out
}

// metricsOf passes on what kubectl shows: the resource metrics of pods and containers.
func metricsOf(told []any) []any {
	var out []any //nolint:prealloc // nil where nothing is told
	for _, entry := range told[:min(len(told), maxConditions)] {
		kind := text(mapping(entry)["type"])
		var field string
		switch kind {
		case "Resource":
			field = "resource"
		case "ContainerResource":
			field = "containerResource"
		default:
			continue
		}
		source := mapping(mapping(entry)[field])
		current := map[string]any{}
		if utilization, ok := mapping(source["current"])["averageUtilization"]; ok {
			current["averageUtilization"] = count32(utilization)
		}
		for _, amount := range [...]string{"averageValue", "value"} {
			if quantity := quantityOf(mapping(source["current"])[amount]); quantity != "" {
				current[amount] = quantity
			}
		}
		metric := map[string]any{"name": word(source["name"]), "current": current}
		if field == "containerResource" {
			metric["container"] = name(source["container"])
		}
		out = append(out, map[string]any{"type": kind, field: metric})
	}
	return out
}
