// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Copy is what is known of an object on one member that should have it.
type Copy struct {
	// Member is the name that the workspace knows the member by.
	Member string
	// Object is the live copy, or nil if there is none (yet). It is nil of a member that is not Reachable if nothing is
	// known of it.
	Object *unstructured.Unstructured
	// Current says that the member has what it should have by the present generation of the workspace's object. A copy
	// that merely drifted, and is being repaired, is better called current, for otherwise status is written twice.
	Current bool
	// Replicas is how many the member was told to run; nil if the kind has no replicas.
	Replicas *int32
	// Scaled says that an autoscaler on the member decides how many it runs. Its figures then count by how far they are
	// from what it decided, as if that were Replicas: tools compare them with the spec.replicas of the workspace, which no
	// autoscaler changes.
	Scaled bool
	// Reachable says whether the member answers.
	Reachable bool
}

// Status returns the status that the workspace's object should have, and false when its kind has none to aggregate, or
// nothing is known yet. What did not change is the object's own in the result, up to all of it: do not modify it.
func Status(gr schema.GroupResource, upstream *unstructured.Unstructured, copies []Copy, now metav1.Time) (map[string]any, bool) {
	return status(gr, upstream, copies, now, false)
}

// StatusAsOne is Status, but counts the replicas of a workload that every member was told to run whole as one cluster
// would: one that runs on every member is one. It is ready, available or updated when it is so on the member that is
// furthest behind, and as many exist as on the member that has most.
func StatusAsOne(gr schema.GroupResource, upstream *unstructured.Unstructured, copies []Copy, now metav1.Time) (map[string]any, bool) {
	return status(gr, upstream, copies, now, true)
}

func status(gr schema.GroupResource, upstream *unstructured.Unstructured, copies []Copy, now metav1.Time, asOne bool) (map[string]any, bool) {
	rule := ruleOf(gr)
	if rule == nil || upstream == nil || len(copies) == 0 {
		return nil, false
	}
	previous := mapping(upstream.Object["status"])
	m := merge{upstream: upstream.Object, previous: previous, now: now.Time, asOne: asOne}
	if m.look(copies, observes(gr)); !m.told() && len(previous) == 0 {
		return nil, false
	}
	next := rule(&m)
	if len(next) == 0 && len(previous) == 0 {
		return nil, false
	}
	if same(previous, next) {
		return previous, true
	}
	return next, true
}

// ruleOf returns how a kind is aggregated; nil if it has no status.
func ruleOf(gr schema.GroupResource) func(*merge) map[string]any {
	switch gr.Group {
	case "":
		return coreRuleOf(gr.Resource)
	case "apps":
		return appsRuleOf(gr.Resource)
	case "batch":
		switch gr.Resource {
		case "jobs":
			return (*merge).job
		case "cronjobs":
			return (*merge).cronJob
		}
	case "networking.k8s.io":
		switch gr.Resource {
		case "ingresses":
			return (*merge).ingress
		case "networkpolicies":
			return nil
		}
	case "policy":
		if gr.Resource == "poddisruptionbudgets" {
			return (*merge).disruptionBudget
		}
	case "autoscaling":
		if gr.Resource == "horizontalpodautoscalers" {
			return (*merge).autoscaler
		}
	case "rbac.authorization.k8s.io", "discovery.k8s.io":
		return nil
	}
	return (*merge).other
}

func coreRuleOf(resource string) func(*merge) map[string]any {
	switch resource {
	case "configmaps", "secrets", "serviceaccounts", "endpoints", "events", "limitranges", "podtemplates":
		return nil
	case "services":
		return (*merge).service
	case "persistentvolumeclaims":
		return (*merge).volumeClaim
	case "replicationcontrollers":
		return (*merge).replicaSet
	}
	return (*merge).other
}

func appsRuleOf(resource string) func(*merge) map[string]any {
	switch resource {
	case "deployments":
		return (*merge).deployment
	case "statefulsets":
		return (*merge).statefulSet
	case "daemonsets":
		return (*merge).daemonSet
	case "replicasets":
		return (*merge).replicaSet
	case "controllerrevisions":
		return nil
	}
	return (*merge).other
}

