// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kcp-dev/tmc/pkg/transform"
)

// SEC-11: whatever namespaces a policy selects, it opens nothing to other tenants of the member, and what it opens to
// namespaces of its workspace and of the member itself is what it says.
func TestSEC11NetworkPoliciesSelectNoNamespaceOfOthers(t *testing.T) {
	t.Parallel()
	all := map[string]labels.Set{
		"acme/shop":   namespaceLabels(acme, "shop"),
		"acme/db":     namespaceLabels(acme, "db"),
		"globex/shop": namespaceLabels("globex", "shop"),
		"kube-system": {"kubernetes.io/metadata.name": "kube-system"},
		"monitoring":  {"kubernetes.io/metadata.name": "monitoring", "team": "sre"},
	}
	for name, tc := range map[string]struct {
		selector string
		want     []string
	}{
		"all":                {`{}`, []string{"acme/db", "acme/shop", "kube-system", "monitoring"}},
		"a name":             {`{matchLabels: {kubernetes.io/metadata.name: db}}`, []string{"acme/db"}},
		"the member's DNS":   {`{matchLabels: {kubernetes.io/metadata.name: kube-system}}`, []string{"kube-system"}},
		"some names":         {`{matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [shop, monitoring]}]}`, []string{"acme/shop", "monitoring"}},
		"all names but one":  {`{matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop, kube-system]}]}`, []string{"acme/db", "monitoring"}},
		"any name":           {`{matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]}`, []string{"acme/db", "acme/shop", "kube-system", "monitoring"}},
		"a label":            {`{matchLabels: {team: sre}}`, []string{"monitoring"}},
		"without a label":    {`{matchExpressions: [{key: team, operator: DoesNotExist}]}`, []string{"kube-system"}},
		"without a value":    {`{matchExpressions: [{key: team, operator: NotIn, values: [sre]}]}`, []string{"kube-system"}},
		"another workspace":  {`{matchLabels: {tmc.kcp.io/workspace: globex}}`, []string{"acme/db", "acme/shop"}},
		"all but the tenant": {`{matchExpressions: [{key: tmc.kcp.io/workspace, operator: NotIn, values: [` + acme + `]}]}`, []string{"kube-system", "monitoring"}},
		"another's name":     {`{matchLabels: {kubernetes.io/metadata.name: ` + transform.NamespaceName("globex", "shop") + `}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := "spec: {podSelector: {}, ingress: [{from: [{namespaceSelector: " + tc.selector + ", podSelector: {matchLabels: {a: b}}}]}], " +
				"egress: [{}, {ports: [{port: 53}], to: [{namespaceSelector: " + tc.selector + "}, {ipBlock: {cidr: 10.0.0.0/8}}]}]}"
			made := down(t, upstream(t, "networking.k8s.io/v1", "NetworkPolicy", source), transform.Target{})
			var policy networkingv1.NetworkPolicy
			encoded, err := json.Marshal(made.Object)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(encoded, &policy); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, selected(t, all, policy.Spec.Ingress[0].From)); diff != "" {
				t.Errorf("ingress from (-want +got):\n%s", diff)
			}
			to := policy.Spec.Egress[1].To
			if last := to[len(to)-1]; last.IPBlock == nil || last.NamespaceSelector != nil || len(policy.Spec.Egress[0].To) != 0 {
				t.Errorf("the other rules are %+v", policy.Spec.Egress)
			}
			if diff := cmp.Diff(tc.want, selected(t, all, to[:len(to)-1])); diff != "" {
				t.Errorf("egress to (-want +got):\n%s", diff)
			}
			for _, peer := range policy.Spec.Ingress[0].From {
				if peer.PodSelector == nil || peer.PodSelector.MatchLabels["a"] != "b" {
					t.Errorf("a peer lost its pods: %+v", peer)
				}
			}
		})
	}
}

// namespaceLabels are those that a member knows of a namespace of a workspace.
func namespaceLabels(ws logicalcluster.Name, name string) labels.Set {
	made := transform.Namespace(ws, "", name, "")
	all := labels.Set(made.GetLabels())
	all["kubernetes.io/metadata.name"] = made.GetName()
	return all
}

func selected(t *testing.T, all map[string]labels.Set, peers []networkingv1.NetworkPolicyPeer) []string {
	t.Helper()
	var found []string
	for name, set := range all {
		for _, peer := range peers {
			selector, err := metav1.LabelSelectorAsSelector(peer.NamespaceSelector)
			if err != nil {
				t.Fatal(err)
			}
			if selector.Matches(set) {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	return found
}

func TestNetworkPoliciesOfWrongTypesAreLeftToTheMember(t *testing.T) {
	t.Parallel()
	const source = "spec: {ingress: [7, {from: x}, {from: [8, {namespaceSelector: y}, {namespaceSelector: null, podSelector: {}}]}], egress: z}"
	made := down(t, upstream(t, "networking.k8s.io/v1", "NetworkPolicy", source), transform.Target{})
	want := content(upstream(t, "networking.k8s.io/v1", "NetworkPolicy", source))
	if diff := cmp.Diff(want["spec"], content(made)["spec"]); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}
