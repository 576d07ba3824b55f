// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxPath bounds the path of a difference.
const maxPath = 256

// Drifted says whether a live copy lacks something of what is desired, and where: the first such field in the order of
// names. The value is not told, since it may be a secret.
//
// What the member adds is no drift, because defaults, controllers and people may add fields; only selectors must be the
// same, because more keys select less. Lists have the same length and order. A zero value may be missing, since API
// servers leave it out, except where keys are free. Quantities are the same if they are the same amount. The hash of
// what was applied is not looked at.
func Drifted(desired, live *unstructured.Unstructured) (path string, drifted bool) {
	if desired == nil {
		return "", false
	}
	if live == nil {
		return "metadata", true
	}
	if new(comparison).equalContent(desired.Object, live.Object) {
		return "", false
	}
	// Once more in order, which costs more, so that the same difference always has the same name.
	c := comparison{ordered: true}
	c.equalContent(desired.Object, live.Object)
	slices.Reverse(c.path)
	return PrintableMessage(strings.TrimPrefix(strings.Join(c.path, ""), "."), maxPath), true
}

// comparison looks for a desired value that a live object does not have.
type comparison struct {
	ordered bool
	path    []string // of the difference, from the inside to the outside
}

// place is where a value was found: under which key, and under which one the map is that has the key. Items of a list
// have the key of the list.
type place struct{ parent, key string }

// equalContent compares whole objects. The version is not compared: it is that of the request.
func (c *comparison) equalContent(want, have map[string]any) bool {
	for _, key := range c.keys(want) {
		if key == "apiVersion" || key == "kind" || key == "status" {
			continue
		}
		if !c.equalField(want[key], have, place{key: key}) {
			return false
		}
	}
	return true
}

func (c *comparison) keys(m map[string]any) []string {
	keys := make([]string, 0, 16)
	for key := range m {
		keys = append(keys, key)
	}
	if c.ordered {
		slices.Sort(keys)
	}
	return keys
}

// equalField compares one field of a map.
func (c *comparison) equalField(want any, have map[string]any, at place) bool {
	value, present := have[at.key]
	if !present || value == nil {
		if missable(want, at) {
			return true
		}
	} else if c.equal(want, value, at) {
		return true
	}
	if c.ordered {
		c.path = append(c.path, segment(at.key))
	}
	return false
}

func (c *comparison) equal(want, have any, at place) bool {
	switch w := want.(type) {
	case nil:
		return true
	case map[string]any:
		h, ok := have.(map[string]any)
		return ok && c.equalMap(w, h, at)
	case []any:
		h, ok := have.([]any)
		return ok && c.equalList(w, h, at)
	default:
		return equalScalar(want, have, at)
	}
}

func (c *comparison) equalMap(want, have map[string]any, at place) bool {
	if c.ordered {
		for _, key := range c.keys(want) {
			if !c.equalEntry(want[key], have, at, key) {
				return false
			}
		}
	} else {
		for key, value := range want {
			if !c.equalEntry(value, have, at, key) {
				return false
			}
		}
	}
	return !exact(at.key) || subset(have, want)
}

func (c *comparison) equalEntry(want any, have map[string]any, at place, key string) bool {
	if key == AppliedHashAnnotation && at.key == "annotations" {
		return true
	}
	return c.equalField(want, have, place{parent: at.key, key: key})
}

func (c *comparison) equalList(want, have []any, at place) bool {
	if len(want) == 0 && defaulted(at.key) {
		return true
	}
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if !c.equal(want[i], have[i], at) {
			if c.ordered {
				c.path = append(c.path, "["+strconv.Itoa(i)+"]")
			}
			return false
		}
	}
	return true
}

func subset(of, all map[string]any) bool {
	for key := range maps.Keys(of) {
		if _, found := all[key]; !found {
			return false
		}
	}
	return true
}

// exact says whether a map must not have more keys than desired.
func exact(key string) bool {
	switch key {
	case "selector", "podSelector", "namespaceSelector", "labelSelector", "matchLabels", "nodeSelector":
		return true
	}
	return false
}

// defaulted says whether API servers fill a list that is empty.
func defaulted(key string) bool {
	switch key {
	case "metrics", "policyTypes", "ipFamilies":
		return true
	}
	return false
}

// missable says whether a live object may lack a desired value.
func missable(want any, at place) bool {
	switch w := want.(type) {
	case nil:
		return true
	case map[string]any:
		return len(w) == 0
	case []any:
		return len(w) == 0
	case string:
		return w == "" && !freeKeys(at.parent)
	case bool:
		return !w
	}
	n, ok := numberOf(want)
	return ok && n == number{whole: true}
}

// freeKeys says whether the keys of a map are the user's, so that an empty value is one too.
func freeKeys(key string) bool {
	switch key {
	case "labels", "annotations", "data", "binaryData", "matchLabels", "nodeSelector", "selector":
		return true
	}
	return false
}

func equalScalar(want, have any, at place) bool {
	switch w := want.(type) {
	case bool:
		h, ok := have.(bool)
		return ok && w == h
	case string:
		if h, ok := have.(string); ok && w == h {
			return true
		}
	default:
		w1, ok := numberOf(want)
		if !ok {
			return false
		}
		if h, ok := numberOf(have); ok {
			return w1 == h
		}
	}
	if !isQuantity(at) {
		return false
	}
	w, ok := quantityOf(want)
	if !ok {
		return false
	}
	h, ok := quantityOf(have)
	return ok && w.Cmp(h) == 0
}

// isQuantity says whether API servers write the value at a place as a quantity, in their own way. Elsewhere, text that
// looks like a quantity is text.
func isQuantity(at place) bool {
	switch at.parent {
	case "limits", "requests", "hard", "overhead", "capacity", "max", "min", "default", "defaultRequest", "maxLimitRequestRatio":
		return true
	case "target":
		return at.key == "value" || at.key == "averageValue"
	}
	switch at.key {
	case "sizeLimit", "divisor", "tolerance":
		return true
	}
	return false
}

// segment is a key as part of a path.
func segment(key string) string {
	if key == "" || strings.ContainsAny(key, "./[]") {
		return "[" + strconv.Quote(key) + "]"
	}
	return "." + key
}
