// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

// other is for kinds that are not known here. The status of a single copy is passed on; of several, only the
// conditions are, and observedGeneration. The schema of the kind prunes what it does not have when it is written.
func (m *merge) other() map[string]any {
	if !m.told() { // nothing that could replace what there is
		out := fit(m.previous)
		m.addObserved(out, m.previous)
		return out
	}
	out := map[string]any{}
	var s shape
	for i := range m.views {
		status := m.views[i].status
		for _, entry := range conditionsOf(status) {
			fields := mapping(entry)
			s.updateTime = s.updateTime || date(fields["lastUpdateTime"]) != ""
			s.generation = s.generation || count(fields["observedGeneration"]) > 0
		}
		m.addObserved(out, status)
	}
	if len(m.views) == 1 {
		out = fit(m.views[0].status)
		delete(out, "conditions")
		m.addObserved(out, m.views[0].status)
	}
	m.addConditions(out, s)
	return out
}

// fit is a status of unknown shape within bounds.
func fit(status map[string]any) map[string]any {
	budget := maxSize
	kept, _ := bounded(status, 0, &budget)
	if out := mapping(kept); out != nil {
		return out
	}
	return map[string]any{}
}

// addObserved sets observedGeneration if the kind has it.
func (m *merge) addObserved(out, told map[string]any) {
	if _, ok := number(told["observedGeneration"]); ok {
		out["observedGeneration"] = m.observed
	} else if _, ok := number(out["observedGeneration"]); !ok {
		delete(out, "observedGeneration") // of another type
	}
}
