// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// document is the part of an OpenAPI v3 document that describes kinds.
type document struct {
	schemas map[string]json.RawMessage
}

// node is one schema of a document. It knows every word that the kinds use; a new word in a later release must be looked
// at by a person before it is left out.
type node struct {
	Ref                  string           `json:"$ref"`
	AllOf                []node           `json:"allOf"`
	OneOf                []node           `json:"oneOf"`
	Type                 string           `json:"type"`
	Format               string           `json:"format"`
	Description          string           `json:"description"`
	Default              json.RawMessage  `json:"default"`
	Properties           map[string]node  `json:"properties"`
	Required             []string         `json:"required"`
	Items                *node            `json:"items"`
	AdditionalProperties *node            `json:"additionalProperties"`
	ListType             string           `json:"x-kubernetes-list-type"`
	ListMapKeys          []string         `json:"x-kubernetes-list-map-keys"`
	MapType              string           `json:"x-kubernetes-map-type"`
	Kinds                []groupKind      `json:"x-kubernetes-group-version-kind"`
	PatchStrategy        string           `json:"x-kubernetes-patch-strategy"`  // no word of CRDs
	PatchMergeKey        string           `json:"x-kubernetes-patch-merge-key"` // no word of CRDs
	Unions               []map[string]any `json:"x-kubernetes-unions"`          // no word of CRDs, and not enforced upstream
}

type groupKind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

func readDocument(path string) (*document, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading an OpenAPI document: %w", err)
	}
	var content struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", path, err)
	}
	return &document{schemas: content.Components.Schemas}, nil
}

// node decodes one named schema.
func (d *document) node(name string) (*node, error) {
	raw, found := d.schemas[name]
	if !found {
		return nil, fmt.Errorf("the document has no schema %s", name)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	n := &node{}
	if err := decoder.Decode(n); err != nil {
		return nil, fmt.Errorf("decoding schema %s: %w", name, err)
	}
	return n, nil
}

// named returns the name of the schema that describes a kind.
func (d *document) named(gvk metav1.GroupVersionKind) (string, error) {
	var found []string
	for name, raw := range d.schemas {
		var schema struct {
			Kinds []groupKind `json:"x-kubernetes-group-version-kind"`
		}
		if err := json.Unmarshal(raw, &schema); err != nil {
			return "", fmt.Errorf("decoding schema %s: %w", name, err)
		}
		if slices.Contains(schema.Kinds, groupKind(gvk)) {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("the document has %d schemas of kind %s instead of one", len(found), gvk.Kind)
	}
	return found[0], nil
}
