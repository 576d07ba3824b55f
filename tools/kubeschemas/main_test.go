// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/kcp-dev/tmc/tools/schemagen/schemafile"
)

// publish makes a module proxy of files that serves a release of Kubernetes, and a module that requires it.
func publish(t *testing.T, version string, documents map[string]string) (module string) {
	t.Helper()
	root := t.TempDir()
	proxy := filepath.Join(root, "proxy", "k8s.io", "kubernetes", "@v")
	module = filepath.Join(root, "module")
	write(t, filepath.Join(module, "go.mod"), "module example.com/members\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes "+version+"\n")
	write(t, filepath.Join(proxy, version+".info"), `{"Version":"`+version+`"}`)
	write(t, filepath.Join(proxy, version+".mod"), "module k8s.io/kubernetes\n")

	file, err := os.Create(filepath.Join(proxy, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	documents["../../../go.mod"] = "module k8s.io/kubernetes\n"
	for name, content := range documents {
		w, err := archive.Create(filepath.Join("k8s.io/kubernetes@"+version, "api/openapi-spec/v3", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOPROXY", "file://"+filepath.Join(root, "proxy"))
	t.Setenv("GONOSUMDB", "*")
	t.Setenv("GOFLAGS", "-modcacherw")
	t.Setenv("GOMODCACHE", filepath.Join(root, "cache"))
	t.Setenv("GOWORK", "off")
	return module
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// documents holds every kind that is offered, with just the properties that get defaults and a status where it has one.
func documents() map[string]string {
	byDocument := map[string][]string{}
	for _, k := range kinds() {
		status := `,"status":{"type":"object"}`
		if k.plural == "networkpolicies" {
			status = ""
		}
		byDocument[k.document()] = append(byDocument[k.document()], `"`+k.kind+`":{"type":"object","x-kubernetes-group-version-kind":[{"group":"`+
			k.group+`","version":"`+k.version+`","kind":"`+k.kind+`"}],"properties":{"spec":{"type":"object","properties":{"replicas":{"type":"integer"},`+
			`"minReplicas":{"type":"integer"},"type":{"type":"string"},"suspend":{"type":"boolean"},`+
			`"updateStrategy":{"type":"object","properties":{"type":{"type":"string"}}}}}`+status+`}}`)
	}
	all := map[string]string{}
	for name, schemas := range byDocument {
		all[name] = `{"components":{"schemas":{` + strings.Join(schemas, ",") + `}}}`
	}
	return all
}

func export() string {
	var b strings.Builder
	b.WriteString("metadata:\n  annotations:\n    tmc.kcp.io/kubernetes-version: v0.0.0\nspec:\n")
	for _, k := range kinds() {
		b.WriteString("  - name: " + k.plural + "\n    schema: v000000-00000000." + k.plural + "." + k.groupInNames() + "\n")
	}
	return b.String()
}

func TestRun(t *testing.T) {
	module := publish(t, "v1.99.3", documents())
	folder := schemafile.Folder{
		Path: t.TempDir(), Form: schemafile.JSON, Export: filepath.Join(t.TempDir(), "export.yaml"), Tracked: func(string) bool { return true },
	}
	write(t, folder.Export, export())
	var before string
	for day := 1; day < 3; day++ {
		if err := run(module, folder, time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)); err != nil {
			t.Fatalf("generating: %v", err)
		}
		manifest, err := os.ReadFile(folder.Export)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(manifest), "tmc.kcp.io/kubernetes-version: v1.99.3\n") || strings.Contains(string(manifest), "v000000-") {
			t.Errorf("the export was not switched:\n%s", manifest)
		}
		if before != "" && before != string(manifest) {
			t.Errorf("a second run changed the export (-want +got):\n%s", cmp.Diff(before, string(manifest)))
		}
		before = string(manifest)
	}
	files, err := filepath.Glob(filepath.Join(folder.Path, "v260101-*.json"))
	if err != nil || len(files) != len(kinds()) {
		t.Errorf("there are the schemas %v, wanted %d: %v", files, len(kinds()), err)
	}
}

func TestRunRefuses(t *testing.T) {
	broken := documents()
	broken["apis__apps__v1_openapi.json"] = `{"components":{"schemas":{}}}`
	module := publish(t, "v1.99.4", broken)
	folder := schemafile.Folder{Path: t.TempDir(), Form: schemafile.JSON, Export: filepath.Join(t.TempDir(), "export.yaml")}
	if err := run(module, folder, time.Time{}); err == nil || !strings.Contains(err.Error(), "v1.99.4: making the schema of daemonsets") {
		t.Errorf("got %v, wanted a complaint about the first kind that is missing", err)
	}
	empty := t.TempDir()
	write(t, filepath.Join(empty, "go.mod"), "module example.com/empty\n\ngo 1.26.0\n")
	if err := run(empty, folder, time.Time{}); err == nil || !strings.Contains(err.Error(), "downloading the module") {
		t.Errorf("got %v, wanted a complaint about a module that requires no Kubernetes", err)
	}
	module = publish(t, "v1.99.5", documents())
	write(t, folder.Export, strings.ReplaceAll(export(), "kubernetes-version", "nothing"))
	if err := run(module, folder, time.Time{}); err == nil || !strings.Contains(err.Error(), "0 times") {
		t.Errorf("got %v, wanted a complaint about an export that states no release", err)
	}
}

func TestDefinitions(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, content := range documents() {
		write(t, filepath.Join(folder, name), content)
	}
	crds, err := definitions(folder)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, crd := range crds {
		byName[crd.Name] = crd
	}
	scaled := []string{"deployments.apps", "statefulsets.apps"}
	for name, crd := range byName {
		subresources := crd.Spec.Versions[0].Subresources
		if (subresources.Scale != nil) != slices.Contains(scaled, name) {
			t.Errorf("%s has the scale %v", name, subresources.Scale)
		}
		if (subresources.Status == nil) != (name == "networkpolicies.networking.k8s.io") {
			t.Errorf("%s has the status %v", name, subresources.Status)
		}
		if approved := crd.Annotations[apiextensionsv1.KubeAPIApprovedAnnotation] != ""; approved != strings.HasSuffix(name, ".k8s.io") {
			t.Errorf("%s has the annotations %v", name, crd.Annotations)
		}
	}
	if service := byName["services.core"]; service == nil || service.Spec.Group != "" {
		t.Errorf("the definition of services is %v, wanted one of the core group", service)
	}
	strategy := byName["daemonsets.apps"].Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["updateStrategy"]
	if string(strategy.Default.Raw) != `{"type":"RollingUpdate"}` || string(strategy.Properties["type"].Default.Raw) != `"RollingUpdate"` {
		t.Errorf("the update strategy has the defaults %s and %s", strategy.Default.Raw, strategy.Properties["type"].Default.Raw)
	}
	if err := setDefault(&strategy, fieldDefault{path: "type.none", value: "1"}); err == nil {
		t.Error("a property that is not there got a default")
	}
	if _, err := definitions(t.TempDir()); err == nil {
		t.Error("a folder without documents was accepted")
	}
	write(t, filepath.Join(folder, "api__v1_openapi.json"), "nonsense")
	if _, err := definitions(folder); err == nil {
		t.Error("a document that is none was accepted")
	}
}
