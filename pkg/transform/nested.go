// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The readers below pass over what has another type than it should: a nil map or list has no entries.

func asMap(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

func asList(value any) []any {
	l, _ := value.([]any)
	return l
}

func asString(value any) string {
	s, _ := value.(string)
	return s
}

func asBool(value any) bool {
	b, _ := value.(bool)
	return b
}

// asInt returns a whole number, which may also be written as one with fractions.
func asInt(value any) (int64, bool) {
	n, ok := numberOf(value)
	if !ok || !n.whole {
		return 0, false
	}
	return n.integer, true
}

// at descends into maps.
func at(m map[string]any, path ...string) map[string]any {
	for _, key := range path {
		m = asMap(m[key])
	}
	return m
}

// clamped is a number of replicas.
func clamped(n int64) int32 {
	const most = 1<<31 - 1
	return int32(min(max(n, 0), most))
}

// groupKind is what an object says that it is.
func groupKind(obj *unstructured.Unstructured) schema.GroupKind {
	if obj == nil {
		return schema.GroupKind{}
	}
	return schema.GroupKind{Group: groupOf(asString(obj.Object["apiVersion"])), Kind: asString(obj.Object["kind"])}
}

func groupOf(apiVersion string) string {
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		return ""
	}
	return group
}

// without returns a map without some keys; what it holds is shared.
func without(m map[string]any, keys ...string) map[string]any {
	rest := maps.Clone(m)
	for _, key := range keys {
		delete(rest, key)
	}
	return rest
}
