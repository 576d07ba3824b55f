// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	phaseBound   = "Bound"
	phasePending = "Pending"
	phaseLost    = "Lost"
)

// volumeClaim is bound when every claim is, and can hold what the smallest one can.
func (m *merge) volumeClaim() map[string]any {
	out := make(map[string]any, 4)
	out["phase"] = m.phase()
	var modes []any
	capacity := map[string]any{}
	first := true
	var before map[string]any
	if m.unheard > 0 {
		before = m.boundBefore()
	}
	for i := range m.views {
		status := m.views[i].status
		if m.views[i].unheard { // what a claim can hold does not go with the connection
			status = before
		}
		if m.views[i].missing || text(status["phase"]) != phaseBound {
			continue
		}
		modes = commonModes(modes, list(status["accessModes"]), first)
		leastCapacity(capacity, mapping(status["capacity"]))
		first = false
	}
	if len(modes) > 0 {
		out["accessModes"] = modes
	}
	if len(capacity) > 0 {
		out["capacity"] = capacity
	}
	m.addConditions(out, shape{})
	return out
}

// boundBefore is what all claims together were said to hold, as that of a bound one; nil if nothing was said. Modes without a
// capacity, or a capacity without modes, are what claims had in common.
func (m *merge) boundBefore() map[string]any {
	modes, capacity := commonModes(nil, list(m.previous["accessModes"]), true), map[string]any{}
	leastCapacity(capacity, mapping(m.previous["capacity"]))
	if len(modes) == 0 && len(capacity) == 0 {
		return nil
	}
	return map[string]any{"phase": phaseBound, "accessModes": modes, "capacity": capacity}
}

// phase is Lost if any claim is, else Pending if any is or is not there, else Bound.
func (m *merge) phase() string {
	worst := phaseBound
	for i := range m.views {
		phase := text(m.views[i].status["phase"])
		if m.views[i].unheard {
			phase = text(m.previous["phase"])
		}
		switch phase {
		case phaseLost:
			return phaseLost
		case phaseBound:
		default:
			worst = phasePending
		}
	}
	return worst
}

// commonModes keeps the access modes that all claims have.
func commonModes(modes, told []any, first bool) []any {
	if !first {
		return slices.DeleteFunc(modes, func(mode any) bool { return !slices.Contains(told, mode) })
	}
	for _, mode := range told {
		switch text(mode) {
		case "ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod":
			if !slices.Contains(modes, mode) {
				modes = append(modes, mode)
			}
		}
	}
	return modes
}

// leastCapacity keeps the smallest storage. Claims have no capacity of anything else.
func leastCapacity(capacity, told map[string]any) {
	const storage = "storage"
	amount := quantityOf(told[storage])
	if amount == "" {
		return
	}
	if before := quantityOf(capacity[storage]); before != "" {
		least, smaller := resource.MustParse(before), resource.MustParse(amount) // quantityOf has parsed both
		if least.Cmp(smaller) <= 0 {
			return
		}
	}
	capacity[storage] = amount
}

// quantityOf passes on a quantity that is not negative, and nothing else.
func quantityOf(v any) string {
	s := text(v)
	if s == "" || len(s) > 32 {
		return ""
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 && len(s)-i > len("e-9") {
		return "" // parsing takes as long as the exponent is large
	}
	if q, err := resource.ParseQuantity(s); err != nil || q.Sign() < 0 {
		return ""
	}
	return s
}
