// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// maxWeight is the largest weight that the API admits.
const maxWeight = 10_000

// Target is a member that replicas are divided among.
type Target struct {
	// Name is the name of the member's ClusterStatus.
	Name string
	// Labels are those of the ClusterStatus.
	Labels map[string]string
}

// DivideKey is the key to divide the replicas of one workload of a Placement with, of the Input's key, the workload's
// resource and its name. It differs between workloads, so that what cannot be divided evenly is not always the same
// member's.
func DivideKey(placement string, resource schema.GroupResource, name string) string {
	return placement + "|" + resource.String() + "/" + name
}

// Divisible reports whether the replicas of a kind can be divided among members.
func Divisible(resource schema.GroupResource) bool {
	return resource.Group == "apps" && (resource.Resource == "deployments" || resource.Resource == "statefulsets")
}

// Unplaced is how many of the replicas have no place in the shares of a divided workload: no target has a weight and is
// below its upper bound. Of a duplicated one, and where there is no target at all, it is none.
func Unplaced(replicas int32, rs *tmcv1alpha1.ReplicaScheduling, shares map[string]int32) int32 {
	if len(shares) == 0 || rs == nil || rs.Type != tmcv1alpha1.ReplicasDivided {
		return 0
	}
	left := int64(replicas)
	for _, share := range shares {
		left -= int64(share)
	}
	return int32(max(left, 0))
}

// Divide says how many replicas each target runs. Duplicated gives all to each. Divided gives each the share of its
// weight, in whole numbers by largest remainder, ties by hash of key and name, and within its bounds: what a bound takes
// or gives is the others', in proportion to their weights. The sum is the number of replicas, unless weights of 0 or
// upper bounds leave no place for some. When there are fewer replicas than the lower bounds add up to, these are shares.
func Divide(replicas int32, rs *tmcv1alpha1.ReplicaScheduling, targets []Target, key string) map[string]int32 {
	return newDivider(rs, targets).divide(replicas, key)
}

// divider divides among the same targets any number of times.
type divider struct {
	divided bool
	targets []Target // by name
	classes []class
	counts  []int64 // targets of each class
	classOf []int   // of each target
}

func newDivider(rs *tmcv1alpha1.ReplicaScheduling, targets []Target) *divider {
	d := &divider{targets: slices.Clone(targets)}
	slices.SortStableFunc(d.targets, func(a, b Target) int { return strings.Compare(a.Name, b.Name) })
	d.targets = slices.CompactFunc(d.targets, func(a, b Target) bool { return a.Name == b.Name })
	w, _ := newWeights(rs, nil)
	d.divided, d.classes = w.divided, w.classes
	d.counts = make([]int64, len(w.classes))
	d.classOf = make([]int, len(d.targets))
	for i := range d.targets {
		d.classOf[i] = w.class(d.targets[i].Name, d.targets[i].Labels)
		d.counts[d.classOf[i]]++
	}
	return d
}

func (d *divider) divide(replicas int32, key string) map[string]int32 {
	replicas = max(replicas, 0)
	shares := make(map[string]int32, len(d.targets))
	if !d.divided {
		for i := range d.targets {
			shares[d.targets[i].Name] = replicas
		}
		return shares
	}
	portions, spare := apportion(int64(replicas), d.classes, d.counts)
	type claim struct {
		target    int
		remainder int64
		tie       uint64
	}
	claims := make([]claim, 0, len(d.targets))
	seed := hashOf(key)
	for i := range d.targets {
		p := portions[d.classOf[i]]
		shares[d.targets[i].Name] = int32(p.whole)
		if p.remainder > 0 && spare > 0 {
			claims = append(claims, claim{target: i, remainder: p.remainder, tie: tieOf(seed, hashOf(d.targets[i].Name))})
		}
	}
	slices.SortFunc(claims, func(a, b claim) int {
		return cmp.Or(cmp.Compare(b.remainder, a.remainder), cmp.Compare(b.tie, a.tie), cmp.Compare(a.target, b.target))
	})
	for _, c := range claims[:min(spare, int64(len(claims)))] {
		shares[d.targets[c.target].Name]++
	}
	return shares
}

// class is members with the same weight and bounds.
type class struct{ weight, least, most int64 }

// bound is the most that a member of the class can get.
func (c class) bound() int64 {
	if c.weight == 0 {
		return c.least
	}
	return c.most
}

// weights finds the class of a member: the entry of ReplicaScheduling.Weights that matches it first, and a last one for
// what none matches.
type weights struct {
	divided   bool
	classes   []class
	named     map[string]int
	selectors []labels.Selector
}

