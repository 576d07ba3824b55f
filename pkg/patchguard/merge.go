// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

const (
	// maxListItems bounds a list that is merged: merging costs the product of the lengths of both lists.
	maxListItems = 1000
	// maxItems bounds the items of all lists of one update, nested ones included.
	maxItems = 20000
	// maxLost bounds what is remembered for the message.
	maxLost = 100
)

// merger does to lists what a cluster does with a strategic merge patch. It takes the new object's lists for those of
// the patch. Everything that is no merged list is right in the new object already.
type merger struct {
	// isPatch says that there is proof of a strategic merge patch: a null or a directive in a list. kcp removes both from
	// every other kind of write before it asks.
	isPatch bool
	// lost is what the new object lacks, in words.
	lost     []string
	warnings []string
	items    int
	tooLarge bool
	err      error // the first problem; the result is then of no use
}

func (m *merger) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

// object returns the new map with the lists that a cluster would have merged. Neither map is changed.
func (m *merger) object(path string, oldMap, newMap map[string]any, l lookup) map[string]any {
	merged := make(map[string]any, len(newMap))
	for field, value := range newMap {
		merged[field] = value
		switch before := oldMap[field].(type) {
		case map[string]any:
			if after, isMap := value.(map[string]any); isMap {
				merged[field] = m.object(path+"."+field, before, after, l.inside(field))
			}
		case []any:
			after, isList := value.([]any)
			if _, _, isMerged := l.list(field); isList && isMerged && !reflect.DeepEqual(before, after) {
				merged[field] = m.list(path, field, before, after, l)
			}
		}
	}
	return merged
}

// list merges a list of a patch into the list of the object.
func (m *merger) list(path, field string, before, after []any, l lookup) []any {
	m.isPatch = m.isPatch || hasTraces(after)
	if m.items += countItems(before) + countItems(after); m.items > maxItems || longest(before, after) > maxListItems {
		m.tooLarge = true
		return after
	}
	path += "." + field
	items, key, _ := l.list(field)
	merged, err := mergeList(field, before, after, l)
	if err != nil {
		m.fail(fmt.Errorf("merging %s: %w", path, err))
		return after
	}
	expected := merged
	if hasTwins(before, key) || hasTwins(after, key) {
		expected = before // merging by a key that is not unique is of no use
	}
	c := comparison{merger: m}
	c.list(path, key, expected, after, items)
	m.checkAmbiguity(path, key, before, after, items, &c)
	if !c.lost {
		clean, _ := withoutTraces(after).([]any)
		return clean // it may have another order, which is meant
	}
	m.checkOrder(path, field, key, before, after)
	clean, _ := withoutTraces(merged).([]any)
	return clean
}

func mergeList(field string, before, after []any, l lookup) ([]any, error) {
	original := map[string]any{field: runtime.DeepCopyJSONValue(before)}
	patch := map[string]any{field: runtime.DeepCopyJSONValue(after)}
	result, err := strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(original, patch, l)
	if err != nil {
		return nil, err
	}
	merged, _ := result[field].([]any)
	return merged, nil
}

// checkOrder minds that the directive with the order of the items is the one that kcp removes: added items come last.
func (m *merger) checkOrder(path, field, key string, before, after []any) {
	known := byKey(before, key)
	for _, item := range after {
		fields, isMap := item.(map[string]any)
		if _, isKnown := known[keyText(fields[key])]; !isMap || isKnown || fields[directive] != nil {
			continue
		}
		if field == "initContainers" {
			m.fail(fmt.Errorf("it adds %s[%s], and the order of initContainers, which matters, got lost on the way", path, keyText(fields[key])))
			return
		}
		m.warnings = append(m.warnings, fmt.Sprintf("%s[%s] was put at the end of the list, as its place got lost on the way", path, keyText(fields[key])))
		return
	}
}

// checkAmbiguity finds items of which a strategic merge patch cannot have said what is to become of them.
func (m *merger) checkAmbiguity(path, key string, before, after []any, l lookup, c *comparison) {
	known := byKey(before, key)
	for _, item := range after {
		fields, isMap := item.(map[string]any)
		matches := known[keyText(fields[key])]
		switch {
		case !isMap || len(matches) == 0:
			continue
		case len(matches) > 1:
			if c.lost {
				m.fail(fmt.Errorf("%s has several items whose %s is %s", path, key, keyText(fields[key])))
			}
			continue
		}
		m.checkItem(fmt.Sprintf("%s[%s]", path, keyText(fields[key])), matches[0], fields, l, c)
	}
}

