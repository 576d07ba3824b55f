// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterstatus_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/registry/clusterstatus"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

type confirmed struct{ at time.Time }

func (c confirmed) ConfirmedAt(workspace.Key) (time.Time, bool) { return c.at, !c.at.IsZero() }

func quantities(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func TestRows(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	at := metav1.NewTime(now.Add(-2 * time.Minute))
	full := tmcv1alpha1.ClusterStatusStatus{
		Conditions:      []metav1.Condition{{Type: tmcv1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "NodesNotReady"}},
		ObservationTime: &at, Version: "v1.36.3", Unschedulable: true,
		Taints: []tmcv1alpha1.Taint{{Key: "edge", Effect: corev1.TaintEffectNoSchedule}, {Key: "gpu", Value: "a100", Effect: corev1.TaintEffectNoExecute}},
		Nodes:  &tmcv1alpha1.NodeSummary{Total: 5, Ready: 4}, Pods: &tmcv1alpha1.PodSummary{Bound: 12, Pending: 3},
		Allocatable: quantities("12", "32Gi"), Allocated: quantities("150m", "1843Mi"), Available: quantities("11850m", "30.2Gi"),
		LargestFree: []tmcv1alpha1.FreeSlot{{Resource: corev1.ResourceCPU, Free: quantities("3999m", "1Gi")}, {Resource: corev1.ResourceMemory, Free: quantities("1", "7.5Gi")}},
	}
	exhausted := tmcv1alpha1.ClusterStatusStatus{Allocatable: quantities("4", "2048"), Available: quantities("0", "0"), Allocated: quantities("50m", "1023")}
	labelled := metav1.ObjectMeta{Name: "east", CreationTimestamp: metav1.NewTime(now.Add(-48 * time.Hour)), Labels: map[string]string{corev1.LabelTopologyRegion: "eu", corev1.LabelTopologyZone: "eu-1"}}
	tests := map[string]struct {
		meta      metav1.ObjectMeta
		status    tmcv1alpha1.ClusterStatusStatus
		confirmed time.Time
		want      []any
	}{
		"everything known": {meta: labelled, status: full, confirmed: now.Add(-3 * time.Second), want: []any{
			"east", "False", "v1.36.3", "4/5", "11.8/12", "30.2Gi/32Gi", "12", "3s", "2d",
			"NodesNotReady", "true", "edge:NoSchedule,gpu=a100:NoExecute", "0.1/1.7Gi", "3", "3.9/7.5Gi", "eu", "eu-1",
		}},
		"nothing known is never zero": {meta: metav1.ObjectMeta{Name: "west"}, want: []any{
			"west", "Unknown", "<unknown>", "<unknown>", "<unknown>", "<unknown>", "<unknown>", "<unknown>", "<unknown>",
			"<unknown>", "false", "<none>", "<unknown>", "<unknown>", "<unknown>", "<none>", "<none>",
		}},
		"zero is zero, little is not": {meta: metav1.ObjectMeta{Name: "full"}, status: exhausted, confirmed: now.Add(time.Hour), want: []any{
			"full", "Unknown", "<unknown>", "<unknown>", "0/4", "0/2Ki", "<unknown>", "0s", "<unknown>",
			"<unknown>", "false", "<none>", "50m/1023", "<unknown>", "<unknown>", "<none>", "<none>",
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := unsynced(t)
			key := workspace.Key{Workspace: acme, Name: tc.meta.Name}
			store.SetEntries(source("x"), []viewstore.Entry{{Key: key, Labels: tc.meta.Labels, CreationTimestamp: tc.meta.CreationTimestamp}})
			store.SetContent(source("x"), &tc.status)
			rest := clusterstatus.NewREST(store, confirmed{tc.confirmed}, clocktesting.NewFakePassiveClock(now))
			obj, _ := store.Get(key)
			list, err := store.List(viewstore.Selection{Workspace: acme}, viewstore.ListOptions{})
			if err != nil {
				t.Fatalf("listing: %v", err)
			}
			for _, shown := range []runtime.Object{obj, list} {
				table, err := rest.ConvertToTable(context.Background(), shown, nil)
				if err != nil {
					t.Fatalf("rendering: %v", err)
				}
				if diff := cmp.Diff(tc.want, table.Rows[0].Cells); diff != "" {
					t.Errorf("cells of %T (-want +got):\n%s", shown, diff)
				}
				if len(table.ColumnDefinitions) != len(tc.want) {
					t.Errorf("%d columns for %d cells", len(table.ColumnDefinitions), len(tc.want))
				}
			}
		})
	}
}

func TestTablesOfTypedObjects(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	at := metav1.NewTime(now.Add(-2 * time.Minute))
	rest := clusterstatus.NewREST(unsynced(t), nil, clocktesting.NewFakePassiveClock(now))
	typed := tmcv1alpha1.ClusterStatus{ObjectMeta: metav1.ObjectMeta{Name: "east", ResourceVersion: "7"}, Status: tmcv1alpha1.ClusterStatusStatus{ObservationTime: &at}}
	for _, obj := range []runtime.Object{&typed, &tmcv1alpha1.ClusterStatusList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []tmcv1alpha1.ClusterStatus{typed}}} {
		table, err := rest.ConvertToTable(context.Background(), obj, &metav1.TableOptions{NoHeaders: true})
		if err != nil {
			t.Fatalf("rendering: %v", err)
		}
		if table.ResourceVersion != "7" || len(table.ColumnDefinitions) != 0 || table.Rows[0].Cells[7] != "2m" {
			t.Errorf("table of %T: %+v", obj, table)
		}
	}
	if _, err := rest.ConvertToTable(context.Background(), &metav1.Status{}, nil); err == nil {
		t.Error("a type that is no cluster status was rendered")
	}
}

func TestColumnsAreDescribed(t *testing.T) {
	t.Parallel()
	for _, column := range clusterstatus.Columns() {
		if column.Name == "" || column.Type == "" || len(column.Description) < 20 {
			t.Errorf("column %+v is not described", column)
		}
	}
}

func TestDiscoveryNames(t *testing.T) {
	t.Parallel()
	rest := clusterstatus.NewREST(unsynced(t), nil, clocktesting.NewFakePassiveClock(time.Now()))
	if rest.NamespaceScoped() || rest.GetSingularName() != "clusterstatus" || !cmp.Equal(rest.ShortNames(), []string{"cst"}) || !cmp.Equal(rest.Categories(), []string{"tmc", "kcp"}) {
		t.Errorf("names: %v %s %v %v", rest.NamespaceScoped(), rest.GetSingularName(), rest.ShortNames(), rest.Categories())
	}
	rest.Destroy()
	if _, ok := rest.New().(*tmcv1alpha1.ClusterStatus); !ok {
		t.Errorf("New() = %T", rest.New())
	}
	if _, ok := rest.NewList().(*tmcv1alpha1.ClusterStatusList); !ok {
		t.Errorf("NewList() = %T", rest.NewList())
	}
}
