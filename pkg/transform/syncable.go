// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// machineBootstrap is the type of Secrets that let machines join a cluster. Kubernetes has no exported constant for it
// among its API types.
const machineBootstrap corev1.SecretType = "bootstrap.kubernetes.io/token"

// Syncable says whether an object is synced, and if not why. Without an object it answers for the resource.
//
// Never synced are cluster-scoped kinds, whatever gives rights, configures a cluster or extends its API, and what
// controllers of a cluster make themselves; of the others, objects that every cluster has of its own, credentials, and
// services that would take traffic of others.
func Syncable(gr schema.GroupResource, namespaced bool, obj *unstructured.Unstructured) (reason, message string, ok bool) {
	message, ok = resourceSyncable(gr, namespaced)
	if ok && obj != nil {
		message, ok = objectSyncable(kindOf(gr, obj), obj)
	}
	if !ok {
		return tmcv1alpha1.ReasonNotSyncable, message, false
	}
	return "", "", true
}

func resourceSyncable(gr schema.GroupResource, namespaced bool) (message string, ok bool) {
	switch {
	case gr.Resource == "" || len(validation.IsDNS1123Label(gr.Resource)) > 0:
		return "This is no resource that has objects of its own", false
	case !namespaced:
		return fmt.Sprintf("%s belong to no namespace; only what is in a namespace is synced", gr), false
	case deniedGroup(gr.Group):
		return fmt.Sprintf("%s give rights or configure a cluster, and are never synced", gr), false
	case madeByControllers(gr):
		return fmt.Sprintf("%s are made by the controllers of each member; sync what they are made for", gr), false
	}
	return "", true
}

// deniedGroup says whether the resources of a group govern clusters or workspaces.
func deniedGroup(group string) bool {
	switch group {
	case "rbac.authorization.k8s.io", "authorization.k8s.io", "authentication.k8s.io", "certificates.k8s.io",
		"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "scheduling.k8s.io", "node.k8s.io",
		"storage.k8s.io", "storagemigration.k8s.io", "flowcontrol.apiserver.k8s.io", "internal.apiserver.k8s.io", "metrics.k8s.io":
		return true
	}
	return group == kcpDomain || strings.HasSuffix(group, "."+kcpDomain)
}

// madeByControllers says whether the objects of a resource follow from others.
func madeByControllers(gr schema.GroupResource) bool {
	switch gr.Group {
	case "":
		switch gr.Resource {
		case "pods", "endpoints", "events", "bindings", "nodes", "namespaces", "persistentvolumes", "componentstatuses":
			return true
		}
	case "apps":
		return gr.Resource == "replicasets" || gr.Resource == "controllerrevisions"
	case "events.k8s.io", "discovery.k8s.io", "coordination.k8s.io":
		return true
	}
	return false
}

// kindOf is the kind of an object, by its resource where that matters: then the object cannot say otherwise.
func kindOf(gr schema.GroupResource, obj *unstructured.Unstructured) schema.GroupKind {
	if gr.Group == "" {
		switch gr.Resource {
		case resourceConfigMaps:
			return schema.GroupKind{Kind: kindConfigMap}
		case resourceSecrets:
			return schema.GroupKind{Kind: kindSecret}
		case resourceServiceAccounts:
			return schema.GroupKind{Kind: kindServiceAccount}
		case "services":
			return schema.GroupKind{Kind: "Service"}
		}
	}
	return groupKind(obj)
}

func objectSyncable(kind schema.GroupKind, obj *unstructured.Unstructured) (message string, ok bool) {
	name := obj.GetName()
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return "The name is not a DNS subdomain", false
	}
	if kind.Group != "" {
		return "", true
	}
	switch kind.Kind {
	case kindConfigMap:
		if name == "kube-root-ca.crt" {
			return "Every cluster has this ConfigMap of its own", false
		}
	case kindServiceAccount:
		if name == defaultServiceAccount {
			return "Every namespace has this ServiceAccount of its own", false
		}
	case kindSecret:
		return secretSyncable(obj)
	case "Service":
		if name == "kubernetes" && obj.GetNamespace() == "default" {
			return "Every cluster has this Service of its own", false
		}
		if len(asList(at(obj.Object, "spec")["externalIPs"])) > 0 {
			return "spec.externalIPs would take the traffic of others on the member; remove it", false
		}
	}
	return "", true
}

func secretSyncable(obj *unstructured.Unstructured) (message string, ok bool) {
	if _, found := at(obj.Object, "metadata", "labels")[tmcv1alpha1.CredentialsLabel]; found {
		return "It holds the credentials of a member, which never leave the workspace", false
	}
	switch corev1.SecretType(asString(obj.Object["type"])) {
	case corev1.SecretTypeServiceAccountToken:
		return "The token of a ServiceAccount is of no use on another cluster", false
	case machineBootstrap:
		return "Tokens that let machines join a cluster are never synced", false
	default:
		return "", true
	}
}
