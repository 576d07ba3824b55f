// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// lendFrom makes a member of another workspace that is lent to acme, with more room than any other.
func (w *world) lendFrom(lender logicalcluster.Name) {
	at := workspace.Key{Workspace: lender, Name: "trap"}
	w.registrations[at] = &tmcv1alpha1.ClusterRegistration{ObjectMeta: metav1.ObjectMeta{
		Name: at.Name, Annotations: map[string]string{logicalcluster.AnnotationKey: lender.String()}, UID: "trap",
	}}
	w.entries[at] = []view.Entry{{Key: workspace.Key{Workspace: "acme", Name: "trap.gift"}}}
	w.c.SetEntries(at)
	w.observe(at, "1000", metav1.ConditionTrue)
}

// SEC-19: anybody can lend a member to anybody, without being asked. What is placed is given to such a member only if the
// Placement, or the operator, says so.
func TestSEC19GiftsAreNotUsedUnasked(t *testing.T) {
	t.Parallel()
	tolerating := func(toleration tmcv1alpha1.Toleration) func(*tmcv1alpha1.Placement) {
		return func(p *tmcv1alpha1.Placement) { p.Spec.Tolerations = []tmcv1alpha1.Toleration{toleration} }
	}
	for name, tc := range map[string]struct {
		lender logicalcluster.Name
		edit   func(*tmcv1alpha1.Placement)
		want   string
	}{
		"nobody asks":                        {"mallory", nil, "east"},
		"it is named":                        {"mallory", func(p *tmcv1alpha1.Placement) { p.Spec.ClusterNames = []string{"trap.gift"} }, ""},
		"another one is asked":               {"mallory", tolerating(tmcv1alpha1.Toleration{Key: tmcv1alpha1.LenderTaint, Value: "friend"}), "east"},
		"the Placement asks":                 {"mallory", tolerating(tmcv1alpha1.Toleration{Key: tmcv1alpha1.LenderTaint, Value: "mallory"}), "trap.gift"},
		"it tolerates whatever members have": {"mallory", tolerating(tmcv1alpha1.Toleration{Operator: corev1.TolerationOpExists}), "east"},
		"it asks for any":                    {"mallory", tolerating(tmcv1alpha1.Toleration{Key: tmcv1alpha1.LenderTaint, Operator: corev1.TolerationOpExists}), "trap.gift"},
		"the operator trusts him":            {"platform", nil, "trap.gift"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := stepped(t)
			w.join("east", "4")
			w.lendFrom(tc.lender)
			w.deploy("web", 2, "1")
			all := w.place("all", func(p *tmcv1alpha1.Placement) {
				p.Spec.NumberOfClusters = new(int32(1))
				if tc.edit != nil {
					tc.edit(p)
				}
			})
			w.settle()
			wantDiff(t, "chosen", tc.want, w.chosen(all))
			explained, _ := w.c.Explain(all)
			if told := fmt.Sprint(explained.Rejected); tc.want != "trap.gift" && !strings.Contains(told, "tolerate the taint") {
				t.Errorf("nothing says how to use it: %s", told)
			}
		})
	}
}

// Scores are shares of what a member has, not of what is free of it.
func TestBusyMembersScoreLess(t *testing.T) {
	t.Parallel()
	w := stepped(t)
	w.join("busy", "1000")
	w.join("idle", "10")
	at := registration("busy")
	w.mu.Lock()
	observed := w.observations[at]
	observed.Capacity.Allocated = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("900")}
	w.observations[at] = observed
	w.mu.Unlock()
	w.c.MemberChanged(at)
	w.deploy("web", 1, "1")
	all := w.place("all", selecting("web"))
	w.settle()
	wantDiff(t, "chosen", "idle", w.chosen(all))
}

// borrowing is a world with a Deployment, a member of its own and one that is lent by whoever is trusted or not.
func borrowing(t *testing.T, trusts *bool) *world {
	t.Helper()
	w := stepped(t)
	w.c.config.TrustsLender = func(logicalcluster.Name) bool { return *trusts }
	w.join("east", "4")
	w.lendFrom("platform")
	w.deploy("web", 2, "1")
	return w
}

// A lender that is known to be trusted, or not any more, concerns those who see its members, once.
func TestTrustConcernsTheBorrowers(t *testing.T) {
	t.Parallel()
	trusts := false
	w := borrowing(t, &trusts)
	all := w.place("all", selecting("web"))
	w.settle()
	wantDiff(t, "chosen", "east", w.chosen(all))
	for _, step := range []struct{ trusted, concerns bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		trusts = step.trusted
		w.c.LenderChanged("platform")
		wantDiff(t, "looked at", step.concerns, slices.Contains(w.queued(), "all"))
	}
}
