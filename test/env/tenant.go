// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/kcp-dev/tmc/test/env/pki"
)

// TenantGroup is the group of every tenant's user.
const TenantGroup = "tenants"

// Tenant is a workspace with a user who is its administrator and nothing else.
type Tenant struct {
	// Name of the tenant.
	Name string
	// Path of the workspace, such as root:acme.
	Path string
	// Cluster is the name of its logical cluster.
	Cluster string
	// User is the name of its user.
	User string
	// Kubeconfig is the path of the user's kubeconfig, at the workspace.
	Kubeconfig string
}

// Config is the user's client configuration, at the workspace.
func (t *Tenant) Config() (*rest.Config, error) { return loadConfig(t.Kubeconfig) }

// TenantOption changes how a tenant is made.
type TenantOption func(*tenantOptions)

type tenantOptions struct {
	parent, shard, typeName, typePath string
}

// WithParent puts the workspace below another one than root.
func WithParent(path string) TenantOption { return func(o *tenantOptions) { o.parent = path } }

// WithShard puts the workspace onto a shard, by its name.
func WithShard(name string) TenantOption { return func(o *tenantOptions) { o.shard = name } }

// WithType gives the workspace a type, such as tmc at root:tmc; it is universal at root otherwise.
func WithType(name, path string) TenantOption {
	return func(o *tenantOptions) { o.typeName, o.typePath = name, path }
}

// WithTMC gives the workspace the type that binds TMC's API and the Kubernetes kinds, with all permission claims accepted.
func WithTMC() TenantOption { return WithType("tmc", ProviderWorkspace) }

// Tenant makes a workspace and its user, or finds them, and waits until the user can work.
func (e *Environment) Tenant(ctx context.Context, name string, options ...TenantOption) (*Tenant, error) {
	o := tenantOptions{parent: "root", typeName: "universal", typePath: "root"}
	for _, option := range options {
		option(&o)
	}
	t := &Tenant{Name: name, Path: o.parent + ":" + name, User: name + "-user", Kubeconfig: e.layout.tenantKubeconfig(name)}
	var err error
	if t.Cluster, err = e.ensureWorkspace(ctx, name, o); err != nil {
		return nil, fmt.Errorf("making workspace %s: %w", t.Path, err)
	}
	if err := e.grantAdmin(ctx, t); err != nil {
		return nil, fmt.Errorf("giving %s rights in workspace %s: %w", t.User, t.Path, err)
	}
	if err := e.writeTenantKubeconfig(t); err != nil {
		return nil, fmt.Errorf("making the kubeconfig of tenant %s: %w", name, err)
	}
	if err := e.awaitTenant(ctx, t); err != nil {
		return nil, fmt.Errorf("waiting until %s can use workspace %s: %w", t.User, t.Path, err)
	}
	return t, nil
}

func (e *Environment) ensureWorkspace(ctx context.Context, name string, o tenantOptions) (cluster string, err error) {
	client, err := e.dynamic(o.parent)
	if err != nil {
		return "", err
	}
	workspaces := client.Resource(workspacesResource())
	spec := map[string]any{"type": map[string]any{"name": o.typeName, "path": o.typePath}}
	if o.shard != "" {
		spec["location"] = map[string]any{"selector": map[string]any{"matchLabels": map[string]any{ShardLabel: o.shard}}}
	}
	workspace := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace",
		"metadata": map[string]any{"name": name}, "spec": spec,
	}}
	phase := "no phase"
	err = e.retry(ctx, func(ctx context.Context) error {
		found, err := workspaces.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			found, err = workspaces.Create(ctx, workspace, metav1.CreateOptions{})
		}
		if err != nil {
			return err
		}
		phase, _, _ = unstructured.NestedString(found.Object, "status", "phase") // a phase that is not text is no phase
		cluster, _, _ = unstructured.NestedString(found.Object, "spec", "cluster")
		if phase != "Ready" {
			conditions, _, _ := unstructured.NestedSlice(found.Object, "status", "conditions") // only shown
			return fmt.Errorf("phase %q, conditions %v: %w", phase, conditions, errNotReady)
		}
		return nil
	})
	return cluster, err
}

func (e *Environment) grantAdmin(ctx context.Context, t *Tenant) error {
	client, err := e.dynamic(t.Path)
	if err != nil {
		return err
	}
	bindings := client.Resource(schema.GroupVersionResource{Group: rbacGroup, Version: "v1", Resource: "clusterrolebindings"})
	return e.retry(ctx, func(ctx context.Context) error {
		var errs []error
		for name, role := range map[string]string{"tenant-admin": "cluster-admin", "tenant-access": "system:kcp:workspace:access"} {
			binding := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": rbacGroup + "/v1", "kind": "ClusterRoleBinding", "metadata": map[string]any{"name": name},
				"roleRef":  map[string]any{"apiGroup": rbacGroup, "kind": "ClusterRole", "name": role},
				"subjects": []any{map[string]any{"apiGroup": rbacGroup, "kind": "User", "name": t.User}},
			}}
			if _, err := bindings.Create(ctx, binding, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
}

const rbacGroup = "rbac.authorization.k8s.io"

func (e *Environment) writeTenantKubeconfig(t *Tenant) error {
	if _, err := os.Stat(t.Kubeconfig); err == nil {
		return nil
	}
	authority, err := pki.LoadAuthority(e.layout.pki(), clientCA)
	if err != nil {
		return err
	}
	pair, err := authority.IssueClient(pki.Client{CommonName: t.User, Organizations: []string{TenantGroup}}, e.clock.Now())
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(e.layout.pkiFile(servingCA + ".crt"))
	if err != nil {
		return fmt.Errorf("reading the serving authority: %w", err)
	}
	return writeKubeconfig(t.Kubeconfig, e.PublicURL()+"/clusters/"+t.Path, ca, credentials{pair: pair}, t.Name)
}

func (e *Environment) awaitTenant(ctx context.Context, t *Tenant) error {
	config, err := t.Config()
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	namespaces := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	return e.retry(ctx, func(ctx context.Context) error {
		_, err := namespaces.Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		return err
	})
}

// retry repeats an idempotent step until it succeeds: fresh workspaces refuse for a while what they will allow.
func (e *Environment) retry(ctx context.Context, step func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		err := step(ctx)
		// What the end of the context says is not worth showing beside what was wrong before.
		if err != nil && (last == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error())) {
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}
