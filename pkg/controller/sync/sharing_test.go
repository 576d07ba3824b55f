// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func placementKey(name string) workspace.Key {
	return workspace.Key{Workspace: "acme", Namespace: "shop", Name: name}
}

// sharing is a world of two Placements with a workload each, of their names, which need the same ConfigMap.
func sharing(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.selects = func(p *tmcv1alpha1.Placement, gr schema.GroupResource, object *unstructured.Unstructured) bool {
		return gr == deploymentsGR && object.GetName() == p.Name
	}
	w.settings("b")
	w.deployment(1, withSettings(image("nginx")))
	w.put(Key{Resource: deploymentsGR, Object: placementKey("api")}, "Deployment", map[string]any{"spec": map[string]any{
		"replicas": int64(1), "template": map[string]any{"spec": withSettings(image("nginx"))},
	}})
	w.place("api", "east")
	w.place("web", "west")
	w.settle()
	return w
}

// What two Placements need is on the members of both, and each answers for what is on its own.
func TestSharedDependencyIsShownWithEachPlacement(t *testing.T) {
	t.Parallel()
	w := sharing(t)
	api, web := placementKey("api"), placementKey("web")
	wantDiff(t, "rows of the shared one", []string{"east True Healthy", "west True Healthy"}, w.rows(settings))
	wantDiff(t, "members of api", map[string]bool{"east": true}, w.c.Summary(api).Occupied)
	wantDiff(t, "members of web", map[string]bool{"west": true}, w.c.Summary(web).Occupied)
	wantDiff(t, "copies of each", []int32{2, 2}, []int32{w.c.Summary(api).Desired, w.c.Summary(web).Desired})

	w.members[west].away = true
	w.c.EnqueueMember(west)
	w.settle()
	wantDiff(t, "away", []string{"", "west"}, []string{w.c.Summary(api).Away, w.c.Summary(web).Away})
	w.members[west].away = false
	w.c.EnqueueMember(west)
	w.settle()

	before := w.progress[api]
	w.edit(west, settings, func(u *unstructured.Unstructured) { u.Object["data"] = map[string]any{"a": "x"} })
	w.wait(time.Second)
	wantDiff(t, "progress of the one that has nothing to do with it", before, w.progress[api])
}

// A Placement that moves is not held up by what another one keeps on the member that it leaves.
func TestSharedDependencyDoesNotHoldAMove(t *testing.T) {
	t.Parallel()
	w := sharing(t)
	api := placementKey("api")
	w.place("api", "(east)", "west")
	w.wait(time.Second)
	w.run(west, Key{Resource: deploymentsGR, Object: api})
	w.wait(time.Minute)
	w.place("web", "east", "west") // which needs it where api leaves
	w.wait(time.Minute)
	w.place("api", "(east)", "west")
	w.wait(time.Minute)
	if w.copy(east, settings) == nil {
		t.Fatal("what the other one needs is gone")
	}
	wantDiff(t, "members of api", map[string]bool{"west": true}, w.c.Summary(api).Occupied)
	wantDiff(t, "members of web", map[string]bool{"east": true, "west": true}, w.c.Summary(placementKey("web")).Occupied)

	// Where both are, the first by name answers for it; without that one, the other does.
	wantDiff(t, "owner", api, w.c.states.shownBy(settings, west))
	w.remove(Key{Resource: deploymentsGR, Object: api})
	w.wait(time.Minute)
	wantDiff(t, "owner without it", placementKey("web"), w.c.states.shownBy(settings, west))
	wantDiff(t, "rows", []string{"east True Healthy", "west True Healthy"}, w.rows(settings))
	if synced := w.c.states.rows[settings][0].Object.Synced; synced != metav1.ConditionTrue {
		t.Errorf("it is %s", synced)
	}
}
