// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/placement"
)

func TestMatchesSelector(t *testing.T) {
	t.Parallel()
	type object struct{ group, resource, kind, name string }
	deployment := object{"apps", "deployments", "Deployment", "web"}
	configMap := object{"", "configmaps", "ConfigMap", "settings"}
	secret, account := object{"", "secrets", "Secret", "password"}, object{"", "serviceaccounts", "ServiceAccount", "robot"}
	vault := object{"vault.example", "secrets", "Secret", "password"}
	event, newEvent, root := object{"", "events", "Event", "e"}, object{"events.k8s.io", "events", "Event", "e"}, object{"", "configmaps", "ConfigMap", "kube-root-ca.crt"}
	all := []object{deployment, configMap, secret, account, vault, event, newEvent, root}
	type selectors = []tmcv1alpha1.ResourceSelector
	labelled := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	for name, test := range map[string]struct {
		selectors selectors
		want      []object
	}{
		"by default":                        {nil, []object{deployment, configMap, vault}},
		"an empty selector is the default":  {selectors{{}}, []object{deployment, configMap, vault}},
		"by group, whatever the version":    {selectors{{APIVersion: "apps/v1beta1"}}, []object{deployment}},
		"by the core group":                 {selectors{{APIVersion: "v1"}}, []object{configMap}},
		"by kind":                           {selectors{{Kind: "ConfigMap"}}, []object{configMap}},
		"SEC-43 Secrets by kind only":       {selectors{{Name: "password"}, {APIVersion: "v1", Name: "password"}, {LabelSelector: labelled}}, []object{deployment, configMap, vault}},
		"Secrets by kind":                   {selectors{{Kind: "Secret"}}, []object{secret, vault}},
		"Secrets by kind and group":         {selectors{{Kind: "Secret", APIVersion: "v1"}}, []object{secret}},
		"ServiceAccounts by kind and name":  {selectors{{Kind: "ServiceAccount", Name: "robot"}, {Kind: "Secret", Name: "other"}}, []object{account}},
		"kinds are written as they are":     {selectors{{Kind: "deployment"}}, nil},
		"every field must match":            {selectors{{APIVersion: "apps/v1", Kind: "Deployment", Name: "db"}}, nil},
		"one of several":                    {selectors{{Kind: "Deployment"}, {Name: "settings"}}, []object{deployment, configMap}},
		"by label":                          {selectors{{Kind: "Deployment", LabelSelector: labelled}}, []object{deployment}},
		"by another label":                  {selectors{{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}}}, nil},
		"what has no use there is not sent": {selectors{{Kind: "Event"}, {Name: "kube-root-ca.crt"}}, nil},
		"labels that cannot be parsed":      {selectors{{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"!": ""}}}, {Name: "web"}}, []object{deployment}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := &tmcv1alpha1.PlacementSpec{ResourceSelectors: test.selectors}
			for _, o := range all {
				want := false
				for _, w := range test.want {
					want = want || w == o
				}
				got := placement.MatchesSelector(spec, schema.GroupResource{Group: o.group, Resource: o.resource}, schema.GroupVersionKind{Group: o.group, Kind: o.kind}, o.name, map[string]string{"app": "web"})
				if got != want {
					t.Errorf("%v: got %t, want %t", o, got, want)
				}
			}
		})
	}
	if !placement.MatchesSelector(nil, schema.GroupResource{Resource: "configmaps"}, schema.GroupVersionKind{Kind: "ConfigMap"}, "c", nil) {
		t.Error("no spec selects nothing")
	}
}
