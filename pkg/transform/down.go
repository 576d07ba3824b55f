// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"errors"
	"fmt"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
)

// maxDepth is far more than the schema of any workload has, and little enough for whatever else walks a copy.
const maxDepth = 128

// Target says what is particular to the copies of an object on one member.
type Target struct {
	// Workspace that the object is in.
	Workspace logicalcluster.Name
	// Replicas that the member is to run; nil means as many as the object says. It means nothing for objects without
	// replicas.
	Replicas *int32
	// OmitReplicas leaves the number of replicas to an autoscaler on the member.
	OmitReplicas bool
}

// Down returns the copy of an object that is to be applied on a member. The object is neither changed nor referred to.
//
// The copy has the object's name, in the namespace NamespaceName, its labels and annotations without kcp's, ours and
// those that tools keep about the object itself, our own marks, and everything else but the status and what servers and
// controllers filled in. Labels and annotations inside, as those of pod templates, lose what is reserved as well: a pod
// or claim that is made from a template must not look like a copy. Selectors are left alone, so an object that selects by
// a reserved label no longer matches its own template, and the member says so.
func Down(upstream *unstructured.Unstructured, t Target) (*unstructured.Unstructured, error) {
	if upstream == nil {
		return nil, errors.New("copying an object: there is none")
	}
	if err := checkIdentity(upstream, t); err != nil {
		return nil, err
	}
	kind := groupKind(upstream)
	if message, ok := objectSyncable(kind, upstream); !ok {
		return nil, fmt.Errorf("copying %s %s: %s", kind.Kind, upstream.GetName(), message)
	}
	desired := make(map[string]any, len(upstream.Object))
	for key, value := range upstream.Object {
		if key == "status" || key == "metadata" {
			continue
		}
		copied, err := copyValue(value, key, 1)
		if err != nil {
			return nil, fmt.Errorf("copying %s %s: %w", kind.Kind, upstream.GetName(), err)
		}
		desired[key] = copied
	}
	adapt(kind, desired, upstream.GetName(), t.Workspace)
	setReplicas(kind, desired, t)
	metadata := downMetadata(upstream, t)
	if kind.Group == "batch" && kind.Kind == "Job" {
		withoutGenerated(asMap(metadata["labels"]), upstream.GetName(), generatedSelector(asMap(upstream.Object["spec"])))
	}
	desired["metadata"] = metadata
	asMap(metadata["annotations"])[AppliedHashAnnotation] = digestOf(desired)
	return &unstructured.Unstructured{Object: desired}, nil
}

// checkIdentity refuses what could not be found again, or would reach another place.
func checkIdentity(upstream *unstructured.Unstructured, t Target) error {
	kind, name := groupKind(upstream), upstream.GetName()
	switch {
	case kind.Kind == "" || asString(upstream.Object["apiVersion"]) == "":
		return errors.New("copying an object: it has no kind")
	case len(validation.IsValidLabelValue(t.Workspace.String())) > 0 || t.Workspace.Empty():
		return fmt.Errorf("copying %s: its workspace has no proper name", kind.Kind)
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		return fmt.Errorf("copying %s: its name is not a DNS subdomain", kind.Kind)
	case upstream.GetNamespace() == "":
		return fmt.Errorf("copying %s %s: it has no namespace", kind.Kind, name)
	case upstream.GetUID() == "" || len(upstream.GetUID()) > maxUID:
		return fmt.Errorf("copying %s %s: it has no proper UID", kind.Kind, name)
	}
	return nil
}

// downMetadata is the metadata of a copy but for the hash.
func downMetadata(upstream *unstructured.Unstructured, t Target) map[string]any {
	metadata := asMap(upstream.Object["metadata"])
	labels := kept(asMap(metadata["labels"]), 2)
	labels[ManagedLabel] = ManagedLabelValue
	labels[WorkspaceLabel] = t.Workspace.String()
	annotations := kept(asMap(metadata["annotations"]), 5)
	origin := UpstreamOrigin(t.Workspace, upstream)
	annotations[WorkspaceAnnotation] = origin.Workspace.String()
	annotations[NamespaceAnnotation] = origin.Namespace
	annotations[NameAnnotation] = origin.Name
	annotations[UIDAnnotation] = string(origin.UID)
	return map[string]any{
		"name":        origin.Name,
		"namespace":   NamespaceName(t.Workspace, origin.Namespace),
		"labels":      labels,
		"annotations": annotations,
	}
}

// kept copies labels or annotations that may leave a workspace.
func kept(marks map[string]any, extra int) map[string]any {
	rest := make(map[string]any, len(marks)+extra)
	for key, value := range marks {
		if text, ok := value.(string); ok && !reserved(key) && !bookkeeping(key) {
			rest[key] = text
		}
	}
	return rest
}

// copyValue copies content, without what is reserved in the labels and annotations of whatever is inside, and without
// finalizers and owners there: those of a pod template become those of pods, which nobody on a member would release.
func copyValue(value any, key string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	switch v := value.(type) {
	case map[string]any:
		return copyMap(v, key, depth)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			copied, err := copyValue(item, key, depth+1)
			if err != nil {
				return nil, err
			}
			list[i] = copied
		}
		return list, nil
	case string, bool, nil, int64, float64:
		return v, nil
	}
	n, ok := numberOf(value)
	switch {
	case !ok:
		return nil, fmt.Errorf("it holds a %T, which is not JSON", value)
	case n.whole:
		return n.integer, nil
	default:
		return n.fraction, nil
	}
}

func copyMap(m map[string]any, key string, depth int) (any, error) {
	marks, metadata := key == "labels" || key == "annotations", key == "metadata"
	copied := make(map[string]any, len(m))
	for k, v := range m {
		if marks && (reserved(k) || bookkeeping(k)) || metadata && ownMetadata(k) {
			continue
		}
		value, err := copyValue(v, k, depth+1)
		if err != nil {
			return nil, err
		}
		copied[k] = value
	}
	return copied, nil
}

// ownMetadata says whether a field of embedded metadata belongs to one object and not to those made from a template.
func ownMetadata(key string) bool {
	switch key {
	case "finalizers", "ownerReferences", "managedFields", "uid", "resourceVersion", "generation", "creationTimestamp",
		"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink":
		return true
	}
	return false
}
