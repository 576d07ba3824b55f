// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

const mergeStrategy = "merge"

// lookup tells which lists of a kind are merged, and by which key. It knows less than an API server of a newer version:
// what it does not know is not merged, so that fields of newer versions do no harm.
type lookup struct {
	inner strategicpatch.LookupPatchMeta // nil for what is not known
	// replaces makes every list one that is replaced, as kcp does.
	replaces bool
}

func newLookup(typed any) (lookup, error) {
	inner, err := strategicpatch.NewPatchMetaFromStruct(typed)
	if err != nil {
		return lookup{}, err
	}
	return lookup{inner: inner}, nil
}

// LookupPatchMetadataForStruct implements strategicpatch.LookupPatchMeta.
func (l lookup) LookupPatchMetadataForStruct(key string) (strategicpatch.LookupPatchMeta, strategicpatch.PatchMeta, error) {
	if l.inner == nil {
		return l, strategicpatch.PatchMeta{}, nil
	}
	inner, meta, err := l.inner.LookupPatchMetadataForStruct(key)
	if err != nil {
		return lookup{replaces: l.replaces}, strategicpatch.PatchMeta{}, nil //nolint:nilerr // unknown, hence not merged
	}
	return lookup{inner, l.replaces}, l.strip(meta), nil
}

// LookupPatchMetadataForSlice implements strategicpatch.LookupPatchMeta.
func (l lookup) LookupPatchMetadataForSlice(key string) (strategicpatch.LookupPatchMeta, strategicpatch.PatchMeta, error) {
	if l.inner == nil {
		return l, strategicpatch.PatchMeta{}, nil
	}
	inner, meta, err := l.inner.LookupPatchMetadataForSlice(key)
	if err != nil {
		return lookup{replaces: l.replaces}, strategicpatch.PatchMeta{}, nil //nolint:nilerr // unknown, hence not merged
	}
	return lookup{inner, l.replaces}, l.strip(meta), nil
}

// Name implements strategicpatch.LookupPatchMeta.
func (l lookup) Name() string {
	if l.inner == nil {
		return "unknown"
	}
	return l.inner.Name()
}

func (l lookup) strip(meta strategicpatch.PatchMeta) strategicpatch.PatchMeta {
	if l.replaces {
		meta.SetPatchStrategies(nil)
	}
	return meta
}

// inside returns the lookup of the fields of a map.
func (l lookup) inside(field string) lookup {
	inner, _, err := l.LookupPatchMetadataForStruct(field)
	if err != nil {
		return lookup{replaces: l.replaces}
	}
	found, _ := inner.(lookup)
	return found
}

// list tells whether a field is a list that is merged, by which key, and looks up the fields of its items.
func (l lookup) list(field string) (items lookup, key string, merged bool) {
	inner, meta, err := l.LookupPatchMetadataForSlice(field)
	if err != nil {
		return lookup{}, "", false
	}
	items, _ = inner.(lookup)
	return items, meta.GetPatchMergeKey(), slices.Contains(meta.GetPatchStrategies(), mergeStrategy)
}

// keyText shows the value of a merge key, which is a name or a number.
func keyText(value any) string { return fmt.Sprint(value) }
