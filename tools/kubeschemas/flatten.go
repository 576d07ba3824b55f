// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Schemas that CRD storage cannot take as they are.
const (
	objectMeta  = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
	intOrString = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
	quantity    = "io.k8s.apimachinery.pkg.api.resource.Quantity"
)

// quantityPattern is the one with which controller-gen writes quantities.
const quantityPattern = `^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$`

// innerMetadata are the fields of metadata inside of a spec that have a meaning there: those of templates.
var innerMetadata = []string{"annotations", "creationTimestamp", "finalizers", "generateName", "labels", "name", "namespace"}

// kind returns the structural schema of a kind.
func (d *document) kind(gvk metav1.GroupVersionKind) (*apiextensionsv1.JSONSchemaProps, error) {
	name, err := d.named(gvk)
	if err != nil {
		return nil, err
	}
	f := &flattener{document: d}
	props, _, err := f.reference(name)
	if err != nil {
		return nil, err
	}
	// What is in an object's own metadata is the server's to say.
	props.Properties["metadata"] = apiextensionsv1.JSONSchemaProps{Type: "object"}
	for _, name := range []string{"apiVersion", "kind"} {
		if property, found := props.Properties[name]; found {
			property.Nullable = false
			props.Properties[name] = property
		}
	}
	return props, nil
}

// flattener puts referred schemas in the place of references.
type flattener struct {
	document *document
	open     []string // the references that lead to where we are
}

// reference flattens a named schema, and returns its source beside it.
func (f *flattener) reference(name string) (*apiextensionsv1.JSONSchemaProps, *node, error) {
	if slices.Contains(f.open, name) {
		return nil, nil, fmt.Errorf("schema %s contains itself, which CRD storage cannot express: %s", name, strings.Join(f.open, " > "))
	}
	n, err := f.document.node(name)
	if err != nil {
		return nil, nil, err
	}
	switch name {
	case intOrString:
		return &apiextensionsv1.JSONSchemaProps{Description: n.Description, XIntOrString: true}, n, nil
	case quantity:
		// A number is taken if it is an integer: the decoders of JSON that the value passes may take digits from another one.
		return &apiextensionsv1.JSONSchemaProps{Description: n.Description, XIntOrString: true, Pattern: quantityPattern}, n, nil
	case objectMeta:
		maps.DeleteFunc(n.Properties, func(name string, _ node) bool { return !slices.Contains(innerMetadata, name) })
	}
	f.open = append(f.open, name)
	defer func() { f.open = f.open[:len(f.open)-1] }()
	props, err := f.flatten(n)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return props, n, nil
}

// flatten returns the structural schema of a node.
func (f *flattener) flatten(n *node) (*apiextensionsv1.JSONSchemaProps, error) {
	props, _, err := f.resolve(n)
	return props, err
}

// resolve flattens a node, and returns the node that it refers to beside it, or itself.
func (f *flattener) resolve(n *node) (*apiextensionsv1.JSONSchemaProps, *node, error) {
	if ref := target(n); ref != "" {
		props, source, err := f.reference(ref)
		if err != nil {
			return nil, nil, err
		}
		if n.Description != "" {
			props.Description = n.Description
		}
		return props, source, addDefault(props, n.Default)
	}
	if len(n.AllOf) > 0 || len(n.OneOf) > 0 {
		return nil, nil, errors.New("a schema is put together in a way that is not known here")
	}
	props := &apiextensionsv1.JSONSchemaProps{
		Type: n.Type, Format: n.Format, Description: n.Description, Required: slices.Sorted(slices.Values(n.Required)),
		XListType: pointerTo(n.ListType), XMapType: pointerTo(n.MapType), XListMapKeys: n.ListMapKeys,
	}
	if err := errors.Join(addDefault(props, n.Default), f.properties(props, n), f.elements(props, n)); err != nil {
		return nil, nil, err
	}
	return props, n, nil
}

// target returns the name of the schema that a node stands for.
func target(n *node) string {
	const prefix = "#/components/schemas/"
	if len(n.AllOf) == 1 {
		return strings.TrimPrefix(n.AllOf[0].Ref, prefix)
	}
	return strings.TrimPrefix(n.Ref, prefix)
}

func (f *flattener) properties(props *apiextensionsv1.JSONSchemaProps, n *node) error {
	if len(n.Properties) == 0 {
		return nil
	}
	props.Properties = make(map[string]apiextensionsv1.JSONSchemaProps, len(n.Properties))
	for _, name := range slices.Sorted(maps.Keys(n.Properties)) {
		property, err := f.flatten(new(n.Properties[name]))
		if err != nil {
			return fmt.Errorf("property %s: %w", name, err)
		}
		if slices.Contains(n.Required, name) {
			property.Default = nil // it would fill in what must be said
		}
		// Kubernetes takes null for a field that is left out, and charts are full of it.
		property.Nullable = property.Default == nil && !slices.Contains(n.Required, name)
		props.Properties[name] = *property
	}
	return nil
}

func (f *flattener) elements(props *apiextensionsv1.JSONSchemaProps, n *node) error {
	if n.Items != nil {
		items, source, err := f.resolve(n.Items)
		if err != nil {
			return fmt.Errorf("items: %w", err)
		}
		items.Default = nil // entries are there or not
		for _, key := range n.ListMapKeys {
			if err := identify(items, source, key); err != nil {
				return err
			}
		}
		props.Items = &apiextensionsv1.JSONSchemaPropsOrArray{Schema: items}
	}
	if n.AdditionalProperties != nil {
		values, err := f.flatten(n.AdditionalProperties)
		if err != nil {
			return fmt.Errorf("values: %w", err)
		}
		values.Default = nil
		props.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: values}
	}
	return nil
}

// identify makes sure that every entry of a list has a key: CRD storage wants it required or with a default. Kubernetes
// takes the zero value for a key that is left out, which is the default it publishes.
func identify(items *apiextensionsv1.JSONSchemaProps, source *node, key string) error {
	property, found := items.Properties[key]
	switch {
	case !found:
		return fmt.Errorf("the list's key %s is no property of its entries", key)
	case property.Default != nil || slices.Contains(items.Required, key):
		return nil
	case len(source.Properties[key].Default) > 0:
		property.Default = &apiextensionsv1.JSON{Raw: source.Properties[key].Default}
	default:
		items.Required = slices.Sorted(slices.Values(append(items.Required, key)))
	}
	property.Nullable = false
	items.Properties[key] = property
	return nil
}

// addDefault takes over a default that says something. The zero values are marks that the Go type is no pointer.
func addDefault(props *apiextensionsv1.JSONSchemaProps, value json.RawMessage) error {
	var decoded any
	if len(value) == 0 {
		return nil
	}
	if err := json.Unmarshal(value, &decoded); err != nil {
		return fmt.Errorf("decoding a default: %w", err)
	}
	switch v := decoded.(type) {
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
	case string, float64, bool:
		if v == "" || v == float64(0) || v == false {
			return nil
		}
	}
	props.Default = &apiextensionsv1.JSON{Raw: value}
	return nil
}

// pointerTo returns nil for a word that is not said.
func pointerTo(word string) *string {
	if word == "" {
		return nil
	}
	return &word
}
