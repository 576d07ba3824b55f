// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kcp-dev/tmc/apis/manifests"
)

func TestIdentitiesAreMadeOnce(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	for range 2 {
		if err := ensureIdentity(t.Context(), client, SyncerName, syncerRules()); err != nil {
			t.Fatal(err)
		}
	}
	binding, err := client.RbacV1().ClusterRoleBindings().Get(t.Context(), SyncerName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: IdentityNamespace, Name: SyncerName}}; !slices.Equal(want, binding.Subjects) {
		t.Errorf("subjects are %v, wanted %v", binding.Subjects, want)
	}
	role, err := client.RbacV1().ClusterRoles().Get(t.Context(), binding.RoleRef.Name, metav1.GetOptions{})
	if err != nil || len(role.Rules) != len(syncerRules()) {
		t.Errorf("the role that is bound has the rules %v: %v", role.Rules, err)
	}
}

// SEC-07: TMC's identity on a member can do nothing to what keeps the member together, and everything is named.
func TestIdentitiesHaveNoWildcard(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]rbacv1.PolicyRule{ReaderName: readerRules(), SyncerName: syncerRules()} {
		for _, rule := range rules {
			for _, word := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs) {
				if strings.Contains(word, "*") {
					t.Errorf("%s has a wildcard: %v", name, rule)
				}
			}
			for _, resource := range rule.Resources {
				if strings.Contains(resource, "/") || strings.HasPrefix(resource, "cluster") || strings.HasPrefix(resource, "role") {
					t.Errorf("%s may reach %s", name, resource)
				}
			}
			if (slices.Contains(rule.Resources, "nodes") || slices.Contains(rule.Resources, "pods")) && !slices.Equal(rule.Verbs, []string{"list", "watch"}) {
				t.Errorf("%s may %v %v", name, rule.Verbs, rule.Resources)
			}
		}
	}
}

// What tenants get can be run: the syncer may write every kind of the export.
func TestSyncerCoversTheExport(t *testing.T) {
	t.Parallel()
	objects, err := manifests.Provider(manifests.Parameters{ProviderWorkspace: ProviderWorkspace, ServerUser: "x", TenantGroup: "y"})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.GetKind() != "APIExport" || object.GetName() != manifests.KubernetesExportName {
			continue
		}
		resources, _, _ := unstructured.NestedSlice(object.Object, "spec", "resources")
		if len(resources) == 0 {
			t.Error("the export is empty")
		}
		for _, r := range resources {
			resource := r.(map[string]any)
			if !slices.ContainsFunc(syncerRules(), func(rule rbacv1.PolicyRule) bool {
				return slices.Contains(rule.APIGroups, resource["group"].(string)) && slices.Contains(rule.Resources, resource["name"].(string)) &&
					slices.Contains(rule.Verbs, "patch")
			}) {
				t.Errorf("the syncer may not apply %v of group %q", resource["name"], resource["group"])
			}
		}
	}
}