// checkItem looks for values that kcp may have filled in where the patch said nothing, and into nested lists.
func (m *merger) checkItem(path string, before, after map[string]any, l lookup, c *comparison) {
	for field, value := range after {
		switch value := value.(type) {
		case string:
			if was, isText := before[field].(string); isText && was != value && isDefault(field, value) {
				c.lose(fmt.Sprintf("%s.%s=%s", path, field, was))
				m.fail(fmt.Errorf("whether %s.%s is to become %s cannot be told", path, field, value))
			}
		case map[string]any:
			if inner, isMap := before[field].(map[string]any); isMap {
				m.checkItem(path+"."+field, inner, value, l.inside(field), c)
			}
		case []any:
			inner, isList := before[field].([]any)
			if items, key, isMerged := l.list(field); isList && isMerged && !reflect.DeepEqual(inner, value) {
				m.checkAmbiguity(path+"."+field, key, inner, value, items, c)
			}
		}
	}
}

// isDefault tells the values that the schemas of the kubernetes export fill in within merged lists.
func isDefault(field, value string) bool {
	switch field + "=" + value {
	case "protocol=TCP", "cachingMode=ReadWrite", "fsType=ext4", "fsType=xfs", "kind=Shared", "iscsiInterface=default",
		"keyring=/etc/ceph/keyring", "pool=rbd", "user=admin", "storageMode=ThinProvisioned":
		return true
	}
	return false
}

// byKey gathers a list's maps by the value of their merge key.
func byKey(list []any, key string) map[string][]map[string]any {
	found := make(map[string][]map[string]any, len(list))
	for _, item := range list {
		if fields, isMap := item.(map[string]any); isMap {
			text := keyText(fields[key])
			found[text] = append(found[text], fields)
		}
	}
	return found
}

// hasTwins tells whether the merge key of a list is not unique.
func hasTwins(list []any, key string) bool {
	for _, same := range byKey(list, key) {
		if len(same) > 1 {
			return true
		}
	}
	return false
}

func longest(lists ...[]any) int {
	length := 0
	for _, list := range lists {
		length = max(length, len(list))
		for _, item := range list {
			length = max(length, longestInside(item))
		}
	}
	return length
}

func longestInside(value any) int {
	length := 0
	switch value := value.(type) {
	case map[string]any:
		for _, inner := range value {
			length = max(length, longestInside(inner))
		}
	case []any:
		length = longest(value)
	}
	return length
}

func countItems(value any) int {
	count := 0
	switch value := value.(type) {
	case map[string]any:
		for _, inner := range value {
			count += countItems(inner)
		}
	case []any:
		count = len(value)
		for _, inner := range value {
			count += countItems(inner)
		}
	}
	return count
}

const (
	directive       = "$patch"
	directivePrefix = "$"
)

// hasTraces looks for what only a strategic merge patch leaves in a list.
func hasTraces(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case map[string]any:
		for field, inner := range value {
			if isDirective(field) || hasTraces(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, hasTraces)
	}
	return false
}

// isDirective tells the words of patches from other keys that start with a dollar.
func isDirective(field string) bool {
	return field == directive || field == directivePrefix+"retainKeys" ||
		strings.HasPrefix(field, directivePrefix+"setElementOrder/") || strings.HasPrefix(field, directivePrefix+"deleteFromPrimitiveList/")
}

// withoutTraces copies a value without nulls and directives.
func withoutTraces(value any) any {
	switch value := value.(type) {
	case map[string]any:
		clean := make(map[string]any, len(value))
		for field, inner := range value {
			if inner != nil && !isDirective(field) {
				clean[field] = withoutTraces(inner)
			}
		}
		return clean
	case []any:
		clean := make([]any, 0, len(value))
		for _, inner := range value {
			if fields, isMap := inner.(map[string]any); inner != nil && (!isMap || fields[directive] == nil) {
				clean = append(clean, withoutTraces(inner))
			}
		}
		return clean
	default:
		return value
	}
}
