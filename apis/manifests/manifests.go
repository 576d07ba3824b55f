// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests holds what kcp must store before tmc-apiserver can run: the schemas of TMC's kinds and the objects
// of the provider workspace.
//
// The CustomResourceDefinitions and schemas of TMC's kinds are generated from apis/tmc, those of the Kubernetes kinds from
// the OpenAPI documents of a Kubernetes release; the rest is written by hand. A schema is never edited, since kcp forbids
// it: its name carries a hash of its content, a changed kind gets a new one, and the old ones stay. The package only
// reads and renders; putting the objects into kcp is pkg/bootstrap's work.
package manifests

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

//go:embed schemas/*.yaml kubernetes/*.json provider/*.yaml
var files embed.FS

// Names of the provider's objects that others refer to.
const (
	// ExportName is the name of the APIExport with TMC's kinds.
	ExportName = "tmc.kcp.io"
	// KubernetesExportName is the name of the APIExport with the Kubernetes kinds that tenants get.
	KubernetesExportName = "kubernetes"
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
	// WebhookURL is where kcp reaches tmc-apiserver to ask about patches (pkg/patchguard); without it, kcp does not ask.
	WebhookURL string
	// WebhookCA holds the authorities of the certificate at that URL, in PEM; those of the system if empty.
	WebhookCA []byte
}

// Patterns of the files with schemas, by what they are schemas of.
const (
	tmcSchemas        = "schemas/*.yaml"
	kubernetesSchemas = "kubernetes/*.json"
)

// Schemas returns every APIResourceSchema of TMC's kinds that was ever generated, current or not, by name.
func Schemas() (map[string]*unstructured.Unstructured, error) { return readSchemas(tmcSchemas) }

// KubernetesSchemas returns the same of the Kubernetes kinds that tenants get.
func KubernetesSchemas() (map[string]*unstructured.Unstructured, error) {
	return readSchemas(kubernetesSchemas)
}

func readSchemas(pattern string) (map[string]*unstructured.Unstructured, error) {
	paths, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, fmt.Errorf("listing embedded schemas: %w", err)
	}
	schemas := make(map[string]*unstructured.Unstructured, len(paths))
	for _, p := range paths {
		schema, err := readSchema(p)
		if err != nil {
			return nil, err
		}
		schemas[schema.GetName()] = schema
	}
	return schemas, nil
}

// readSchema decodes one file, which holds one schema of the file's name.
func readSchema(p string) (*unstructured.Unstructured, error) {
	data, err := files.ReadFile(p)
	if err != nil {
		return nil, fmt.Errorf("reading embedded schema: %w", err)
	}
	schema := &unstructured.Unstructured{}
	if path.Ext(p) == ".json" {
		if err := schema.UnmarshalJSON(data); err != nil {
			return nil, fmt.Errorf("decoding %s: %w", path.Base(p), err)
		}
		return schema, nil
	}
	objects, err := decode(path.Base(p), data)
	if err != nil {
		return nil, err
	}
	return objects[0], nil
}

// Provider returns the objects of the provider workspace in the order in which they must be put there: permissions
// before what they limit, schemas before the export that names them, and the export before the type that binds it.
func Provider(params Parameters) ([]*unstructured.Unstructured, error) {
	objects, err := withoutSchemas(params)
	if err != nil {
		return nil, err
	}
	all := make([]*unstructured.Unstructured, 0, len(objects))
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
	return all, nil
}

// withoutSchemas returns the objects of the provider workspace but for the schemas, in their order.
func withoutSchemas(params Parameters) ([]*unstructured.Unstructured, error) {
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
		all = append(all, objects...)
	}
	return all, nil
}

// exportedSchemas returns the schemas that the export names, in its order.
func exportedSchemas(export *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	resources, _, err := unstructured.NestedSlice(export.Object, "spec", "resources")
	if err != nil {
		return nil, fmt.Errorf("reading the resources of APIExport %s: %w", export.GetName(), err)
	}
	schemas := make([]*unstructured.Unstructured, 0, len(resources))
	for _, resource := range resources {
		fields, _ := resource.(map[string]any)
		name, _ := fields["schema"].(string)
		p, found := schemaFile(name)
		if !found {
			return nil, fmt.Errorf("the APIExport %s names schema %q, which is not among the embedded ones: run `make generate`", export.GetName(), name)
		}
		schema, err := readSchema(p)
		if err != nil {
			return nil, err
		}
		schemas = append(schemas, schema)
	}
	return schemas, nil
}

// schemaFile finds the file of a schema.
func schemaFile(name string) (string, bool) {
	for _, pattern := range []string{tmcSchemas, kubernetesSchemas} {
		p := path.Join(path.Dir(pattern), name+path.Ext(pattern))
		if _, err := fs.Stat(files, p); err == nil {
			return p, true
		}
	}
	return "", false
}

func render(p string, params Parameters) ([]*unstructured.Unstructured, error) {
	data, err := files.ReadFile(p)
	if err != nil {
		return nil, fmt.Errorf("reading embedded manifest: %w", err)
	}
	tmpl, err := template.New(path.Base(p)).Funcs(template.FuncMap{"json": quote, "base64": base64.StdEncoding.EncodeToString}).Parse(string(data))
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
		if len(bytes.TrimSpace(document)) == 0 {
			continue // left out by its template
		}
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

// KubernetesResources returns the resources that the export "kubernetes" offers, and those that it claims.
func KubernetesResources() (offered, claimed []schema.GroupResource, err error) {
	objects, err := withoutSchemas(Parameters{ProviderWorkspace: "root", ServerUser: "server", TenantGroup: "tenants"})
	if err != nil {
		return nil, nil, err
	}
	for _, object := range objects {
		if object.GetKind() != "APIExport" || object.GetName() != KubernetesExportName {
			continue
		}
		var export struct {
			Spec struct {
				Resources []struct {
					Group string `json:"group"`
					Name  string `json:"name"`
				} `json:"resources"`
				Claims []struct {
					Group    string `json:"group"`
					Resource string `json:"resource"`
				} `json:"permissionClaims"`
			} `json:"spec"`
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &export); err != nil {
			return nil, nil, fmt.Errorf("decoding APIExport %s: %w", KubernetesExportName, err)
		}
		for _, resource := range export.Spec.Resources {
			offered = append(offered, schema.GroupResource{Group: resource.Group, Resource: resource.Name})
		}
		for _, claim := range export.Spec.Claims {
			claimed = append(claimed, schema.GroupResource(claim))
		}
	}
	return offered, claimed, nil
}
