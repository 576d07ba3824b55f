// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterstatus

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// ratio renders one resource as part/whole.
func ratio(format func(resource.Quantity) string, part, whole corev1.ResourceList, name corev1.ResourceName) string {
	return pair(text(format, part, name), text(format, whole, name))
}

func pair(a, b string) string {
	if a == unknown && b == unknown {
		return unknown
	}
	return a + "/" + b
}

func text(format func(resource.Quantity) string, list corev1.ResourceList, name corev1.ResourceName) string {
	quantity, ok := list[name]
	if !ok {
		return unknown
	}
	return format(quantity)
}

// cores renders CPU in cores. It rounds down, so that it never promises more than there is; less than a tenth of a
// core is shown in thousandths, so that little is not mistaken for nothing.
func cores(q resource.Quantity) string {
	milli := q.MilliValue()
	if milli > -100 && milli < 100 && milli != 0 {
		return strconv.FormatInt(milli, 10) + "m"
	}
	return tenths(milli, 1000)
}

// bytesText renders memory in the greatest binary unit of which there is at least one, rounded down.
func bytesText(q resource.Quantity) string {
	value := q.Value()
	unit := int64(1)
	suffixes := []string{"", "Ki", "Mi", "Gi", "Ti", "Pi"}
	at := 0
	for at < len(suffixes)-1 && value/unit >= 1024 {
		unit *= 1024
		at++
	}
	return tenths(value, unit) + suffixes[at]
}

// tenths renders value/unit with at most one decimal, rounded down.
func tenths(value, unit int64) string {
	whole, rest := value/unit, value%unit
	decimal := int64(float64(rest) * 10 / float64(unit))
	if decimal <= 0 {
		return strconv.FormatInt(whole, 10)
	}
	return strconv.FormatInt(whole, 10) + "." + strconv.FormatInt(decimal, 10)
}

// maxPod renders the most CPU and the most memory that are free on one node; the nodes may differ.
func maxPod(slots []tmcv1alpha1.FreeSlot) string {
	cpu, memory := unknown, unknown
	for _, slot := range slots {
		switch slot.Resource {
		case corev1.ResourceCPU:
			cpu = text(cores, slot.Free, corev1.ResourceCPU)
		case corev1.ResourceMemory:
			memory = text(bytesText, slot.Free, corev1.ResourceMemory)
		default:
		}
	}
	return pair(cpu, memory)
}
