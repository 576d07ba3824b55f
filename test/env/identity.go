// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kcp-dev/tmc/pkg/memberrole"
)

const (
	// IdentityNamespace is the namespace of the identities on every member that TMC gets.
	IdentityNamespace = memberrole.DefaultNamespace
	// ReaderName is the name of the identity with which TMC can look and do nothing.
	ReaderName = memberrole.DefaultReaderName
	// SyncerName is the name of the identity with which TMC can also run workloads.
	SyncerName    = memberrole.DefaultSyncerName
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
	rules, err := memberrole.Everything()
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
	identity := memberrole.New(name, IdentityNamespace, rules)
	create := metav1.CreateOptions{FieldManager: fieldManager}
	_, nsErr := client.CoreV1().Namespaces().Create(ctx, identity.Namespace, create)
	_, saErr := client.CoreV1().ServiceAccounts(IdentityNamespace).Create(ctx, identity.ServiceAccount, create)
	_, roleErr := client.RbacV1().ClusterRoles().Create(ctx, identity.Role, create)
	_, bindingErr := client.RbacV1().ClusterRoleBindings().Create(ctx, identity.Binding, create)
	var errs []error
	for _, err := range []error{nsErr, saErr, roleErr, bindingErr} {
		if !apierrors.IsAlreadyExists(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
