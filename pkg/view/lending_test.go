// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func meta(ws, name string, age int) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, UID: types.UID(ws + "/" + name), CreationTimestamp: metav1.NewTime(time.Unix(int64(age), 0)),
		Annotations: map[string]string{logicalcluster.AnnotationKey: ws, "private": "annotation"},
	}
}

func reg(ws, name string, labels map[string]string) *tmcv1alpha1.ClusterRegistration {
	out := &tmcv1alpha1.ClusterRegistration{ObjectMeta: meta(ws, name, 0)}
	out.Labels = labels
	return out
}

func grant(ws, name string, age int, names []string, to ...tmcv1alpha1.WorkspaceReference) *tmcv1alpha1.ClusterGrant {
	return &tmcv1alpha1.ClusterGrant{ObjectMeta: meta(ws, name, age), Spec: tmcv1alpha1.ClusterGrantSpec{ClusterNames: names, Workspaces: to}}
}

func path(p string) tmcv1alpha1.WorkspaceReference { return tmcv1alpha1.WorkspaceReference{Path: p} }
func subtree(p string) tmcv1alpha1.WorkspaceReference {
	return tmcv1alpha1.WorkspaceReference{Subtree: p}
}

func cluster(c string) tmcv1alpha1.WorkspaceReference {
	return tmcv1alpha1.WorkspaceReference{Cluster: c}
}

func bound() map[logicalcluster.Name]logicalcluster.Path {
	out := map[logicalcluster.Name]logicalcluster.Path{}
	for ws, p := range map[string]string{"lender": "root:lender", "a": "root:team", "b": "root:team:b", "c": "root:teams", "pathless": ""} {
		out[logicalcluster.Name(ws)] = logicalcluster.NewPath(p)
	}
	return out
}

// rows returns workspace|name of all rows but those of owners, ordered.
func rows(lending view.Lending) []string {
	var out []string
	for source, entries := range lending.Entries {
		for _, entry := range entries {
			if entry.Key != source {
				out = append(out, entry.Key.String())
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestResolve(t *testing.T) {
	t.Parallel()
	east, west := reg("lender", "east", map[string]string{"zone": "e"}), reg("lender", "west", nil)
	selecting := grant("lender", "g", 1, nil, path("root:team"))
	selecting.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"zone": "e"}}
	all := grant("lender", "g", 1, nil, path("root:team"))
	all.Spec.ClusterSelector = &metav1.LabelSelector{}
	invalid := grant("lender", "g", 1, []string{"east"}, path("root:team"))
	invalid.Spec.ClusterSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Odd"}}}
	deleting := grant("lender", "g", 1, []string{"east"}, path("root:team"))
	deleting.DeletionTimestamp = &metav1.Time{}
	long := grant("lender", strings.Repeat("x", 250), 1, []string{"east"}, path("root:team"))

	tests := map[string]struct {
		grants []*tmcv1alpha1.ClusterGrant
		extra  []*tmcv1alpha1.ClusterRegistration
		want   []string
		reason string // of the first grant
	}{
		"by path":                    {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, path("root:team"))}, want: []string{"a|east.g"}, reason: "Ready"},
		"by subtree":                 {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, subtree("root:team"))}, want: []string{"a|east.g", "b|east.g"}, reason: "Ready"},
		"by cluster":                 {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, cluster("c"))}, want: []string{"c|east.g"}, reason: "Ready"},
		"by everything, once":        {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, cluster("a"), path("root:team"), subtree("root:team"))}, want: []string{"a|east.g", "b|east.g"}, reason: "Ready"},
		"by selector":                {grants: []*tmcv1alpha1.ClusterGrant{selecting}, want: []string{"a|east.g"}, reason: "Ready"},
		"by empty selector":          {grants: []*tmcv1alpha1.ClusterGrant{all}, want: []string{"a|east.g", "a|west.g"}, reason: "Ready"},
		"unknown borrower":           {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, path("root:x"), cluster("x"))}, reason: "Ready"},
		"to itself":                  {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, path("root:lender"))}, reason: "Ready"},
		"empty reference":            {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, path(""))}, reason: "Ready"},
		"nothing selected":           {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"north"}, path("root:team"))}, reason: "NothingSelected"},
		"of another workspace":       {grants: []*tmcv1alpha1.ClusterGrant{grant("c", "g", 1, []string{"east"}, path("root:team"))}, reason: "NothingSelected"},
		"invalid selector":           {grants: []*tmcv1alpha1.ClusterGrant{invalid}, reason: "InvalidSelector"},
		"deleting":                   {grants: []*tmcv1alpha1.ClusterGrant{deleting}},
		"lender not bound":           {grants: []*tmcv1alpha1.ClusterGrant{grant("elsewhere", "g", 1, []string{"east"}, path("root:team"))}},
		"name too long":              {grants: []*tmcv1alpha1.ClusterGrant{long}, reason: "NameTooLong"},
		"borrower has the name":      {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, subtree("root:team"))}, extra: []*tmcv1alpha1.ClusterRegistration{reg("a", "east.g", nil)}, want: []string{"b|east.g"}, reason: "NameCollision"},
		"the older grant has it":     {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 2, []string{"east"}, path("root:team")), grant("c", "g", 1, []string{"east"}, path("root:team"))}, extra: []*tmcv1alpha1.ClusterRegistration{reg("c", "east", nil)}, want: []string{"a|east.g"}, reason: "NameCollision"},
		"dots make equal names":      {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 2, []string{"a.b"}, path("root:team")), grant("lender", "b.g", 1, []string{"a"}, path("root:team"))}, extra: []*tmcv1alpha1.ClusterRegistration{reg("lender", "a", nil), reg("lender", "a.b", nil)}, want: []string{"a|a.b.g"}, reason: "NameCollision"},
		"two grants, two names":      {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, path("root:team")), grant("lender", "h", 1, []string{"east"}, path("root:team"))}, want: []string{"a|east.g", "a|east.h"}, reason: "Ready"},
		"subtree of no workspace":    {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, subtree("root:te"))}, reason: "Ready"},
		"a workspace without a path": {grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, cluster("pathless"))}, want: []string{"pathless|east.g"}, reason: "Ready"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := view.Resolve(view.Input{
				Registrations: append([]*tmcv1alpha1.ClusterRegistration{west, east}, tc.extra...), Grants: tc.grants, Bound: bound(),
			})
			if diff := cmp.Diff(tc.want, rows(got)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			key := workspace.Key{Workspace: logicalcluster.From(tc.grants[0]), Name: tc.grants[0].Name}
			if verdict := got.Verdicts[key]; verdict.Reason != tc.reason || (verdict.Status == metav1.ConditionTrue) != (tc.reason == "Ready") {
				t.Errorf("verdict is %+v, want %s", verdict, tc.reason)
			}
		})
	}
}

