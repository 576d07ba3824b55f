// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
)

// TestMatrix has a row for each kind of change of the input: what was chosen before it, with nothing chosen yet, and what
// is chosen after it, with that in place.
func TestMatrix(t *testing.T) {
	t.Parallel()
	type clusters = []placement.Cluster
	east, west := cluster("east"), cluster("west", available("cpu", "40", "memory", "40Gi"))
	noExecute, noSchedule := taint("k", corev1.TaintEffectNoExecute), taint("k", corev1.TaintEffectNoSchedule)
	edited := func(c placement.Cluster, edits ...func(*placement.Cluster)) placement.Cluster {
		for _, edit := range edits {
			edit(&c)
		}
		return c
	}
	const scheduled, none, few = tmcv1alpha1.ReasonScheduled, tmcv1alpha1.ReasonNoClusterFits, tmcv1alpha1.ReasonTooFewClusters
	eu := selecting(map[string]string{"region": "eu"})
	for name, test := range map[string]struct {
		clusters, changed clusters
		in, edit          []func(*placement.Input)
		before, after     []string
		reason            string // after
		stays             string // the reason for which a member that stays would not be chosen anew
	}{
		"a member joins, all are wanted":          {clusters: clusters{east}, changed: clusters{east, west}, before: []string{"east"}, after: []string{"east", "west"}, reason: scheduled},
		"a member joins, enough run":              {clusters: clusters{west}, changed: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, before: []string{"west"}, after: []string{"west"}, reason: scheduled},
		"a member joins, one was lacking":         {clusters: clusters{west}, changed: clusters{east, west}, in: []func(*placement.Input){wanted(2)}, before: []string{"west"}, after: []string{"east", "west"}, reason: scheduled},
		"a member that is named joins":            {clusters: clusters{west}, changed: clusters{east, west}, in: []func(*placement.Input){named("east")}, before: []string{}, after: []string{"east"}, reason: scheduled},
		"the first member joins":                  {changed: clusters{east}, before: []string{}, after: []string{"east"}, reason: scheduled},
		"a member leaves, another takes over":     {clusters: clusters{east, west}, changed: clusters{west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"west"}, reason: scheduled},
		"a member leaves, one is lacking":         {clusters: clusters{east, west}, changed: clusters{west}, in: []func(*placement.Input){wanted(2)}, before: []string{"east", "west"}, after: []string{"west"}, reason: few},
		"the last member leaves":                  {clusters: clusters{east}, changed: clusters{}, before: []string{"east"}, after: []string{}, reason: none},
		"a chosen member is relabelled":           {clusters: clusters{east, west}, changed: clusters{edited(east, label("region", "us")), west}, in: []func(*placement.Input){eu, wanted(1)}, before: []string{"east"}, after: []string{"west"}, reason: scheduled},
		"another is relabelled into the selector": {clusters: clusters{east, edited(west, label("region", "us"))}, changed: clusters{east, west}, in: []func(*placement.Input){eu}, before: []string{"east"}, after: []string{"east", "west"}, reason: scheduled},
		"the only one is relabelled":              {clusters: clusters{east}, changed: clusters{edited(east, label("region", "us"))}, in: []func(*placement.Input){eu}, before: []string{"east"}, after: []string{"east"}, reason: none, stays: tmcv1alpha1.ReasonLabelsDoNotMatch},
		"a relabelled one is back": {
			clusters: clusters{edited(east, label("region", "us")), west}, changed: clusters{east, west}, in: []func(*placement.Input){eu, wanted(2)}, before: []string{"west"}, after: []string{"east", "west"}, reason: scheduled,
		},
		"NoSchedule stays":             {clusters: clusters{east, west}, changed: clusters{edited(east, noSchedule), west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"east"}, reason: scheduled, stays: tmcv1alpha1.ReasonUntoleratedTaint},
		"NoExecute moves":              {clusters: clusters{east, west}, changed: clusters{edited(east, noExecute), west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"west"}, reason: scheduled},
		"NoExecute with nowhere to go": {clusters: clusters{east, edited(west, cordoned)}, changed: clusters{edited(east, noExecute), edited(west, cordoned)}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"east"}, reason: none, stays: tmcv1alpha1.ReasonUntoleratedTaint},
		"NoExecute is tolerated":       {clusters: clusters{east, west}, changed: clusters{edited(east, noExecute), west}, in: []func(*placement.Input){wanted(1), func(in *placement.Input) { in.Spec.Tolerations = []tmcv1alpha1.Toleration{{Key: "k", Value: "v"}} }}, before: []string{"east"}, after: []string{"east"}, reason: scheduled},
		"PreferNoSchedule stays":       {clusters: clusters{east, west}, changed: clusters{edited(east, taint("k", corev1.TaintEffectPreferNoSchedule)), west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"east"}, reason: scheduled},
		"a taint goes":                 {clusters: clusters{edited(east, noSchedule), west}, changed: clusters{east, west}, in: []func(*placement.Input){wanted(2)}, before: []string{"west"}, after: []string{"east", "west"}, reason: scheduled},
		"a toleration is added":        {clusters: clusters{edited(east, noSchedule), west}, edit: []func(*placement.Input){func(in *placement.Input) { in.Spec.Tolerations = []tmcv1alpha1.Toleration{{Operator: "Exists"}} }}, before: []string{"west"}, after: []string{"east", "west"}, reason: scheduled},
		"a toleration of what runs goes": {
			clusters: clusters{edited(east, noExecute), west}, in: []func(*placement.Input){wanted(1), func(in *placement.Input) { in.Spec.Tolerations = []tmcv1alpha1.Toleration{{Operator: "Exists"}} }},
			edit: []func(*placement.Input){func(in *placement.Input) { in.Spec.Tolerations = nil }}, before: []string{"east"}, after: []string{"west"}, reason: scheduled,
		},
		"a chosen member is cordoned":            {clusters: clusters{east, west}, changed: clusters{edited(east, cordoned), west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"east"}, reason: scheduled, stays: tmcv1alpha1.ReasonUnschedulable},
		"a member is uncordoned":                 {clusters: clusters{edited(east, cordoned)}, changed: clusters{east}, before: []string{}, after: []string{"east"}, reason: scheduled},
		"a chosen member is away":                {clusters: clusters{east, west}, changed: clusters{edited(east, away), west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"east"}, reason: scheduled, stays: tmcv1alpha1.ReasonClusterNotReady},
		"a member recovers":                      {clusters: clusters{edited(east, away)}, changed: clusters{east}, before: []string{}, after: []string{"east"}, reason: scheduled},
		"a member recovers, another took over":   {clusters: clusters{edited(east, away), west}, changed: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, before: []string{"west"}, after: []string{"west"}, reason: scheduled},
		"a chosen member fills up":               {clusters: clusters{east, west}, changed: clusters{edited(east, available("cpu", "0")), west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"east"}, reason: scheduled},
		"room is made":                           {clusters: clusters{edited(east, available("cpu", "9", "memory", "80Gi"))}, changed: clusters{edited(east, available("cpu", "10", "memory", "80Gi"))}, before: []string{}, after: []string{"east"}, reason: scheduled},
		"a node is freed":                        {clusters: clusters{edited(east, func(c *placement.Cluster) { c.LargestFree = nil })}, changed: clusters{east}, before: []string{}, after: []string{"east"}, reason: scheduled},
		"capacity is counted":                    {clusters: clusters{edited(east, uncounted)}, changed: clusters{east}, before: []string{}, after: []string{"east"}, reason: scheduled},
		"capacity of a chosen one gets unknown":  {clusters: clusters{east, west}, changed: clusters{edited(east, uncounted), west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"east"}, reason: scheduled},
		"a kind is installed":                    {clusters: clusters{edited(east, without)}, changed: clusters{east}, before: []string{}, after: []string{"east"}, reason: scheduled},
		"a kind is found":                        {clusters: clusters{edited(east, unlearnt)}, changed: clusters{east}, before: []string{}, after: []string{"east"}, reason: scheduled},
		"a kind is found to be missing":          {clusters: clusters{edited(east, unlearnt), west}, changed: clusters{edited(east, without), west}, in: []func(*placement.Input){wanted(2)}, before: []string{"west"}, after: []string{"west"}, reason: few},
		"a kind of a chosen one gets unknown":    {clusters: clusters{east, west}, changed: clusters{edited(east, unlearnt), west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"east"}, reason: scheduled, stays: tmcv1alpha1.ReasonAPIUnknown},
		"a kind is removed from a chosen member": {clusters: clusters{east, west}, changed: clusters{edited(east, without), west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"east"}, reason: tmcv1alpha1.ReasonWorkloadsNotPlaced, stays: tmcv1alpha1.ReasonAPIMissing},
		"clusterNames is edited":                 {clusters: clusters{east, west}, in: []func(*placement.Input){named("east")}, edit: []func(*placement.Input){named("west")}, before: []string{"east"}, after: []string{"west"}, reason: scheduled},
		"clusterNames names nothing":             {clusters: clusters{east, west}, in: []func(*placement.Input){named("east")}, edit: []func(*placement.Input){named("gone")}, before: []string{"east"}, after: []string{"east"}, reason: none, stays: tmcv1alpha1.ReasonNameNotListed},
		"clusterSelector is edited":              {clusters: clusters{east, edited(west, label("region", "us"))}, in: []func(*placement.Input){eu}, edit: []func(*placement.Input){selecting(map[string]string{"region": "us"})}, before: []string{"east"}, after: []string{"west"}, reason: scheduled},
		"clusterSelector selects nothing":        {clusters: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, edit: []func(*placement.Input){selecting(map[string]string{"region": "mars"})}, before: []string{"east"}, after: []string{"east"}, reason: none, stays: tmcv1alpha1.ReasonLabelsDoNotMatch},
		"more are wanted":                        {clusters: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, edit: []func(*placement.Input){wanted(2)}, before: []string{"east"}, after: []string{"east", "west"}, reason: scheduled},
		"fewer are wanted":                       {clusters: clusters{east, west}, in: []func(*placement.Input){wanted(2)}, edit: []func(*placement.Input){wanted(1)}, before: []string{"east", "west"}, after: []string{"east"}, reason: scheduled},
		"requests grow":                          {clusters: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, edit: []func(*placement.Input){workloads(web(1000))}, before: []string{"east"}, after: []string{"east"}, reason: scheduled},
		"replicas grow beyond a stranger":        {clusters: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, edit: []func(*placement.Input){workloads(web(60)), wanted(2)}, before: []string{"east"}, after: []string{"east"}, reason: few},
		"replicas shrink until it fits":          {clusters: clusters{east}, in: []func(*placement.Input){workloads(web(90))}, edit: []func(*placement.Input){workloads(web(80))}, before: []string{}, after: []string{"east"}, reason: scheduled},
		"replicas are divided, so that they fit": {clusters: clusters{east, west}, in: []func(*placement.Input){workloads(web(80))}, edit: []func(*placement.Input){divided()}, before: []string{"east"}, after: []string{"east", "west"}, reason: scheduled},
		"a divided share no longer fits a new member": {
			clusters: clusters{east}, changed: clusters{east, west}, in: []func(*placement.Input){workloads(web(80)), divided(weigh(10, -1, -1, "west"))}, before: []string{"east"}, after: []string{"east"}, reason: scheduled,
		},
		"another workload is added":      {clusters: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, edit: []func(*placement.Input){workloads(web(10), web(500))}, before: []string{"east"}, after: []string{"east"}, reason: scheduled},
		"all workloads go":               {clusters: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, edit: []func(*placement.Input){workloads()}, before: []string{"east"}, after: []string{"east"}, reason: scheduled},
		"scheduling is suspended":        {clusters: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, edit: []func(*placement.Input){wanted(2), func(in *placement.Input) { in.Spec.Suspension = &tmcv1alpha1.Suspension{Scheduling: true} }}, before: []string{"east"}, after: []string{"east"}, reason: tmcv1alpha1.ReasonSuspended},
		"dispatching is suspended":       {clusters: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, edit: []func(*placement.Input){wanted(2), func(in *placement.Input) { in.Spec.Suspension = &tmcv1alpha1.Suspension{Dispatching: true} }}, before: []string{"east"}, after: []string{"east", "west"}, reason: scheduled},
		"nothing changes":                {clusters: clusters{east, west}, in: []func(*placement.Input){wanted(1)}, before: []string{"east"}, after: []string{"east"}, reason: scheduled},
		"a stranger that cannot changes": {clusters: clusters{east, edited(west, cordoned)}, changed: clusters{east, edited(west, cordoned, label("a", "b"))}, before: []string{"east"}, after: []string{"east"}, reason: scheduled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input(test.in...)
			before := placement.NewSnapshot(test.clusters)
			first := placement.Schedule(before, in)
			if diff := cmp.Diff(test.before, chosen(first)); diff != "" {
				t.Fatalf("before (-want +got):\n%s", diff)
			}
			in.Current = decisions(first)
			after := before
			if test.changed != nil {
				after = placement.NewSnapshot(test.changed)
			}
			for _, edit := range test.edit {
				edit(&in)
			}
			second := placement.Schedule(after, in)
			if diff := cmp.Diff(test.after, chosen(second)); diff != "" {
				t.Errorf("after (-want +got):\n%s", diff)
			}
			if second.Reason != test.reason || second.Satisfied != (test.reason == scheduled || test.reason == tmcv1alpha1.ReasonSuspended && len(test.edit) == 0) {
				t.Errorf("got %s, want %s", full(second), test.reason)
			}
			reasons := make([]string, 0, len(second.Chosen))
			for _, c := range second.Chosen {
				reasons = append(reasons, c.Reason)
			}
			if stays := strings.Join(reasons, ""); stays != test.stays {
				t.Errorf("what stays has the reason %q, want %q", stays, test.stays)
			}
			in.Current = decisions(second)
			if third := placement.Schedule(after, in); !cmp.Equal(chosen(second), chosen(third)) {
				t.Errorf("nothing changed, but then %v were chosen", chosen(third))
			}
		})
	}
}
