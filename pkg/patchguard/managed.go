// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
)

// converter returns what knows the fields of every kind. It is made at its first use, as that takes a while.
var converter = sync.OnceValue(func() managedfields.TypeConverter { return applyconfigurations.NewTypeConverter(scheme.Scheme) })

// setManagedFields keeps book of who set which field. kcp has done so for the damaged object: in its books, fields that
// were lost have no owner any more, and a later server-side apply would not remove them when it should.
func (u *update) setManagedFields(mended *unstructured.Unstructured) {
	kind := mended.GroupVersionKind()
	manager, err := managedfields.NewDefaultFieldManager(converter(), sameVersion{}, sameVersion{}, sameVersion{}, kind, kind.GroupVersion(), "", nil)
	if err != nil {
		return // kcp's books are better than none
	}
	kept := mended.GetManagedFields()
	mended.SetManagedFields(nil)
	updated, err := manager.Update(u.old, mended, u.writer())
	result, isObject := updated.(*unstructured.Unstructured)
	if err != nil || !isObject {
		mended.SetManagedFields(kept)
		return
	}
	mended.SetManagedFields(result.GetManagedFields())
}

// sameVersion stands for conversions between versions, of which there are none, and for defaults and empty objects.
type sameVersion struct{}

// Convert implements runtime.ObjectConvertor.
func (sameVersion) Convert(_, _, _ any) error { return nil }

// ConvertToVersion implements runtime.ObjectConvertor.
func (sameVersion) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}

// ConvertFieldLabel implements runtime.ObjectConvertor.
func (sameVersion) ConvertFieldLabel(_ schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}

// Default implements runtime.ObjectDefaulter.
func (sameVersion) Default(runtime.Object) {}

// New implements runtime.ObjectCreater.
func (sameVersion) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	return object, nil
}