// SEC-19: nobody takes the name of a member of a lender that is trusted, by being first.
func TestSEC19TrustedLendersHaveTheNamesFirst(t *testing.T) {
	t.Parallel()
	for trusted, want := range map[string]string{"lender": "lender|east", "c": "c|east", "nobody": "c|east"} {
		got := view.Resolve(view.Input{
			Registrations: []*tmcv1alpha1.ClusterRegistration{reg("lender", "east", nil), reg("c", "east", nil)}, Bound: bound(),
			Grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 2, []string{"east"}, path("root:team")), grant("c", "g", 1, []string{"east"}, path("root:team"))},
			Trusts: func(lender logicalcluster.Name) bool { return lender.String() == trusted },
		})
		for source, entries := range got.Entries {
			for _, entry := range entries {
				if entry.Key.String() == "a|east.g" && source.String() != want {
					t.Errorf("%s is trusted, and %s has the name, want %s", trusted, source, want)
				}
			}
		}
	}
}

func TestEntriesTellBorrowersNothingOfTheLender(t *testing.T) {
	t.Parallel()
	east := reg("lender", "east", map[string]string{"zone": "e"})
	got := view.Resolve(view.Input{
		Registrations: []*tmcv1alpha1.ClusterRegistration{east}, Bound: bound(),
		Grants: []*tmcv1alpha1.ClusterGrant{grant("lender", "g", 1, []string{"east"}, cluster("a"))},
	}).Entries[workspace.Key{Workspace: "lender", Name: "east"}]
	if len(got) != 2 {
		t.Fatalf("got %d rows, want 2", len(got))
	}
	lent := got[0]
	if diff := cmp.Diff(map[string]string{logicalcluster.AnnotationKey: "a"}, lent.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if lent.UID == got[1].UID || lent.UID == east.UID || lent.Labels["zone"] != "e" || !lent.CreationTimestamp.Equal(&east.CreationTimestamp) {
		t.Errorf("unexpected row: %+v", lent)
	}
}

// The same input gives the same output in whatever order it comes, no two rows meet, nothing is seen that was not
// granted, and a tenant's own rows do not depend on what others do.
func TestResolveProperties(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 7)) // reproducible on purpose
		in := randomInput(random)
		first := view.Resolve(in)
		random.Shuffle(len(in.Registrations), func(i, j int) {
			in.Registrations[i], in.Registrations[j] = in.Registrations[j], in.Registrations[i]
		})
		random.Shuffle(len(in.Grants), func(i, j int) { in.Grants[i], in.Grants[j] = in.Grants[j], in.Grants[i] })
		if diff := cmp.Diff(first, view.Resolve(in)); diff != "" {
			t.Fatalf("seed %d: the order matters:\n%s", seed, diff)
		}
		seen := map[workspace.Key]bool{}
		for source, entries := range first.Entries {
			if _, ok := in.Bound[source.Workspace]; !ok {
				t.Fatalf("seed %d: %s is shown although its workspace is not bound", seed, source)
			}
			own := false
			for _, entry := range entries {
				if _, ok := in.Bound[entry.Key.Workspace]; !ok || seen[entry.Key] {
					t.Fatalf("seed %d: row %s is double, or in no bound workspace", seed, entry.Key)
				}
				seen[entry.Key] = true
				own = own || entry.Key == source
				if entry.Key.Workspace == source.Workspace && entry.Key != source {
					t.Fatalf("seed %d: %s is lent to its own workspace as %s", seed, source, entry.Key)
				}
			}
			if !own {
				t.Fatalf("seed %d: the owner does not see %s", seed, source)
			}
		}
		in.Grants = nil
		if alone := rows(view.Resolve(in)); len(alone) != 0 {
			t.Fatalf("seed %d: rows %v without grants", seed, alone)
		}
	}
}

func randomInput(random *rand.Rand) view.Input {
	in := view.Input{Bound: map[logicalcluster.Name]logicalcluster.Path{}}
	names := []string{"x", "y", "x.y", "y.x", "x.y.x"}
	for i := range 6 {
		ws := fmt.Sprint("w", i)
		if random.IntN(4) > 0 {
			in.Bound[logicalcluster.Name(ws)] = logicalcluster.NewPath("root:" + strings.Repeat("p:", i%3) + ws)
		}
		for _, name := range names {
			if random.IntN(2) == 0 {
				in.Registrations = append(in.Registrations, reg(ws, name, nil))
			}
			if random.IntN(3) == 0 {
				in.Grants = append(in.Grants, grant(ws, name, random.IntN(2), names[:random.IntN(5)], subtree("root:p"), cluster(fmt.Sprint("w", random.IntN(6)))))
			}
		}
	}
	return in
}
