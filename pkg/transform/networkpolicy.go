// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"maps"
	"slices"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// adaptPolicy makes a NetworkPolicy mean on a member what it means in its workspace. Who selects all namespaces means
// those of one cluster, which a workspace looks like; on the member they would be those of every tenant.
func adaptPolicy(spec map[string]any, ws logicalcluster.Name) {
	for rules, peers := range map[string]string{"ingress": "from", "egress": "to"} {
		for _, item := range asList(spec[rules]) {
			rule := asMap(item)
			if list := asList(rule[peers]); len(list) > 0 {
				rule[peers] = adaptPeers(list, ws)
			}
		}
	}
}

// adaptPeers replaces each peer that selects namespaces by two: one for those of the workspace, under the names that they
// have on the member, and one for the member's own, as those of its DNS and ingress controllers.
func adaptPeers(peers []any, ws logicalcluster.Name) []any {
	out := make([]any, 0, 2*len(peers))
	for _, item := range peers {
		peer := asMap(item)
		selector, selects := peer["namespaceSelector"].(map[string]any)
		if !selects {
			out = append(out, item)
			continue
		}
		if !excludes(selector) {
			theirs := maps.Clone(peer)
			theirs["namespaceSelector"] = ofWorkspace(selector, ws)
			out = append(out, theirs)
		}
		own := maps.Clone(peer)
		own["namespaceSelector"] = ofMember(selector)
		out = append(out, own)
	}
	return out
}

// excludes reports whether a selector leaves namespaces out by labels. Those of a workspace have none of their labels on
// a member, so that what is to be left out would be let in.
func excludes(selector map[string]any) bool {
	return slices.ContainsFunc(asList(selector["matchExpressions"]), func(item any) bool {
		expression := asMap(item)
		operator := metav1.LabelSelectorOperator(asString(expression["operator"]))
		negative := operator == metav1.LabelSelectorOpNotIn || operator == metav1.LabelSelectorOpDoesNotExist
		return negative && asString(expression["key"]) != corev1.LabelMetadataName
	})
}

// ofWorkspace narrows a selector of namespaces to those of a workspace.
func ofWorkspace(selector map[string]any, ws logicalcluster.Name) map[string]any {
	labels := maps.Clone(asMap(selector["matchLabels"]))
	if labels == nil {
		labels = map[string]any{}
	}
	if name, found := labels[corev1.LabelMetadataName].(string); found {
		labels[corev1.LabelMetadataName] = NamespaceName(ws, name)
	}
	labels[WorkspaceLabel] = ws.String()
	out := map[string]any{"matchLabels": labels}
	given := asList(selector["matchExpressions"])
	expressions := make([]any, 0, len(given))
	for _, item := range given {
		expression := asMap(item)
		if expression["key"] == corev1.LabelMetadataName && len(asList(expression["values"])) > 0 {
			expression = maps.Clone(expression)
			expression["values"] = namespaceNames(asList(expression["values"]), ws)
			item = expression
		}
		expressions = append(expressions, item)
	}
	if len(expressions) > 0 {
		out["matchExpressions"] = expressions
	}
	return out
}

func namespaceNames(names []any, ws logicalcluster.Name) []any {
	out := make([]any, 0, len(names))
	for _, name := range names {
		out = append(out, NamespaceName(ws, asString(name)))
	}
	return out
}

// ofMember narrows a selector of namespaces to those that belong to no workspace.
func ofMember(selector map[string]any) map[string]any {
	out := map[string]any{}
	if labels := asMap(selector["matchLabels"]); len(labels) > 0 {
		out["matchLabels"] = labels
	}
	foreign := map[string]any{"key": WorkspaceLabel, "operator": string(metav1.LabelSelectorOpDoesNotExist)}
	out["matchExpressions"] = append(append([]any{}, asList(selector["matchExpressions"])...), foreign)
	return out
}
