// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// maxAmount is where amounts end, in thousandths of cpu and units of anything else. A hundred times as much is still an
// int64, so that shares can be computed of whatever members and tenants claim.
const maxAmount = 1 << 56

// Resources that have a fixed place in every vector.
const (
	cpu = iota
	memory
	storage
	pods
	fixedSlots
)

// amount is a quantity of a resource without a fixed place.
type amount struct {
	name  string
	value int64
}

// vector is amounts of resources; those without a fixed place are sorted by name.
type vector struct {
	fixed  [fixedSlots]int64
	others []amount
}

func slotOf(name corev1.ResourceName) int {
	switch name {
	case corev1.ResourceCPU:
		return cpu
	case corev1.ResourceMemory:
		return memory
	case corev1.ResourceEphemeralStorage:
		return storage
	case corev1.ResourcePods:
		return pods
	default:
		return fixedSlots
	}
}

func nameOf(slot int) string {
	return [fixedSlots]string{
		cpu: string(corev1.ResourceCPU), memory: string(corev1.ResourceMemory),
		storage: string(corev1.ResourceEphemeralStorage), pods: string(corev1.ResourcePods),
	}[slot]
}

// newVector compiles a list with a rounding of quantities. Amounts that are not positive are left out.
func newVector(list corev1.ResourceList, round func(name corev1.ResourceName, q resource.Quantity) int64) vector {
	var v vector
	for name, q := range list {
		value := round(name, q)
		if value <= 0 {
			continue
		}
		if slot := slotOf(name); slot < fixedSlots {
			v.fixed[slot] = value
		} else {
			v.others = append(v.others, amount{name: string(name), value: value})
		}
	}
	slices.SortFunc(v.others, func(a, b amount) int { return strings.Compare(a.name, b.name) })
	return v
}

// roundUp is for what is asked for.
func roundUp(name corev1.ResourceName, q resource.Quantity) int64 {
	unit := int64(1)
	if name == corev1.ResourceCPU {
		unit = 1000
	}
	switch {
	case q.Sign() <= 0:
		return 0
	case q.CmpInt64(maxAmount/unit) >= 0:
		return maxAmount
	case unit == 1000:
		return q.MilliValue()
	default:
		return q.Value()
	}
}

// roundDown is for what there is.
func roundDown(name corev1.ResourceName, q resource.Quantity) int64 {
	value := roundUp(name, q)
	if exact := quantityOf(string(name), value); value > 0 && exact.Cmp(q) > 0 && value < maxAmount {
		value--
	}
	return value
}

// quantityOf writes an amount as people do.
func quantityOf(name string, value int64) resource.Quantity {
	switch {
	case name == string(corev1.ResourceCPU):
		return *resource.NewMilliQuantity(value, resource.DecimalSI)
	case name == string(corev1.ResourceMemory), name == string(corev1.ResourceEphemeralStorage), strings.HasPrefix(name, corev1.ResourceHugePagesPrefix):
		return *resource.NewQuantity(value, resource.BinarySI)
	default:
		return *resource.NewQuantity(value, resource.DecimalSI)
	}
}

// of returns the amount of a resource without a fixed place.
func (v *vector) of(name string) int64 {
	for i := range v.others {
		if v.others[i].name == name {
			return v.others[i].value
		}
	}
	return 0
}

// empty says whether nothing is asked for but places for pods.
func (v *vector) empty() bool {
	return v.fixed[cpu] == 0 && v.fixed[memory] == 0 && v.fixed[storage] == 0 && len(v.others) == 0
}

// within says whether there is as much of everything in room.
func (v *vector) within(room *vector) bool {
	// No amount is negative or above maxAmount, so the differences have a sign bit where something lacks.
	left := (room.fixed[cpu] - v.fixed[cpu]) | (room.fixed[memory] - v.fixed[memory]) |
		(room.fixed[storage] - v.fixed[storage]) | (room.fixed[pods] - v.fixed[pods])
	return left >= 0 && (len(v.others) == 0 || v.lacking(room) == "")
}

// lacking names the first resource of which there is not enough in room, or nothing.
func (v *vector) lacking(room *vector) string {
	for i := range v.fixed {
		if v.fixed[i] > room.fixed[i] {
			return nameOf(i)
		}
	}
	at := 0
	for _, o := range v.others {
		for at < len(room.others) && room.others[at].name < o.name {
			at++
		}
		if at == len(room.others) || room.others[at].name != o.name || room.others[at].value < o.value {
			return o.name
		}
	}
	return ""
}

// get returns the amount of any resource.
func (v *vector) get(name string) int64 {
	if slot := slotOf(corev1.ResourceName(name)); slot < fixedSlots {
		return v.fixed[slot]
	}
	return v.of(name)
}

// add adds a number of times another vector. Sums end at maxAmount, so that their order does not matter.
func (v *vector) add(o *vector, times int64) {
	if times <= 0 {
		return
	}
	for i := range v.fixed {
		v.fixed[i] = addTimes(v.fixed[i], o.fixed[i], times)
	}
	v.merge(o, func(mine, theirs int64) int64 { return addTimes(mine, theirs, times) })
}

// raise makes every amount as large as in another vector.
func (v *vector) raise(o *vector) {
	for i := range v.fixed {
		v.fixed[i] = max(v.fixed[i], o.fixed[i])
	}
	v.merge(o, func(mine, theirs int64) int64 { return max(mine, theirs) })
}

// merge combines the amounts without a fixed place. It makes a new list, for vectors share theirs.
func (v *vector) merge(o *vector, combine func(mine, theirs int64) int64) {
	if len(o.others) == 0 {
		return
	}
	merged := make([]amount, 0, len(v.others)+len(o.others))
	at := 0
	for _, theirs := range o.others {
		for at < len(v.others) && v.others[at].name < theirs.name {
			merged = append(merged, v.others[at])
			at++
		}
		mine := int64(0)
		if at < len(v.others) && v.others[at].name == theirs.name {
			mine = v.others[at].value
			at++
		}
		merged = append(merged, amount{name: theirs.name, value: combine(mine, theirs.value)})
	}
	v.others = append(merged, v.others[at:]...)
}

// compare orders vectors, so that what is computed of several does not depend on the order they came in.
func (v *vector) compare(o *vector) int {
	return cmp.Or(slices.Compare(v.fixed[:], o.fixed[:]), slices.CompareFunc(v.others, o.others, func(a, b amount) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.value, b.value))
	}))
}

// list is the vector in the terms of the API.
func (v *vector) list() corev1.ResourceList {
	list := make(corev1.ResourceList, fixedSlots+len(v.others))
	for i, value := range v.fixed {
		if value > 0 {
			list[corev1.ResourceName(nameOf(i))] = quantityOf(nameOf(i), value)
		}
	}
	for _, o := range v.others {
		list[corev1.ResourceName(o.name)] = quantityOf(o.name, o.value)
	}
	return list
}

func addTimes(sum, value, times int64) int64 {
	high, low := bits.Mul64(uint64(value), uint64(times))
	if high > 0 || low >= maxAmount {
		return maxAmount
	}
	return min(sum+int64(low), maxAmount)
}

// compareProducts compares a*b with c*d, none of them negative.
func compareProducts(a, b, c, d int64) int {
	leftHigh, leftLow := bits.Mul64(uint64(a), uint64(b))
	rightHigh, rightLow := bits.Mul64(uint64(c), uint64(d))
	return cmp.Or(cmp.Compare(leftHigh, rightHigh), cmp.Compare(leftLow, rightLow))
}
