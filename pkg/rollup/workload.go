// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

// deployment follows DeploymentStatusViewer: done when observed, updated >= spec.replicas, replicas <= updated, and
// available >= updated, unless the deadline is exceeded.
func (m *merge) deployment() map[string]any {
	fields := [...]string{"replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"}
	const updated, parts = 1, 3
	out := make(map[string]any, 8)
	m.read(fields[:], parts)
	m.figures(out, fields[:], parts)
	m.hold(out, updated, fields[updated], 0)
	out["observedGeneration"] = m.observed
	conditions := make([]any, 0, 3)
	conditions = m.append(conditions, availableCondition, good, shape{updateTime: true})
	conditions = m.append(conditions, progressingCondition, advancing, shape{updateTime: true})
	conditions = m.append(conditions, replicaFailureCondition, bad, shape{updateTime: true})
	if len(conditions) > 0 {
		out["conditions"] = conditions
	}
	return out
}

// append adds a condition of a known type, if anybody tells of it.
func (m *merge) append(conditions []any, kind string, p polarity, s shape) []any {
	if c, ok := m.judge(kind, p); ok {
		conditions = append(conditions, m.render(&c, s))
	}
	return conditions
}

// statefulSet follows StatefulSetStatusViewer: done when observed, ready >= spec.replicas and, with a partition,
// updated >= spec.replicas - partition; else when both revisions are the same.
func (m *merge) statefulSet() map[string]any {
	fields := [...]string{"replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "currentReplicas"}
	const updated, ready, parts = 1, 2, 4
	out := make(map[string]any, 10)
	m.read(fields[:], parts)
	m.figures(out, fields[:], parts)
	m.hold(out, ready, fields[ready], 0)
	strategy := mapping(mapping(m.upstream["spec"])["updateStrategy"])
	m.hold(out, updated, fields[updated], count32(mapping(strategy["rollingUpdate"])["partition"]))
	out["observedGeneration"] = m.observed
	m.revisions(out)
	m.addConditions(out, shape{})
	return out
}

// revisions are those of the first member that has not come from one to the other, or else of the first member.
// Members name revisions alike only as long as their templates are alike.
func (m *merge) revisions(out map[string]any) {
	var current, update string
	for i := range m.views {
		c, u := name(m.views[i].status["currentRevision"]), name(m.views[i].status["updateRevision"])
		if u != "" && (update == "" || c != u) {
			current, update = c, u
		}
		if u != "" && c != u {
			break
		}
	}
	if update == "" && m.unheard > 0 {
		current, update = name(m.previous["currentRevision"]), name(m.previous["updateRevision"])
	}
	if update != "" {
		out["updateRevision"] = update
	}
	if current != "" {
		out["currentRevision"] = current
	}
}

// daemonSet follows DaemonSetStatusViewer: done when observed, updated >= desired and available >= desired.
func (m *merge) daemonSet() map[string]any {
	fields := [...]string{
		"desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady", "numberAvailable",
		"numberUnavailable", "numberMisscheduled",
	}
	out := make(map[string]any, 9)
	m.read(fields[:], 4)
	m.add(out, fields[:])
	out["observedGeneration"] = m.observed
	m.addConditions(out, shape{})
	return out
}

// replicaSet also is for ReplicationControllers, which have the same status.
func (m *merge) replicaSet() map[string]any {
	fields := [...]string{"replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"}
	const labeled, parts = 1, 3
	out := make(map[string]any, 6)
	m.read(fields[:], parts)
	m.figures(out, fields[:], parts)
	for f := labeled; f <= parts; f++ {
		m.hold(out, f, fields[f], 0)
	}
	out["observedGeneration"] = m.observed
	m.addConditions(out, shape{})
	return out
}

// addConditions merges whatever conditions there are.
func (m *merge) addConditions(out map[string]any, s shape) {
	if conditions := m.conditions(s); len(conditions) > 0 {
		out["conditions"] = conditions
	}
}
