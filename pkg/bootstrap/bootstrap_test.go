// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"encoding/pem"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kcp-dev/tmc/apis/manifests"
)

func pemOf(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

func options() Options {
	return Options{
		ProviderWorkspace: "root:tmc",
		WorkspaceType:     "root:universal",
		ServerUser:        "tmc-apiserver",
		TenantGroup:       "system:authenticated",
		WithoutWebhook:    true,
		Timeout:           time.Minute,
		provider:          lean,
	}
}

// mostSchema bounds the schemas that most tests work with, in bytes: init treats all alike, and the race detector makes
// megabytes of JSON slow. Two tests work with all.
const mostSchema = 100_000

// lean are the objects of the provider workspace but for the largest schemas, of which the export knows nothing then.
func lean(params manifests.Parameters) ([]*unstructured.Unstructured, error) {
	objects, err := manifests.Provider(params)
	if err != nil {
		return nil, err
	}
	large := map[string]bool{}
	objects = slices.DeleteFunc(objects, func(object *unstructured.Unstructured) bool {
		data, err := object.MarshalJSON()
		if object.GetKind() != "APIResourceSchema" || err != nil || len(data) < mostSchema {
			return false
		}
		large[object.GetName()] = true
		return true
	})
	for _, object := range objects {
		resources, found, err := unstructured.NestedSlice(object.Object, "spec", "resources")
		if object.GetKind() != "APIExport" || !found || err != nil {
			continue
		}
		resources = slices.DeleteFunc(resources, func(resource any) bool { return large[resource.(map[string]any)["schema"].(string)] })
		if err := unstructured.SetNestedSlice(object.Object, resources, "spec", "resources"); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// mustRun runs init and returns its report.
func mustRun(t *testing.T, k *fakeKCP, o Options) string {
	t.Helper()
	var out bytes.Buffer
	if err := Run(t.Context(), k.config("/clusters/root"), o, &out); err != nil {
		t.Fatalf("running init: %v\n%s", err, out.String())
	}
	return out.String()
}

func wantLine(t *testing.T, report, want string) {
	t.Helper()
	for line := range strings.Lines(report) {
		if strings.Join(strings.Fields(line), " ") == want {
			return
		}
	}
	t.Errorf("the report has no line %q:\n%s", want, report)
}

func TestRunCreatesOnceAndThenChangesNothing(t *testing.T) {
	t.Parallel()
	k := newFakeKCP(t)
	all := options()
	all.provider = nil

	first := mustRun(t, k, all)
	wantLine(t, first, "created workspaces.tenancy.kcp.io/root:tmc")
	wantLine(t, first, "created apiexports.apis.kcp.io/tmc.kcp.io")
	wantLine(t, first, "created apiexports.apis.kcp.io/kubernetes")
	wantLine(t, first, "created rolebindings.rbac.authorization.k8s.io/default/tmc-apiserver")
	wantLine(t, first, "Workspace root:tmc is up to date: 32 created, 0 updated, 0 unchanged.")
	wantOrder(t, k.takeWrites(), "/workspaces/tmc", "/cachedresources/", "/clusterrolebindings/tmc-maximal-permissions",
		"/apiresourceschemas/", "/apiexports/", "/workspacetypes/")

	second := mustRun(t, k, all)
	wantLine(t, second, "unchanged apiexports.apis.kcp.io/tmc.kcp.io")
	wantLine(t, second, "Workspace root:tmc is up to date: nothing to change.")
	if writes := k.takeWrites(); len(writes) > 0 {
		t.Errorf("the second run wrote %v", writes)
	}
}

// wantOrder checks that writes to these paths came in this order: limits come before what they limit.
func wantOrder(t *testing.T, writes []string, parts ...string) {
	t.Helper()
	position := 0
	for _, part := range parts {
		found := -1
		for i, write := range writes {
			if strings.Contains(write, part) {
				found = i
				break
			}
		}
		if found < position {
			t.Errorf("write of %s is at %d, wanted at or after %d: %v", part, found, position, writes)
		}
		position = found
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	k := newFakeKCP(t)
	o := options()
	o.DryRun = true

	report := mustRun(t, k, o)
	wantLine(t, report, "would create workspaces.tenancy.kcp.io/root:tmc")
	wantLine(t, report, "would create workspacetypes.tenancy.kcp.io/tmc")
	wantLine(t, report, "Dry run for workspace root:tmc: 27 to create, 0 to update, 0 unchanged; nothing was written.")

	k.addWorkspace("root", "tmc", "root", "universal")
	report = mustRun(t, k, o)
	wantLine(t, report, "unchanged workspaces.tenancy.kcp.io/root:tmc")
	wantLine(t, report, "would create workspacetypes.tenancy.kcp.io/tmc")
	if writes := k.takeWrites(); len(writes) > 0 {
		t.Errorf("the dry runs wrote %v", writes)
	}
}

func TestUpgradeSwitchesSchemasAndKeepsTheOldOnes(t *testing.T) {
	t.Parallel()
	k := newFakeKCP(t)
	mustRun(t, k, options())

	// What an older version left: another schema, and an export that names it.
	const old = "v250101-00000000.clustergrants.tmc.kcp.io"
	const schemas = "/clusters/root:tmc/apis/apis.kcp.io/v1alpha1/apiresourceschemas/"
	export := k.object("/apiexports/tmc.kcp.io")
	resources, _, _ := unstructured.NestedSlice(export.Object, "spec", "resources")
	current := resources[0].(map[string]any)["schema"].(string)
	resources[0].(map[string]any)["schema"] = old
	if err := unstructured.SetNestedSlice(export.Object, resources, "spec", "resources"); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	k.objects[schemas+old] = k.objects[schemas+current]
	delete(k.objects, schemas+current)
	k.mu.Unlock()
	k.takeWrites()

	o := options()
	o.DryRun = true
	report := mustRun(t, k, o)
	wantLine(t, report, "would create apiresourceschemas.apis.kcp.io/"+current)
	wantLine(t, report, "would update apiexports.apis.kcp.io/tmc.kcp.io")
	wantLine(t, report, `spec.resources[clustergrants].schema: "`+old+`" -> "`+current+`"`)
	if writes := k.takeWrites(); len(writes) > 0 {
		t.Errorf("the dry run wrote %v", writes)
	}

	report = mustRun(t, k, options())
	wantLine(t, report, "updated apiexports.apis.kcp.io/tmc.kcp.io")
	wantLine(t, report, "Workspace root:tmc is up to date: 1 created, 1 updated, 25 unchanged.")
	if k.object(old) == nil {
		t.Error("the old schema is gone, though bindings may refer to it")
	}
	wantLine(t, mustRun(t, k, options()), "Workspace root:tmc is up to date: nothing to change.")
}

// An installation from before the Kubernetes kinds has everything else, and a WorkspaceType that binds one export.
func TestUpgradeAddsTheSecondExport(t *testing.T) {
	t.Parallel()
	k := newFakeKCP(t)
	all := options()
	all.provider = nil
	mustRun(t, k, all)
	k.mu.Lock()
	for path := range k.objects {
		if strings.HasSuffix(path, "/apiexports/kubernetes") || strings.HasSuffix(path, ".apps") || strings.HasSuffix(path, "/tmc-kubernetes-maximal-permissions") {
			delete(k.objects, path)
		}
	}
	k.mu.Unlock()
	workspaceType := k.object("/workspacetypes/tmc")
	bindings, _, _ := unstructured.NestedSlice(workspaceType.Object, "spec", "defaultAPIBindings")
	if err := unstructured.SetNestedSlice(workspaceType.Object, bindings[:1], "spec", "defaultAPIBindings"); err != nil {
		t.Fatal(err)
	}
	k.takeWrites()

	report := mustRun(t, k, all)
	wantLine(t, report, "created apiexports.apis.kcp.io/kubernetes")
	wantLine(t, report, "updated workspacetypes.tenancy.kcp.io/tmc")
	wantLine(t, report, "Workspace root:tmc is up to date: 6 created, 1 updated, 25 unchanged.")
	wantOrder(t, k.takeWrites(), "/clusterroles/tmc-kubernetes-maximal-permissions", "/apiresourceschemas/", "/apiexports/kubernetes", "/workspacetypes/tmc")
	wantLine(t, mustRun(t, k, all), "Workspace root:tmc is up to date: nothing to change.")
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(*fakeKCP)
		change  func(*Options)
		want    []string
		written bool
	}{
		"a kcp without the cache APIs": {
			prepare: func(k *fakeKCP) { k.noCacheAPIs = true },
			want:    []string{"--feature-gates=CacheAPIs=true"},
		},
		"a kcp that serves the cache APIs with its gate off": {
			prepare: func(k *fakeKCP) { k.gateOff = true },
			change:  func(o *Options) { o.Timeout = 10 * time.Second }, // planning takes a part of it
			want:    []string{"takes no notice", "--feature-gates=CacheAPIs=true"},
			written: true,
		},
		"a workspace of another type": {
			prepare: func(k *fakeKCP) { k.addWorkspace("root", "tmc", "root", "organization") },
			want:    []string{"root:tmc exists with type root:organization instead of root:universal", "--provider-workspace-type"},
		},
		"a parent that is not there": {
			change: func(o *Options) { o.ProviderWorkspace = "root:nowhere:tmc" },
			want:   []string{"workspace root:nowhere does not exist"},
		},
		"a workspace that never gets ready": {
			prepare: func(k *fakeKCP) { k.stuck = true },
			change:  func(o *Options) { o.Timeout = 2 * time.Second },
			want:    []string{"waiting for workspace root:tmc", `"Scheduling"`},
			written: true,
		},
		"a user who may not read workspaces": {
			prepare: func(k *fakeKCP) { k.forbidden = "GET /workspaces/tmc" },
			want:    []string{"lacks the right to get workspaces in workspace root"},
		},
		"a user who may not create workspaces": {
			prepare: func(k *fakeKCP) { k.forbidden = "POST /workspaces" },
			want:    []string{"lacks the right to create workspaces in workspace root"},
		},
		"a user who may not write the last object, before anything is written": {
			prepare: func(k *fakeKCP) {
				k.addWorkspace("root", "tmc", "root", "universal")
				k.forbidden = "PATCH /apiexports/tmc.kcp.io"
			},
			want: []string{"nothing was written", "lacks the right to patch", "apiexports.apis.kcp.io/tmc.kcp.io in workspace root:tmc"},
		},
		"expired credentials": {
			prepare: func(k *fakeKCP) { k.unauthorized = true },
			want:    []string{"does not accept the kubeconfig's credentials"},
		},
		"options that make no sense": {
			change: func(o *Options) { o.ServerUser = "system:anonymous" },
			want:   []string{"--server-user=system:anonymous"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, o := newFakeKCP(t), options()
			if tc.prepare != nil {
				tc.prepare(k)
			}
			if tc.change != nil {
				tc.change(&o)
			}
			var out bytes.Buffer
			err := Run(t.Context(), k.config(""), o, &out)
			if err == nil {
				t.Fatalf("init succeeded:\n%s", out.String())
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error does not say %q: %v", want, err)
				}
			}
			if writes := k.takeWrites(); len(writes) > 0 && !tc.written {
				t.Errorf("init refused, but wrote %v", writes)
			}
		})
	}
}

func TestRunWaitsUntilKCPKnowsTheExports(t *testing.T) {
	t.Parallel()
	k := newFakeKCP(t)
	k.exportsLate = 2
	wantLine(t, mustRun(t, k, options()), "created workspacetypes.tenancy.kcp.io/tmc")
}

func TestRunRefusesAForeignSchema(t *testing.T) {
	t.Parallel()
	k := newFakeKCP(t)
	mustRun(t, k, options())
	schema := k.object("clusterstatuses.tmc.kcp.io")
	if err := unstructured.SetNestedField(schema.Object, "Namespaced", "spec", "scope"); err != nil {
		t.Fatal(err)
	}
	err := Run(t.Context(), k.config(""), options(), &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "exists with another content") {
		t.Errorf("got %v, wanted a refusal of the foreign schema", err)
	}
}

func TestRunRepairsWhatSomebodyChanged(t *testing.T) {
	t.Parallel()
	k := newFakeKCP(t)
	mustRun(t, k, options())
	role := k.object("/clusterroles/tmc-maximal-permissions")
	role.Object["rules"] = []any{map[string]any{"apiGroups": []any{"*"}, "resources": []any{"*"}, "verbs": []any{"*"}}}

	report := mustRun(t, k, options())
	wantLine(t, report, "updated clusterroles.rbac.authorization.k8s.io/tmc-maximal-permissions")
	wantLine(t, mustRun(t, k, options()), "Workspace root:tmc is up to date: nothing to change.")
}
