// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func parameters() Parameters {
	return Parameters{ProviderWorkspace: "root:tmc", ServerUser: "tmc-apiserver", TenantGroup: "system:authenticated"}
}

// find returns one object of the provider workspace.
func find(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	objects, err := Provider(parameters())
	if err != nil {
		t.Fatalf("rendering the manifests: %v", err)
	}
	for _, object := range objects {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

// wantYAML compares a field with a snapshot.
func wantYAML(t *testing.T, object *unstructured.Unstructured, want string, path ...string) {
	t.Helper()
	got, found, err := unstructured.NestedFieldCopy(object.Object, path...)
	if err != nil || !found {
		t.Fatalf("%s has no %s: %v", object.GetName(), strings.Join(path, "."), err)
	}
	gotYAML, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(string(gotYAML))); diff != "" {
		t.Errorf("%s of %s %s (-want +got):\n%s", strings.Join(path, "."), object.GetKind(), object.GetName(), diff)
	}
}

// SEC-07: what TMC may do in a tenant's workspace does not grow without this test, and so a reviewer, noticing.
func TestPermissionClaims(t *testing.T) {
	t.Parallel()
	wantYAML(t, find(t, "APIExport", ExportName), `
- defaultSelector:
    matchLabels:
      tmc.kcp.io/credentials: member
  group: ""
  resource: secrets
  verbs:
  - get
  - list
  - watch
- group: authorization.k8s.io
  resource: subjectaccessreviews
  verbs:
  - create
`, "spec", "permissionClaims")
}

// SEC-07: the same for what tenants may do with TMC's kinds.
func TestMaximalPermissions(t *testing.T) {
	t.Parallel()
	wantYAML(t, find(t, "APIExport", ExportName), "local: {}", "spec", "maximalPermissionPolicy")
	wantYAML(t, find(t, "ClusterRole", "tmc-maximal-permissions"), `
- apiGroups:
  - tmc.kcp.io
  resources:
  - clusterstatuses
  - placementstatuses
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - tmc.kcp.io
  resources:
  - clusterregistrations
  - clustergrants
  - placements
  verbs:
  - get
  - list
  - watch
  - create
  - update
  - patch
  - delete
  - deletecollection
- apiGroups:
  - tmc.kcp.io
  resources:
  - clusterregistrations/status
  - clustergrants/status
  - placements/status
  verbs:
  - get
`, "rules")
	wantYAML(t, find(t, "ClusterRoleBinding", "tmc-maximal-permissions"), `
- apiGroup: rbac.authorization.k8s.io
  kind: Group
  name: apis.kcp.io:binding:system:authenticated
`, "subjects")
}

// SEC-07: and for what the server's identity may do.
func TestServerRights(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"ClusterRole", "Role"} {
		role := find(t, kind, "tmc-apiserver")
		rules, _, _ := unstructured.NestedSlice(role.Object, "rules")
		for _, rule := range rules {
			data, err := json.Marshal(rule)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), `"*"`) {
				t.Errorf("%s %s has a wildcard: %s", kind, role.GetName(), data)
			}
			if slices.ContainsFunc([]string{`"delete"`, `"impersonate"`, `"escalate"`, `"bind"`, `"secrets"`}, func(word string) bool {
				return strings.Contains(string(data), word)
			}) {
				t.Errorf("%s %s says more than the server needs: %s", kind, role.GetName(), data)
			}
		}
	}
	wantYAML(t, find(t, "ClusterRole", "tmc-apiserver"), serverRules, "rules")
	wantYAML(t, find(t, "ClusterRoleBinding", "tmc-apiserver"), `
- apiGroup: rbac.authorization.k8s.io
  kind: User
  name: tmc-apiserver
`, "subjects")
}

