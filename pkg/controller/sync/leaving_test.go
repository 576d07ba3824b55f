// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// A member is left until nothing of the Placement is there any more. What a workload needed must not wait for that, or
// each would wait for the other for ever.
func TestDependenciesLeaveAMemberThatIsBeingLeft(t *testing.T) {
	t.Parallel()
	for name, selected := range map[string]bool{"selected": true, "only needed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if selected {
				w.selects = func(*tmcv1alpha1.Placement, schema.GroupResource, *unstructured.Unstructured) bool { return true }
			}
			w.settings("b")
			w.deployment(1, withSettings(image("nginx")))
			w.place("all", "east", "west")
			w.wait(time.Second)
			w.run(east, web)
			w.run(west, web)
			w.wait(time.Second)
			w.place("all", "(east)", "west")
			w.wait(time.Minute)
			if w.copy(east, web) != nil || w.copy(east, settings) != nil {
				t.Errorf("copies are left: %v, %v", w.copy(east, web), w.copy(east, settings))
			}
			if w.copy(west, web) == nil || w.copy(west, settings) == nil {
				t.Error("the other member lost something")
			}
			if w.c.Summary(all).Occupied["east"] {
				t.Error("the member counts as occupied")
			}
		})
	}
}

// What serves a workload stays on a member that is left for as long as the workload does, and leaves right after it.
func TestWhatServesAWorkloadLeavesAfterIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := Key{Resource: schema.GroupResource{Resource: "services"}, Object: web.Object}
	w.kinds[service.Resource] = Kind{GVR: service.Resource.WithVersion("v1"), Status: true}
	w.deployment(1, image("nginx"))
	w.put(service, "Service", map[string]any{"spec": map[string]any{"ports": []any{map[string]any{"port": int64(80)}}}})
	w.place("all", "east")
	w.settle()
	w.run(east, web)
	w.wait(time.Second)
	w.place("all", "(east)", "west")
	w.wait(time.Hour)
	if w.copy(west, service) == nil || w.copy(east, service) == nil || w.copy(east, web) == nil {
		t.Fatalf("the former member lost something before there was a replacement: %q", w.rows(service))
	}
	w.restart()
	w.show()
	w.reconcile(service) // the first to be looked at
	w.work()
	w.wait(time.Minute)
	if w.copy(east, service) == nil {
		t.Fatal("it went after a restart")
	}
	w.run(west, web)
	w.wait(time.Minute)
	if w.copy(east, web) != nil || w.copy(east, service) != nil {
		t.Errorf("something is left on the former member: %q, %q", w.rows(web), w.rows(service))
	}
	// The workload goes while it is waited for.
	w.place("all", "east", "(west)")
	w.wait(time.Minute)
	if w.copy(west, service) == nil {
		t.Fatal("it did not wait for the workload")
	}
	w.remove(web)
	w.wait(time.Minute)
	if w.copy(west, service) != nil || w.copy(east, service) == nil {
		t.Errorf("it did not move: %q", w.rows(service))
	}
}
