// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// TestTenantReadsItsMembersWithKubectl is the main promise: an ordinary user with an ordinary kubectl.
func TestTenantReadsItsMembersWithKubectl(t *testing.T) {
	t.Parallel()
	kubectl := suite.Acme.Kubectl

	tests := map[string]struct {
		args []string
		// want must stand in the output, each.
		want []string
		// not must not.
		not []string
	}{
		"table": {
			args: []string{"get", "clusterstatus"},
			want: []string{"NAME", "READY", "VERSION", "NODES", "CPU", "MEMORY", "PODS", "FRESHNESS", "AGE", "east", "west", "edge", "True", "v1.36.3"},
			not:  []string{"<unknown>", "REASON"},
		},
		"wide table by short name": {
			args: []string{"get", "cst", "-o", "wide"},
			want: []string{"REASON", "REGION", "ZONE", "east"},
			not:  []string{"127.0.0.1"},
		},
		"yaml": {
			args: []string{"get", "cst", "east", "-o", "yaml"},
			want: []string{"kind: ClusterStatus", "allocatable:", "available:", "observationTime:", "kcp.io/cluster:", "largestFree:"},
			not:  []string{"127.0.0.1", "token", "managedFields"},
		},
		"describe": {
			args: []string{"describe", "clusterstatus", "east"},
			want: []string{"Name:", "east", "Allocatable:", "Conditions:"},
		},
		"explain": {
			args: []string{"explain", "clusterstatus.status"},
			want: []string{"KIND:       ClusterStatus", "observationTime", "available"},
			not:  []string{"<no description>"},
		},
		"by label": {
			args: []string{"get", "cst", "-l", "topology.kubernetes.io/region=" + suite.MemberRegion("east"), "-o", "name"},
			want: []string{"clusterstatus.tmc.kcp.io/east"},
			not:  []string{"edge"},
		},
		"by field": {
			args: []string{"get", "cst", "--field-selector", "metadata.name=east", "-o", "name"},
			want: []string{"clusterstatus.tmc.kcp.io/east"},
			not:  []string{"west", "edge"},
		},
		"in chunks of one": {
			args: []string{"get", "cst", "--chunk-size=1", "-o", "name"},
			want: []string{"/east", "/west", "/edge"},
		},
		"category": {
			args: []string{"get", "tmc", "-o", "name"},
			want: []string{"clusterstatus.tmc.kcp.io/east", "clusterregistration.tmc.kcp.io/east"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output := kubectl.MustRun(t, tc.args...)
			for _, want := range tc.want {
				if !strings.Contains(output, want) {
					t.Errorf("the output lacks %q:\n%s", want, output)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(output, not) {
					t.Errorf("the output has %q:\n%s", not, output)
				}
			}
		})
	}
}

func TestDiscoveryOffersReadsOnly(t *testing.T) {
	t.Parallel()
	output := suite.Acme.Kubectl.MustRun(t, "api-resources", "--api-group=tmc.kcp.io", "-o", "wide", "--no-headers")
	for line := range strings.SplitSeq(output, "\n") {
		if strings.HasPrefix(line, "clusterstatuses ") {
			for _, want := range []string{"cst", "ClusterStatus", "get,list,watch", "tmc"} {
				if !strings.Contains(line, want) {
					t.Errorf("the line lacks %q: %s", want, line)
				}
			}
			if strings.Contains(line, "create") || strings.Contains(line, "delete") {
				t.Errorf("discovery offers writes: %s", line)
			}
			return
		}
	}
	t.Errorf("discovery lacks clusterstatuses:\n%s", output)
}

// TestSEC05ViewsCannotBeWritten tries every way to write as the tenant's own administrator.
func TestSEC05ViewsCannotBeWritten(t *testing.T) {
	t.Parallel()
	kubectl := suite.Acme.Kubectl
	manifest := "apiVersion: tmc.kcp.io/v1alpha1\nkind: ClusterStatus\nmetadata: {name: forged}\n"

	tests := map[string]struct {
		args  []string
		input string
	}{
		"create":            {args: []string{"create", "-f", "-"}, input: manifest},
		"server-side apply": {args: []string{"apply", "--server-side", "-f", "-"}, input: manifest},
		"merge patch":       {args: []string{"patch", "cst", "east", "--type=merge", "-p", `{"status":{"version":"v0"}}`}},
		"status patch":      {args: []string{"patch", "cst", "east", "--subresource=status", "--type=merge", "-p", `{"status":{"version":"v0"}}`}},
		"label":             {args: []string{"label", "cst", "east", "forged=true"}},
		"delete":            {args: []string{"delete", "cst", "east", "--wait=false"}},
		"delete all":        {args: []string{"delete", "cst", "--all", "--wait=false"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := kubectl.RunWithInput(t, tc.input, tc.args...)
			refused := strings.Contains(result.Stderr, "orbidden") || strings.Contains(result.Stderr, "MethodNotAllowed") ||
				strings.Contains(result.Stderr, "not allow") || strings.Contains(result.Stderr, "NotFound")
			if result.ExitCode == 0 || !refused {
				t.Errorf("the write ended with %d and says:\n%s", result.ExitCode, result.Output())
			}
		})
	}
	for _, verb := range []string{"create", "update", "patch", "delete", "deletecollection"} {
		if answer := kubectl.Run(t, "auth", "can-i", verb, "clusterstatuses.tmc.kcp.io"); !strings.HasPrefix(answer.Stdout, "no") {
			t.Errorf("auth can-i %s clusterstatuses says %q, want no", verb, answer.Stdout)
		}
	}
	for _, verb := range []string{"get", "list", "watch"} {
		if answer := kubectl.Run(t, "auth", "can-i", verb, "clusterstatuses.tmc.kcp.io"); !strings.HasPrefix(answer.Stdout, "yes") {
			t.Errorf("auth can-i %s clusterstatuses says %q, want yes", verb, answer.Stdout)
		}
	}
}

// TestTenantWithoutGrantSeesNothing: two tenants, one URL, two truthful answers.
func TestTenantWithoutGrantSeesNothing(t *testing.T) {
	t.Parallel()
	stranger := suite.NewTenant(t, "stranger")
	names, err := stranger.Client.StatusNames(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 0 {
		t.Errorf("a tenant without members and grants sees %v", names)
	}
	if result := stranger.Kubectl.Run(t, "get", "cst", "east"); result.ExitCode == 0 || !strings.Contains(result.Stderr, "NotFound") {
		t.Errorf("another tenant's member can be named: %s", result.Output())
	}
	if output := stranger.Kubectl.Run(t, "get", "cst").Output(); !strings.Contains(output, "No resources found") {
		t.Errorf("an empty view reads: %s", output)
	}
}

// TestWaitWorksOnViews: kubectl wait is what scripts use.
func TestWaitWorksOnViews(t *testing.T) {
	t.Parallel()
	output := suite.Acme.Kubectl.MustRun(t, "wait", "--for=condition=Ready", "clusterstatus", "--all", "--timeout=30s")
	if got := strings.Count(output, "condition met"); got < len(sharedMembers) {
		t.Errorf("wait met %d conditions, want %d:\n%s", got, len(sharedMembers), output)
	}
}

// TestGetAndListAgree compares the three ways to read one row.
func TestGetAndListAgree(t *testing.T) {
	t.Parallel()
	framework.Eventually(t, "get and list to agree between two changes", framework.MemberTimeout, func(ctx context.Context) error {
		list, err := suite.Acme.Client.Statuses().List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("listing: %w", err)
		}
		if len(list.Items) != len(sharedMembers) {
			return fmt.Errorf("listed %d rows, want %d", len(list.Items), len(sharedMembers))
		}
		for i := range list.Items {
			listed := &list.Items[i]
			got, err := suite.Acme.Client.Statuses().Get(ctx, listed.GetName(), metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("getting: %w", err)
			}
			if diff := cmp.Diff(listed.Object, got.Object); diff != "" {
				return fmt.Errorf("get and list differ (-list +get):\n%s", diff)
			}
		}
		return nil
	})
}

// TestRowsKeepOthersSecrets is the golden test of what a tenant may learn: no node, no address, no credential.
func TestRowsKeepOthersSecrets(t *testing.T) {
	t.Parallel()
	row, err := suite.Acme.Client.Status(t.Context(), "east")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range append(suite.NodeNames(t, "east"), "127.0.0.1", "https://", "kubeconfig") {
		if strings.Contains(string(data), secret) {
			t.Errorf("the row tells %q:\n%s", secret, data)
		}
	}
	if row.Name != "east" || row.Namespace != "" || row.ResourceVersion == "" || row.UID == "" || row.CreationTimestamp.IsZero() {
		t.Errorf("the row's metadata is incomplete: %+v", row.ObjectMeta)
	}
	for _, conditionType := range []string{tmcv1alpha1.ConditionReady, tmcv1alpha1.ConditionReachable, tmcv1alpha1.ConditionCapacityKnown} {
		if err := framework.WantCondition(row.Status.Conditions, conditionType, metav1.ConditionTrue, ""); err != nil {
			t.Error(err)
		}
	}
}
