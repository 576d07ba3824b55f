// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Summary sums up the copies of a Placement.
type Summary struct {
	// Desired, Synced, Ready and Failed count copies; one that is leaving is not desired.
	Desired, Synced, Ready, Failed int32
	// Reading counts desired copies of which will be known in a moment whether they are synced.
	Reading int32
	// Problem describes the first copy that a member refused, with its reason, and Degraded the first that is degraded.
	Problem, Reason, Degraded string
	// Away names the first member that has copies and cannot be reached.
	Away string
	// Occupied are the names of the members that have, or may have, copies.
	Occupied map[string]bool
}

// Summary sums up the copies of a Placement. Of several problems the first by object and member is described, so that
// the description changes as rarely as can be.
func (c *Controller) Summary(placement workspace.Key) Summary {
	all := c.states.rowsOf(placement)
	keys := make([]Key, 0, len(all))
	for key := range all {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, Key.Compare)
	sum := Summary{Occupied: map[string]bool{}}
	for _, key := range keys {
		for i := range all[key] {
			sum.add(&all[key][i])
		}
	}
	return sum
}

func (s *Summary) add(row *Row) {
	if row.Member != (workspace.Key{}) { // otherwise it is not known which member it is
		s.Occupied[row.Cluster] = true
	}
	object := &row.Object
	if !row.Leaving {
		s.Desired++
		if !row.ReadingUntil.IsZero() {
			s.Reading++
		}
		if object.Synced == metav1.ConditionTrue {
			s.Synced++
			if object.Health == tmcv1alpha1.HealthHealthy {
				s.Ready++
			}
		}
	}
	switch {
	case object.Synced == metav1.ConditionFalse && object.Reason != tmcv1alpha1.ReasonSyncing:
		s.Failed++
		if s.Problem == "" {
			s.Reason, s.Problem = object.Reason, describe(row)
		}
	case object.Reason == tmcv1alpha1.ReasonDetachPending:
		if s.Problem == "" {
			s.Reason, s.Problem = object.Reason, describe(row)
		}
	case object.Reason == tmcv1alpha1.ReasonMemberUnreachable && s.Away == "":
		s.Away = row.Cluster
	case object.Health == tmcv1alpha1.HealthDegraded:
		s.Failed++
		if s.Degraded == "" {
			s.Degraded = describe(row)
		}
	}
}

func describe(row *Row) string {
	text := fmt.Sprintf("%s %s on member %s", row.Object.Kind, row.Object.Name, row.Cluster)
	if row.Object.Message == "" {
		return text
	}
	return text + ": " + strings.TrimSuffix(row.Object.Message, ".")
}

// Replicas returns how many replicas of a workload a member has made, and whether it has a copy.
func (c *Controller) Replicas(member workspace.Key, gr schema.GroupResource, workload workspace.Key) (count int32, found bool) {
	kind, known := c.kind(gr)
	if !known {
		return 0, false
	}
	at := Location{Resource: kind.GVR, Namespace: transform.NamespaceName(workload.Workspace, workload.Namespace), Name: workload.Name}
	live, there := c.config.Downstream.Copy(member, at)
	if !there || !isCopyOf(live, workload) {
		return 0, false
	}
	return made(gr, live), true
}

// made counts the pods that a copy is known to have made. What a member says is bounded.
func made(gr schema.GroupResource, live *unstructured.Unstructured) int32 {
	fields := []string{"replicas"}
	switch gr.Resource {
	case "jobs":
		fields = []string{"active", "succeeded", "failed"}
	case "daemonsets":
		fields = []string{"currentNumberScheduled"}
	}
	sum := int64(0)
	for _, field := range fields {
		count, _, _ := unstructured.NestedInt64(live.Object, "status", field) // what is no number counts nothing
		sum += min(max(count, 0), mostReplicas)
	}
	return int32(min(sum, mostReplicas))
}
