// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// thing returns a document with a kind Thing and other schemas, all in YAML.
func thing(t *testing.T, properties, others string) *document {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(`
components:
  schemas:
    example.Thing:
      type: object
      description: A thing.
      x-kubernetes-group-version-kind: [{group: example.com, version: v1, kind: Thing}]
      properties:
` + indent(8, properties) + indent(4, others)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "document.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := readDocument(path)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func indent(by int, text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.Trim(text, "\n") + "\n") {
		b.WriteString(strings.Repeat(" ", by) + line)
	}
	return b.String()
}

func gvk() metav1.GroupVersionKind {
	return metav1.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Thing"}
}

func TestFlatten(t *testing.T) {
	t.Parallel()
	const list = `
example.Entry:
  type: object
  required: [must]
  properties:
    must: {type: string, default: ""}
    zero: {type: string, default: ""}
    said: {type: string, default: TCP}
    none: {type: string}`
	tests := map[string]struct{ properties, others, want string }{
		"a reference is replaced, and described by who refers": {
			properties: `spec: {description: Mine., default: {}, allOf: [{$ref: "#/components/schemas/example.Spec"}]}`,
			others:     `example.Spec: {type: object, description: Its own., properties: {n: {type: integer, format: int32, default: 0}}}`,
			want:       `{type: object, description: Mine., nullable: true, properties: {n: {type: integer, format: int32, nullable: true}}}`,
		},
		"a plain reference keeps its own description": {
			properties: `spec: {$ref: "#/components/schemas/example.Spec"}`,
			others:     `example.Spec: {type: object, description: Its own., x-kubernetes-map-type: atomic}`,
			want:       `{type: object, description: Its own., nullable: true, x-kubernetes-map-type: atomic}`,
		},
		"an integer or string": {
			properties: `spec: {$ref: "#/components/schemas/io.k8s.apimachinery.pkg.util.intstr.IntOrString"}`,
			others:     `io.k8s.apimachinery.pkg.util.intstr.IntOrString: {description: Either., format: int-or-string, oneOf: [{type: integer}, {type: string}]}`,
			want:       `{description: Either., nullable: true, x-kubernetes-int-or-string: true}`,
		},
		"a quantity": {
			properties: `spec: {type: object, additionalProperties: {$ref: "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity"}}`,
			others:     `io.k8s.apimachinery.pkg.api.resource.Quantity: {oneOf: [{type: string}, {type: number}]}`,
			want:       `{type: object, nullable: true, additionalProperties: {x-kubernetes-int-or-string: true, pattern: '` + quantityPattern + `'}}`,
		},
		"metadata of a template": {
			properties: `spec: {$ref: "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}`,
			others: `io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta: {type: object, properties: {` +
				`labels: {type: object, additionalProperties: {type: string, default: ""}}, managedFields: {type: array, items: {$ref: none}}}}`,
			want: `{type: object, nullable: true, properties: {labels: {type: object, nullable: true, additionalProperties: {type: string}}}}`,
		},
		"defaults that say something, unless the field is required": {
			properties: `spec: {type: object, required: [b, a], properties: {a: {type: string, default: x}, b: {type: boolean, default: false}, c: {type: string, default: x}, ` +
				`d: {type: object, default: {e: 1}}}}`,
			want: `{type: object, nullable: true, required: [a, b], properties: {a: {type: string}, b: {type: boolean}, c: {type: string, default: x}, d: {type: object, default: {e: 1}}}}`,
		},
		"every key of a list has a value": {
			properties: `spec: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [must, zero, said, none], x-kubernetes-patch-merge-key: must, ` +
				`x-kubernetes-patch-strategy: merge, items: {default: {}, allOf: [{$ref: "#/components/schemas/example.Entry"}]}}`,
			others: list,
			want: `{type: array, nullable: true, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [must, zero, said, none], items: {type: object, required: [must, none], ` +
				`properties: {must: {type: string}, zero: {type: string, default: ""}, said: {type: string, default: TCP}, none: {type: string}}}}`,
		},
		"a list without keys has no such defaults": {
			properties: `spec: {type: array, x-kubernetes-list-type: atomic, items: {default: {}, allOf: [{$ref: "#/components/schemas/example.Entry"}]}}`,
			others:     list,
			want: `{type: array, nullable: true, x-kubernetes-list-type: atomic, items: {type: object, required: [must], ` +
				`properties: {must: {type: string}, zero: {type: string, nullable: true}, said: {type: string, default: TCP}, none: {type: string, nullable: true}}}}`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			props, err := thing(t, tc.properties+"\nmetadata: {type: string}", tc.others).kind(gvk())
			if err != nil {
				t.Fatal(err)
			}
			if props.Properties["metadata"].Type != "object" {
				t.Errorf("metadata is %v, wanted what CRDs ask for", props.Properties["metadata"])
			}
			got, err := json.Marshal(props.Properties["spec"])
			if err != nil {
				t.Fatal(err)
			}
			var gotValue, wantValue any
			if err := json.Unmarshal(got, &gotValue); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(tc.want), &wantValue); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wantValue, gotValue); diff != "" {
				t.Errorf("schema (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFlattenRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ properties, others, want string }{
		"a schema that contains itself": {
			properties: `spec: {$ref: "#/components/schemas/example.Loop"}`,
			others:     `example.Loop: {type: object, properties: {again: {$ref: "#/components/schemas/example.Loop"}}}`,
			want:       "example.Loop contains itself",
		},
		"a reference to nothing": {
			properties: `spec: {type: array, items: {$ref: "#/components/schemas/example.Nothing"}}`, want: "no schema example.Nothing",
		},
		"a map of nothing":     {properties: `spec: {type: object, additionalProperties: {$ref: nothing}}`, want: "no schema nothing"},
		"a word of the future": {properties: `spec: {type: string, x-kubernetes-future: true}`, want: "x-kubernetes-future"},
		"another combination":  {properties: `spec: {oneOf: [{type: string}]}`, want: "not known here"},
		"a list with a key that is no field": {
			properties: `spec: {type: array, x-kubernetes-list-map-keys: [id], items: {type: object}}`, want: "key id is no property",
		},
		"two kinds of the name": {
			properties: `spec: {type: string}`,
			others:     `example.Other: {x-kubernetes-group-version-kind: [{group: example.com, version: v1, kind: Thing}]}`,
			want:       "2 schemas of kind Thing",
		},
		"a schema that is none": {properties: `spec: {type: string}`, others: `example.Other: 7`, want: "decoding schema example.Other"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			others := tc.others
			if others == "" {
				others = `example.Other: {type: object}`
			}
			_, err := thing(t, tc.properties, others).kind(gvk())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, wanted an error about %q", err, tc.want)
			}
		})
	}
}

// FuzzFlatten: whatever a document says, flattening ends, and what comes out can be encoded.
func FuzzFlatten(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"allOf":[{"$ref":"#/components/schemas/x"}],"default":{}}}}`)
	f.Add(`{"type":"array","items":{"type":"object","properties":{"k":{"default":""}}},"x-kubernetes-list-map-keys":["k"]}`)
	f.Add(`{"type":"object","additionalProperties":{"oneOf":[]},"default":[1]}`)
	f.Fuzz(func(t *testing.T, schema string) {
		fl := &flattener{document: &document{schemas: map[string]json.RawMessage{"x": json.RawMessage(schema)}}}
		props, _, err := fl.reference("x")
		if err != nil {
			return
		}
		if _, err := json.Marshal(props); err != nil {
			t.Errorf("the schema cannot be encoded: %v", err)
		}
	})
}