// newWeights compiles how replicas are divided. An entry with a selector that cannot be parsed selects by name only; the
// first such entry is the error.
func newWeights(rs *tmcv1alpha1.ReplicaScheduling, at *field.Path) (*weights, error) {
	w := &weights{classes: make([]class, 0, 1)}
	var invalid error
	if rs != nil && rs.Type == tmcv1alpha1.ReplicasDivided {
		w.divided = true
		w.named = map[string]int{}
		for i := range rs.Weights {
			entry := &rs.Weights[i]
			w.classes = append(w.classes, newClass(entry))
			for _, name := range entry.ClusterNames {
				if _, ok := w.named[name]; !ok {
					w.named[name] = i
				}
			}
			selector := labels.Nothing()
			if entry.ClusterSelector != nil {
				parsed, err := selectorOf(entry.ClusterSelector, at.Child("weights").Index(i).Child("clusterSelector"))
				if err == nil {
					selector = parsed
				} else if invalid == nil {
					invalid = err
				}
			}
			w.selectors = append(w.selectors, selector)
		}
	}
	w.classes = append(w.classes, class{weight: 1, most: math.MaxInt32})
	return w, invalid
}

func newClass(entry *tmcv1alpha1.ClusterWeight) class {
	c := class{weight: 1, most: math.MaxInt32}
	if entry.Weight != nil {
		c.weight = min(max(int64(*entry.Weight), 0), maxWeight)
	}
	if entry.MaxReplicas != nil {
		c.most = max(int64(*entry.MaxReplicas), 0)
	}
	if entry.MinReplicas != nil {
		c.least = min(max(int64(*entry.MinReplicas), 0), c.most)
	}
	return c
}

func (w *weights) class(name string, given map[string]string) int {
	first := len(w.selectors)
	if i, ok := w.named[name]; ok {
		first = i
	}
	for i, selector := range w.selectors[:first] {
		if selector.Matches(labels.Set(given)) {
			return i
		}
	}
	return first
}

// portion is what each member of a class gets: the whole number, and the remainder that claims one more.
type portion struct{ whole, remainder int64 }

// ceiling is the most that a member with this portion gets.
func (p portion) ceiling() int64 {
	if p.remainder > 0 {
		return p.whole + 1
	}
	return p.whole
}

// apportion divides replicas among classes of members, and returns how many are spare: those that go one by one to the
// largest remainders. Classes that leave their bounds are held at them, and the rest is divided anew; which bounds go
// first follows from whether they take or give more, so that the result is the one proportional division within bounds.
func apportion(replicas int64, classes []class, counts []int64) (portions []portion, spare int64) {
	portions = make([]portion, len(classes))
	least := int64(0)
	for i, c := range classes {
		least += c.least * counts[i]
	}
	if least > replicas {
		for i, c := range classes {
			portions[i] = portion{whole: replicas * c.least / least, remainder: replicas * c.least % least}
			spare += portions[i].whole * counts[i]
		}
		return portions, replicas - spare
	}
	held := make([]bool, len(classes))
	hold := func(i int, at int64) {
		held[i] = true
		portions[i].whole = at
		replicas -= at * counts[i]
	}
	for i, c := range classes {
		if c.weight == 0 {
			hold(i, c.least)
		}
	}
	total := settle(&replicas, classes, counts, held, hold)
	if total == 0 {
		return portions, 0
	}
	spare = replicas
	for i, c := range classes {
		if !held[i] {
			portions[i] = portion{whole: replicas * c.weight / total, remainder: replicas * c.weight % total}
			spare -= portions[i].whole * counts[i]
		}
	}
	return portions, spare
}

// settle holds classes at their bounds until the others keep theirs, and returns the weight of the others.
func settle(replicas *int64, classes []class, counts []int64, held []bool, hold func(i int, at int64)) int64 {
	for {
		total := int64(0)
		for i, c := range classes {
			if !held[i] {
				total += c.weight * counts[i]
			}
		}
		if total == 0 {
			return 0
		}
		below, above := make([]int, 0, len(classes)), make([]int, 0, len(classes))
		bound, share := int64(0), int64(0)
		for i, c := range classes {
			switch {
			case held[i]:
			case compareProducts(*replicas, c.weight, c.least, total) < 0:
				below = append(below, i)
				bound += c.least * counts[i]
				share += c.weight * counts[i]
			case compareProducts(*replicas, c.weight, c.most, total) > 0:
				above = append(above, i)
				bound += c.most * counts[i]
				share += c.weight * counts[i]
			}
		}
		if len(below)+len(above) == 0 {
			return total
		}
		balance := compareProducts(bound, total, *replicas, share)
		if balance >= 0 {
			for _, i := range below {
				hold(i, classes[i].least)
			}
		}
		if balance <= 0 {
			for _, i := range above {
				hold(i, classes[i].most)
			}
		}
	}
}
