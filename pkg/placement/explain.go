// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

const (
	// maxRejections bounds how many members are explained.
	maxRejections = 1000
	// maxMessage bounds what is quoted in an explanation.
	maxMessage = 512
)

// Stages of a rejection.
const (
	stageFilter = "Filter"
	stageAssign = "Assign"
)

// explanation is what is needed to say afterwards why members were not chosen.
type explanation struct {
	plan     *Plan
	snapshot *Snapshot
	demands  []demand
	picks    []pick // by index
}

// Rejected says of the members that were not chosen, and of those that are named but not there, why; ordered by name. Of
// more than 1,000, those that clusterNames or clusterSelector exclude are left out first. It is computed when it is
// called, from the snapshot of the decision: who keeps an Outcome keeps the snapshot.
func (o *Outcome) Rejected() []tmcv1alpha1.ClusterRejection {
	if o.explain == nil {
		return nil
	}
	e := o.explain
	list := make([]tmcv1alpha1.ClusterRejection, 0, len(e.snapshot.members)-len(e.picks))
	next := 0
	for i, m := range e.snapshot.members {
		if next < len(e.picks) && int(e.picks[next].index) == i {
			next++
			continue
		}
		list = append(list, e.reject(m))
	}
	for _, name := range e.absent() {
		list = append(list, tmcv1alpha1.ClusterRejection{
			ClusterName: name, Stage: stageFilter, Reason: tmcv1alpha1.ReasonClusterNotFound,
			Message: "the workspace has no such member; register it, have it granted, or take it out of clusterNames",
		})
	}
	if len(list) > maxRejections {
		slices.SortStableFunc(list, func(a, b tmcv1alpha1.ClusterRejection) int {
			return cmp.Or(cmp.Compare(obvious(&a), obvious(&b)), strings.Compare(a.ClusterName, b.ClusterName))
		})
		list = slices.Clone(list[:maxRejections])
	}
	slices.SortFunc(list, func(a, b tmcv1alpha1.ClusterRejection) int { return strings.Compare(a.ClusterName, b.ClusterName) })
	return list
}

// obvious is 1 for what follows from the Placement's own words.
func obvious(r *tmcv1alpha1.ClusterRejection) int {
	if r.Reason == tmcv1alpha1.ReasonNameNotListed || r.Reason == tmcv1alpha1.ReasonLabelsDoNotMatch {
		return 1
	}
	return 0
}

// absent are the members that are named or were chosen and are not there.
func (e *explanation) absent() []string {
	names := make([]string, 0, len(e.plan.current))
	for _, name := range e.plan.names {
		if e.snapshot.lookup(name) == nil {
			names = append(names, name)
		}
	}
	for i := range e.plan.current {
		if name := e.plan.current[i].ClusterName; e.snapshot.lookup(name) == nil && (e.plan.names == nil || !e.plan.lists(name)) {
			names = append(names, name)
		}
	}
	return names
}

func (e *explanation) reject(m *Member) tmcv1alpha1.ClusterRejection {
	p := e.plan
	phase := p.currentPhase(m.name)
	d := &e.demands[0]
	if len(e.demands) > 1 {
		d = &e.demands[p.class(m)]
	}
	v := p.excluded(m)
	if v == fits && phase != tmcv1alpha1.DecisionActive {
		v = p.admits(m, d)
	}
	if v != fits {
		return tmcv1alpha1.ClusterRejection{ClusterName: m.name, Stage: stageFilter, Reason: reasonOf(v), Message: p.message(v, m, d)}
	}
	v = lowerScore
	if p.suspended {
		v = held
	}
	score := int32(p.stranger(m, d, phase == tmcv1alpha1.DecisionLeaving))
	if phase == tmcv1alpha1.DecisionActive {
		score = int32(p.staying(m))
	}
	return tmcv1alpha1.ClusterRejection{ClusterName: m.name, Stage: stageAssign, Reason: reasonOf(v), Message: p.message(v, m, d), Score: &score}
}

func reasonOf(v verdict) string {
	return [verdicts]string{
		nameNotListed:         tmcv1alpha1.ReasonNameNotListed,
		labelsDoNotMatch:      tmcv1alpha1.ReasonLabelsDoNotMatch,
		untoleratedNoExecute:  tmcv1alpha1.ReasonUntoleratedTaint,
		untoleratedNoSchedule: tmcv1alpha1.ReasonUntoleratedTaint,
		unschedulable:         tmcv1alpha1.ReasonUnschedulable,
		notReady:              tmcv1alpha1.ReasonClusterNotReady,
		apiMissing:            tmcv1alpha1.ReasonAPIMissing,
		apiUnknown:            tmcv1alpha1.ReasonAPIUnknown,
		capacityUnknown:       tmcv1alpha1.ReasonCapacityUnknown,
		insufficientSum:       tmcv1alpha1.ReasonInsufficientCapacity,
		insufficientSlot:      tmcv1alpha1.ReasonInsufficientCapacity,
		lowerScore:            tmcv1alpha1.ReasonLowerScore,
		held:                  tmcv1alpha1.ReasonSuspended,
	}[v]
}

