// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// longestValue bounds a value in the report; the rest of it is cut.
const longestValue = 100

// diff lists the fields in which two states of an object differ, but for what the server keeps by itself.
func diff(before, after *unstructured.Unstructured) []string {
	var lines []string
	compareValues("", declared(before), declared(after), &lines)
	return lines
}

// declared returns the part of an object that people and programs declare.
func declared(object *unstructured.Unstructured) map[string]any {
	content := object.DeepCopy().Object
	delete(content, "status")
	metadata, _ := content["metadata"].(map[string]any)
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"} {
		delete(metadata, field)
	}
	return content
}

func compareValues(path string, before, after any, lines *[]string) {
	if equality.Semantic.DeepEqual(before, after) {
		return
	}
	if b, a, ok := bothMaps(before, after); ok {
		for _, key := range slices.Sorted(maps.Keys(union(b, a))) {
			compareValues(join(path, key), b[key], a[key], lines)
		}
		return
	}
	if b, a, ok := bothLists(before, after); ok {
		for _, key := range slices.Sorted(maps.Keys(union(b, a))) {
			compareValues(path+"["+key+"]", b[key], a[key], lines)
		}
		return
	}
	*lines = append(*lines, fmt.Sprintf("%s: %s -> %s", path, show(before), show(after)))
}

func bothMaps(before, after any) (b, a map[string]any, ok bool) {
	b, isMap := before.(map[string]any)
	a, ok = after.(map[string]any)
	return b, a, ok && isMap
}

// bothLists makes two lists comparable entry by entry: by name, else resource, else path, else position.
func bothLists(before, after any) (b, a map[string]any, ok bool) {
	beforeList, isList := before.([]any)
	afterList, ok := after.([]any)
	if !ok || !isList {
		return nil, nil, false
	}
	return keyed(beforeList), keyed(afterList), true
}

func keyed(list []any) map[string]any {
	byKey := make(map[string]any, len(list))
	for i, entry := range list {
		key := fmt.Sprintf("%03d", i)
		fields, _ := entry.(map[string]any)
		for _, candidate := range []string{"name", "resource"} {
			if value, ok := fields[candidate].(string); ok && byKey[value] == nil {
				key = value
				break
			}
		}
		byKey[key] = entry
	}
	return byKey
}

func union(b, a map[string]any) map[string]any {
	all := maps.Clone(b)
	maps.Copy(all, a)
	return all
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func show(value any) string {
	if value == nil {
		return "(unset)"
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("(%T)", value)
	}
	if len(data) > longestValue {
		return string(data[:longestValue]) + "…"
	}
	return string(data)
}
