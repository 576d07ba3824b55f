// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Cluster is what is known of one member, as one workspace sees it.
type Cluster struct {
	// Name is the name of the member's ClusterStatus in the workspace.
	Name string
	// Labels are those of the ClusterStatus.
	Labels map[string]string
	Taints []tmcv1alpha1.Taint
	// Unschedulable says that the member takes no new work.
	Unschedulable bool
	// Ready is the status of the condition Ready.
	Ready metav1.ConditionStatus
	// CapacityKnown says whether the figures below mean something.
	CapacityKnown bool
	// Allocatable is what the usable nodes offer. Scores are shares of it; without it they are shares of what is available.
	Allocatable corev1.ResourceList
	// Available is what is left of it by what runs, waits or was assumed by other placements than the one to decide on.
	// A resource that is not listed is not there, except places for pods, which then do not count.
	Available corev1.ResourceList
	// LargestFree are the largest free slots. A pod that fits into none of them is taken to fit nowhere.
	LargestFree []tmcv1alpha1.FreeSlot
	// Missing are the kinds that the member does not serve to us, with a message each.
	Missing map[schema.GroupResource]string
	// Unknown are the kinds of which the member has not shown yet whether it serves them to us. It takes no new work of
	// these: what is placed where it turns out not to run would stay there.
	Unknown sets.Set[schema.GroupResource]
}

// Snapshot is the members of one workspace at one time, compiled for decisions. It never changes, and may be used by any
// number of goroutines.
type Snapshot struct {
	members []*Member // by name
}

// Member is a compiled Cluster. It never changes, so that snapshots may share it: compiling is most of what it costs to make
// one. What every decision reads comes first.
type Member struct {
	known         bool
	ready         bool
	unschedulable bool
	hash          uint64
	unused        int64 // the sum of the shares of cpu and memory that are free
	available     vector
	allocatable   vector
	slots         []vector
	taints        []tmcv1alpha1.Taint
	missing       map[schema.GroupResource]string
	unknown       sets.Set[schema.GroupResource]
	labels        labelSet
	name          string
	status        metav1.ConditionStatus
	given         map[string]string
}

// NewSnapshot compiles what is known of the members. Of several with the same name the last counts.
func NewSnapshot(clusters []Cluster) *Snapshot {
	members := make([]*Member, 0, len(clusters))
	for i := range clusters {
		members = append(members, NewMember(&clusters[i]))
	}
	return SnapshotOf(members)
}

// Name is the name of the member's ClusterStatus in the workspace.
func (m *Member) Name() string { return m.name }

// SnapshotOf puts members together. Of several with the same name the last counts. The list is not kept.
func SnapshotOf(members []*Member) *Snapshot {
	s := &Snapshot{members: slices.Clone(members)}
	slices.SortStableFunc(s.members, func(a, b *Member) int { return strings.Compare(a.name, b.name) })
	kept := s.members[:0]
	for i, m := range s.members {
		if i+1 == len(s.members) || s.members[i+1].name != m.name {
			kept = append(kept, m)
		}
	}
	s.members = kept
	return s
}

// With returns a snapshot in which some members are added or replaced. They must be in the order of their names; of several
// with the same name the first counts. The others are shared.
func (s *Snapshot) With(members ...*Member) *Snapshot {
	if len(members) == 0 {
		return s
	}
	next := make([]*Member, 0, len(s.members)+len(members))
	from := 0
	for i, m := range members {
		if i > 0 && m.name == members[i-1].name {
			continue
		}
		at, found := s.find(m.name)
		next = append(append(next, s.members[from:at]...), m)
		if from = at; found {
			from++
		}
	}
	return &Snapshot{members: append(next, s.members[from:]...)}
}

// Len returns the number of members.
func (s *Snapshot) Len() int { return len(s.members) }

// Targets returns those of the named members that are in the snapshot, for Divide and Requirements. The labels are
// shared, and must not be changed.
func (s *Snapshot) Targets(names ...string) []Target {
	targets := make([]Target, 0, len(names))
	for _, name := range names {
		if m := s.lookup(name); m != nil {
			targets = append(targets, Target{Name: m.name, Labels: m.given})
		}
	}
	return targets
}

func (s *Snapshot) find(name string) (int, bool) {
	return slices.BinarySearchFunc(s.members, name, func(m *Member, name string) int { return strings.Compare(m.name, name) })
}

func (s *Snapshot) lookup(name string) *Member {
	if at, found := s.find(name); found {
		return s.members[at]
	}
	return nil
}

// NewMember compiles what is known of a member.
func NewMember(c *Cluster) *Member {
	m := &Member{
		known:         c.CapacityKnown,
		ready:         c.Ready == metav1.ConditionTrue,
		unschedulable: c.Unschedulable,
		hash:          hashOf(c.Name),
		available:     newVector(c.Available, roundDown),
		allocatable:   newVector(c.Allocatable, roundDown),
		slots:         make([]vector, 0, len(c.LargestFree)),
		taints:        slices.Clone(c.Taints),
		missing:       maps.Clone(c.Missing),
		unknown:       maps.Clone(c.Unknown),
		labels:        newLabelSet(c.Labels),
		name:          c.Name,
		status:        c.Ready,
		given:         maps.Clone(c.Labels),
	}
	unlimitPods(&m.available, c.Available)
	if m.known {
		m.unused = m.free(&vector{})
	}
	for i := range c.LargestFree {
		slot := newVector(c.LargestFree[i].Free, roundDown)
		unlimitPods(&slot, c.LargestFree[i].Free)
		if !slices.ContainsFunc(m.slots, func(o vector) bool { return slot.within(&o) }) {
			m.slots = append(m.slots, slot)
		}
	}
	return m
}

// unlimitPods lets pods not count where nothing is said about their number.
func unlimitPods(v *vector, list corev1.ResourceList) {
	if _, ok := list[corev1.ResourcePods]; !ok {
		v.fixed[pods] = maxAmount
	}
}

// hashOf is FNV-1a, which is the same on every replica.
func hashOf(text string) uint64 {
	hash := uint64(14695981039346656037)
	for i := range len(text) {
		hash = (hash ^ uint64(text[i])) * 1099511628211
	}
	return hash
}

// tieOf mixes the hashes of a placement and a member into an order of members that is another one for every placement.
func tieOf(key, name uint64) uint64 {
	x := key ^ (name * 0x9e3779b97f4a7c15)
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