// message says what is the matter with a member, and what to do about it.
func (p *Plan) message(v verdict, m *Member, d *demand) string {
	switch v {
	case nameNotListed:
		return "clusterNames does not name it; add it there to use it"
	case labelsDoNotMatch:
		return p.mismatch(m)
	case untoleratedNoExecute:
		return taintMessage(untolerated(m.taints, corev1.TaintEffectNoExecute, p.tolerations))
	case untoleratedNoSchedule:
		return taintMessage(untolerated(m.taints, corev1.TaintEffectNoSchedule, p.tolerations))
	case unschedulable:
		return "it takes no new work; unset unschedulable in its ClusterRegistration"
	case notReady:
		return "its condition Ready is " + printable(string(cmp.Or(m.status, "Unknown"))) + "; its ClusterStatus says why"
	case apiMissing:
		return p.missing(m)
	case apiUnknown:
		return "it has not shown yet whether it serves " + p.firstUnknown(m).String() + " to TMC; it is asked until it has"
	case capacityUnknown:
		return "its capacity is not known, and the workloads request resources; the condition CapacityKnown of its ClusterStatus says why"
	case insufficientSum:
		return shortage(m, d)
	case insufficientSlot:
		return m.tight(d)
	case lowerScore:
		return p.outscored()
	case held:
		return "suspension.scheduling keeps the decisions as they are; unset it to have them made anew"
	default:
		return ""
	}
}

func (p *Plan) mismatch(m *Member) string {
	for i := range p.requirements {
		if r := &p.requirements[i]; !r.matches(m.labels) {
			return fmt.Sprintf("clusterSelector asks for %q; change it, or the labels of the ClusterRegistration", printable(r.text))
		}
	}
	return ""
}

func taintMessage(taint *tmcv1alpha1.Taint) string {
	text := taint.Key
	if taint.Value != "" {
		text += "=" + taint.Value
	}
	text = printable(text + ":" + string(taint.Effect))
	if taint.Key == tmcv1alpha1.LenderTaint {
		return fmt.Sprintf("it is lent by a workspace that is not known to be trusted, and whoever owns it can read what runs there; tolerate the taint %q to use it", text)
	}
	return fmt.Sprintf("the taint %q is not tolerated; add a toleration to use it", text)
}

// firstMissing returns the first kind that is placed and that a member does not serve.
func (p *Plan) firstMissing(m *Member) *schema.GroupResource { return firstIn(m.missing, p.resources) }

// firstUnknown returns the first kind that is placed and of which it is not known whether a member serves it.
func (p *Plan) firstUnknown(m *Member) *schema.GroupResource { return firstIn(m.unknown, p.resources) }

func firstIn[V any](kinds map[schema.GroupResource]V, placed []schema.GroupResource) *schema.GroupResource {
	if len(kinds) == 0 {
		return nil
	}
	for i := range placed {
		if _, found := kinds[placed[i]]; found {
			return &placed[i]
		}
	}
	return nil
}

func (p *Plan) missing(m *Member) string {
	kind := p.firstMissing(m)
	text := "it does not serve " + kind.String()
	if why := m.missing[*kind]; why != "" {
		text += ": " + printable(why)
	}
	return text + "; install the kind there, or grant the member's credentials the right to it"
}

func shortage(m *Member, d *demand) string {
	name := d.need.lacking(&m.available)
	needed, available := quantityOf(name, d.need.get(name)), quantityOf(name, m.available.get(name))
	return fmt.Sprintf("the workloads need %s of %s there and %s is available; lower requests or replicas, or free some",
		needed.String(), printable(name), available.String())
}

func (m *Member) tight(d *demand) string {
	s := m.unfit(d)
	requests := s.list()
	asks := make([]string, 0, len(requests))
	for name, q := range requests {
		if name != corev1.ResourcePods {
			asks = append(asks, string(name)+" "+q.String())
		}
	}
	slices.Sort(asks)
	return fmt.Sprintf("no node has room for a pod of %s, which asks for %s; lower its requests, or free a node",
		printable(s.kind+" "+s.name), printable(strings.Join(asks, ", ")))
}

func (p *Plan) outscored() string {
	text := "members that score higher were"
	if p.active > 0 {
		text = "members that run the workloads already, or score higher, were"
	}
	if p.wanted == 1 {
		text = strings.Replace(strings.Replace(text, "members that run", "a member that runs", 1), "members that score", "a member that scores", 1)
		text = strings.Replace(strings.TrimSuffix(text, "were")+"was", "or score ", "or scores ", 1)
	}
	return fmt.Sprintf("%s chosen, and numberOfClusters is %d; raise it to use this one too", text, p.wanted)
}

// printable shortens text that others wrote, and replaces what cannot be printed.
func printable(text string) string {
	cut := len(text) > maxMessage
	if cut {
		text = text[:maxMessage]
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(text, "?"))
	if cut {
		text += "..."
	}
	return text
}
