// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	clocktesting "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/registry/placementstatus"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

var (
	now = time.Unix(1_800_000_000, 0)
	all = workspace.Key{Workspace: "acme", Namespace: "shop", Name: "all"}
)

type confirmed struct{ at time.Time }

func (c confirmed) ConfirmedAt(workspace.Key) (time.Time, bool) { return c.at, !c.at.IsZero() }

func newStore(t *testing.T) *viewstore.Store {
	t.Helper()
	store, err := placementstatus.NewStore(viewstore.NewRevisions(now), clocktesting.NewFakeClock(now), viewstore.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func full() tmcv1alpha1.PlacementStatusStatus {
	at := metav1.NewTime(now.Add(-2 * time.Minute))
	return tmcv1alpha1.PlacementStatusStatus{
		Conditions: []metav1.Condition{
			{Type: tmcv1alpha1.ConditionScheduled, Status: metav1.ConditionTrue},
			{Type: tmcv1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Syncing", Message: "on the way"},
		},
		ObservationTime: &at, ClustersWanted: new(int32(3)),
		Workloads: tmcv1alpha1.WorkloadSummary{Objects: 4, Desired: 8, Synced: 7, Ready: 6, Drifted: 1, Failed: 2},
		Clusters: []tmcv1alpha1.PlacementCluster{
			{ClusterName: "east", Phase: tmcv1alpha1.DecisionActive}, {ClusterName: "old", Phase: tmcv1alpha1.DecisionLeaving}, {ClusterName: "west", Phase: tmcv1alpha1.DecisionActive},
		},
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		created   time.Time
		status    tmcv1alpha1.PlacementStatusStatus
		freshness placementstatus.Freshness
		want      []any
	}{
		"everything known": {created: now.Add(-48 * time.Hour), status: full(), freshness: confirmed{now.Add(-3 * time.Second)}, want: []any{
			"all", "True", "2/3", int64(4), "6/8", int64(1), int64(2), "3s", "2d", "7/8", "Syncing", "east,(old),west", "on the way",
		}},
		"the status says when": {status: full(), freshness: confirmed{}, want: []any{
			"all", "True", "2/3", int64(4), "6/8", int64(1), int64(2), "2m", "<unknown>", "7/8", "Syncing", "east,(old),west", "on the way",
		}},
		"nobody says when": {status: full(), want: []any{
			"all", "True", "2/3", int64(4), "6/8", int64(1), int64(2), "2m", "<unknown>", "7/8", "Syncing", "east,(old),west", "on the way",
		}},
		"nothing known": {created: now.Add(time.Hour), want: []any{
			"all", "Unknown", "0/all", int64(0), "0/0", int64(0), int64(0), "<unknown>", "0s", "0/0", "<unknown>", "<none>", "",
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newStore(t)
			created := metav1.Time{}
			if !tc.created.IsZero() {
				created = metav1.NewTime(tc.created)
			}
			store.SetEntries(all, []viewstore.Entry{{Key: all, CreationTimestamp: created}})
			store.SetContent(all, &tc.status)
			rest := placementstatus.NewREST(store, tc.freshness, clocktesting.NewFakePassiveClock(now))
			obj, _ := store.Get(all)
			list, err := store.List(viewstore.Selection{Workspace: "acme"}, viewstore.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, shown := range []runtime.Object{obj, list} {
				table, err := rest.ConvertToTable(t.Context(), shown, &metav1.TableOptions{IncludeObject: metav1.IncludeObject})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, table.Rows[0].Cells); diff != "" {
					t.Errorf("cells of %T (-want +got):\n%s", shown, diff)
				}
				if len(table.ColumnDefinitions) != len(tc.want) {
					t.Errorf("%d columns for %d cells", len(table.ColumnDefinitions), len(tc.want))
				}
				whole, ok := table.Rows[0].Object.Object.(*tmcv1alpha1.PlacementStatus)
				if !ok || whole.Namespace != "shop" || !cmp.Equal(whole.Status, tc.status) {
					t.Errorf("the whole object is %#v", table.Rows[0].Object.Object)
				}
			}
		})
	}
}

func TestTablesOfTypedObjects(t *testing.T) {
	t.Parallel()
	rest := placementstatus.NewREST(newStore(t), nil, clocktesting.NewFakePassiveClock(now))
	typed := tmcv1alpha1.PlacementStatus{ObjectMeta: metav1.ObjectMeta{Name: "all", ResourceVersion: "7"}, Status: full()}
	for _, obj := range []runtime.Object{&typed, &tmcv1alpha1.PlacementStatusList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []tmcv1alpha1.PlacementStatus{typed}}} {
		table, err := rest.ConvertToTable(t.Context(), obj, &metav1.TableOptions{NoHeaders: true})
		if err != nil {
			t.Fatal(err)
		}
		if table.ResourceVersion != "7" || len(table.ColumnDefinitions) != 0 || table.Rows[0].Cells[7] != "2m" {
			t.Errorf("table of %T: %+v", obj, table)
		}
	}
	if _, err := rest.ConvertToTable(t.Context(), &metav1.Status{}, nil); err == nil || !strings.Contains(err.Error(), "placement statuses") {
		t.Errorf("a type that is no placement status was rendered: %v", err)
	}
	// A row that nothing was told of yet is no panic.
	store := newStore(t)
	store.SetEntries(all, []viewstore.Entry{{Key: all}})
	store.SetContent(all, (*tmcv1alpha1.PlacementStatusStatus)(nil))
	if obj, found := store.Get(all); found {
		if table, err := placementstatus.NewREST(store, nil, clocktesting.NewFakePassiveClock(now)).ConvertToTable(t.Context(), obj, nil); err != nil || table.Rows[0].Cells[1] != "Unknown" {
			t.Errorf("got %+v, %v", table, err)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, column := range placementstatus.Columns() {
		if column.Name == "" || column.Type == "" || len(column.Description) < 15 {
			t.Errorf("column %+v is not described", column)
		}
	}
	rest := placementstatus.NewREST(newStore(t), nil, clocktesting.NewFakePassiveClock(now))
	if !rest.NamespaceScoped() || rest.GetSingularName() != "placementstatus" || !cmp.Equal(rest.ShortNames(), []string{"pls"}) || !cmp.Equal(rest.Categories(), []string{"tmc", "kcp"}) {
		t.Errorf("names: %v %s %v %v", rest.NamespaceScoped(), rest.GetSingularName(), rest.ShortNames(), rest.Categories())
	}
	if _, ok := rest.New().(*tmcv1alpha1.PlacementStatus); !ok {
		t.Errorf("New() = %T", rest.New())
	}
	if _, ok := rest.NewList().(*tmcv1alpha1.PlacementStatusList); !ok {
		t.Errorf("NewList() = %T", rest.NewList())
	}
}

// A tenant sees its own statuses, in their namespaces, and nobody else's.
func TestTenantsSeeTheirOwn(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	status := full()
	store.SetEntries(all, []viewstore.Entry{{Key: all}})
	store.SetContent(all, &status)
	store.MarkSynced()
	rest := placementstatus.NewREST(store, nil, clocktesting.NewFakePassiveClock(now))
	for name, tc := range map[string]struct {
		workspace, namespace string
		found                bool
	}{
		"its own": {"acme", "shop", true}, "another namespace": {"acme", "default", false}, "another workspace": {"globex", "shop", false},
	} {
		ctx := genericapirequest.WithNamespace(workspace.With(t.Context(), logicalcluster.Name(tc.workspace)), tc.namespace)
		if _, err := rest.Get(ctx, "all", &metav1.GetOptions{}); (err == nil) != tc.found {
			t.Errorf("%s: %v", name, err)
		}
	}
}
