// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/protoscan"
)

const fuzzSeeds = 60

// FuzzPod proves two things of any input (SEC-20): scanning ends without a panic, and whatever the typed decoder makes of
// it, encoded again, gives the requests that the scheduler computes. The encoding in between takes away what only the
// typed decoder tolerates, such as map keys that reach beyond their entry.
func FuzzPod(f *testing.F) {
	g := newGenerator(3)
	for range fuzzSeeds {
		raw, err := g.pod().Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var scanned capacity.Pod
		scanErr := protoscan.Pod(raw, &scanned)
		var typed corev1.Pod
		if scanErr == nil {
			checkBounds(t, scanned.Requests)
		}
		if hugeExponent(raw) || typed.Unmarshal(raw) != nil || !comparablePod(&typed) {
			return
		}
		comparePod(t, &scanned, &typed)
	})
}

// FuzzNode does for nodes what FuzzPod does for pods.
func FuzzNode(f *testing.F) {
	g := newGenerator(4)
	for range fuzzSeeds {
		raw, err := g.node().Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var scanned capacity.Node
		if protoscan.Node(raw, &scanned) == nil {
			checkBounds(t, scanned.Capacity)
			checkBounds(t, scanned.Allocatable)
		}
		var typed corev1.Node
		if hugeExponent(raw) || typed.Unmarshal(raw) != nil || !comparableNode(&typed) {
			return
		}
		compareNode(t, &typed)
	})
}

// FuzzFrames proves that nothing that is opened before an object is known makes the scanner panic or hang.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("k8s\x00\n\x09\n\x02v1\x12\x03Pod\x12\x02\n\x00\x1a\x00\"\x00"))
	f.Add([]byte("\n\x05ADDED\x12\x04\n\x02ab"))
	f.Add([]byte{0x0b, 0x0b, 0x0c, 0x0c})
	f.Fuzz(func(_ *testing.T, raw []byte) {
		_, _, _, _ = protoscan.Envelope(raw)
		_, _, _ = protoscan.WatchEvent(raw)
		_, _ = protoscan.List(raw, func([]byte) error { return nil })
		_ = protoscan.ObjectMeta(raw, &protoscan.Meta{})
		_ = protoscan.Status(raw, &protoscan.StatusInfo{})
	})
}

func checkBounds(t *testing.T, list []capacity.Amount) {
	t.Helper()
	if len(list) > 32 {
		t.Errorf("%d resources were returned, at most 32 are followed", len(list))
	}
	for _, a := range list {
		if a.Value <= 0 {
			t.Errorf("%s is %d, want a positive amount", a.Name, a.Value)
		}
	}
}

// hugeExponent looks for an exponent of more than two digits: the typed decoder computes such powers of ten, at any
// cost, so that it cannot be compared with.
func hugeExponent(raw []byte) bool {
	for i, c := range raw {
		if c != 'e' && c != 'E' {
			continue
		}
		digits := 0
		for _, d := range raw[i+1:] {
			if d >= '0' && d <= '9' {
				digits++
			} else if digits > 0 || (d != '+' && d != '-') {
				break
			}
		}
		if digits > 2 {
			return true
		}
	}
	return false
}

// comparableList takes out negative amounts, which count as zero here, and says whether the rest has a bound number of
// names.
func comparableList(list corev1.ResourceList, names map[corev1.ResourceName]bool) {
	for name, q := range list {
		names[name] = true
		if q.Sign() < 0 {
			list[name] = resource.Quantity{Format: resource.DecimalSI}
		}
	}
}

func comparablePod(p *corev1.Pod) bool {
	names := map[corev1.ResourceName]bool{}
	for _, containers := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
		for i := range containers {
			comparableList(containers[i].Resources.Requests, names)
		}
	}
	for _, statuses := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range statuses {
			comparableList(statuses[i].AllocatedResources, names)
			if statuses[i].Resources != nil {
				comparableList(statuses[i].Resources.Requests, names)
			}
		}
	}
	for _, r := range []*corev1.ResourceRequirements{p.Spec.Resources, p.Status.Resources} {
		if r != nil {
			comparableList(r.Requests, names)
		}
	}
	comparableList(p.Spec.Overhead, names)
	comparableList(p.Status.AllocatedResources, names)
	return p.UID != "" && len(names) <= 24 && shortEnough(string(p.UID), p.Name, p.Namespace, p.ResourceVersion, p.Spec.NodeName)
}

func comparableNode(n *corev1.Node) bool {
	names := map[corev1.ResourceName]bool{}
	comparableList(n.Status.Capacity, names)
	comparableList(n.Status.Allocatable, names)
	return n.Name != "" && len(names) <= 24 && shortEnough(string(n.UID), n.Name, n.Namespace, n.ResourceVersion)
}

func shortEnough(texts ...string) bool {
	for _, s := range texts {
		if len(s) > 253 {
			return false
		}
	}
	return true
}
