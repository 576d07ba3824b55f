// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

const statusSamples = 200

// readiness numbers the changes between one ready replica and none.
type readiness struct {
	known   bool
	ready   int64
	changes int
}

// take returns the number of the state. The first state has the number 0.
func (r *readiness) take(ready int64) int {
	if r.known && r.ready != ready {
		r.changes++
	}
	r.known, r.ready = true, ready
	return r.changes
}

// BenchmarkStatus is the time from the event of a member's Deployment whose count of ready replicas differs to the event
// of the workspace's Deployment with that count, and to that of the view, on a watch through kcp. The one pod of the
// Deployment is made not ready and ready again in turns. The member's own controllers, from the pod to the Deployment's
// status, are not in the figure.
func BenchmarkStatus(b *testing.B) {
	idle(b)
	o := object{"status", "web"}
	makeNamespace(b, o.namespace)
	place(b, o, map[string]any{"clusterNames": []any{member}})
	create(b, 1, []object{o}, 1)
	pod := readyPod(b, o)
	downstream, upstream, rows := observeReadiness(b, o)
	f := newFigures(b)
	before := settled(b)
	var toObject, toView samples
	for b.Loop() {
		for i := 1; i <= statusSamples; i++ {
			linger(b, 2*coalesceWindow+rand.N(coalesceWindow)) // beyond the least interval of both ways up
			setReady(b, o, pod, i%2 == 0)
			at := downstream.await(b, o.onMembers(), i)
			toObject = append(toObject, upstream.await(b, o.String(), i).Sub(at))
			toView = append(toView, rows.await(b, o.String(), i).Sub(at))
		}
	}
	f.latency("to-object", "member's watch event > workspace's Deployment", toObject)
	f.latency("to-view", "member's watch event > placementstatuses, through kcp", toView)
	f.costs("change", statusSamples, before)
	f.report("a pod's readiness, one change at a time")
}

// readyPod waits until the workload runs, and its status is the workspace's, and returns its pod.
func readyPod(b *testing.B, o object) string {
	b.Helper()
	ready := observeWorkspace(b, deployments(), "ready replicas", func(u *unstructured.Unstructured) (int, bool) {
		count, _, err := unstructured.NestedInt64(u.Object, "status", "readyReplicas")
		return int(count), err == nil
	})
	ready.await(b, o.String(), 1)
	namespace := o.memberNamespace()
	pods, err := memberClient(b, member).CoreV1().Pods(namespace).List(b.Context(), metav1.ListOptions{LabelSelector: "app=" + o.name})
	if err != nil || len(pods.Items) != 1 {
		b.Fatalf("listing the pod: %v", err)
	}
	return pods.Items[0].Name
}

// setReady says of a pod what its kubelet would. The one that is played may make it ready first, which is as good.
func setReady(b *testing.B, o object, pod string, ready bool) {
	b.Helper()
	status := metav1.ConditionFalse
	if ready {
		status = metav1.ConditionTrue
	}
	patch := fmt.Appendf(nil, `{"status":{"conditions":[{"type":"Ready","status":%q,"lastTransitionTime":%q}]}}`, status, time.Now().UTC().Format(time.RFC3339))
	pods := memberClient(b, member).CoreV1().Pods(o.memberNamespace())
	if _, err := pods.Patch(b.Context(), pod, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		b.Fatal(err)
	}
}

// observeReadiness watches the object on its member, in the workspace and in the view.
func observeReadiness(b *testing.B, o object) (downstream, upstream, rows *sightings) {
	b.Helper()
	var below, above, shown readiness
	downstream = observe(b, member, copiesOf(b, member), func(seen runtime.Object) (string, int, bool) {
		d, ok := seen.(*appsv1.Deployment)
		if !ok || d.Namespace+"/"+d.Name != o.onMembers() {
			return "", 0, false
		}
		return o.onMembers(), below.take(int64(d.Status.ReadyReplicas)), true
	})
	upstream = observeWorkspace(b, deployments(), "ready replicas", func(u *unstructured.Unstructured) (int, bool) {
		if u.GetNamespace() != o.namespace {
			return 0, false
		}
		ready, _, err := unstructured.NestedInt64(u.Object, "status", "readyReplicas")
		return above.take(ready), err == nil
	})
	view := tmcv1alpha1.SchemeGroupVersion().WithResource("placementstatuses")
	rows = observeWorkspace(b, view, "ready replicas", func(u *unstructured.Unstructured) (int, bool) {
		if u.GetNamespace() != o.namespace {
			return 0, false
		}
		ready, found := shownReady(u)
		return shown.take(ready), found
	})
	for _, s := range []struct {
		*sightings
		name string
	}{{downstream, o.onMembers()}, {upstream, o.String()}, {rows, o.String()}} {
		s.await(b, s.name, 0)
	}
	return downstream, upstream, rows
}

// shownReady reads how many replicas of its one object a row of the view has ready.
func shownReady(u *unstructured.Unstructured) (int64, bool) {
	var row tmcv1alpha1.PlacementStatus
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &row); err != nil {
		return 0, false
	}
	for _, cluster := range row.Status.Clusters {
		for _, o := range cluster.Objects {
			if o.Replicas != nil {
				return int64(o.Replicas.Ready), true
			}
		}
	}
	return 0, false
}
