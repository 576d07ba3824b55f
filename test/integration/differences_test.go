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
// default, but no data of its own.
func differences(of, live *unstructured.Unstructured) []string {
	out := cmp.Diff(of.Object["data"], live.Object["data"])
	found := lacking("spec", of.Object["spec"], live.Object["spec"])
	labels := of.GetLabels()
	for label := range labels { // kcp's own, and those that TMC reserves, mean nothing on a member
		if prefix, _, _ := strings.Cut(label, "/"); prefix == "kcp.io" || strings.HasSuffix(prefix, ".kcp.io") {
			delete(labels, label)
			if value, there := live.GetLabels()[label]; there {
				found = append(found, fmt.Sprintf("label %s=%s came along", label, value))
			}
		}
	}
	found = append(found, lacking("labels", asAny(labels), asAny(live.GetLabels()))...)
	if out != "" {
		found = append(found, "data (-workspace +member): "+out)
	}
	return found
}

func asAny(labels map[string]string) map[string]any {
	out := make(map[string]any, len(labels))
	for key, value := range labels {
		out[key] = value
	}
	return out
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
		if diff := cmp.Diff(want, got); diff != "" {
			return []string{fmt.Sprintf("%s is %v, want %v", path, got, want)}
		}
		return nil
	}
}
