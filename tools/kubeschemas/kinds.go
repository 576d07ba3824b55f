// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kind is one kind that tenants get, as Kubernetes names it; discovery of a real cluster shows the same words. All are
// namespaced.
type kind struct {
	group, version, kind, plural, singular string
	shortNames                             []string
	all                                    bool // in the category all
	scale                                  bool // has the subresource scale
	defaults                               []fieldDefault
}

// fieldDefault is a default that a Kubernetes API server sets in its code, and so does not publish.
type fieldDefault struct {
	path  string // of names of properties, joined by dots
	value string // in JSON
}

// kinds are the kinds that tenants get. The defaults are those without which kubectl prints or answers something wrong:
// `rollout status` refuses an update strategy that it does not see, and 0 wanted replicas are not the truth.
func kinds() []kind {
	rolling := []fieldDefault{
		{path: "spec.updateStrategy", value: `{"type":"RollingUpdate"}`}, {path: "spec.updateStrategy.type", value: `"RollingUpdate"`},
	}
	replicas := fieldDefault{path: "spec.replicas", value: "1"}
	return []kind{
		{
			group: "apps", version: "v1", kind: "DaemonSet", plural: "daemonsets", singular: "daemonset",
			shortNames: []string{"ds"}, all: true, defaults: rolling,
		},
		{
			group: "apps", version: "v1", kind: "Deployment", plural: "deployments", singular: "deployment",
			shortNames: []string{"deploy"}, all: true, scale: true, defaults: []fieldDefault{replicas},
		},
		{
			group: "apps", version: "v1", kind: "StatefulSet", plural: "statefulsets", singular: "statefulset",
			shortNames: []string{"sts"}, all: true, scale: true, defaults: append(rolling[:2:2], replicas),
		},
		{
			group: "autoscaling", version: "v2", kind: "HorizontalPodAutoscaler", plural: "horizontalpodautoscalers", singular: "horizontalpodautoscaler",
			shortNames: []string{"hpa"}, all: true, defaults: []fieldDefault{{path: "spec.minReplicas", value: "1"}},
		},
		{
			group: "batch", version: "v1", kind: "CronJob", plural: "cronjobs", singular: "cronjob",
			shortNames: []string{"cj"}, all: true, defaults: []fieldDefault{{path: "spec.suspend", value: "false"}},
		},
		{group: "batch", version: "v1", kind: "Job", plural: "jobs", singular: "job", all: true},
		{
			version: "v1", kind: "PersistentVolumeClaim", plural: "persistentvolumeclaims", singular: "persistentvolumeclaim",
			shortNames: []string{"pvc"},
		},
		{
			version: "v1", kind: "Service", plural: "services", singular: "service",
			shortNames: []string{"svc"}, all: true, defaults: []fieldDefault{{path: "spec.type", value: `"ClusterIP"`}},
		},
		{
			group: "networking.k8s.io", version: "v1", kind: "Ingress", plural: "ingresses", singular: "ingress",
			shortNames: []string{"ing"},
		},
		{
			group: "networking.k8s.io", version: "v1", kind: "NetworkPolicy", plural: "networkpolicies", singular: "networkpolicy",
			shortNames: []string{"netpol"},
		},
		{
			group: "policy", version: "v1", kind: "PodDisruptionBudget", plural: "poddisruptionbudgets", singular: "poddisruptionbudget",
			shortNames: []string{"pdb"},
		},
	}
}

// definition reads the kind's OpenAPI document and makes a CustomResourceDefinition of it.
func (k *kind) definition(folder string) (*apiextensionsv1.CustomResourceDefinition, error) {
	doc, err := readDocument(filepath.Join(folder, k.document()))
	if err != nil {
		return nil, err
	}
	props, err := doc.kind(metav1.GroupVersionKind{Group: k.group, Version: k.version, Kind: k.kind})
	if err != nil {
		return nil, err
	}
	for _, d := range k.defaults {
		if err := setDefault(props, d); err != nil {
			return nil, err
		}
	}
	names := apiextensionsv1.CustomResourceDefinitionNames{
		Plural: k.plural, Singular: k.singular, Kind: k.kind, ListKind: k.kind + "List", ShortNames: k.shortNames,
	}
	if k.all {
		names.Categories = []string{"all"}
	}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: k.plural + "." + k.groupInNames(), Annotations: k.approval()},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: k.group, Names: names, Scope: apiextensionsv1.NamespaceScoped,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: k.version, Served: true, Storage: true,
				Schema:       &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: props},
				Subresources: k.subresources(props),
			}},
		},
	}, nil
}

// document is the file name of the OpenAPI document of the kind's group and version.
func (k *kind) document() string {
	if k.group == "" {
		return "api__" + k.version + "_openapi.json"
	}
	return "apis__" + k.group + "__" + k.version + "_openapi.json"
}

// groupInNames is how kcp writes the core group in the names of schemas.
func (k *kind) groupInNames() string {
	if k.group == "" {
		return "core"
	}
	return k.group
}

// approval is what kcp asks for before it accepts a group of the Kubernetes community.
func (k *kind) approval() map[string]string {
	if !strings.HasSuffix(k.group, ".k8s.io") {
		return nil
	}
	return map[string]string{apiextensionsv1.KubeAPIApprovedAnnotation: "https://github.com/kubernetes/kubernetes"}
}

// subresources has no labelSelectorPath: it must lead to a string, which the kinds of Kubernetes do not have.
func (k *kind) subresources(props *apiextensionsv1.JSONSchemaProps) *apiextensionsv1.CustomResourceSubresources {
	subresources := &apiextensionsv1.CustomResourceSubresources{}
	if _, found := props.Properties["status"]; found {
		subresources.Status = &apiextensionsv1.CustomResourceSubresourceStatus{}
	}
	if k.scale {
		subresources.Scale = &apiextensionsv1.CustomResourceSubresourceScale{
			SpecReplicasPath: ".spec.replicas", StatusReplicasPath: ".status.replicas",
		}
	}
	return subresources
}

// setDefault gives a property a default.
func setDefault(props *apiextensionsv1.JSONSchemaProps, d fieldDefault) error {
	name, rest, deeper := strings.Cut(d.path, ".")
	property, found := props.Properties[name]
	if !found {
		return fmt.Errorf("setting a default: there is no property %s", d.path)
	}
	if deeper {
		if err := setDefault(&property, fieldDefault{path: rest, value: d.value}); err != nil {
			return err
		}
	} else {
		property.Default, property.Nullable = &apiextensionsv1.JSON{Raw: []byte(d.value)}, false
	}
	props.Properties[name] = property
	return nil
}
