// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// After a start beside a shard that is away, nobody knows the members that its workspaces lend. What runs there keeps its
// finalizer, and a deletion waits for it as for any member that is away.
func TestFinalizerStaysWhileLoansAreNotKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lent := w.placeOnLent()
	delete(w.names, "far")
	w.members[lent].away, w.unlent, w.unregistered[lent] = true, true, true
	w.restart()
	w.c.EnqueueAll()
	w.c.Enqueue(web.Resource, web.Object)
	w.wait(10 * time.Minute)
	if !slices.Contains(w.objects[web].GetFinalizers(), tmcv1alpha1.SyncFinalizer) {
		t.Fatal("the finalizer is gone")
	}
	w.remove(web)
	w.wait(DefaultDetachAfter - time.Second)
	if w.objects[web] == nil {
		t.Fatal("the deletion did not wait")
	}
	w.wait(time.Minute)
	if w.objects[web] != nil {
		t.Error("the object is held")
	}
	if !slices.ContainsFunc(w.eventReasons(), func(reason string) bool { return reason == tmcv1alpha1.ReasonDetachPending }) {
		t.Errorf("the events are %v", w.eventReasons())
	}
}

// placeOnLent places web on a member that another workspace lends under the name far.
func (w *world) placeOnLent() workspace.Key {
	lent := workspace.Key{Workspace: "globex", Name: "far"}
	w.join(lent)
	w.deployment(1, image("nginx"))
	w.place("all", "far")
	w.settle()
	return lent
}

func (w *world) eventReasons() []string {
	reasons := make([]string, 0, len(w.events))
	for _, event := range w.events {
		reasons = append(reasons, event.Reason)
	}
	return reasons
}

// A member that does not serve a kind has nothing of it, and is left all the same.
func TestMemberThatLacksAKindIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := Key{Resource: jobsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "job"}}
	w.members[east].missing = map[schema.GroupResource]string{jobsGR: "the member does not serve jobs"}
	w.deployment(1, image("nginx"))
	w.put(job, "Job", map[string]any{"spec": map[string]any{}})
	w.place("all", "east")
	w.settle()
	w.run(east, web)
	w.wait(time.Second)
	w.place("all", "(east)", "west")
	w.wait(time.Second)
	w.run(west, web)
	w.members[west].truth[w.at(job)].Object["status"] = map[string]any{"succeeded": int64(1), "conditions": []any{map[string]any{"type": "Complete", "status": "True"}}}
	w.show()
	w.wait(time.Minute)
	if sum := w.c.Summary(all); sum.Occupied["east"] || sum.Problem != "" {
		t.Errorf("the member is not left: %+v", sum)
	}
	w.remove(job)
	w.wait(time.Second)
	if w.objects[job] != nil {
		t.Error("a deletion waits for a member that cannot have a copy")
	}
}
