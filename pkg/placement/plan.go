// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Workload is one object that a Placement places, as far as it matters where.
type Workload struct {
	Resource schema.GroupResource
	// Kind and Name are for explanations.
	Kind, Name string
	// Replicas is how many pods it has: of Jobs the parallelism, 0 for what has no pods.
	Replicas int32
	// Requests are those of one pod.
	Requests corev1.ResourceList
	// PerNode says that it has one pod on every node, so that Replicas means nothing and is never divided. It is counted
	// as one pod, for what further nodes offer is not known.
	PerNode bool
}

// Input is what a decision is about.
type Input struct {
	// Key names the Placement, with workspace and namespace. It seeds the breaking of ties.
	Key       string
	Spec      *tmcv1alpha1.PlacementSpec
	Workloads []Workload
	// Current is what was decided before.
	Current []tmcv1alpha1.PlacementDecision
}

// Plan is a compiled Input. It never changes, and may be used by any number of goroutines.
type Plan struct {
	seed         uint64
	wanted       int // 0 is every member that fits
	suspended    bool
	invalid      error
	names        []string // sorted; nil is every member
	requirements []requirement
	tolerations  []tmcv1alpha1.Toleration
	current      []tmcv1alpha1.PlacementDecision // by name
	active       int
	resources    []schema.GroupResource // sorted
	weights      *weights
	groups       []group
	shapes       []shape
	asked        []string // names of resources beyond cpu and memory that are asked for
	full         []demand // with all replicas; all there is to know when they are not divided
}

// group is workloads with the same number of replicas.
type group struct {
	replicas int64
	perNode  bool
	requests vector // of one pod of each
}

// shape is what a pod asks for, and who first asks for it.
type shape struct {
	vector
	kind, name string
}

// maxShapes bounds how many different pods are looked for slots for; further ones are taken together.
const maxShapes = 64

// Compile prepares an Input for any number of decisions. The Input may be changed afterwards.
func Compile(in Input) *Plan {
	spec := in.Spec
	if spec == nil {
		spec = &tmcv1alpha1.PlacementSpec{}
	}
	p := &Plan{
		seed:        hashOf(in.Key),
		tolerations: slices.Clone(spec.Tolerations),
		suspended:   spec.Suspension != nil && spec.Suspension.Scheduling,
	}
	p.setCurrent(in.Current)
	p.setMembers(spec)
	p.setWorkloads(in.Workloads)
	return p
}

// setCurrent keeps the decisions by name, and of several on one member the active one.
func (p *Plan) setCurrent(current []tmcv1alpha1.PlacementDecision) {
	p.current = slices.Clone(current)
	for i := range p.current {
		if p.current[i].Phase != tmcv1alpha1.DecisionLeaving {
			p.current[i].Phase = tmcv1alpha1.DecisionActive
		}
	}
	slices.SortFunc(p.current, func(a, b tmcv1alpha1.PlacementDecision) int {
		return cmp.Or(strings.Compare(a.ClusterName, b.ClusterName), strings.Compare(string(a.Phase), string(b.Phase)))
	})
	p.current = slices.CompactFunc(p.current, func(a, b tmcv1alpha1.PlacementDecision) bool { return a.ClusterName == b.ClusterName })
	for i := range p.current {
		if p.current[i].Phase == tmcv1alpha1.DecisionActive {
			p.active++
		}
	}
}

// setMembers compiles which members may be chosen, and notes the first field that cannot be understood.
func (p *Plan) setMembers(spec *tmcv1alpha1.PlacementSpec) {
	at := field.NewPath("spec")
	_, badObjects := NewObjectSelector(spec)
	selector, badSelector := selectorOf(spec.ClusterSelector, at.Child("clusterSelector"))
	if badSelector == nil {
		p.requirements = newRequirements(selector)
	}
	var badNumber, badWeights error
	if n := spec.NumberOfClusters; n != nil {
		if p.wanted = int(*n); p.wanted < 1 {
			badNumber = fmt.Errorf("parsing %s: %d is less than 1", at.Child("numberOfClusters"), *n)
		}
	}
	p.weights, badWeights = newWeights(spec.ReplicaScheduling, at.Child("replicaScheduling"))
	p.invalid = cmp.Or(badObjects, badSelector, badNumber, badWeights)
	if len(spec.ClusterNames) > 0 {
		p.names = slices.Compact(slices.Sorted(slices.Values(spec.ClusterNames)))
	}
}

func (p *Plan) setWorkloads(workloads []Workload) {
	groups := map[[2]int64]*group{}
	for i := range workloads {
		w := &workloads[i]
		p.resources = append(p.resources, w.Resource)
		replicas := podsOf(w)
		if replicas == 0 {
			continue
		}
		requests := requestsOf(w)
		key := [2]int64{replicas, 0}
		if w.PerNode {
			key[1] = 1
		}
		g := groups[key]
		if g == nil {
			g = &group{replicas: replicas, perNode: w.PerNode}
			groups[key] = g
		}
		g.requests.add(&requests, 1)
		if !requests.empty() {
			p.shapes = append(p.shapes, shape{vector: requests, kind: w.Kind, name: w.Name})
		}
	}
	for _, g := range groups {
		p.groups = append(p.groups, *g)
	}
	slices.SortFunc(p.resources, func(a, b schema.GroupResource) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Resource, b.Resource))
	})
	p.resources = slices.Compact(p.resources)
	p.shapes = essential(p.shapes)
	p.asked = askedFor(p.groups)
	p.full = p.demands(p.whole())
}

// podsOf returns how many pods of a workload are counted.
func podsOf(w *Workload) int64 {
	if w.PerNode {
		return 1
	}
	return int64(max(w.Replicas, 0))
}

// requestsOf returns what one pod takes, its place included.
func requestsOf(w *Workload) vector {
	v := newVector(w.Requests, roundUp)
	v.fixed[pods] = 1
	return v
}

// essential leaves out the shapes that fit wherever another one does, and joins those beyond maxShapes.
func essential(shapes []shape) []shape {
	slices.SortFunc(shapes, func(a, b shape) int { // larger ones first
		return cmp.Or(b.compare(&a.vector), strings.Compare(a.kind, b.kind), strings.Compare(a.name, b.name))
	})
	kept := make([]shape, 0, min(len(shapes), maxShapes))
	for _, s := range shapes {
		switch {
		case slices.ContainsFunc(kept, func(k shape) bool { return s.within(&k.vector) }):
		case len(kept) < maxShapes:
			kept = append(kept, s)
		default:
			kept[maxShapes-1].raise(&s.vector)
		}
	}
	return kept
}

// askedFor names the resources that count in scores beside cpu and memory.
func askedFor(groups []group) []string {
	var sum vector
	for i := range groups {
		sum.raise(&groups[i].requests)
	}
	names := make([]string, 0, 1+len(sum.others))
	if sum.fixed[storage] > 0 {
		names = append(names, nameOf(storage))
	}
	for _, o := range sum.others {
		names = append(names, o.name)
	}
	return names
}

// currentPhase returns what was decided about a member before, or nothing.
func (p *Plan) currentPhase(name string) tmcv1alpha1.DecisionPhase {
	at, found := slices.BinarySearchFunc(p.current, name, func(d tmcv1alpha1.PlacementDecision, name string) int {
		return strings.Compare(d.ClusterName, name)
	})
	if !found {
		return ""
	}
	return p.current[at].Phase
}

// lists says whether clusterNames admits a member.
func (p *Plan) lists(name string) bool {
	if p.names == nil {
		return true
	}
	_, found := slices.BinarySearch(p.names, name)
	return found
}
