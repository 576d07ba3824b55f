// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kcp-dev/tmc/apis/manifests"
	"github.com/kcp-dev/tmc/tools/schemagen/schemafile"
)

// TestSchemasWereNeverEdited holds every schema, current or not, against the hash in its name.
func TestSchemasWereNeverEdited(t *testing.T) {
	t.Parallel()
	schemas, err := manifests.Schemas()
	if err != nil {
		t.Fatalf("reading the schemas: %v", err)
	}
	ofKubernetes, err := manifests.KubernetesSchemas()
	if err != nil {
		t.Fatalf("reading the schemas of the Kubernetes kinds: %v", err)
	}
	maps.Copy(schemas, ofKubernetes)
	for name, schema := range schemas {
		hash, err := schemafile.Hash(schema.Object["spec"])
		if err != nil {
			t.Fatalf("hashing schema %s: %v", name, err)
		}
		if !strings.Contains(name, "-"+hash+".") {
			t.Errorf("schema %s was edited: its content has the hash %s. Change what it is made from and run make generate instead", name, hash)
		}
	}
}

const crd = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {kind: Thing, listKind: ThingList, plural: things, singular: thing}
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, description: %s}}
`

// tree is a source tree of one kind.
type tree struct{ crds, schemas, export string }

func newTree(t *testing.T, description string) tree {
	t.Helper()
	root := t.TempDir()
	tr := tree{crds: filepath.Join(root, "crds"), schemas: filepath.Join(root, "schemas"), export: filepath.Join(root, "export.yaml")}
	for _, dir := range []string{tr.crds, tr.schemas} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	tr.describe(t, description)
	write(t, tr.export, "# by hand\n  - schema: v000000-00000000.others.example.com\n    schema: v000000-00000000.things.example.com\n")
	return tr
}

func (tr tree) describe(t *testing.T, description string) {
	t.Helper()
	write(t, filepath.Join(tr.crds, "things.yaml"), fmt.Sprintf(crd, description))
}

func (tr tree) folder(tracked bool) schemafile.Folder {
	return schemafile.Folder{Path: tr.schemas, Form: schemafile.YAML, Export: tr.export, Tracked: func(string) bool { return tracked }}
}

func (tr tree) generate(t *testing.T, day int, tracked bool) []string {
	t.Helper()
	if err := run(tr.crds, tr.folder(tracked), time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatalf("generating: %v", err)
	}
	entries, err := os.ReadDir(tr.schemas)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	tr := newTree(t, "first")
	first := tr.generate(t, 1, true)
	if len(first) != 1 || !strings.HasPrefix(first[0], "v260101-") {
		t.Fatalf("schemas after the first run: %v", first)
	}
	if diff := cmp.Diff(first, tr.generate(t, 2, true)); diff != "" {
		t.Errorf("a later day changed the schemas of the same content (-want +got):\n%s", diff)
	}

	tr.describe(t, "second")
	second := tr.generate(t, 3, true)
	if len(second) != 2 || second[0] != first[0] {
		t.Fatalf("schemas after a change: %v, wanted the old one and a new one", second)
	}
	export, err := os.ReadFile(tr.export)
	if err != nil {
		t.Fatal(err)
	}
	want := "# by hand\n  - schema: v000000-00000000.others.example.com\n    schema: " + strings.TrimSuffix(second[1], ".yaml") + "\n"
	if diff := cmp.Diff(want, string(export)); diff != "" {
		t.Errorf("APIExport (-want +got):\n%s", diff)
	}

	tr.describe(t, "first")
	if diff := cmp.Diff(second, tr.generate(t, 4, true)); diff != "" {
		t.Errorf("going back made another schema (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(first, tr.generate(t, 5, false)); diff != "" {
		t.Errorf("a draft that git does not know was kept (-want +got):\n%s", diff)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	if err := run(t.TempDir(), schemafile.Folder{}, time.Time{}); err == nil {
		t.Error("a folder without CustomResourceDefinitions was accepted")
	}
	tr := newTree(t, "first")
	write(t, tr.export, "spec: {}\n")
	if err := run(tr.crds, tr.folder(true), time.Time{}); err == nil || !strings.Contains(err.Error(), "0 times") {
		t.Errorf("got %v, wanted a complaint that the export does not name the resource", err)
	}
	write(t, filepath.Join(tr.crds, "things.yaml"), "nonsense: true\n")
	if err := run(tr.crds, tr.folder(true), time.Time{}); err == nil {
		t.Error("a CustomResourceDefinition with unknown fields was accepted")
	}
}
