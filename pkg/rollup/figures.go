// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

import "math"

const maxFigures = 7

// read takes the figures of every copy in, in the order of the fields. The first one is the whole; the parts that
// follow it are not more than it. All these are told apart from what an autoscaler decided on; what follows them is not.
func (m *merge) read(fields []string, parts int) {
	for i := range m.views {
		v := &m.views[i]
		if v.status == nil {
			continue
		}
		for f, field := range fields {
			v.n[f] = count32(v.status[field])
			if f <= parts {
				// Below zero, something is missing of what an autoscaler decided on beyond the share. That it is so matters, and
				// not how much: it is the member's word.
				v.n[f] = max(v.n[f]+v.shift, -1)
			}
		}
		for f := range parts {
			v.n[f+1] = min(v.n[f+1], v.n[0])
		}
	}
}

// sum adds up a figure. While something is not known it is not less than before.
func (m *merge) sum(f int, field string) int64 {
	var sum int64
	for i := range m.views {
		sum = add(sum, m.views[i].n[f])
	}
	if m.unheard > 0 {
		sum = max(sum, count(m.previous[field]))
	}
	return min(max(0, sum), math.MaxInt32)
}

// least is a figure of the copy that has least. What is not known is as it was.
func (m *merge) least(f int, field string) int64 {
	least := int64(math.MaxInt32)
	if m.unheard > 0 {
		least = min(least, count(m.previous[field]))
	}
	for i := range m.views {
		if !m.views[i].unheard {
			least = min(least, m.views[i].n[f])
		}
	}
	return max(0, least)
}

// most is a figure of the copy that has most. With one that is not known, it is as before at least up to what is
// wanted: beyond, it would be a surplus that nobody could see go.
func (m *merge) most(f int, field string) int64 {
	var most int64
	if m.unheard > 0 {
		most = min(count(m.previous[field]), m.wanted)
	}
	for i := range m.views {
		most = max(most, m.views[i].n[f])
	}
	return most
}

// whole says whether every member was told to run the workload whole, and that is to count as one.
func (m *merge) whole() bool {
	if !m.asOne || len(m.views) < 2 {
		return false
	}
	for i := range m.views {
		if m.views[i].told != m.wanted {
			return false
		}
	}
	return true
}

// add puts sums into a status.
func (m *merge) add(out map[string]any, fields []string) {
	for f, field := range fields {
		out[field] = m.sum(f, field)
	}
}

// figures puts replicas into a status: sums, or what one cluster would say. Of the fields, the first and those after
// the parts tell of what exists, or is missing; the parts, of what is as it should be.
func (m *merge) figures(out map[string]any, fields []string, parts int) {
	if !m.whole() {
		m.add(out, fields)
		return
	}
	for f, field := range fields {
		if f >= 1 && f <= parts {
			out[field] = m.least(f, field)
		} else {
			out[field] = m.most(f, field)
		}
	}
}

// hold keeps a figure below what its rule waits for while any member has less of it than that member was told to,
// with spare of them left out. See the package comment.
func (m *merge) hold(out map[string]any, f int, field string, spare int64) {
	if m.whole() {
		return // the member with the least is what is told
	}
	var told, have int64
	for i := range m.views {
		due := max(0, m.views[i].told-spare)
		told = add(told, due)
		have = add(have, min(due, m.views[i].n[f]))
	}
	if m.unheard > 0 {
		have = max(have, count(m.previous[field]))
	}
	if have < told {
		out[field] = min(count(out[field]), max(0, m.wanted-spare-1))
	}
}
