// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schemafile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// things is a kind of the core group.
func things() *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "things.core", Annotations: map[string]string{"a": "b"}},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Singular: "thing", Kind: "Thing", ListKind: "ThingList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Description: "a < b"}},
			}},
		},
	}
}

func newFolder(t *testing.T, form Form) Folder {
	t.Helper()
	f := Folder{Path: t.TempDir(), Form: form, Export: filepath.Join(t.TempDir(), "export.yaml"), Tracked: func(string) bool { return false }}
	if err := os.WriteFile(f.Export, []byte("resources:\n- group: \"\"\n  schema: v000000-00000000.things.core\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestUpdateKeepsOneContentInBothForms(t *testing.T) {
	t.Parallel()
	var specs []any
	for _, form := range []Form{YAML, JSON} {
		f := newFolder(t, form)
		for day := range 2 {
			if err := f.Update([]*apiextensionsv1.CustomResourceDefinition{things()}, time.Date(2026, 1, day+1, 0, 0, 0, 0, time.UTC)); err != nil {
				t.Fatal(err)
			}
		}
		paths, err := filepath.Glob(filepath.Join(f.Path, "*"))
		if err != nil || len(paths) != 1 {
			t.Fatalf("there are the files %v: %v", paths, err)
		}
		name := strings.TrimSuffix(filepath.Base(paths[0]), string(form))
		data, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		content := map[string]any{}
		if err := yaml.Unmarshal(data, &content); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"name": name, "annotations": map[string]any{"a": "b"}}
		if diff := cmp.Diff(want, content["metadata"]); diff != "" {
			t.Errorf("metadata in form %s (-want +got):\n%s", form, diff)
		}
		if form == JSON && (!json.Valid(data) || !strings.Contains(string(data), "a < b")) {
			t.Errorf("the file is not what people can read: %s", data)
		}
		export, err := os.ReadFile(f.Export)
		if err != nil || !strings.Contains(string(export), "schema: "+name+"\n") {
			t.Errorf("the export was not switched to %s: %s, %v", name, export, err)
		}
		specs = append(specs, content["spec"])
	}
	if diff := cmp.Diff(specs[0], specs[1]); diff != "" {
		t.Errorf("the forms differ (-yaml +json):\n%s", diff)
	}
}

func TestUpdateRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Folder, *apiextensionsv1.CustomResourceDefinition)
		want   string
	}{
		"an export that is not there":  {change: func(f *Folder, _ *apiextensionsv1.CustomResourceDefinition) { f.Export += "x" }, want: "reading the APIExport"},
		"a folder that is not there":   {change: func(f *Folder, _ *apiextensionsv1.CustomResourceDefinition) { f.Path += "x" }, want: "writing schema"},
		"a name that kcp cannot store": {change: func(_ *Folder, crd *apiextensionsv1.CustomResourceDefinition) { crd.Name = "Things!" }, want: "converting Things!"},
		"a kind that is not exported":  {change: func(_ *Folder, crd *apiextensionsv1.CustomResourceDefinition) { crd.Name = "others.core" }, want: "0 times"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, crd := newFolder(t, YAML), things()
			tc.change(&f, crd)
			if err := f.Update([]*apiextensionsv1.CustomResourceDefinition{crd}, time.Time{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, wanted an error about %q", err, tc.want)
			}
		})
	}
}

func TestWhatGitCannotTellIsKept(t *testing.T) {
	t.Parallel()
	if !TrackedByGit(filepath.Join(t.TempDir(), "file")) {
		t.Error("a file that git cannot know about was given up")
	}
}
