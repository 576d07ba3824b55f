// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

func grantManifest(name, spec string) string {
	return "apiVersion: tmc.kcp.io/v1alpha1\nkind: ClusterGrant\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
}

func waitForRows(t *testing.T, tenant *framework.Tenant, want ...string) time.Duration {
	t.Helper()
	slices.Sort(want)
	return framework.Eventually(t, fmt.Sprintf("%s to see %v", tenant.Name, want), framework.MemberTimeout, func(ctx context.Context) error {
		names, err := tenant.Client.StatusNames(ctx)
		if err == nil && !slices.Equal(names, want) {
			err = fmt.Errorf("it sees %v", names)
		}
		return err
	})
}

func waitForGrant(t *testing.T, tenant *framework.Tenant, name string, status metav1.ConditionStatus, reason string) {
	t.Helper()
	framework.Eventually(t, fmt.Sprintf("grant %s to be %s/%s", name, status, reason), framework.MemberTimeout, func(ctx context.Context) error {
		grant, err := tenant.Client.Grants().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("getting grant %s: %w", name, err)
		}
		conditions, err := framework.Conditions(grant)
		if err != nil {
			return err
		}
		return framework.WantCondition(conditions, tmcv1alpha1.ConditionReady, status, reason)
	})
}

// TestGrantLendsMembersAndRevokingTakesThemAway follows a grant through its life, also across shards.
func TestGrantLendsMembersAndRevokingTakesThemAway(t *testing.T) {
	t.Parallel()
	for _, shard := range suite.Env.Shards() {
		t.Run("borrower on shard "+shard, func(t *testing.T) {
			t.Parallel()
			borrower := suite.NewTenant(t, "borrower-"+shard, framework.OnShard(shard))
			name := "to-" + shard
			suite.Acme.Apply(t, grantManifest(name, fmt.Sprintf("{clusterNames: [east, edge], workspaces: [{path: %s}]}", borrower.Workspace)))
			waitForRows(t, borrower, "east."+name, "edge."+name)
			waitForGrant(t, suite.Acme, name, metav1.ConditionTrue, "")

			row, err := borrower.Client.Status(t.Context(), "east."+name)
			if err != nil {
				t.Fatal(err)
			}
			own, err := suite.Acme.Client.Status(t.Context(), "east")
			if err != nil {
				t.Fatal(err)
			}
			if row.UID == own.UID {
				t.Error("the lent row has the UID of the lender's row")
			}
			if got, want := row.Status.Version, own.Status.Version; got != want {
				t.Errorf("the lent row has version %s, want %s", got, want)
			}

			suite.Acme.Apply(t, grantManifest(name, fmt.Sprintf("{clusterNames: [edge], workspaces: [{path: %s}]}", borrower.Workspace)))
			waitForRows(t, borrower, "edge."+name)

			suite.Acme.Kubectl.MustRun(t, "delete", "clustergrant", name)
			took := waitForRows(t, borrower)
			t.Logf("the rows were gone %s after kubectl returned", took.Round(time.Millisecond))
		})
	}
}

func TestGrantBySubtreeAndSelector(t *testing.T) {
	t.Parallel()
	borrower := suite.NewTenant(t, "subtree")
	selector := fmt.Sprintf("{clusterSelector: {matchLabels: {topology.kubernetes.io/region: %s}}, workspaces: [{cluster: %s}]}",
		suite.MemberRegion("west"), borrower.Cluster)
	suite.Acme.Apply(t, grantManifest("by-label", selector))
	waitForRows(t, borrower, "west.by-label")
	suite.Acme.Kubectl.MustRun(t, "delete", "clustergrant", "by-label")
	waitForRows(t, borrower)

	suite.Acme.Apply(t, grantManifest("sub", "{clusterNames: [west], workspaces: [{subtree: "+borrower.Workspace+"}]}"))
	waitForRows(t, borrower, "west.sub")
	suite.Acme.Kubectl.MustRun(t, "delete", "clustergrant", "sub")
	waitForRows(t, borrower)
}

func TestGrantConditionsNameTheProblem(t *testing.T) {
	t.Parallel()
	suite.Acme.Apply(t, grantManifest("nothing", "{clusterNames: [nowhere], workspaces: [{path: root:nobody}]}"))
	waitForGrant(t, suite.Acme, "nothing", metav1.ConditionFalse, tmcv1alpha1.ReasonNothingSelected)
	suite.Acme.Kubectl.MustRun(t, "delete", "clustergrant", "nothing")
}

// TestBadGrantsAreRefusedBySchema: what the schema can see never reaches a controller.
func TestBadGrantsAreRefusedBySchema(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"no members":            "{workspaces: [{path: root:x}]}",
		"no borrowers":          "{clusterNames: [east], workspaces: []}",
		"two ways to name one":  "{clusterNames: [east], workspaces: [{path: root:x, cluster: abc}]}",
		"no way to name one":    "{clusterNames: [east], workspaces: [{}]}",
		"path that is not one":  "{clusterNames: [east], workspaces: [{path: 'root/x'}]}",
		"wildcard as a cluster": "{clusterNames: [east], workspaces: [{cluster: '*'}]}",
	}
	for name, spec := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := suite.Acme.Kubectl.RunWithInput(t, grantManifest("bad", spec), "create", "-f", "-")
			if result.ExitCode == 0 {
				t.Errorf("the grant was accepted: %s", spec)
			}
		})
	}
}
