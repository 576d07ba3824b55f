// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memberrole makes the identity that TMC needs on a member: a ServiceAccount with a ClusterRole that holds what is
// placed there, and nothing else.
package memberrole

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/apis/manifests"
	"github.com/kcp-dev/tmc/pkg/transform"
)

// Placeable returns the resources that can be placed with the exports as they are shipped: those of the export
// "kubernetes", and those that it claims and that TMC copies.
func Placeable() ([]schema.GroupResource, error) {
	offered, claimed, err := manifests.KubernetesResources()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Concat(offered, claimed), func(resource schema.GroupResource) bool {
		return check(resource) != nil
	}), nil
}

// check returns an error for a resource that TMC never copies.
func check(resource schema.GroupResource) error {
	if _, message, ok := transform.Syncable(resource, true, nil); !ok {
		return fmt.Errorf("%s: %s", resource, message)
	}
	return nil
}

// Reader returns what the views of a member need: health and capacity.
func Reader() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		capacityRule(),
		{APIGroups: []string{corev1.GroupName}, Resources: []string{"namespaces"}, ResourceNames: []string{metav1.NamespaceSystem}, Verbs: []string{"get"}},
	}
}

// Syncer returns what TMC needs to run objects of the resources on a member, beside the views: namespaces of its own, and
// copies in them. There is no update, for TMC only applies, and no deletecollection. It fails for a resource that is
// never copied.
func Syncer(resources []schema.GroupResource) ([]rbacv1.PolicyRule, error) {
	byGroup := map[string][]string{}
	for _, resource := range resources {
		if err := check(resource); err != nil {
			return nil, err
		}
		if !slices.Contains(byGroup[resource.Group], resource.Resource) {
			byGroup[resource.Group] = append(byGroup[resource.Group], resource.Resource)
		}
	}
	rules := []rbacv1.PolicyRule{
		capacityRule(),
		{APIGroups: []string{corev1.GroupName}, Resources: []string{"namespaces"}, Verbs: []string{"get", "list", "watch", "create", "delete"}},
	}
	copies := make([]rbacv1.PolicyRule, 0, len(byGroup))
	for group, names := range byGroup {
		slices.Sort(names)
		copies = append(copies, rbacv1.PolicyRule{
			APIGroups: []string{group}, Resources: names, Verbs: []string{"get", "list", "watch", "create", "patch", "delete"},
		})
	}
	slices.SortFunc(copies, func(a, b rbacv1.PolicyRule) int { return cmp.Compare(a.APIGroups[0], b.APIGroups[0]) })
	return append(rules, copies...), nil
}

// Everything is Syncer of everything that is placeable.
func Everything() ([]rbacv1.PolicyRule, error) {
	placeable, err := Placeable()
	if err != nil {
		return nil, err
	}
	return Syncer(placeable)
}

func capacityRule() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{corev1.GroupName}, Resources: []string{"nodes", "pods"}, Verbs: []string{"list", "watch"}}
}
