// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/env"
)

// Tenant is a workspace with its user.
type Tenant struct {
	// Name, User, Workspace (a path) and Cluster (a logical cluster name).
	Name, User, Workspace, Cluster string
	// Kubectl and Client act as the user, in the workspace.
	Kubectl Kubectl
	Client  *Client

	config *rest.Config
	suite  *Suite
}

// TenantOption changes how a tenant is made.
type TenantOption = env.TenantOption

// OnShard puts the tenant's workspace onto a shard.
func OnShard(name string) TenantOption { return env.WithShard(name) }

// NewTenant makes a tenant whose workspace has bound TMC's API.
func (s *Suite) NewTenant(t testing.TB, name string, options ...TenantOption) *Tenant {
	t.Helper()
	made, err := s.Env.Tenant(t.Context(), name, append([]TenantOption{env.WithTMC()}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := s.newTenant(made)
	if err != nil {
		t.Fatal(err)
	}
	tenant.WaitUntilServed(t)
	return tenant
}

func (s *Suite) newTenant(made *env.Tenant) (*Tenant, error) {
	config, err := made.Config()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", made.Name, err)
	}
	client, err := NewClient(config)
	if err != nil {
		return nil, err
	}
	return &Tenant{
		Name: made.Name, User: made.User, Workspace: made.Path, Cluster: made.Cluster,
		Kubectl: Kubectl{Kubeconfig: made.Kubeconfig, CacheDir: s.dir + "/kubectl-" + made.Name},
		Client:  client, config: config, suite: s,
	}, nil
}

// WaitUntilServed waits until the tenant can read the view: a binding takes some seconds.
func (t *Tenant) WaitUntilServed(tb testing.TB) {
	tb.Helper()
	Eventually(tb, "the view to be served to "+t.Name, MemberTimeout, func(ctx context.Context) error {
		_, err := t.Client.StatusNames(ctx)
		return err
	})
}

// ProviderKubectl is the tenant's user in the provider workspace.
func (t *Tenant) ProviderKubectl(tb testing.TB) Kubectl {
	tb.Helper()
	return Kubectl{Kubeconfig: t.providerKubeconfig(tb), CacheDir: tb.TempDir()}
}

// Path is a path below the tenant's workspace, for kubectl get --raw, which replaces the whole path.
func (t *Tenant) Path(path string) string { return "/clusters/" + t.Workspace + path }

// Informer is client-go's own informer on the view.
func (c *Client) Informer() cache.SharedIndexInformer {
	gvr := tmcv1alpha1.SchemeGroupVersion().WithResource("clusterstatuses")
	return dynamicinformer.NewFilteredDynamicInformer(c.dynamic, gvr, "", 0, cache.Indexers{}, nil).Informer()
}

// Do sends a request with the user's certificate to any URL of the environment.
func (t *Tenant) Do(tb testing.TB, method, url string, headers http.Header) (int, string) {
	tb.Helper()
	return t.suite.DoRaw(tb, method, url, headers, t.Certificate(tb))
}

// Certificate is the user's client certificate.
func (t *Tenant) Certificate(tb testing.TB) tls.Certificate {
	tb.Helper()
	pair, err := tls.X509KeyPair(t.config.CertData, t.config.KeyData)
	if err != nil {
		tb.Fatalf("reading the certificate of %s: %v", t.Name, err)
	}
	return pair
}

// Register registers a member in the tenant's workspace under its own name.
func (s *Suite) Register(t testing.TB, tenant *Tenant, member string) {
	t.Helper()
	s.StartMember(t, member)
	if err := s.Env.RegisterMember(t.Context(), tenant.Workspace, member, nil); err != nil {
		t.Fatal(err)
	}
}

// RegisterAs registers a member under another name.
func (s *Suite) RegisterAs(t testing.TB, tenant *Tenant, member, name string) {
	t.Helper()
	s.StartMember(t, member)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{tmcv1alpha1.CredentialsLabel: tmcv1alpha1.CredentialsLabelValue}},
		Data:       map[string][]byte{tmcv1alpha1.SecretKeyKubeconfig: s.MemberKubeconfig(t, member)},
	}
	if _, err := tenant.core(t).CoreV1().Secrets(metav1.NamespaceDefault).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatalf("creating the secret of %s: %v", name, err)
	}
	tenant.Apply(t, "apiVersion: tmc.kcp.io/v1alpha1\nkind: ClusterRegistration\nmetadata: {name: "+name+
		"}\nspec: {kubeconfigSecretRef: {namespace: default, name: "+name+"}}\n")
}

func (t *Tenant) core(tb testing.TB) kubernetes.Interface {
	tb.Helper()
	client, err := kubernetes.NewForConfig(t.config)
	if err != nil {
		tb.Fatalf("creating a client for %s: %v", t.Name, err)
	}
	return client
}

// CredentialsSecret is the Secret of a member that Register registered.
func (s *Suite) CredentialsSecret(t testing.TB, tenant *Tenant, member string) *corev1.Secret {
	t.Helper()
	secret, err := tenant.core(t).CoreV1().Secrets(metav1.NamespaceDefault).Get(t.Context(), member+"-kubeconfig", metav1.GetOptions{})
	if err != nil {
		t.Fatalf("getting the credentials of %s: %v", member, err)
	}
	return secret
}

// UpdateCredentials replaces the kubeconfig in a Secret.
func (s *Suite) UpdateCredentials(t testing.TB, tenant *Tenant, name string, kubeconfig []byte) {
	t.Helper()
	secrets := tenant.core(t).CoreV1().Secrets(metav1.NamespaceDefault)
	Eventually(t, "the secret "+name+" to be written", MemberTimeout, func(ctx context.Context) error {
		secret, err := secrets.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("getting secret %s: %w", name, err)
		}
		secret.Data[tmcv1alpha1.SecretKeyKubeconfig] = kubeconfig
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
		return err
	})
}

// WaitForBadRegistration waits until a registration is not ready because of a condition, and returns its message. An
// empty condition type matches any condition that is not True; an empty reason any reason.
func (t *Tenant) WaitForBadRegistration(tb testing.TB, name, conditionType, reason string) string {
	tb.Helper()
	var message string
	Eventually(tb, fmt.Sprintf("registration %s to be refused with %s/%s", name, conditionType, reason), MemberTimeout, func(ctx context.Context) error {
		obj, err := t.Client.Registrations().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("getting registration %s: %w", name, err)
		}
		conditions, err := Conditions(obj)
		if err != nil {
			return err
		}
		if ready := meta.FindStatusCondition(conditions, tmcv1alpha1.ConditionReady); ready == nil || ready.Status == metav1.ConditionTrue {
			return errors.New("it is ready, or not looked at")
		}
		for _, condition := range conditions {
			fits := conditionType == "" || condition.Type == conditionType
			if fits && condition.Status != metav1.ConditionTrue && condition.Reason != tmcv1alpha1.ReasonPending &&
				(reason == "" || condition.Reason == reason) {
				message = condition.Message
				return nil
			}
		}
		return fmt.Errorf("its conditions are %s", describe(conditions))
	})
	return message
}

func describe(conditions []metav1.Condition) string {
	parts := make([]string, 0, len(conditions))
	for _, c := range conditions {
		parts = append(parts, fmt.Sprintf("%s=%s/%s (%s)", c.Type, c.Status, c.Reason, c.Message))
	}
	return strings.Join(parts, ", ")
}

func listCredentials() metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: tmcv1alpha1.CredentialsLabel + "=" + tmcv1alpha1.CredentialsLabelValue}
}
