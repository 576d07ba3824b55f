// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberrole

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/apis/manifests"
)

// all is the role for everything that is placeable.
func all(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	rules, err := Everything()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// SEC-07: TMC's identity on a member can do nothing to what keeps the member together, and everything is named.
func TestSEC07IdentitiesHaveNoWildcard(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]rbacv1.PolicyRule{DefaultReaderName: Reader(), DefaultSyncerName: all(t)} {
		for _, rule := range rules {
			for _, word := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs) {
				if strings.Contains(word, "*") || word == "update" || word == "deletecollection" || word == "impersonate" {
					t.Errorf("%s may %s: %v", name, word, rule)
				}
			}
			for _, resource := range rule.Resources {
				if strings.Contains(resource, "/") || strings.HasPrefix(resource, "cluster") || strings.HasPrefix(resource, "role") || resource == "events" {
					t.Errorf("%s may reach %s", name, resource)
				}
			}
			if (slices.Contains(rule.Resources, "nodes") || slices.Contains(rule.Resources, "pods")) && !slices.Equal(rule.Verbs, []string{"list", "watch"}) {
				t.Errorf("%s may %v %v", name, rule.Verbs, rule.Resources)
			}
		}
	}
}

// What tenants get can be run, with what it refers to.
func TestSyncerCoversTheExport(t *testing.T) {
	t.Parallel()
	offered, claimed, err := manifests.KubernetesResources()
	if err != nil || len(offered) < 11 || len(claimed) < 5 {
		t.Fatalf("the export offers %v and claims %v: %v", offered, claimed, err)
	}
	rules := all(t)
	may := func(verb string, resource schema.GroupResource) bool {
		return slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
			return slices.Contains(rule.APIGroups, resource.Group) && slices.Contains(rule.Resources, resource.Resource) && slices.Contains(rule.Verbs, verb)
		})
	}
	for _, resource := range append(offered, schema.GroupResource{Resource: "configmaps"}, schema.GroupResource{Resource: "secrets"}, schema.GroupResource{Resource: "serviceaccounts"}) {
		for _, verb := range []string{"get", "list", "watch", "create", "patch", "delete"} {
			if !may(verb, resource) {
				t.Errorf("the syncer may not %s %s", verb, resource)
			}
		}
	}
	if may("patch", schema.GroupResource{Resource: "namespaces"}) || may("create", schema.GroupResource{Resource: "events"}) {
		t.Error("the syncer may do what TMC does not")
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args          []string
		with, without []string
		fails         string
	}{
		"everything":       {with: []string{"kind: Namespace", "name: tmc-syncer", "namespace: tmc-system", "- cronjobs", "- configmaps", "kind: ClusterRoleBinding"}, without: []string{"creationTimestamp", "status", "spec:"}},
		"named":            {args: []string{"--resources=deployments.apps,configmaps,deployments.apps", "--name=edge", "--namespace=fleet"}, with: []string{"name: edge", "namespace: fleet", "- deployments", "- configmaps", "- nodes"}, without: []string{"- cronjobs", "- secrets", "tmc-"}},
		"read only":        {args: []string{"--read-only"}, with: []string{"name: tmc-reader", "- kube-system", "- pods"}, without: []string{"- create", "- secrets"}},
		"all and more":     {args: []string{"--resources=all,widgets.example.com"}, with: []string{"- widgets", "- example.com", "- cronjobs", "- secrets"}, without: []string{"- all"}},
		"both":             {args: []string{"--read-only", "--resources=secrets"}, fails: "--read-only and --resources exclude each other"},
		"what gives right": {args: []string{"--resources=deployments.apps,roles.rbac.authorization.k8s.io"}, fails: "--resources: roles.rbac.authorization.k8s.io: "},
		"pods":             {args: []string{"--resources=pods"}, fails: "made by the controllers of each member"},
		"everything else":  {args: []string{"--resources=*"}, fails: "--resources: *: "},
		"a strange name":   {args: []string{"--name=a: b"}, fails: "--name=a: b: "},
		"no namespace":     {args: []string{"--namespace="}, fails: "--namespace=: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			cmd := NewCommand(&out)
			cmd.SetArgs(append([]string{}, tc.args...))
			cmd.SetErr(io.Discard)
			err := cmd.Execute()
			if (err == nil) != (tc.fails == "") || err != nil && !strings.Contains(err.Error(), tc.fails) {
				t.Fatalf("got error %v, want one with %q", err, tc.fails)
			}
			if err != nil && out.Len() > 0 {
				t.Errorf("it failed, and printed %s", out.String())
			}
			for _, part := range tc.with {
				if !strings.Contains(out.String(), part) {
					t.Errorf("there is no %q in\n%s", part, out.String())
				}
			}
			for _, part := range tc.without {
				if strings.Contains(out.String(), part) {
					t.Errorf("there is %q in\n%s", part, out.String())
				}
			}
		})
	}
}
