// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterstatus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
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
		{Name: "Name", Type: "string", Format: "name", Description: "Name of the member in this workspace; a member that another workspace lends is named <registration>.<grant>."},
		{Name: "Ready", Type: "string", Description: "Whether the member can run work: True, False, or Unknown while it cannot be reached."},
		{Name: "Version", Type: "string", Description: "Kubernetes version of the member."},
		{Name: "Nodes", Type: "string", Description: "Nodes that are ready, of all nodes."},
		{Name: "CPU", Type: "string", Description: "CPU cores available, of those that usable nodes offer to pods."},
		{Name: "Memory", Type: "string", Description: "Memory available, of that which usable nodes offer to pods."},
		{Name: "Pods", Type: "string", Description: "Pods that have a node and have not ended."},
		{Name: "Freshness", Type: "string", Description: "Time since the member last confirmed these figures."},
		{Name: "Age", Type: "string", Description: "Time since the member was registered."},
		{Name: "Reason", Type: "string", Priority: 1, Description: "Reason of the condition Ready."},
		{Name: "Unschedulable", Type: "string", Priority: 1, Description: "Whether the member takes no new work."},
		{Name: "Taints", Type: "string", Priority: 1, Description: "Taints that keep work off the member that does not tolerate them."},
		{Name: "Allocated", Type: "string", Priority: 1, Description: "CPU cores and memory that bound pods request."},
		{Name: "Pending", Type: "string", Priority: 1, Description: "Pods that wait for a node."},
		{Name: "Max-Pod", Type: "string", Priority: 1, Description: "Most CPU cores, and most memory, that are free on one node: a pod that asks for more fits nowhere."},
		{Name: "Region", Type: "string", Priority: 1, Description: "Label topology.kubernetes.io/region."},
		{Name: "Zone", Type: "string", Priority: 1, Description: "Label topology.kubernetes.io/zone."},
	}
}

// table renders cluster statuses.
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
	case *tmcv1alpha1.ClusterStatus:
		result.ResourceVersion = o.ResourceVersion
		result.Rows = []metav1.TableRow{t.row(o, o, &o.Status, nil)}
	case *tmcv1alpha1.ClusterStatusList:
		result.ListMeta = o.ListMeta
		for i := range o.Items {
			result.Rows = append(result.Rows, t.row(&o.Items[i], &o.Items[i], &o.Items[i].Status, nil))
		}
	default:
		return nil, apierrors.NewInternalError(fmt.Errorf("rendering %T as a table of cluster statuses", obj))
	}
	return result, nil
}

// stored renders an object of the store. Only a request for whole objects pays for a typed copy.
func (t *table) stored(o *viewstore.Object, whole bool) metav1.TableRow {
	status, ok := o.Body().(*tmcv1alpha1.ClusterStatusStatus)
	if !ok || status == nil {
		status = &tmcv1alpha1.ClusterStatusStatus{}
	}
	source := o.Source()
	var shown runtime.Object = o
	if whole {
		shown = o.GetObject()
	}
	return t.row(shown, o, status, &source)
}

func (t *table) row(shown runtime.Object, m metav1.Object, s *tmcv1alpha1.ClusterStatusStatus, source *workspace.Key) metav1.TableRow {
	ready, reason := string(metav1.ConditionUnknown), unknown
	if c := meta.FindStatusCondition(s.Conditions, tmcv1alpha1.ConditionReady); c != nil {
		ready, reason = string(c.Status), c.Reason
	}
	labels := m.GetLabels()
	return metav1.TableRow{
		Object: runtime.RawExtension{Object: shown},
		Cells: []any{
			m.GetName(), ready, orElse(s.Version, unknown), nodes(s.Nodes),
			ratio(cores, s.Available, s.Allocatable, corev1.ResourceCPU),
			ratio(bytesText, s.Available, s.Allocatable, corev1.ResourceMemory),
			bound(s.Pods), t.since(t.confirmed(s, source)), t.since(m.GetCreationTimestamp().Time),
			reason, strconv.FormatBool(s.Unschedulable), taints(s.Taints),
			pair(text(cores, s.Allocated, corev1.ResourceCPU), text(bytesText, s.Allocated, corev1.ResourceMemory)),
			pending(s.Pods), maxPod(s.LargestFree),
			orElse(labels[corev1.LabelTopologyRegion], "<none>"), orElse(labels[corev1.LabelTopologyZone], "<none>"),
		},
	}
}

// confirmed returns when the figures were last confirmed: what the fleet knows, or what the status says.
func (t *table) confirmed(s *tmcv1alpha1.ClusterStatusStatus, source *workspace.Key) time.Time {
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

func orElse(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func nodes(n *tmcv1alpha1.NodeSummary) string {
	if n == nil {
		return unknown
	}
	return fmt.Sprintf("%d/%d", n.Ready, n.Total)
}

func bound(p *tmcv1alpha1.PodSummary) string {
	if p == nil {
		return unknown
	}
	return strconv.FormatInt(p.Bound, 10)
}

func pending(p *tmcv1alpha1.PodSummary) string {
	if p == nil {
		return unknown
	}
	return strconv.FormatInt(p.Pending, 10)
}

func taints(list []tmcv1alpha1.Taint) string {
	if len(list) == 0 {
		return "<none>"
	}
	parts := make([]string, 0, len(list))
	for _, taint := range list {
		text := taint.Key
		if taint.Value != "" {
			text += "=" + taint.Value
		}
		parts = append(parts, text+":"+string(taint.Effect))
	}
	return strings.Join(parts, ",")
}
