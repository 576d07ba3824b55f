// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberconfig

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDepth is how deep a kubeconfig may nest. A true one has six levels, plus what its extensions hold.
	maxDepth = 32
	// maxBrackets bounds the flow collections before parsing, for the parser recurses into each.
	maxBrackets = 10_000
)

// What is wrong with a document, in place of the parser's own errors, which quote the input.
var (
	errNotYAML  = errors.New("it is not valid YAML or JSON")
	errMultiple = errors.New("it holds more than one YAML document")
	errAlias    = errors.New("it uses YAML anchors or aliases, which are not accepted")
	errDepth    = errors.New("it is nested too deeply")
	errMapping  = errors.New("it is not a mapping of fields")
)

// parseTree parses one YAML document into its nodes. Working on nodes, nothing is expanded: an alias that would
// blow up a small input is seen and refused.
func parseTree(data []byte) (root *yaml.Node, err error) {
	defer func() {
		if recover() != nil { // the parser reports some malformed input by panicking
			root, err = nil, errNotYAML
		}
	}()
	if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxBrackets {
		return nil, errDepth
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil || len(document.Content) != 1 {
		return nil, errNotYAML
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errMultiple
	}
	root = document.Content[0]
	if err := checkTree(root, maxDepth); err != nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, errMapping
	}
	return root, nil
}

func checkTree(node *yaml.Node, depth int) error {
	if depth == 0 {
		return errDepth
	}
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		return errAlias
	}
	for _, child := range node.Content {
		if err := checkTree(child, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// field is one key of a mapping with its value.
type field struct {
	name  string
	value *yaml.Node
}

// fieldsOf returns the fields of a mapping in their order. A key that is no plain string keeps its text and is then
// unknown to whoever looks.
func fieldsOf(mapping *yaml.Node) []field {
	fields := make([]field, 0, len(mapping.Content)/2)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		fields = append(fields, field{name: mapping.Content[i].Value, value: mapping.Content[i+1]})
	}
	return fields
}

// isUnset says whether a value is the zero value of its field, as tools that print every field write it.
func isUnset(node *yaml.Node) bool {
	if node.Kind != yaml.ScalarNode {
		return len(node.Content) == 0
	}
	return node.Value == "" || node.Tag == "!!null" || (node.Tag == "!!bool" && node.Value == "false")
}
