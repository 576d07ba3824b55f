// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

const (
	many        = 1000
	manyClients = 32
	// restTime is how long nothing is done after a restart, to see whether the server writes all the same.
	restTime = 20 * time.Second
)

// BenchmarkThousand creates a thousand Deployments without replicas in one namespace, as fast as kcp takes them, and
// says how long it took until all were placed, on all members, and had their statuses back. Then it kills the server
// hard: once to see whether it writes anything although nothing changed, and once to see how long an edit takes that is
// made meanwhile.
func BenchmarkThousand(b *testing.B) {
	long(b)
	idle(b)
	namespace := "many"
	makeNamespace(b, namespace)
	all := numbered(namespace, "web", many)
	members, statuses := observeMembers(b), observeStatuses(b)
	marked := observeWorkspace(b, deployments(), "marks", func(u *unstructured.Unstructured) (int, bool) {
		return 1, u.GetAnnotations()[tmcv1alpha1.PlacedByAnnotation] != ""
	})
	place(b, object{namespace, "all"}, map[string]any{})
	f := newFigures(b)
	resident, live := memory(b)
	before := settled(b)
	for b.Loop() {
		begin := time.Now()
		create(b, manyClients, all, 0)
		f.figure("created-s", fmt.Sprintf("kcp took all, from %d clients", manyClients), time.Since(begin).Seconds())
		var placed, reached, known time.Time
		for _, o := range all {
			placed = later(placed, marked.await(b, o.String(), 1))
			_, last := span(b, members, o, 1)
			reached = later(reached, last)
			known = later(known, statuses.await(b, o.String(), 1))
		}
		f.figure("placed-s", "all are marked with their Placement", placed.Sub(begin).Seconds())
		f.figure("on-members-s", "all are on all three members", reached.Sub(begin).Seconds())
		f.figure("statuses-s", "all have a status of their generation", known.Sub(begin).Seconds())
	}
	f.costs("create", many, before)
	residentAfter, liveAfter := memory(b)
	f.figure("rss-KiB/workload", "growth of resident memory, with the copies on three members", (residentAfter-resident)/many/1024)
	f.figure("heap-KiB/workload", "growth of the heap that lives after a collection", (liveAfter-live)/many/1024)
	f.restart(all, members)
	f.report(fmt.Sprintf("%d Deployments at once in one namespace, then SIGKILL", many))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// restart kills the server twice.
func (f *figures) restart(all []object, members []*sightings) {
	b := f.b
	b.Helper()
	began := killed(b)
	started(b)
	f.figure("ready-s", "SIGKILL > /readyz", time.Since(began).Seconds())
	linger(b, restTime)
	idly := spent(b)
	f.figure("idle-hub-writes", fmt.Sprintf("to kcp within %s of a restart with nothing changed", restTime), idly.hubWrites)
	f.figure("idle-member-writes", "to members", idly.memberWrites)

	began = killed(b)
	if err := apply(b.Context(), tenantDynamic(b), all[0], 2); err != nil {
		b.Fatal(err)
	}
	started(b)
	_, last := span(b, members, all[0], 2)
	f.figure("restart-edit-s", "SIGKILL > an edit made meanwhile is on all members", last.Sub(began).Seconds())
}

func killed(b *testing.B) time.Time {
	b.Helper()
	p, err := stage.env.Process(server)
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := p.Kill(b.Context()); err != nil {
		b.Fatal(err)
	}
	return began
}

func started(b *testing.B) {
	b.Helper()
	p, err := stage.env.Process(server)
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Restart(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), readyTimeout)
	defer cancel()
	if err := stage.env.AwaitTMC(ctx, p); err != nil {
		b.Fatal(err)
	}
}
