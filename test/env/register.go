// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

const (
	// ReaderNamespace is the namespace of the identity on every member that TMC gets.
	ReaderNamespace = "tmc-system"
	// ReaderName is the name of that identity.
	ReaderName    = "tmc-reader"
	tokenLifetime = 365 * 24 * time.Hour
	fieldManager  = "tmcenv"
)

// RegistrationsResource is the resource of ClusterRegistration.
func RegistrationsResource() schema.GroupVersionResource {
	return tmcv1alpha1.SchemeGroupVersion().WithResource("clusterregistrations")
}

// ReaderKubeconfig makes an identity on the member that can read what TMC reads and nothing else, and returns a
// kubeconfig with a token for it.
func (e *Environment) ReaderKubeconfig(ctx context.Context, member string) ([]byte, error) {
	client, err := e.memberClient(member)
	if err != nil {
		return nil, err
	}
	if err := ensureReader(ctx, client); err != nil {
		return nil, fmt.Errorf("making the identity %s on member %s: %w", ReaderName, member, err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLifetime.Seconds()))}}
	token, err := client.CoreV1().ServiceAccounts(ReaderNamespace).CreateToken(ctx, ReaderName, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("requesting a token of %s on member %s: %w", ReaderName, member, err)
	}
	m, err := e.Member(member)
	if err != nil {
		return nil, err
	}
	config, err := m.Config()
	if err != nil {
		return nil, err
	}
	return kubeconfig(config.Host, config.CAData, credentials{token: token.Status.Token})
}

func ensureReader(ctx context.Context, client kubernetes.Interface) error {
	meta := metav1.ObjectMeta{Name: ReaderName}
	create := metav1.CreateOptions{FieldManager: fieldManager}
	_, nsErr := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ReaderNamespace}}, create)
	_, saErr := client.CoreV1().ServiceAccounts(ReaderNamespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, create)
	_, roleErr := client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{corev1.GroupName}, Resources: []string{"nodes", "pods"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{corev1.GroupName}, Resources: []string{"namespaces"}, ResourceNames: []string{metav1.NamespaceSystem}, Verbs: []string{"get"}},
	}}, create)
	_, bindingErr := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ReaderName},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ReaderNamespace, Name: ReaderName}},
	}, create)
	var errs []error
	for _, err := range []error{nsErr, saErr, roleErr, bindingErr} {
		if !apierrors.IsAlreadyExists(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// RegisterMember registers a member in a workspace under its own name, with labels for its region and zone and the
// ones given. The workspace must have bound TMC's API.
func (e *Environment) RegisterMember(ctx context.Context, workspace, member string, labels map[string]string) error {
	config, err := e.ReaderKubeconfig(ctx, member)
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
