// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	kindConfigMap      = "ConfigMap"
	kindSecret         = "Secret"
	kindServiceAccount = "ServiceAccount"
	kindClaim          = "PersistentVolumeClaim"

	resourceConfigMaps      = "configmaps"
	resourceSecrets         = "secrets"
	resourceServiceAccounts = "serviceaccounts"
	resourceClaims          = "persistentvolumeclaims"

	defaultServiceAccount = "default"
)

// MaxDependencies is how many references of one object are followed, the first ones in order. No pod starts with as
// many.
const MaxDependencies = 1024

// Reference names another object in the same namespace.
type Reference struct {
	Group    string
	Kind     string
	Resource string
	Name     string
	// Optional: pods start without it.
	Optional bool
}

// GroupResource is the resource of what is referred to.
func (r Reference) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.Group, Resource: r.Resource}
}

func (r Reference) compare(other Reference) int {
	return cmp.Or(cmp.Compare(r.Group, other.Group), cmp.Compare(r.Kind, other.Kind), cmp.Compare(r.Name, other.Name))
}

// Dependencies are the ConfigMaps, Secrets, ServiceAccounts and PersistentVolumeClaims that an object needs on the same
// member: those of its pod templates, of a ServiceAccount its image pull secrets, of an Ingress its certificates, of a
// claim the one that it is a clone of. They are ordered, and none is there twice; what is needed in one place is not
// optional because it is in another. Names that no object can have are left out.
func Dependencies(obj *unstructured.Unstructured) []Reference {
	if obj == nil {
		return nil
	}
	var found references
	kind, spec := groupKind(obj), asMap(obj.Object["spec"])
	switch kind {
	case schema.GroupKind{Kind: kindServiceAccount}:
		found.named(kindSecret, obj.Object["imagePullSecrets"], "name")
	case schema.GroupKind{Kind: kindClaim}:
		found.claim(spec)
	case schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}:
		found.named(kindSecret, spec["tls"], "secretName")
	case schema.GroupKind{Group: "apps", Kind: "StatefulSet"}:
		for _, item := range asList(spec["volumeClaimTemplates"]) {
			found.claim(asMap(asMap(item)["spec"]))
		}
	}
	for _, pod := range podSpecs(kind, obj.Object) {
		found.pod(pod)
	}
	return found.sorted()
}

// references collects what an object refers to.
type references []Reference

func (r *references) add(kind, name string, optional bool) {
	if !properName(name) {
		return
	}
	reference := Reference{Kind: kind, Name: name, Optional: optional}
	switch kind {
	case kindConfigMap:
		reference.Resource = resourceConfigMaps
	case kindSecret:
		reference.Resource = resourceSecrets
	case kindServiceAccount:
		reference.Resource = resourceServiceAccounts
	case kindClaim:
		reference.Resource = resourceClaims
	}
	*r = append(*r, reference)
}

// properName says whether an object can have a name.
func properName(name string) bool {
	return name != "" && len(validation.IsDNS1123Subdomain(name)) == 0
}

// named adds a reference for one field of each item of a list.
func (r *references) named(kind string, list any, field string) {
	for _, item := range asList(list) {
		r.add(kind, asString(asMap(item)[field]), false)
	}
}

// optional adds what an object with a name and a field optional refers to.
func (r *references) optional(kind string, value any, field string) {
	source := asMap(value)
	r.add(kind, asString(source[field]), asBool(source["optional"]))
}

func (r *references) pod(spec map[string]any) {
	account := cmp.Or(asString(spec["serviceAccountName"]), asString(spec["serviceAccount"]))
	if account != defaultServiceAccount {
		r.add(kindServiceAccount, account, false)
	}
	r.named(kindSecret, spec["imagePullSecrets"], "name")
	for _, field := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for _, item := range asList(spec[field]) {
			r.container(asMap(item))
		}
	}
	for _, item := range asList(spec["volumes"]) {
		r.volume(asMap(item))
	}
}

func (r *references) container(container map[string]any) {
	for _, item := range asList(container["env"]) {
		source := at(asMap(item), "valueFrom")
		r.optional(kindConfigMap, source["configMapKeyRef"], "name")
		r.optional(kindSecret, source["secretKeyRef"], "name")
	}
	for _, item := range asList(container["envFrom"]) {
		source := asMap(item)
		r.optional(kindConfigMap, source["configMapRef"], "name")
		r.optional(kindSecret, source["secretRef"], "name")
	}
}

func (r *references) volume(volume map[string]any) {
	r.optional(kindConfigMap, volume["configMap"], "name")
	r.optional(kindSecret, volume["secret"], "secretName")
	for _, item := range asList(asMap(volume["projected"])["sources"]) {
		source := asMap(item)
		r.optional(kindConfigMap, source["configMap"], "name")
		r.optional(kindSecret, source["secret"], "name")
	}
	r.add(kindClaim, asString(asMap(volume["persistentVolumeClaim"])["claimName"]), false)
	r.claim(at(volume, "ephemeral", "volumeClaimTemplate", "spec"))
	r.add(kindSecret, asString(at(volume, "csi", "nodePublishSecretRef")["name"]), false)
	r.add(kindSecret, asString(asMap(volume["azureFile"])["secretName"]), false)
	for _, driver := range []string{"cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"} {
		r.add(kindSecret, asString(at(volume, driver, "secretRef")["name"]), false)
	}
}

func (r *references) claim(spec map[string]any) {
	for _, field := range []string{"dataSource", "dataSourceRef"} {
		source := asMap(spec[field])
		if asString(source["kind"]) == kindClaim && asString(source["apiGroup"]) == "" {
			r.add(kindClaim, asString(source["name"]), false)
		}
	}
}

func (r references) sorted() []Reference {
	// What is not optional comes first of what is the same, and stays.
	slices.SortFunc(r, func(a, b Reference) int {
		return cmp.Or(a.compare(b), compareBool(a.Optional, b.Optional))
	})
	r = slices.CompactFunc(r, func(a, b Reference) bool { return a.compare(b) == 0 })
	return slices.Clip(r[:min(len(r), MaxDependencies)])
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}
