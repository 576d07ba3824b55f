// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

const paragraph = "\n\n"

// unwrap joins the lines of each paragraph of every description. They are wrapped for the source file, and kubectl
// explain wraps them again for the terminal.
func unwrap(props *apiextensionsv1.JSONSchemaProps) {
	if props == nil {
		return
	}
	paragraphs := strings.Split(props.Description, paragraph)
	for i := range paragraphs {
		paragraphs[i] = strings.Join(strings.Fields(paragraphs[i]), " ")
	}
	props.Description = strings.Join(paragraphs, paragraph)
	for name, property := range props.Properties {
		unwrap(&property)
		props.Properties[name] = property
	}
	if props.Items != nil {
		unwrap(props.Items.Schema)
	}
	if props.AdditionalProperties != nil {
		unwrap(props.AdditionalProperties.Schema)
	}
}
