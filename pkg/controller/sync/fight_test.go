// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
)

// FLT-28: somebody on the member who changes a copy back each time is not fought without end, and is told of.
func TestFLT28ContestedCopyIsRepairedRarely(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(w *world)
		says  string
	}{
		"a field": {func(w *world) {
			w.edit(east, web, func(u *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(u.Object, int64(5), "spec", "replicas")
			})
		}, "changes spec.replicas"},
		"the marks":               {func(w *world) { w.tamper(transform.AppliedHashAnnotation) }, "changes the copy's marks"},
		"the UID among the marks": {func(w *world) { w.tamper(transform.UIDAnnotation) }, "changes metadata.annotations"},
		"all of it":               {func(w *world) { delete(w.members[east].truth, w.at(web)) }, "removes the copy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(2, image("nginx"))
			w.place("all", "east")
			w.settle()
			fight := func(times int) int {
				w.took()
				for range times {
					tc.spoil(w)
					w.show()
					w.c.Enqueue(web.Resource, web.Object)
					w.wait(echoWait)
				}
				writes := slices.DeleteFunc(w.took(), func(write string) bool {
					return strings.Contains(write, " get ") || !strings.HasSuffix(write, " deployments web")
				})
				return len(writes)
			}
			if writes := fight(100); writes < fightRepairs || writes > fightRepairs+2 {
				t.Errorf("%d writes in %s", writes, 100*echoWait)
			}
			row := w.c.states.rows[web][0].Object
			if row.Reason != tmcv1alpha1.ReasonContested || !strings.Contains(row.Message, tc.says) {
				t.Errorf("it says %s: %s", row.Reason, row.Message)
			}
			w.deployment(3, image("nginx:2")) // what is new is applied at once
			w.settle()
			if replicas, _, _ := unstructured.NestedInt64(w.copy(east, web).Object, "spec", "replicas"); replicas != 3 {
				t.Errorf("the member runs %d replicas after an edit", replicas)
			}
			// Peace is noticed, and one change is repaired at once again.
			w.wait(fightPause + 2*fightWindow)
			if writes := fight(1); writes != 1 {
				t.Errorf("%d writes after peace", writes)
			}
			if reason := w.c.states.rows[web][0].Object.Reason; reason == tmcv1alpha1.ReasonContested {
				t.Error("it still counts as contested")
			}
		})
	}
}

// tamper changes a mark of web's copy on east.
func (w *world) tamper(mark string) {
	w.edit(east, web, func(u *unstructured.Unstructured) {
		marks := u.GetAnnotations()
		marks[mark] = "another"
		u.SetAnnotations(marks)
	})
}
