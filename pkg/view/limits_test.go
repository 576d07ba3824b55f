// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// One workspace must not make more rows than can be held, and must not take them from others.
func TestRowsThatOneWorkspaceLendsAreBounded(t *testing.T) {
	t.Parallel()
	in := view.Input{Bound: map[logicalcluster.Name]logicalcluster.Path{}}
	for i := range 1001 {
		ws := fmt.Sprint("w", i)
		in.Bound[logicalcluster.Name(ws)] = logicalcluster.NewPath("root:" + ws)
	}
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprint("r", i))
		in.Registrations = append(in.Registrations, reg("w0", names[i], nil))
	}
	in.Registrations = append(in.Registrations, reg("w1", "east", nil))
	for i := range 3 {
		in.Grants = append(in.Grants, grant("w0", fmt.Sprint("g", i), i, names, subtree("root")))
	}
	in.Grants = append(in.Grants, grant("w1", "g", 9, []string{"east"}, cluster("w2")))
	got := view.Resolve(in)
	lent := 0
	for source, entries := range got.Entries {
		if source.Workspace == "w0" {
			lent += len(entries) - 1
		}
	}
	if lent != view.MaxLent {
		t.Errorf("one workspace lends %d rows, want %d", lent, view.MaxLent)
	}
	for i := range 3 {
		if verdict := got.Verdicts[workspace.Key{Workspace: "w0", Name: fmt.Sprint("g", i)}]; verdict.Reason != "TooManyRows" || verdict.Status != metav1.ConditionFalse {
			t.Errorf("verdict is %+v, want TooManyRows", verdict)
		}
	}
	if rows := got.Entries[workspace.Key{Workspace: "w1", Name: "east"}]; len(rows) != 2 {
		t.Errorf("the other workspace's member has %d rows, want 2", len(rows))
	}
}

// A condition longer than the API admits could never be stored.
func TestCauseInVerdictIsBounded(t *testing.T) {
	t.Parallel()
	long := grant("lender", "g", 1, nil, path("root:team"))
	long.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"zone": strings.Repeat("ä", 1<<20)}}
	verdict := view.Resolve(view.Input{
		Registrations: []*tmcv1alpha1.ClusterRegistration{reg("lender", "east", nil)}, Grants: []*tmcv1alpha1.ClusterGrant{long}, Bound: bound(),
	}).Verdicts[workspace.Key{Workspace: "lender", Name: "g"}]
	if verdict.Reason != tmcv1alpha1.ReasonInvalidSelector || len(verdict.Message) > 1000 {
		t.Errorf("verdict is %s with a message of %d bytes", verdict.Reason, len(verdict.Message))
	}
}

// Rows of an earlier outcome are used again only as long as they are right.
func TestFormerRowsMakeNoDifference(t *testing.T) {
	t.Parallel()
	former := view.Input{
		Registrations: []*tmcv1alpha1.ClusterRegistration{reg("lender", "east", map[string]string{"zone": "e"}), reg("lender", "west", nil)},
		Grants:        []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east", "west"}, subtree("root:team"))},
		Bound:         bound(),
	}
	changes := map[string]func(in *view.Input){
		"nothing":  func(*view.Input) {},
		"labels":   func(in *view.Input) { in.Registrations[0] = reg("lender", "east", map[string]string{"zone": "x"}) },
		"new UID":  func(in *view.Input) { in.Registrations[0].UID = "made-anew" },
		"gone":     func(in *view.Input) { in.Registrations = in.Registrations[1:] },
		"unbound":  func(in *view.Input) { delete(in.Bound, "b") },
		"new name": func(in *view.Input) { in.Grants[0] = grant("lender", "h", 1, []string{"east"}, subtree("root:team")) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := view.Input{Grants: []*tmcv1alpha1.ClusterGrant{former.Grants[0].DeepCopy()}, Bound: bound()}
			for _, registration := range former.Registrations {
				in.Registrations = append(in.Registrations, registration.DeepCopy())
			}
			change(&in)
			want := view.Resolve(in)
			in.Former = view.Resolve(former)
			if diff := cmp.Diff(want, view.Resolve(in)); diff != "" {
				t.Errorf("the former outcome matters (-want +got):\n%s", diff)
			}
		})
	}
}
