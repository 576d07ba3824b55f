// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// SEC-07: what TMC may do in a tenant's workspace for the sake of workloads does not grow without this test noticing.
func TestKubernetesPermissionClaims(t *testing.T) {
	t.Parallel()
	wantYAML(t, find(t, "APIExport", KubernetesExportName), `
- group: ""
  resource: namespaces
  verbs:
  - get
  - list
  - watch
- group: ""
  resource: configmaps
  verbs:
  - get
  - list
  - watch
- group: ""
  resource: serviceaccounts
  verbs:
  - get
  - list
  - watch
- defaultSelector:
    matchExpressions:
    - key: tmc.kcp.io/credentials
      operator: DoesNotExist
  group: ""
  resource: secrets
  verbs:
  - get
  - list
  - watch
- group: ""
  resource: events
  verbs:
  - create
  - patch
`, "spec", "permissionClaims")
}

// SEC-07: what tenants may do with a Kubernetes kind follows from its schema: everything, but for writing a status.
func TestKubernetesMaximalPermissions(t *testing.T) {
	t.Parallel()
	wantYAML(t, find(t, "APIExport", KubernetesExportName), "local: {}", "spec", "maximalPermissionPolicy")
	wantYAML(t, find(t, "ClusterRoleBinding", "tmc-kubernetes-maximal-permissions"), `
- apiGroup: rbac.authorization.k8s.io
  kind: Group
  name: apis.kcp.io:binding:system:authenticated
`, "subjects")

	want := map[string][]any{}
	for _, resource := range exportedResources(t, KubernetesExportName) {
		plural, _, _ := unstructured.NestedString(resource, "spec", "names", "plural")
		group, _, _ := unstructured.NestedString(resource, "spec", "group")
		want[group+"/"+plural] = []any{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
		versions, _, _ := unstructured.NestedSlice(resource, "spec", "versions")
		subresources, _, _ := unstructured.NestedMap(versions[0].(map[string]any), "subresources")
		for subresource := range subresources {
			want[group+"/"+plural+"/"+subresource] = map[string][]any{"status": {"get"}, "scale": {"get", "update", "patch"}}[subresource]
		}
	}
	got := map[string][]any{}
	rules, _, _ := unstructured.NestedSlice(find(t, "ClusterRole", "tmc-kubernetes-maximal-permissions").Object, "rules")
	for _, rule := range rules {
		fields := rule.(map[string]any)
		for _, resource := range fields["resources"].([]any) {
			for _, group := range fields["apiGroups"].([]any) {
				got[group.(string)+"/"+resource.(string)] = fields["verbs"].([]any)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("permissions by resource (-want +got):\n%s", diff)
	}
}

// exportedResources returns the schemas that an export names.
func exportedResources(t *testing.T, export string) []map[string]any {
	t.Helper()
	schemas, err := exportedSchemas(find(t, "APIExport", export))
	if err != nil {
		t.Fatalf("reading the schemas of APIExport %s: %v", export, err)
	}
	contents := make([]map[string]any, 0, len(schemas))
	for _, schema := range schemas {
		contents = append(contents, schema.Object)
	}
	return contents
}

// What a tenant cannot bind, or gets by another name, is not offered.
func TestKubernetesExport(t *testing.T) {
	t.Parallel()
	export := find(t, "APIExport", KubernetesExportName)
	resources, _, _ := unstructured.NestedSlice(export.Object, "spec", "resources")
	for i, schema := range exportedResources(t, KubernetesExportName) {
		resource := resources[i].(map[string]any)
		plural, _, _ := unstructured.NestedString(schema, "spec", "names", "plural")
		group, _, _ := unstructured.NestedString(schema, "spec", "group")
		want := map[string]any{"group": group, "name": plural, "schema": resource["schema"], "storage": map[string]any{"crd": map[string]any{}}}
		if diff := cmp.Diff(want, resource); diff != "" {
			t.Errorf("resource %s of the export (-want +got):\n%s", plural, diff)
		}
	}
	for _, name := range []string{ExportName, KubernetesExportName} {
		wantBound(t, name)
	}
}

// wantBound checks that tenants may bind the export, that workspaces of TMC's type do, and that the server may serve it.
func wantBound(t *testing.T, export string) {
	t.Helper()
	bindings, _, _ := unstructured.NestedSlice(find(t, "WorkspaceType", WorkspaceTypeName).Object, "spec", "defaultAPIBindings")
	if !slices.ContainsFunc(bindings, func(b any) bool { return b.(map[string]any)["export"] == export }) {
		t.Errorf("the WorkspaceType does not bind %s: %v", export, bindings)
	}
	for role, resource := range map[string]string{"tmc-tenants": "apiexports", "tmc-apiserver": "apiexports/content"} {
		rules, _, _ := unstructured.NestedSlice(find(t, "ClusterRole", role).Object, "rules")
		if !slices.ContainsFunc(rules, func(rule any) bool {
			names, _, _ := unstructured.NestedStringSlice(rule.(map[string]any), "resourceNames")
			kinds, _, _ := unstructured.NestedStringSlice(rule.(map[string]any), "resources")
			return slices.Contains(kinds, resource) && slices.Contains(names, export)
		}) {
			t.Errorf("ClusterRole %s says nothing about %s %s", role, resource, export)
		}
	}
}

func TestKubernetesSchemas(t *testing.T) {
	t.Parallel()
	schemas, err := KubernetesSchemas()
	if err != nil {
		t.Fatalf("reading the schemas: %v", err)
	}
	names := regexp.MustCompile(`^v[0-9]{6}-[0-9a-f]{8}\.[a-z]+\.[a-z0-9.]+$`)
	for name, schema := range schemas {
		if !names.MatchString(name) {
			t.Errorf("schema %s is not named v<yymmdd>-<hash8>.<plural>.<group>", name)
		}
		data, err := schema.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		// etcd takes 1.5 MB, and kcp keeps the owners of the fields beside the schema, and a CRD made of it.
		if len(data) > 512<<10 {
			t.Errorf("schema %s has %d bytes: too many for kcp to keep", name, len(data))
		}
		group, _, _ := unstructured.NestedString(schema.Object, "spec", "group")
		if strings.HasSuffix(group, ".k8s.io") && schema.GetAnnotations()["api-approved.kubernetes.io"] == "" {
			t.Errorf("schema %s lacks the approval that kcp asks for", name)
		}
	}
}
