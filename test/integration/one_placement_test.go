// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// TestT11AWorkloadHasOnePlacement: of two that select it, the one with the higher priority has it, and the other one says so.
func TestT11AWorkloadHasOnePlacement(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t11", []string{"east", "west"})
	tenant.Apply(t, deployment("web", 1))
	tenant.Apply(t, placement("first", "{clusterNames: ["+tenant.Members["east"]+"]}"))
	suite.WaitForDeployment(t, tenant, "east", "web", available(1))

	tenant.Apply(t, placement("second", "{clusterNames: ["+tenant.Members["west"]+"], priority: 10, resourceSelectors: [{kind: Deployment}]}"))
	suite.WaitForDeployment(t, tenant, "west", "web", available(1))
	suite.WaitForNoDeployment(t, tenant, "east", "web")
	// Who selects everything need not say what it does not place; who names it says so.
	tenant.Apply(t, placement("third", "{clusterNames: ["+tenant.Members["east"]+"], resourceSelectors: [{kind: Deployment, name: web}]}"))
	tenant.WaitForView(t, "third", "whose the workload is", func(view *tmcv1alpha1.PlacementStatus) error {
		if !slices.ContainsFunc(view.Status.NotPlaced, func(o tmcv1alpha1.UnplacedObject) bool {
			return o.Kind == "Deployment" && o.Name == "web" && o.Reason == tmcv1alpha1.ReasonPlacedByOther && strings.Contains(o.Message, "second")
		}) {
			return fmt.Errorf("it does not place %+v", view.Status.NotPlaced)
		}
		return nil
	})
	tenant.WaitForPlacement(t, "third", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonNothingSelected)

	tenant.Kubectl.MustRun(t, "delete", "placement", "second", "--timeout=60s")
	suite.WaitForDeployment(t, tenant, "east", "web", available(1))
	suite.WaitForNoDeployment(t, tenant, "west", "web")
	tenant.WaitForPlacement(t, "first", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
}
