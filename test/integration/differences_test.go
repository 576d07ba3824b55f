// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// differences are what a member does not have as the workspace has it. Beside that it has what its API server sets by
// default, but no data of its own, and no label that only kcp or TMC may use.
func differences(of, live *unstructured.Unstructured) []string {
	found := lacking("spec", of.Object["spec"], live.Object["spec"])
	has := live.GetLabels()
	for label, want := range of.GetLabels() {
		got, there := has[label]
		prefix, _, _ := strings.Cut(label, "/")
		reserved := prefix == "kcp.io" || strings.HasSuffix(prefix, ".kcp.io")
		if reserved && there || !reserved && (!there || got != want) {
			found = append(found, fmt.Sprintf("label %s is %q, %t there", label, got, there))
		}
	}
	if diff := cmp.Diff(of.Object["data"], live.Object["data"]); diff != "" {
		found = append(found, "data (-workspace +member): "+diff)
	}
	return found
}

// lacking are the paths at which something is not as it is wanted. Lists have the same items; maps may have more.
func lacking(path string, want, got any) []string {
	switch want := want.(type) {
	case map[string]any:
		live, _ := got.(map[string]any)
		var found []string
		for _, key := range slices.Sorted(maps.Keys(want)) {
			found = append(found, lacking(path+"."+key, want[key], live[key])...)
		}
		return found
	case []any:
		live, _ := got.([]any)
		if len(live) != len(want) {
			return []string{fmt.Sprintf("%s has %d items, want %d", path, len(live), len(want))}
		}
		var found []string
		for i := range want {
			found = append(found, lacking(fmt.Sprintf("%s[%d]", path, i), want[i], live[i])...)
		}
		return found
	default:
		if !cmp.Equal(want, got) {
			return []string{fmt.Sprintf("%s is %v, want %v", path, got, want)}
		}
		return nil
	}
}
