// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests holds what kcp must store before tmc-apiserver can run: the schemas of TMC's kinds and the objects
// of the provider workspace.
//
// The CustomResourceDefinitions and schemas are generated from apis/tmc; the rest is written by hand. A schema is never
// edited, since kcp forbids it: its name carries a hash of its content, a changed kind gets a new one, and the old ones
// stay. The package only reads and renders; putting the objects into kcp is pkg/bootstrap's work.
package manifests

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

//go:embed schemas/*.yaml provider/*.yaml
var files embed.FS

// Names of the provider's objects that others refer to.
const (
	// ExportName is the name of the APIExport.
	ExportName = "tmc.kcp.io"
	// EndpointSliceName is the name of the CachedResourceEndpointSlice that holds the URLs of tmc-apiserver.
	EndpointSliceName = "tmc"
	// WorkspaceTypeName is the name of the WorkspaceType whose workspaces have TMC from the start.
	WorkspaceTypeName = "tmc"
	// LeaseName is the name of the Lease of leader election, in namespace LeaseNamespace.
	LeaseName      = "tmc-apiserver"
	LeaseNamespace = "default"
)

// Parameters are what an installation decides about the provider's objects.
type Parameters struct {
	// ProviderWorkspace is the path of the workspace that holds the objects, for example root:tmc.
	ProviderWorkspace string
	// ServerUser is the user name with which tmc-apiserver meets kcp.
	ServerUser string
	// TenantGroup is the group whose members may bind the export and make workspaces of TMC's type.
	TenantGroup string
}

// Schemas returns every APIResourceSchema that was ever generated, current or not, by name.
func Schemas() (map[string]*unstructured.Unstructured, error) {
	paths, err := fs.Glob(files, "schemas/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing embedded schemas: %w", err)
	}
	schemas := make(map[string]*unstructured.Unstructured, len(paths))
	for _, p := range paths {
		data, err := files.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("reading embedded schema: %w", err)
		}
		objects, err := decode(path.Base(p), data)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			schemas[object.GetName()] = object
		}
	}
	return schemas, nil
}

// Provider returns the objects of the provider workspace in the order in which they must be put there: permissions
// before what they limit, schemas before the export that names them, and the export before the type that binds it.
func Provider(params Parameters) ([]*unstructured.Unstructured, error) {
	paths, err := fs.Glob(files, "provider/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing embedded manifests: %w", err)
	}
	slices.Sort(paths)
	var all []*unstructured.Unstructured
	for _, p := range paths {
		objects, err := render(p, params)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			if object.GetKind() == "APIExport" {
				schemas, err := exportedSchemas(object)
				if err != nil {
					return nil, err
				}
				all = append(all, schemas...)
			}
			all = append(all, object)
		}
	}
	return all, nil
}

// exportedSchemas returns the schemas that the export names, in its order.
func exportedSchemas(export *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	known, err := Schemas()
	if err != nil {
		return nil, err
	}
	resources, _, err := unstructured.NestedSlice(export.Object, "spec", "resources")
	if err != nil {
		return nil, fmt.Errorf("reading the resources of APIExport %s: %w", export.GetName(), err)
	}
	schemas := make([]*unstructured.Unstructured, 0, len(resources))
	for _, resource := range resources {
		fields, _ := resource.(map[string]any)
		name, _ := fields["schema"].(string)
		schema, found := known[name]
		if !found {
			return nil, fmt.Errorf("the APIExport %s names schema %q, which is not among the embedded ones: run `make generate`", export.GetName(), name)
		}
		schemas = append(schemas, schema)
	}
	return schemas, nil
}

func render(p string, params Parameters) ([]*unstructured.Unstructured, error) {
	data, err := files.ReadFile(p)
	if err != nil {
		return nil, fmt.Errorf("reading embedded manifest: %w", err)
	}
	tmpl, err := template.New(path.Base(p)).Funcs(template.FuncMap{"json": quote}).Parse(string(data))
	if err != nil {
		return nil, fmt.Errorf("parsing embedded manifest: %w", err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, params); err != nil {
		return nil, fmt.Errorf("rendering embedded manifest: %w", err)
	}
	return decode(path.Base(p), out.Bytes())
}

// quote makes a value safe in a YAML document: every JSON string is a YAML scalar and nothing more.
func quote(value string) (string, error) {
	data, err := json.Marshal(value)
	return string(data), err
}

func decode(name string, data []byte) ([]*unstructured.Unstructured, error) {
	documents := bytes.Split(data, []byte("\n---\n"))
	objects := make([]*unstructured.Unstructured, 0, len(documents))
	for i, document := range documents {
		asJSON, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, fmt.Errorf("decoding document %d of %s: %w", i+1, name, err)
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(asJSON); err != nil {
			return nil, fmt.Errorf("decoding document %d of %s: %w", i+1, name, err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}
