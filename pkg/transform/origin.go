// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// maxUID is more than any UID has; what is longer was not written by us.
const maxUID = 128

// Origin is the object that a copy is of. Two are the same object exactly if they are equal: the UID tells one from
// another that had its name before.
type Origin struct {
	Workspace logicalcluster.Name
	Namespace string
	Name      string
	UID       types.UID
}

// Key is the key of the object, whichever UID it has.
func (o Origin) Key() workspace.Key {
	return workspace.Key{Workspace: o.Workspace, Namespace: o.Namespace, Name: o.Name}
}

// UpstreamOrigin is what the copies of an object carry.
func UpstreamOrigin(ws logicalcluster.Name, upstream metav1.Object) Origin {
	return Origin{Workspace: ws, Namespace: upstream.GetNamespace(), Name: upstream.GetName(), UID: upstream.GetUID()}
}

// OriginOf reads from a copy what it is a copy of. It is false if the marks are missing, malformed, or do not belong
// to the place where they were found: the same marks on an object of another name or in another namespace were copied
// by somebody, and what that object says must never reach a workspace.
func OriginOf(live metav1.Object) (Origin, bool) {
	if live == nil {
		return Origin{}, false
	}
	managed, annotation := marksOf(live)
	if managed != ManagedLabelValue {
		return Origin{}, false
	}
	o := Origin{
		Workspace: logicalcluster.Name(annotation(WorkspaceAnnotation)),
		Namespace: annotation(NamespaceAnnotation),
		Name:      annotation(NameAnnotation),
		UID:       types.UID(annotation(UIDAnnotation)),
	}
	if o.Workspace == "" || o.Namespace == "" || o.Name == "" || o.UID == "" || len(o.UID) > maxUID {
		return Origin{}, false
	}
	if live.GetName() != o.Name || live.GetNamespace() != NamespaceName(o.Workspace, o.Namespace) {
		return Origin{}, false
	}
	return o, true
}

// marksOf returns the value of ManagedLabel and a reader of annotations. An unstructured object copies its whole maps
// when asked the usual way, with every event of every copy, and drops them all if one value has another type.
func marksOf(live metav1.Object) (managed string, annotation func(string) string) {
	u, ok := live.(*unstructured.Unstructured)
	if !ok {
		annotations := live.GetAnnotations()
		return live.GetLabels()[ManagedLabel], func(key string) string { return annotations[key] }
	}
	if u == nil {
		return "", nil
	}
	metadata := asMap(u.Object["metadata"])
	annotations := asMap(metadata["annotations"])
	return asString(at(metadata, "labels")[ManagedLabel]), func(key string) string { return asString(annotations[key]) }
}
