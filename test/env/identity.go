// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kcp-dev/tmc/pkg/memberrole"
)

const (
	// IdentityNamespace is the namespace of the identities on every member that TMC gets.
	IdentityNamespace = "tmc-system"
	// ReaderNamespace is IdentityNamespace.
	ReaderNamespace = IdentityNamespace
	// ReaderName is the name of the identity with which TMC can look and do nothing.
	ReaderName = "tmc-reader"
	// SyncerName is the name of the identity with which TMC can also run workloads.
	SyncerName    = "tmc-syncer"
	tokenLifetime = 365 * 24 * time.Hour
)

// ReaderKubeconfig makes an identity on the member that can read what TMC reads and nothing else, and returns a
// kubeconfig with a token for it.
func (e *Environment) ReaderKubeconfig(ctx context.Context, member string) ([]byte, error) {
	return e.identityKubeconfig(ctx, member, ReaderName, memberrole.Reader())
}

// SyncerKubeconfig makes an identity on the member that can do what TMC does there and nothing else, and returns a
// kubeconfig with a token for it.
func (e *Environment) SyncerKubeconfig(ctx context.Context, member string) ([]byte, error) {
	placeable, err := memberrole.Placeable()
	if err != nil {
		return nil, err
	}
	rules, err := memberrole.Syncer(placeable)
	if err != nil {
		return nil, err
	}
	return e.identityKubeconfig(ctx, member, SyncerName, rules)
}

func (e *Environment) identityKubeconfig(ctx context.Context, member, name string, rules []rbacv1.PolicyRule) ([]byte, error) {
	client, err := e.memberClient(member)
	if err != nil {
		return nil, err
	}
	if err := ensureIdentity(ctx, client, name, rules); err != nil {
		return nil, fmt.Errorf("making the identity %s on member %s: %w", name, member, err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLifetime.Seconds()))}}
	token, err := client.CoreV1().ServiceAccounts(IdentityNamespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("requesting a token of %s on member %s: %w", name, member, err)
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

// ensureIdentity makes a ServiceAccount with a ClusterRole, all of the same name.
func ensureIdentity(ctx context.Context, client kubernetes.Interface, name string, rules []rbacv1.PolicyRule) error {
	meta := metav1.ObjectMeta{Name: name}
	create := metav1.CreateOptions{FieldManager: fieldManager}
	_, nsErr := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: IdentityNamespace}}, create)
	_, saErr := client.CoreV1().ServiceAccounts(IdentityNamespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, create)
	_, roleErr := client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, create)
	_, bindingErr := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: IdentityNamespace, Name: name}},
	}, create)
	var errs []error
	for _, err := range []error{nsErr, saErr, roleErr, bindingErr} {
		if !apierrors.IsAlreadyExists(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
