// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/kubernetes/scheme"
)

// Outcome is what became of an update.
type Outcome string

// Outcomes of a review.
const (
	// Untouched says that the update is stored as it is.
	Untouched Outcome = "untouched"
	// Mended says that the update is stored as a cluster would have stored it.
	Mended Outcome = "mended"
	// Refused says that nothing is stored.
	Refused Outcome = "refused"
)

// Verdict is the answer to an update.
type Verdict struct {
	Outcome Outcome
	// Object is what to store instead of the new object, when Mended.
	Object *unstructured.Unstructured
	// Message says what would have been lost and what to type instead, when Refused.
	Message string
	// Warnings are for the user to read, when Mended.
	Warnings []string
}

// update is what there is to know about one update.
type update struct {
	resource  schema.GroupResource
	name      string
	manager   string // as the request says; empty if it does not
	old, new  *unstructured.Unstructured
	oldSpec   map[string]any
	newSpec   map[string]any
	oldLists  map[string]any // lists of the metadata that got something added
	newLists  map[string]any
	describes lookup
}

// Review says what to do with an update. The error says that the request makes no sense.
func Review(request *admissionv1.AdmissionRequest) (*Verdict, error) {
	if request.Operation != admissionv1.Update || request.SubResource != "" {
		return untouched(), nil
	}
	u, err := newUpdate(request)
	if err != nil {
		return nil, err
	}
	if u == nil || u.isExact() {
		return untouched(), nil
	}
	return u.review(), nil
}

// newUpdate returns nil if the guard knows nothing about objects of this kind.
func newUpdate(request *admissionv1.AdmissionRequest) (*update, error) {
	oldObject, err := decode(request.OldObject.Raw)
	if err != nil {
		return nil, fmt.Errorf("decoding the old object: %w", err)
	}
	newObject, err := decode(request.Object.Raw)
	if err != nil {
		return nil, fmt.Errorf("decoding the new object: %w", err)
	}
	options, err := decode(request.Options.Raw)
	if err != nil {
		return nil, fmt.Errorf("decoding the options: %w", err)
	}
	kind := schema.GroupVersionKind{Group: request.Kind.Group, Version: request.Kind.Version, Kind: request.Kind.Kind}
	typed, err := scheme.Scheme.New(kind)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // A kind that client-go does not know gets no strategic merge patches.
	}
	describes, err := newLookup(typed)
	if err != nil {
		return nil, fmt.Errorf("looking up kind %s: %w", kind.Kind, err)
	}
	u := &update{
		resource: schema.GroupResource{Group: request.Resource.Group, Resource: request.Resource.Resource},
		name:     request.Name, manager: stringAt(options.Object, "fieldManager"),
		old: oldObject, new: newObject, describes: describes,
	}
	u.oldSpec, _ = oldObject.Object["spec"].(map[string]any)
	u.newSpec, _ = newObject.Object["spec"].(map[string]any)
	u.oldLists, u.newLists = grownLists(oldObject.Object, newObject.Object)
	return u, nil
}

// grownLists returns the lists of the metadata to which something was added. A list that only shrank is meant: that is
// how finalizers are removed, and the directive for it is one that kcp obeys.
func grownLists(oldObject, newObject map[string]any) (before, after map[string]any) {
	oldMeta, _ := oldObject["metadata"].(map[string]any)
	newMeta, _ := newObject["metadata"].(map[string]any)
	before, after = map[string]any{}, map[string]any{}
	for _, field := range []string{"finalizers", "ownerReferences"} {
		oldList, _ := oldMeta[field].([]any)
		newList, _ := newMeta[field].([]any)
		isNew := func(item any) bool {
			return !slices.ContainsFunc(oldList, func(known any) bool { return reflect.DeepEqual(known, item) })
		}
		if longest(oldList, newList) > maxListItems || slices.ContainsFunc(newList, isNew) {
			before[field], after[field] = oldMeta[field], newMeta[field]
		}
	}
	return before, after
}

// review finds out what the update does to lists that a cluster would merge, and what to do about it.
func (u *update) review() *Verdict {
	m := &merger{}
	lists := m.object("metadata", u.oldLists, u.newLists, u.describes.inside("metadata"))
	spec := m.object("spec", u.oldSpec, u.newSpec, u.describes.inside("spec"))
	switch {
	case m.tooLarge:
		return u.refuse("holds lists that are too long to be merged",
			"Use kubectl apply --server-side, which merges by itself.")
	case !m.isPatch && len(m.lost) == 0:
		return untouched()
	}
	if applied := u.clientSideApply(); applied != nil {
		return u.mended(lists, applied, nil)
	}
	switch {
	case !m.isPatch && !u.sendsStrategicPatches():
		return u.refuseLoss(m.lost)
	case m.err != nil:
		return u.refuse("is a strategic merge patch that cannot be merged: "+m.err.Error(),
			"Use kubectl apply --server-side or kubectl replace.")
	}
	return u.mended(lists, spec, m.warnings)
}

func (u *update) mended(lists, spec map[string]any, warnings []string) *Verdict {
	mended := u.new.DeepCopy()
	if u.newSpec != nil {
		mended.Object["spec"] = spec
	}
	if metadata, isMap := mended.Object["metadata"].(map[string]any); isMap {
		maps.Copy(metadata, lists)
	}
	u.setManagedFields(mended)
	return &Verdict{Outcome: Mended, Object: mended, Warnings: warnings}
}

func untouched() *Verdict { return &Verdict{Outcome: Untouched} }

// decode takes absent JSON and null for an empty object.
func decode(raw []byte) (*unstructured.Unstructured, error) {
	object := map[string]any{}
	if len(raw) > 0 {
		if err := utiljson.Unmarshal(raw, &object); err != nil {
			return nil, err
		}
	}
	return &unstructured.Unstructured{Object: object}, nil
}

// stringAt tolerates every shape, as the objects have not been validated yet.
func stringAt(object map[string]any, path ...string) string {
	var value any = object
	for _, field := range path {
		fields, _ := value.(map[string]any)
		value = fields[field]
	}
	text, _ := value.(string)
	return text
}
