// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kcp-dev/tmc/pkg/memberrole"
)

func TestIdentitiesAreMadeOnce(t *testing.T) {
	t.Parallel()
	client, rules := fake.NewClientset(), memberrole.Reader()
	for range 2 {
		if err := ensureIdentity(t.Context(), client, SyncerName, rules); err != nil {
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
	if err != nil || len(role.Rules) != len(rules) {
		t.Errorf("the role that is bound has the rules %v: %v", role.Rules, err)
	}
}
