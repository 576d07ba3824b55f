// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	namespacePrefix = "tmc-"
	// namespaceHash is 160 bits, so that nobody finds two namespaces of one name: 32 characters in base 32.
	namespaceHash = 20
	lowerBase32   = "abcdefghijklmnopqrstuvwxyz234567"
)

// PodSecurity is a level of the Pod Security Standards.
type PodSecurity string

// Levels of the Pod Security Standards.
const (
	PodSecurityPrivileged PodSecurity = "privileged"
	PodSecurityBaseline   PodSecurity = "baseline"
	PodSecurityRestricted PodSecurity = "restricted"
)

// podSecurityLabel makes a member refuse pods beyond the level.
const podSecurityLabel = "pod-security.kubernetes.io/enforce"

// NamespaceName is the name of the namespace on members that belongs to a namespace of a workspace. Two different pairs
// never share one, and nobody can choose a pair that gets a given name.
func NamespaceName(ws logicalcluster.Name, namespace string) string {
	// The length makes the encoding injective: no other pair gives the same text.
	text := make([]byte, 0, 192)
	text = append(text, "tmc.kcp.io/namespace:"...)
	text = strconv.AppendInt(text, int64(len(ws)), 10)
	text = append(text, ':')
	text = append(text, ws...)
	text = append(text, namespace...)
	sum := sha256.Sum256(text)
	name := make([]byte, 0, 64)
	name = append(name, namespacePrefix...)
	encoding := base32.NewEncoding(lowerBase32).WithPadding(base32.NoPadding)
	return string(encoding.AppendEncode(name, sum[:namespaceHash]))
}

// Namespace is the manifest of a namespace on members, with the record of whose it is. The path is for people and may be
// empty.
//
// An empty level is baseline: it keeps tenants away from a node's own files, devices, processes and network, which the
// default of Kubernetes does not, and lets usual images run, which restricted does not. The owner of a member can be
// stricter by admission policies, which know these namespaces by ManagedLabel.
func Namespace(ws logicalcluster.Name, path, namespace string, level PodSecurity) *unstructured.Unstructured {
	if level == "" {
		level = PodSecurityBaseline
	}
	annotations := map[string]any{WorkspaceAnnotation: ws.String(), NamespaceAnnotation: namespace}
	if path != "" {
		annotations[WorkspacePathAnnotation] = path
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Namespace",
		"metadata": map[string]any{
			"name": NamespaceName(ws, namespace),
			"labels": map[string]any{
				"app.kubernetes.io/managed-by": "tmc",
				ManagedLabel:                   ManagedLabelValue,
				WorkspaceLabel:                 ws.String(),
				podSecurityLabel:               string(level),
			},
			"annotations": annotations,
		},
	}}
}

// OwnsNamespace says whether a namespace of a member is the one of a namespace of a workspace. A namespace of that name
// without the record, or with another one, is not ours and must not be touched.
func OwnsNamespace(live *unstructured.Unstructured, ws logicalcluster.Name, namespace string) bool {
	if live == nil || ws == "" || namespace == "" {
		return false
	}
	metadata := asMap(live.Object["metadata"])
	annotations := asMap(metadata["annotations"])
	return asString(at(metadata, "labels")[ManagedLabel]) == ManagedLabelValue &&
		asString(annotations[WorkspaceAnnotation]) == ws.String() &&
		asString(annotations[NamespaceAnnotation]) == namespace &&
		asString(metadata["name"]) == NamespaceName(ws, namespace)
}
