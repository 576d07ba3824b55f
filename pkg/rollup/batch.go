// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

import "time"

// job is complete when every copy is, and failed when any is. A job does not come back from either, also when members
// clean finished copies away.
func (m *merge) job() map[string]any {
	fields := [...]string{"active", "ready", "succeeded", "failed"}
	const active, succeeded, failed = 0, 2, 3
	out := make(map[string]any, 7)
	m.read(fields[:], 0)
	m.add(out, fields[:])
	finished := m.finished()
	if finished {
		for _, f := range [...]int{succeeded, failed} {
			out[fields[f]] = max(count(out[fields[f]]), count32(m.previous[fields[f]]))
		}
	}
	for _, field := range fields[active:] {
		if count(out[field]) == 0 {
			delete(out, field) // a job leaves out what it has none of
		}
	}
	if start := m.extreme("startTime", time.Time.Before, finished || m.unheard > 0); start != "" {
		out["startTime"] = start
	}
	conditions := m.jobConditions(finished)
	if len(conditions) > 0 {
		out["conditions"] = conditions
	}
	for _, entry := range conditions {
		if mapping(entry)["type"] != completeCondition {
			continue
		}
		if end := m.extreme("completionTime", time.Time.After, finished); end != "" {
			out["completionTime"] = end
		}
	}
	return out
}

// finished says whether the job had ended before.
func (m *merge) finished() bool {
	before := view{status: m.previous}
	complete, _ := before.condition(completeCondition)
	failed, _ := before.condition(failedCondition)
	return complete.status == statusTrue || failed.status == statusTrue
}

// jobConditions has those that end a job only when they are True, as the job controller does: there are judges that
// look at nothing but the type.
func (m *merge) jobConditions(finished bool) []any {
	out := make([]any, 0, 5)
	if finished {
		before := view{status: m.previous}
		for _, kind := range [...]string{"SuccessCriteriaMet", completeCondition, "FailureTarget", failedCondition, "Suspended"} {
			if c, ok := before.condition(kind); ok {
				out = append(out, m.render(&c, shape{}))
			}
		}
		return out
	}
	failing, failed := m.judge(failedCondition, bad)
	failed = failed && failing.status == statusTrue
	for _, kind := range [...]string{"SuccessCriteriaMet", completeCondition} {
		if c, ok := m.judge(kind, good); ok && c.status == statusTrue && !failed {
			out = append(out, m.render(&c, shape{}))
		}
	}
	if c, ok := m.judge("FailureTarget", bad); ok && c.status == statusTrue {
		out = append(out, m.render(&c, shape{}))
	}
	if failed {
		out = append(out, m.render(&failing, shape{}))
	}
	return m.append(out, "Suspended", bad, shape{})
}

// extreme returns the first or last of the times that copies tell, and the previous one among them if it is to stay.
func (m *merge) extreme(field string, better func(a, b time.Time) bool, stays bool) string {
	var best time.Time
	var found string
	consider := func(v any) {
		if t, ok := moment(v); ok && (found == "" || better(t, best)) {
			best, found = t, text(v)
		}
	}
	if stays {
		consider(m.previous[field])
	}
	for i := range m.views {
		consider(m.views[i].status[field])
	}
	return found
}

// cronJob lists the active jobs of all members, since kubectl counts them. They are named without what would tell how
// members are arranged: the namespace is that of the workspace.
func (m *merge) cronJob() map[string]any {
	out := make(map[string]any, 3)
	namespace := text(mapping(m.upstream["metadata"])["namespace"])
	var active []any
	for i := range m.views {
		for _, entry := range list(m.views[i].status["active"]) {
			if name := name(mapping(entry)["name"]); name != "" && len(active) < maxList {
				active = append(active, map[string]any{"apiVersion": "batch/v1", "kind": "Job", "namespace": namespace, "name": name})
			}
		}
	}
	if len(active) > 0 {
		out["active"] = active
	}
	for _, field := range [...]string{"lastScheduleTime", "lastSuccessfulTime"} {
		if t := m.extreme(field, time.Time.After, true); t != "" {
			out[field] = t
		}
	}
	return out
}