const serverRules = `
- nonResourceURLs:
  - /
  verbs:
  - access
- apiGroups:
  - apis.kcp.io
  resourceNames:
  - tmc.kcp.io
  - kubernetes
  resources:
  - apiexports/content
  verbs:
  - get
  - list
  - watch
  - patch
  - create
- apiGroups:
  - apis.kcp.io
  resources:
  - apiexports
  - apiexportendpointslices
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - cache.kcp.io
  resources:
  - cachedresourceendpointslices
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - cache.kcp.io
  resourceNames:
  - tmc
  resources:
  - cachedresourceendpointslices/status
  verbs:
  - patch
- apiGroups:
  - authorization.k8s.io
  resources:
  - subjectaccessreviews
  verbs:
  - create
`

func TestParametersCannotAddToTheManifests(t *testing.T) {
	t.Parallel()
	params := parameters()
	params.ServerUser = "x\"\n- kind: Group\n  name: system:authenticated # {{ .TenantGroup }}"
	objects, err := Provider(params)
	if err != nil {
		t.Fatalf("rendering the manifests: %v", err)
	}
	for _, object := range objects {
		if object.GetKind() != "ClusterRoleBinding" || object.GetName() != "tmc-apiserver" {
			continue
		}
		subjects, _, _ := unstructured.NestedSlice(object.Object, "subjects")
		want := []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": params.ServerUser}}
		if diff := cmp.Diff(want, subjects); diff != "" {
			t.Errorf("subjects (-want +got):\n%s", diff)
		}
	}
}

func TestExportServesViewsVirtually(t *testing.T) {
	t.Parallel()
	resources, _, _ := unstructured.NestedSlice(find(t, "APIExport", ExportName).Object, "spec", "resources")
	got := map[string]string{}
	for _, resource := range resources {
		storage, _, _ := unstructured.NestedMap(resource.(map[string]any), "storage")
		for kind := range storage {
			got[resource.(map[string]any)["name"].(string)] = kind
		}
	}
	want := map[string]string{"clusterregistrations": "crd", "clustergrants": "crd", "placements": "crd", "clusterstatuses": "virtual", "placementstatuses": "virtual"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("storage of resources (-want +got):\n%s", diff)
	}
	slice := find(t, "CachedResourceEndpointSlice", EndpointSliceName)
	anchor, _, _ := unstructured.NestedString(slice.Object, "spec", "cachedResource", "name")
	find(t, "CachedResource", anchor)
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	schemas, err := Schemas()
	if err != nil {
		t.Fatalf("reading the schemas: %v", err)
	}
	names := regexp.MustCompile(`^v[0-9]{6}-[0-9a-f]{8}\.[a-z]+\.tmc\.kcp\.io$`)
	for name, schema := range schemas {
		if !names.MatchString(name) {
			t.Errorf("schema %s is not named v<yymmdd>-<hash8>.<plural>.tmc.kcp.io", name)
		}
		versions, _, _ := unstructured.NestedSlice(schema.Object, "spec", "versions")
		for _, version := range versions {
			fields := version.(map[string]any)
			subresources, _, _ := unstructured.NestedMap(fields, "subresources")
			// kcp would offer a status that nothing serves, and spoil discovery of the whole group.
			if (strings.Contains(name, ".clusterstatuses.") || strings.Contains(name, ".placementstatuses.")) && len(subresources) > 0 {
				t.Errorf("schema %s of a view has subresources: %v", name, subresources)
			}
			undescribed(t, name, "", fields["schema"].(map[string]any))
		}
	}
}

// undescribed complains about every field that `kubectl explain` would have nothing to say about. The object's own
// metadata is explained by kubectl itself.
func undescribed(t *testing.T, schema, path string, props map[string]any) {
	t.Helper()
	properties, _ := props["properties"].(map[string]any)
	for name, value := range properties {
		field := value.(map[string]any)
		full := strings.TrimPrefix(path+"."+name, ".")
		if full != "metadata" && field["description"] == nil {
			t.Errorf("schema %s: field %s has no description", schema, full)
		}
		undescribed(t, schema, full, field)
	}
	for _, inner := range []string{"items", "additionalProperties"} {
		if field, ok := props[inner].(map[string]any); ok {
			undescribed(t, schema, path+"[]", field)
		}
	}
}
