// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

const fieldManager = "tmcenv"

// RegistrationsResource is the resource of ClusterRegistration.
func RegistrationsResource() schema.GroupVersionResource {
	return tmcv1alpha1.SchemeGroupVersion().WithResource("clusterregistrations")
}

// RegisterOption changes how a member is registered.
type RegisterOption func(*registerOptions)

type registerOptions struct {
	identity func(context.Context, string) ([]byte, error)
}

// AsReader registers the member with an identity that can run nothing there.
func (e *Environment) AsReader() RegisterOption {
	return func(o *registerOptions) { o.identity = e.ReaderKubeconfig }
}

// RegisterMember registers a member in a workspace under its own name, with labels for its region and zone and the
// ones given, and with the identity of SyncerKubeconfig. The workspace must have bound TMC's API.
func (e *Environment) RegisterMember(ctx context.Context, workspace, member string, labels map[string]string, options ...RegisterOption) error {
	o := registerOptions{identity: e.SyncerKubeconfig}
	for _, option := range options {
		option(&o)
	}
	config, err := o.identity(ctx, member)
	if err != nil {
		return err
	}
	client, err := e.dynamic(workspace)
	if err != nil {
		return err
	}
	all := planFor(member).labels()
	maps.Copy(all, labels)
	for _, object := range registrationObjects(member, config, all) {
		if err := e.apply(ctx, client, object.resource, object.object); err != nil {
			return fmt.Errorf("registering member %s in workspace %s: %w", member, workspace, err)
		}
	}
	return nil
}

type namedObject struct {
	resource schema.GroupVersionResource
	object   *unstructured.Unstructured
}

// registrationObjects are the Secret with the kubeconfig and the registration that names it.
func registrationObjects(member string, config []byte, labels map[string]string) []namedObject {
	secretName := member + "-kubeconfig"
	stringLabels := map[string]any{}
	for key, value := range labels {
		stringLabels[key] = value
	}
	secret := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": string(corev1.SecretTypeOpaque),
		"metadata": map[string]any{
			"namespace": metav1.NamespaceDefault, "name": secretName,
			"labels": map[string]any{tmcv1alpha1.CredentialsLabel: tmcv1alpha1.CredentialsLabelValue},
		},
		"data": map[string]any{tmcv1alpha1.SecretKeyKubeconfig: base64.StdEncoding.EncodeToString(config)},
	}}
	registration := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": tmcv1alpha1.SchemeGroupVersion().String(), "kind": "ClusterRegistration",
		"metadata": map[string]any{"name": member, "labels": stringLabels},
		"spec": map[string]any{"kubeconfigSecretRef": map[string]any{
			"namespace": metav1.NamespaceDefault, "name": secretName, "key": tmcv1alpha1.SecretKeyKubeconfig,
		}},
	}}
	return []namedObject{
		{schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, secret},
		{RegistrationsResource(), registration},
	}
}

func (e *Environment) apply(ctx context.Context, client dynamic.Interface, gvr schema.GroupVersionResource, object *unstructured.Unstructured) error {
	return e.retry(ctx, func(ctx context.Context) error {
		var target dynamic.ResourceInterface = client.Resource(gvr)
		if namespace := object.GetNamespace(); namespace != "" {
			target = client.Resource(gvr).Namespace(namespace)
		}
		_, err := target.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		return err
	})
}
