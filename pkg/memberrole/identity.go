// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberrole

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Identity is a ServiceAccount that may do what the rules say, with all that it needs.
type Identity struct {
	Namespace      *corev1.Namespace
	ServiceAccount *corev1.ServiceAccount
	Role           *rbacv1.ClusterRole
	Binding        *rbacv1.ClusterRoleBinding
}

// New returns an identity. ServiceAccount, role and binding have the same name.
func New(name, namespace string, rules []rbacv1.PolicyRule) Identity {
	core := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: kind}
	}
	rbac := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
	}
	return Identity{
		Namespace:      &corev1.Namespace{TypeMeta: core("Namespace"), ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		ServiceAccount: &corev1.ServiceAccount{TypeMeta: core(rbacv1.ServiceAccountKind), ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}},
		Role:           &rbacv1.ClusterRole{TypeMeta: rbac("ClusterRole"), ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules},
		Binding: &rbacv1.ClusterRoleBinding{
			TypeMeta: rbac("ClusterRoleBinding"), ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
		},
	}
}
