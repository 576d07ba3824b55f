// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	decideSamples = 200
	// decideRate is what two processors carry with kcp, three members and us on them: a create costs them together some
	// 0.35 seconds of processor time.
	decideRate = 1
	// perNamespace is how many Placements, each with its Deployment, share a namespace in the usual case.
	perNamespace = 10
)

// BenchmarkDecide is the time from sending a Placement, whose Deployment was created just before, to the event of the
// Placement with its decision on a watch of the workspace; and on to the first and the last of the members, on watches
// of theirs, and to the status of the workspace's Deployment. "together" has all Placements in one namespace, where each
// must be told from all others.
func BenchmarkDecide(b *testing.B) {
	b.Run("apart", func(b *testing.B) { benchmarkDecide(b, perNamespace) })
	b.Run("together", func(b *testing.B) {
		long(b)
		benchmarkDecide(b, decideSamples)
	})
}

func benchmarkDecide(b *testing.B, perNamespace int) {
	b.Helper()
	idle(b)
	all := make([]object, 0, decideSamples)
	for i := 0; len(all) < decideSamples; i++ {
		namespace := fmt.Sprintf("decide-%d-%d", perNamespace, i)
		makeNamespace(b, namespace)
		all = append(all, numbered(namespace, "web", perNamespace)...)
	}
	decisions, statuses, members := observeDecisions(b), observeStatuses(b), observeMembers(b)
	d := tenantDynamic(b)
	f := newFigures(b)
	before := settled(b)
	begun, acked := make([]time.Time, len(all)), make(samples, len(all))
	for b.Loop() {
		paced(b, len(all), decideRate, func(i int) {
			o := all[i]
			if _, err := d.Resource(deployments()).Namespace(o.namespace).Create(b.Context(), deploymentOf(o, 0), metav1.CreateOptions{}); err != nil {
				b.Errorf("creating %s: %v", o, err)
				return
			}
			begun[i] = time.Now()
			if _, err := d.Resource(placements()).Namespace(o.namespace).Create(b.Context(), placementOf(o, selecting(o.name)), metav1.CreateOptions{}); err != nil {
				b.Errorf("placing %s: %v", o, err)
			}
			acked[i] = time.Since(begun[i])
		})
	}
	var decided, first, last, known samples
	for i, o := range all {
		decided = append(decided, decisions.await(b, o.String(), memberCount).Sub(begun[i]))
		from, to := span(b, members, o, 1)
		first, last = append(first, from.Sub(begun[i])), append(last, to.Sub(begun[i]))
		known = append(known, statuses.await(b, o.String(), 1).Sub(begun[i]))
	}
	f.latency("ack", "kcp's answer to the creation of the Placement, which all others include", acked)
	f.latency("decided", "creation sent > decision on the workspace's watch", decided)
	f.latency("first", "> Deployment on the first member's watch", first)
	f.latency("last", "> on the last of three", last)
	f.latency("status", "> status in the workspace's Deployment", known)
	f.costs("create", len(all), before)
	f.report(fmt.Sprintf("creates of a Placement and its Deployment without replicas, %d a second, %d to a namespace", decideRate, perNamespace))
}

// span returns when the first and when the last member showed a copy with at least that number.
func span(b *testing.B, members []*sightings, o object, number int) (first, last time.Time) {
	b.Helper()
	for _, m := range members {
		at := m.await(b, o.onMembers(), number)
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last
}

const (
	editObjects   = 50
	editNamespace = "edits"
)

// edited are the Deployments that are edited: one Placement has them all. The number of an edit is never used again.
var edited struct {
	tried  bool
	all    []object // none if they could not be made
	number int
}

func editedObjects(b *testing.B) []object {
	b.Helper()
	if !edited.tried {
		edited.tried, edited.number = true, 1
		all := numbered(editNamespace, "web", editObjects)
		makeNamespace(b, editNamespace)
		members, statuses := observeMembers(b), observeStatuses(b)
		place(b, object{editNamespace, "all"}, map[string]any{})
		create(b, 8, all, 0)
		for _, o := range all {
			span(b, members, o, 1)
			statuses.await(b, o.String(), 1)
		}
		edited.all = all
	}
	if len(edited.all) == 0 {
		b.Fatal("there is nothing to edit; the first benchmark of edits says why")
	}
	return edited.all
}

// BenchmarkEdit is the time from sending a patch of a Deployment's containers to the event of the first and of the last
// member that has it, on watches of the members; and to the event of the workspace's Deployment with a status of the new
// generation. The load is open: edits are sent when they are due, whatever became of those before. Fifty Deployments
// without replicas take turns; the members' own controllers make a ReplicaSet of each edit. An edit is not sent before
// the one before it of the same Deployment was answered, since kcp could take them in another order; its time begins when
// it was due all the same.
func BenchmarkEdit(b *testing.B) {
	for _, load := range []struct {
		perSecond float64
		count     int
		long      bool
	}{{perSecond: 1, count: 200, long: true}, {perSecond: 10, count: 300}, {perSecond: 50, count: 1000}} {
		b.Run(fmt.Sprintf("%g_per_s", load.perSecond), func(b *testing.B) {
			if load.long {
				long(b)
			}
			benchmarkEdit(b, load.count, load.perSecond)
		})
	}
}

func benchmarkEdit(b *testing.B, count int, perSecond float64) {
	b.Helper()
	idle(b)
	all := editedObjects(b)
	members, statuses := observeMembers(b), observeStatuses(b)
	d := tenantDynamic(b)
	f := newFigures(b)
	before := settled(b)
	begun, acked, done := make([]time.Time, count), make(samples, count), make([]chan struct{}, count)
	for i := range done {
		done[i] = make(chan struct{})
	}
	base := edited.number + 1
	edited.number += count
	for b.Loop() {
		paced(b, count, perSecond, func(i int) {
			defer close(done[i])
			begun[i] = time.Now()
			if i >= len(all) {
				<-done[i-len(all)]
			}
			if err := edit(b.Context(), d, all[i%len(all)], base+i); err != nil {
				b.Error(err)
			}
			acked[i] = time.Since(begun[i])
		})
	}
	var first, last, known samples
	for i := range count {
		o := all[i%len(all)]
		from, to := span(b, members, o, base+i)
		first, last = append(first, from.Sub(begun[i])), append(last, to.Sub(begun[i]))
		known = append(known, statuses.await(b, o.String(), base+i).Sub(begun[i]))
	}
	f.latency("ack", "kcp's answer to the patch, which all others include", acked)
	f.latency("first", "patch sent > first member's watch", first)
	f.latency("last", "patch sent > last of three members' watches", last)
	f.latency("status", "patch sent > status of the new generation in the workspace", known)
	f.costs("edit", count, before)
	f.report(fmt.Sprintf("edits of Deployments without replicas, %g a second", perSecond))
}
