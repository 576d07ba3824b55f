// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// untouched checks that a copy is the one that it was.
func (r refusals) untouched(t *testing.T, member, name string, before *appsv1.Deployment) {
	t.Helper()
	framework.Never(t, "the running copy is touched", holdTime, func(ctx context.Context) error {
		now, err := suite.MemberClient(t, member).AppsV1().Deployments(before.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && (now.UID != before.UID || now.Generation != before.Generation || now.Status.AvailableReplicas != before.Status.AvailableReplicas) {
			err = fmt.Errorf("it is %+v, was %+v", now, before)
		}
		return err
	})
}

// bySelector: kcp does not know that a selector is immutable, and the member does.
func bySelector(t *testing.T, r refusals) {
	t.Helper()
	const name = "reselected"
	r.place(t, name, "Deployment")
	r.Apply(t, deployment(name, 1))
	before := suite.WaitForDeployment(t, r.PlacingTenant, "east", name, available(1))
	r.WaitForUpstream(t, name, available(1))
	changed := strings.ReplaceAll(strings.ReplaceAll(deployment(name, 1), "matchLabels: {app: "+name, "matchLabels: {app: other"), "template:\n    metadata: {labels: {app: "+name, "template:\n    metadata: {labels: {app: other")
	r.Apply(t, changed)
	r.refused(t, "Deployment", name, tmcv1alpha1.ReasonImmutableField, "field is immutable")
	r.untouched(t, "east", name, before)
	// No member has the new content, so that it is not told as observed.
	result := r.Kubectl.Run(t, "rollout", "status", "deployment/"+name, "--timeout=2s")
	if result.ExitCode == 0 {
		t.Errorf("kubectl says that the rollout is done: %s", result.Output())
	}
	r.Apply(t, deployment(name, 1))
	r.WaitForPlacement(t, name, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	r.WaitForUpstream(t, name, available(1))
	r.untouched(t, "east", name, before)
}

// byJobTemplate is the everyday case: a job that is applied again with another image.
func byJobTemplate(t *testing.T, r refusals) {
	t.Helper()
	const name = "rejob"
	job := "apiVersion: batch/v1\nkind: Job\nmetadata: {name: " + name + ", namespace: default}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n" +
		"      containers: [{name: job, image: \"busybox:1\", resources: {requests: {cpu: 10m}}}]\n"
	r.place(t, name, "Job")
	r.Apply(t, job)
	r.Kubectl.MustRun(t, "wait", "--for=condition=complete", "job/"+name, "--timeout=50s")
	r.Apply(t, strings.Replace(job, "busybox:1", "busybox:2", 1))
	r.refused(t, "Job", name, tmcv1alpha1.ReasonImmutableField, "field is immutable")
	// Deleting and making it anew is the way out that the reason names.
	r.Kubectl.MustRun(t, "delete", "job", name, "--timeout=50s")
	r.Apply(t, strings.Replace(job, "busybox:1", "busybox:2", 1))
	r.Kubectl.MustRun(t, "wait", "--for=condition=complete", "job/"+name, "--timeout=50s")
	r.WaitForPlacement(t, name, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

// byForeignSelector breaks a rule that no schema can say.
func byForeignSelector(t *testing.T, r refusals) {
	t.Helper()
	const name = "selfless"
	r.place(t, name, "Deployment")
	r.Apply(t, strings.Replace(deployment(name, 1), "matchLabels: {app: "+name, "matchLabels: {app: other", 1))
	r.refused(t, "Deployment", name, tmcv1alpha1.ReasonInvalidOnMember, "`selector` does not match template `labels`")
}

// byAnnotations fills an object up to what kcp takes, so that no mark of TMC fits beside it.
func byAnnotations(t *testing.T, r refusals) {
	t.Helper()
	const (
		name  = "oversized"
		limit = 256<<10 - 100 // kcp adds one of its own
	)
	full := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: default, annotations: {note: " + strings.Repeat("x", limit-len("note")) + "}}\n" +
		"data: {big: " + strings.Repeat("y", 1<<20-len("big")-1) + "}\n"
	r.place(t, name, "ConfigMap")
	r.Apply(t, full)
	r.refused(t, "ConfigMap", name, tmcv1alpha1.ReasonTooLarge, "may not be more than 262144 bytes")
	// Without the annotation, one MiB of data goes through.
	r.Kubectl.MustRun(t, "annotate", "configmap", name, "note-")
	r.WaitForPlacement(t, name, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	found, err := suite.MemberClient(t, "east").CoreV1().ConfigMaps(r.Namespace(metav1.NamespaceDefault)).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil || len(found.Data["big"]) != 1<<20-len("big")-1 {
		t.Errorf("the member has %d bytes of data (%v)", len(found.Data["big"]), err)
	}
}

// choose changes which members a running deployment is for, to none.
func (r refusals) choose(t *testing.T, name, patch, reason string) *tmcv1alpha1.PlacementStatus {
	t.Helper()
	r.place(t, name, "Deployment")
	r.Apply(t, deployment(name, 1))
	before := suite.WaitForDeployment(t, r.PlacingTenant, "east", name, available(1))
	west := suite.WaitForDeployment(t, r.PlacingTenant, "west", name, available(1))
	r.WaitForPlacement(t, name, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	r.Kubectl.MustRun(t, "patch", "placement", name, "--type=merge", "-p", patch)
	r.WaitForPlacement(t, name, tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, reason)
	r.untouched(t, "east", name, before)
	r.untouched(t, "west", name, west)
	view, err := r.PlacementStatus(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

func byUnknownMember(t *testing.T, r refusals) {
	t.Helper()
	view := r.choose(t, "nowhere", `{"spec":{"clusterNames":["no.such"]}}`, tmcv1alpha1.ReasonNoClusterFits)
	for _, rejection := range view.Status.NotChosen {
		if rejection.ClusterName == "no.such" && rejection.Reason == tmcv1alpha1.ReasonClusterNotFound {
			return
		}
	}
	t.Errorf("the view does not say that there is no such member: %+v", view.Status)
}

func byEmptySelector(t *testing.T, r refusals) {
	t.Helper()
	view := r.choose(t, "elsewhere", `{"spec":{"clusterSelector":{"matchExpressions":[{"key":"moon","operator":"Exists"}]}}}`, tmcv1alpha1.ReasonNoClusterFits)
	for _, rejection := range view.Status.NotChosen {
		if rejection.Reason != tmcv1alpha1.ReasonLabelsDoNotMatch {
			t.Errorf("%s was not chosen for the reason %s, want %s", rejection.ClusterName, rejection.Reason, tmcv1alpha1.ReasonLabelsDoNotMatch)
		}
	}
	if len(view.Status.NotChosen)+len(view.Status.Clusters) < 2 {
		t.Errorf("the view does not tell of both members: %+v", view.Status)
	}
}

func byWeights(t *testing.T, r refusals) {
	t.Helper()
	r.choose(t, "weightless", `{"spec":{"replicaScheduling":{"type":"Divided","weights":[{"clusterSelector":{},"weight":0}]}}}`, tmcv1alpha1.ReasonReplicasNotPlaced)
}

func byNothingSelected(t *testing.T, r refusals) {
	t.Helper()
	r.place(t, "void", "Deployment")
	r.WaitForPlacement(t, "void", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonNothingSelected)
}

// TestContradictoryPlacementsAreRefused at once, in words that a person can act on.
func TestContradictoryPlacementsAreRefused(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "contradictions", nil)
	tests := map[string]struct{ spec, want string }{
		"no members":                  {"{numberOfClusters: 0}", "spec.numberOfClusters: Invalid value: 0: spec.numberOfClusters in body should be greater than or equal to 1"},
		"less than no members":        {"{numberOfClusters: -1}", "greater than or equal to 1"},
		"min above max":               {"{replicaScheduling: {type: Divided, weights: [{clusterNames: [a], minReplicas: 3, maxReplicas: 2}]}}", "minReplicas must not be greater than maxReplicas"},
		"weights without division":    {"{replicaScheduling: {type: Duplicated, weights: [{clusterNames: [a], weight: 2}]}}", "weights have a meaning with type Divided only"},
		"weights of the default type": {"{replicaScheduling: {weights: [{clusterNames: [a], weight: 2}]}}", "weights have a meaning with type Divided only"},
		"weight of nobody":            {"{replicaScheduling: {type: Divided, weights: [{weight: 2}]}}", "at least one of clusterSelector and clusterNames must be set"},
		"negative weight":             {"{replicaScheduling: {type: Divided, weights: [{clusterNames: [a], weight: -1}]}}", "greater than or equal to 0"},
		"unknown type":                {"{replicaScheduling: {type: Shared}}", `Unsupported value: "Shared": supported values: "Duplicated", "Divided"`},
		"value of Exists":             {"{tolerations: [{key: a, operator: Exists, value: b}]}", "value must be empty when operator is Exists"},
		"no key with Equal":           {"{tolerations: [{value: b}]}", "operator must be Exists when key is empty"},
		"unknown effect":              {"{tolerations: [{key: a, effect: Later}]}", `Unsupported value: "Later"`},
		"unknown operator":            {"{tolerations: [{key: a, operator: Like}]}", `Unsupported value: "Like"`},
		"a name twice":                {"{clusterNames: [a, a]}", `.spec.clusterNames: duplicate entries for key [="a"]`},
		"an empty name":               {`{clusterNames: [""]}`, "at least 1 chars long"},
		"a field that is not there":   {"{replicas: 3}", ".spec.replicas: field not declared in schema"},
		"another type":                {"{numberOfClusters: two}", "numberOfClusters"},
		"priority out of bounds":      {"{priority: 1000001}", "less than or equal to 1000000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := tenant.Kubectl.RunWithInput(t, placement("wrong", test.spec), "apply", "--server-side", "-f", "-")
			if result.ExitCode == 0 || !strings.Contains(result.Output(), test.want) {
				t.Errorf("kubectl ended with %d, want %q:\n%s", result.ExitCode, test.want, result.Output())
			}
		})
	}
}
