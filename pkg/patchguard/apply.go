// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"encoding/json"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// clientSideApply computes the patch that kubectl apply sends from what the user applied last and now, which objects
// carry in an annotation. If this patch, applied in kcp's manner, gives the new object, then it is the one that was sent.
// Then, and only then, its result on a cluster is returned, which is exact down to the order of lists.
func (u *update) clientSideApply() map[string]any {
	lastApplied := stringAt(u.old.Object, "metadata", "annotations", corev1.LastAppliedConfigAnnotation)
	applied := stringAt(u.new.Object, "metadata", "annotations", corev1.LastAppliedConfigAnnotation)
	if applied == "" || tooLong(applied) || tooLong(lastApplied) {
		return nil
	}
	current, err := json.Marshal(u.old.Object)
	if err != nil {
		return nil
	}
	patch, err := strategicpatch.CreateThreeWayMergePatch([]byte(lastApplied), []byte(applied), current, u.describes, true)
	if err != nil {
		return nil
	}
	if seen := u.patched(patch, lookup{inner: u.describes.inner, replaces: true}); seen == nil || !sameButDefaults(seen, u.newSpec) {
		return nil
	}
	spec, _ := withoutTraces(u.patched(patch, u.describes)).(map[string]any)
	return spec
}

// tooLong bounds what is compared and merged. Text that is no JSON is left to those who take it apart.
func tooLong(text string) bool {
	object := map[string]any{}
	if err := utiljson.Unmarshal([]byte(text), &object); err != nil {
		return false
	}
	return countItems(object) > maxItems || longestInside(object) > maxListItems
}

// patched returns the spec of the old object after a patch, nil if the patch does not fit.
func (u *update) patched(patch []byte, l lookup) map[string]any {
	changes := map[string]any{}
	if err := utiljson.Unmarshal(patch, &changes); err != nil {
		return nil
	}
	spec, _ := changes["spec"].(map[string]any)
	original := map[string]any{"spec": runtime.DeepCopyJSONValue(u.oldSpec)}
	result, err := strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(original, map[string]any{"spec": spec}, l)
	if err != nil {
		return nil
	}
	found, _ := result["spec"].(map[string]any)
	return found
}

// sameButDefaults compares what a patch gave with what kcp shows, which has defaults filled in.
func sameButDefaults(expected, seen any) bool {
	switch expected := expected.(type) {
	case map[string]any:
		fields, isMap := seen.(map[string]any)
		if !isMap {
			return false
		}
		for field, value := range fields {
			want, found := expected[field]
			text, _ := value.(string)
			if !found && !isDefault(field, text) || found && !sameButDefaults(want, value) {
				return false
			}
		}
		for field := range expected {
			if _, found := fields[field]; !found {
				return false
			}
		}
		return true
	case []any:
		items, isList := seen.([]any)
		if !isList || len(items) != len(expected) {
			return false
		}
		for i := range expected {
			if !sameButDefaults(expected[i], items[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(expected, seen)
	}
}
