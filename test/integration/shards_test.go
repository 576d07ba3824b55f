// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// TestTenantsOnBothShardsReadTheSameTruth, and the loss of one shard does not blind the other. The loss disturbs other
// tests, so this one runs before them.
func TestTenantsOnBothShardsReadTheSameTruth(t *testing.T) {
	shards := suite.Env.Shards()
	if len(shards) < 2 {
		t.Fatalf("the environment has only the shards %v", shards)
	}
	other := shards[1]
	far := suite.NewTenant(t, "far", framework.OnShard(other))
	suite.Acme.Apply(t, grantManifest("far", "{clusterSelector: {}, workspaces: [{path: "+far.Workspace+"}]}"))
	waitForRows(t, far, "east.far", "west.far", "edge.far")
	framework.Eventually(t, "both shards to tell the same", framework.MemberTimeout, func(ctx context.Context) error {
		for _, member := range sharedMembers {
			near, err := suite.Acme.Client.Status(ctx, member)
			if err != nil {
				return err
			}
			lent, err := far.Client.Status(ctx, member+".far")
			if err != nil {
				return err
			}
			if !equality.Semantic.DeepEqual(near.Status.Available, lent.Status.Available) || near.Status.Version != lent.Status.Version {
				return fmt.Errorf("%s is %+v near and %+v far", member, near.Status, lent.Status)
			}
		}
		return nil
	})

	// A member of the far shard's own, seen from the near one.
	suite.Register(t, far, rotatedMember)
	far.Client.WaitForStatus(t, rotatedMember, tmcv1alpha1.ConditionReady, metav1.ConditionTrue)
	far.Apply(t, grantManifest("back", "{clusterNames: ["+rotatedMember+"], workspaces: [{path: "+suite.Acme.Workspace+"}]}"))
	lent := rotatedMember + ".back"
	waitForRows(t, suite.Acme, append([]string{lent}, sharedMembers...)...)

	suite.Kill(t, "kcp-"+other)
	t.Cleanup(func() {
		far.Kubectl.Run(t, "delete", "clusterregistration,clustergrant", "--all")
		suite.Acme.Kubectl.Run(t, "delete", "clustergrant", "far")
	})
	// The near shard goes on, with what the lost shard last said.
	waitForRows(t, suite.Acme, append([]string{lent}, sharedMembers...)...)
	suite.Acme.Client.WaitForStatus(t, lent, tmcv1alpha1.ConditionReady, metav1.ConditionTrue)
	// Live it is, too: an edit on the near shard shows.
	suite.Acme.Kubectl.MustRun(t, "label", "clusterregistration", "east", "shard-test=lives", "--overwrite")
	framework.Eventually(t, "a label to show while the other shard is away", framework.MemberTimeout, func(ctx context.Context) error {
		row, err := suite.Acme.Client.Status(ctx, "east")
		if err == nil && row.Labels["shard-test"] != "lives" {
			err = fmt.Errorf("its labels are %v", row.Labels)
		}
		return err
	})
	suite.Restart(t, "kcp-"+other)
	far.WaitUntilServed(t)
	waitForRows(t, far, "east.far", "west.far", "edge.far", rotatedMember)
	far.Kubectl.MustRun(t, "delete", "clustergrant", "back")
	waitForRows(t, suite.Acme, sharedMembers...)
}