// observes says whether the controllers of a kind always tell what they have observed. Those of others may.
func observes(gr schema.GroupResource) bool {
	switch gr.Resource {
	case "deployments", "statefulsets", "daemonsets", "replicasets":
		return gr.Group == "apps"
	case "replicationcontrollers":
		return gr.Group == ""
	case "poddisruptionbudgets":
		return gr.Group == "policy"
	}
	return false
}

// merge is one aggregation.
type merge struct {
	upstream, previous map[string]any
	now                time.Time
	stamped            string // now, formatted when it was needed
	asOne              bool

	views      []view
	generation int64 // of the upstream object
	observed   int64 // what observedGeneration shall be
	wanted     int64 // spec.replicas
	unheard    int   // how many views are unheard
}

// view is how one copy is seen.
type view struct {
	member  string
	status  map[string]any // nil if the copy is missing, or has none
	missing bool           // the member does not have the copy
	unheard bool           // nothing is known of the member's copy
	told    int64          // replicas that the member should run
	shift   int64          // what is added to figures, where an autoscaler decided on other replicas than told
	n       [maxFigures]int64
}

// look takes in the copies, and decides about observedGeneration.
func (m *merge) look(copies []Copy, always bool) {
	m.generation = generationOf(m.upstream)
	m.wanted = replicasOf(m.upstream)
	m.views = make([]view, len(copies))
	byName := func(a, b Copy) int { return strings.Compare(a.Member, b.Member) }
	if !slices.IsSortedFunc(copies, byName) { // or the same copies would give one status today, and another tomorrow
		copies = slices.SortedStableFunc(slices.Values(copies), byName)
	}
	behind := 0
	for i := range copies {
		c, v := &copies[i], &m.views[i]
		v.member = clean(cut(c.Member, maxName))
		v.told = m.wanted
		if c.Object == nil || c.Object.Object == nil {
			v.missing, v.unheard = c.Reachable, !c.Reachable
		} else {
			v.status = mapping(c.Object.Object["status"])
			v.told = replicasOf(c.Object.Object)
		}
		told := v.told
		if c.Replicas != nil {
			v.told = max(0, int64(*c.Replicas))
		}
		if c.Scaled && v.status != nil {
			v.shift = v.told - told
		}
		if v.unheard {
			m.unheard++
		} else if v.missing || !c.Current || !observedItself(c.Object.Object, v.status, always) {
			behind++
		}
	}
	switch before := min(m.observedBefore(), m.generation); {
	case behind > 0:
		m.observed = min(before, max(0, m.generation-1))
	case m.unheard > 0:
		m.observed = before
	default:
		m.observed = m.generation
	}
}

// observedBefore is the previous observedGeneration. Kinds without one in the status have it in their conditions.
func (m *merge) observedBefore() int64 {
	if observed, ok := number(m.previous["observedGeneration"]); ok {
		return max(0, observed)
	}
	for _, entry := range conditionsOf(m.previous) {
		if observed, ok := number(mapping(entry)["observedGeneration"]); ok {
			return max(0, observed)
		}
	}
	return 0
}

// observedItself says whether the member's own controller has seen the copy as it is. Controllers that always tell
// have not if they do not.
func observedItself(object, status map[string]any, always bool) bool {
	observed, found := number(status["observedGeneration"])
	if !found {
		return !always
	}
	return observed >= generationOf(object)
}

// told says whether any member told something.
func (m *merge) told() bool {
	for i := range m.views {
		if m.views[i].status != nil {
			return true
		}
	}
	return false
}

// stamp is now, as conditions have it.
func (m *merge) stamp() string {
	if m.stamped == "" {
		m.stamped = m.now.UTC().Format(time.RFC3339)
	}
	return m.stamped
}

func generationOf(object map[string]any) int64 {
	return count(mapping(object["metadata"])["generation"])
}

// replicasOf is spec.replicas, which is 1 where nobody has set a default.
func replicasOf(object map[string]any) int64 {
	replicas, found := mapping(object["spec"])["replicas"]
	if !found || replicas == nil {
		return 1
	}
	return count32(replicas)
}
