// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import "github.com/kcp-dev/logicalcluster/v3"

// adaptAffinity keeps the terms of pods that select namespaces to those of the workspace. With those of others, a pod
// could keep everybody's pods off its node, since anti-affinity counts both ways, or find out which labels they have.
func adaptAffinity(pod map[string]any, ws logicalcluster.Name) {
	for _, kind := range []string{"podAffinity", "podAntiAffinity"} {
		affinity := at(pod, "affinity", kind)
		for _, item := range asList(affinity["requiredDuringSchedulingIgnoredDuringExecution"]) {
			adaptTerm(asMap(item), ws)
		}
		for _, item := range asList(affinity["preferredDuringSchedulingIgnoredDuringExecution"]) {
			adaptTerm(at(asMap(item), "podAffinityTerm"), ws)
		}
	}
}

func adaptTerm(term map[string]any, ws logicalcluster.Name) {
	if names := asList(term["namespaces"]); len(names) > 0 {
		term["namespaces"] = namespaceNames(names, ws)
	}
	if selector, selects := term["namespaceSelector"].(map[string]any); selects {
		term["namespaceSelector"] = ofWorkspace(selector, ws)
	}
}
