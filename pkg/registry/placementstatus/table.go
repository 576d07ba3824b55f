// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

const unknown = "<unknown>"

// Columns returns the columns of the table; those of priority 1 appear with -o wide only.
func Columns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name", Description: "Name of the Placement."},
		{Name: "Satisfied", Type: "string", Description: "Whether the Placement has the members that it asks for, and they everything that it selects."},
		{Name: "Members", Type: "string", Description: "Members that are chosen, of those that are asked for; all means as many as fit."},
		{Name: "Workloads", Type: "integer", Description: "Objects that are placed."},
		{Name: "Ready", Type: "string", Description: "Copies that are up to date and healthy, of all that there should be."},
		{Name: "Drift", Type: "integer", Description: "Copies that were changed on a member and are being repaired."},
		{Name: "Failed", Type: "integer", Description: "Copies that a member refused, or that are degraded."},
		{Name: "Freshness", Type: "string", Description: "Time since the member that was heard of least recently confirmed this."},
		{Name: "Age", Type: "string", Description: "Time since the Placement was created."},
		{Name: "Synced", Type: "string", Priority: 1, Description: "Copies that are as they should be, of all that there should be."},
		{Name: "Reason", Type: "string", Priority: 1, Description: "Reason of the condition Ready."},
		{Name: "Clusters", Type: "string", Priority: 1, Description: "Members that are chosen; one in parentheses is being left."},
		{Name: "Message", Type: "string", Priority: 1, Description: "Message of the condition Ready."},
	}
}

// table renders placement statuses.
type table struct {
	freshness Freshness
	clock     clock.PassiveClock
}

// ConvertToTable renders what kubectl get prints; a type it does not know is a defect, not an empty table.
func (t *table) ConvertToTable(_ context.Context, obj, opts runtime.Object) (*metav1.Table, error) {
	result := &metav1.Table{}
	options, _ := opts.(*metav1.TableOptions)
	if options == nil || !options.NoHeaders {
		result.ColumnDefinitions = Columns()
	}
	whole := options != nil && options.IncludeObject == metav1.IncludeObject
	switch o := obj.(type) {
	case *viewstore.Object:
		result.ResourceVersion = o.GetResourceVersion()
		result.Rows = []metav1.TableRow{t.stored(o, whole)}
	case *viewstore.List:
		result.ListMeta = o.ListMeta
		result.Rows = make([]metav1.TableRow, 0, len(o.Items))
		for _, item := range o.Items {
			result.Rows = append(result.Rows, t.stored(item, whole))
		}
	case *tmcv1alpha1.PlacementStatus:
		result.ResourceVersion = o.ResourceVersion
		result.Rows = []metav1.TableRow{t.row(o, o, &o.Status, nil)}
	case *tmcv1alpha1.PlacementStatusList:
		result.ListMeta = o.ListMeta
		for i := range o.Items {
			result.Rows = append(result.Rows, t.row(&o.Items[i], &o.Items[i], &o.Items[i].Status, nil))
		}
	default:
		return nil, apierrors.NewInternalError(fmt.Errorf("rendering %T as a table of placement statuses", obj))
	}
	return result, nil
}

// stored renders an object of the store. Only a request for whole objects pays for a typed copy.
func (t *table) stored(o *viewstore.Object, whole bool) metav1.TableRow {
	status, ok := o.Body().(*tmcv1alpha1.PlacementStatusStatus)
	if !ok || status == nil {
		status = &tmcv1alpha1.PlacementStatusStatus{}
	}
	source := o.Source()
	var shown runtime.Object = o
	if whole {
		shown = o.GetObject()
	}
	return t.row(shown, o, status, &source)
}

func (t *table) row(shown runtime.Object, m metav1.Object, s *tmcv1alpha1.PlacementStatusStatus, source *workspace.Key) metav1.TableRow {
	satisfied, reason, message := string(metav1.ConditionUnknown), unknown, ""
	if c := meta.FindStatusCondition(s.Conditions, tmcv1alpha1.ConditionScheduled); c != nil {
		satisfied = string(c.Status)
	}
	if c := meta.FindStatusCondition(s.Conditions, tmcv1alpha1.ConditionReady); c != nil {
		reason, message = c.Reason, c.Message
	}
	w := s.Workloads
	return metav1.TableRow{
		Object: runtime.RawExtension{Object: shown},
		Cells: []any{
			m.GetName(), satisfied, members(s), int64(w.Objects), ratio(w.Ready, w.Desired), int64(w.Drifted), int64(w.Failed),
			t.since(t.confirmed(s, source)), t.since(m.GetCreationTimestamp().Time),
			ratio(w.Synced, w.Desired), reason, clusters(s), message,
		},
	}
}

func ratio(part, whole int32) string { return fmt.Sprintf("%d/%d", part, whole) }

// members is how many are chosen of how many are wanted.
func members(s *tmcv1alpha1.PlacementStatusStatus) string {
	active := 0
	for i := range s.Clusters {
		if s.Clusters[i].Phase != tmcv1alpha1.DecisionLeaving {
			active++
		}
	}
	if s.ClustersWanted == nil {
		return strconv.Itoa(active) + "/all"
	}
	return fmt.Sprintf("%d/%d", active, *s.ClustersWanted)
}

func clusters(s *tmcv1alpha1.PlacementStatusStatus) string {
	names := make([]string, 0, len(s.Clusters))
	for i := range s.Clusters {
		name := s.Clusters[i].ClusterName
		if s.Clusters[i].Phase == tmcv1alpha1.DecisionLeaving {
			name = "(" + name + ")"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "<none>"
	}
	return strings.Join(names, ",")
}

// confirmed returns when what is shown was last confirmed: what is known by now, or what the status says.
func (t *table) confirmed(s *tmcv1alpha1.PlacementStatusStatus, source *workspace.Key) time.Time {
	if source != nil && t.freshness != nil {
		if at, ok := t.freshness.ConfirmedAt(*source); ok {
			return at
		}
	}
	if s.ObservationTime != nil {
		return s.ObservationTime.Time
	}
	return time.Time{}
}

func (t *table) since(at time.Time) string {
	if at.IsZero() {
		return unknown
	}
	return duration.HumanDuration(max(t.clock.Since(at), 0))
}
