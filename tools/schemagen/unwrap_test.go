// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestUnwrapReachesEveryDescription(t *testing.T) {
	t.Parallel()
	wrapped := func(inner *apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
		props := apiextensionsv1.JSONSchemaProps{Description: "one\ntwo  three\n\nfour\nfive"}
		if inner != nil {
			props.Properties = map[string]apiextensionsv1.JSONSchemaProps{"inner": *inner}
			props.Items = &apiextensionsv1.JSONSchemaPropsOrArray{Schema: inner.DeepCopy()}
			props.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Schema: inner.DeepCopy()}
		}
		return props
	}
	leaf := wrapped(nil)
	props := wrapped(&leaf)
	unwrap(&props)

	const want = "one two three\n\nfour five"
	got := []string{
		props.Description, props.Properties["inner"].Description, props.Items.Schema.Description, props.AdditionalProperties.Schema.Description,
	}
	if diff := cmp.Diff([]string{want, want, want, want}, got); diff != "" {
		t.Errorf("descriptions (-want +got):\n%s", diff)
	}
	unwrap(nil) // a field without a schema has nothing to unwrap
}
