// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"maps"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The accessors below make an Object a metav1.Object. The setters do nothing, because an Object is shared and never
// changes; who needs to change one calls GetObject and owns the result.
var _ metav1.Object = (*Object)(nil)

// GetNamespace returns the object's namespace.
func (o *Object) GetNamespace() string { return o.head.meta.Namespace }

// GetName returns the object's name.
func (o *Object) GetName() string { return o.head.meta.Name }

// GetUID returns the object's identity.
func (o *Object) GetUID() types.UID { return o.head.meta.UID }

// GetResourceVersion returns the object's revision.
func (o *Object) GetResourceVersion() string { return strconv.FormatUint(o.rev, 10) }

// GetCreationTimestamp returns the object's creation time.
func (o *Object) GetCreationTimestamp() metav1.Time { return o.head.meta.CreationTimestamp }

// GetLabels returns a copy of the object's labels.
func (o *Object) GetLabels() map[string]string { return maps.Clone(o.head.meta.Labels) }

// GetAnnotations returns a copy of the object's annotations.
func (o *Object) GetAnnotations() map[string]string { return maps.Clone(o.head.meta.Annotations) }

// GetGenerateName returns nothing: views have names of their own.
func (o *Object) GetGenerateName() string { return "" }

// GetGeneration returns 0: views have no specification.
func (o *Object) GetGeneration() int64 { return 0 }

// GetSelfLink returns nothing.
func (o *Object) GetSelfLink() string { return "" }

// GetDeletionTimestamp returns nil: views are not deleted by request.
func (o *Object) GetDeletionTimestamp() *metav1.Time { return nil }

// GetDeletionGracePeriodSeconds returns nil.
func (o *Object) GetDeletionGracePeriodSeconds() *int64 { return nil }

// GetFinalizers returns nil.
func (o *Object) GetFinalizers() []string { return nil }

// GetOwnerReferences returns nil.
func (o *Object) GetOwnerReferences() []metav1.OwnerReference { return nil }

// GetManagedFields returns nil: nobody manages fields of a view.
func (o *Object) GetManagedFields() []metav1.ManagedFieldsEntry { return nil }

// SetNamespace does nothing.
func (o *Object) SetNamespace(string) {}

// SetName does nothing.
func (o *Object) SetName(string) {}

// SetGenerateName does nothing.
func (o *Object) SetGenerateName(string) {}

// SetUID does nothing.
func (o *Object) SetUID(types.UID) {}

// SetResourceVersion does nothing.
func (o *Object) SetResourceVersion(string) {}

// SetGeneration does nothing.
func (o *Object) SetGeneration(int64) {}

// SetSelfLink does nothing.
func (o *Object) SetSelfLink(string) {}

// SetCreationTimestamp does nothing.
func (o *Object) SetCreationTimestamp(metav1.Time) {}

// SetDeletionTimestamp does nothing.
func (o *Object) SetDeletionTimestamp(*metav1.Time) {}

// SetDeletionGracePeriodSeconds does nothing.
func (o *Object) SetDeletionGracePeriodSeconds(*int64) {}

// SetLabels does nothing.
func (o *Object) SetLabels(map[string]string) {}

// SetAnnotations does nothing.
func (o *Object) SetAnnotations(map[string]string) {}

// SetFinalizers does nothing.
func (o *Object) SetFinalizers([]string) {}

// SetOwnerReferences does nothing.
func (o *Object) SetOwnerReferences([]metav1.OwnerReference) {}

// SetManagedFields does nothing.
func (o *Object) SetManagedFields([]metav1.ManagedFieldsEntry) {}
