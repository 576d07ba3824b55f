// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// fieldManager owns the fields that init writes.
const fieldManager = "tmc-init"

// kcp opens clients for workspaces, with the administrator's identity.
type kcp struct {
	config *rest.Config
	base   url.URL
}

// connect takes the address of kcp out of the configuration, whatever workspace that names.
func connect(admin *rest.Config) (*kcp, error) {
	config := rest.CopyConfig(admin)
	config.UserAgent = rest.DefaultKubernetesUserAgent() + " tmc-init"
	config.QPS = -1 // some dozens of requests, one after the other
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the server's address of the kubeconfig: %w", err)
	}
	if i := strings.Index(base.Path+"/", "/clusters/"); i >= 0 {
		base.Path = base.Path[:i]
	}
	return &kcp{config: config, base: *base}, nil
}

// at returns the configuration for one workspace.
func (k *kcp) at(workspace string) *rest.Config {
	config := rest.CopyConfig(k.config)
	u := k.base
	config.Host = u.JoinPath("clusters", workspace).String()
	config.APIPath = ""
	return config
}

func (k *kcp) dynamic(workspace string) (dynamic.Interface, error) {
	client, err := dynamic.NewForConfig(k.at(workspace))
	if err != nil {
		return nil, fmt.Errorf("making a client for workspace %s: %w", workspace, err)
	}
	return client, nil
}

// requireCacheAPIs finds out before anything is written whether this kcp knows the kinds that virtual resources need.
// Whether it also acts on them shows only later, see waitForAnchor.
func (k *kcp) requireCacheAPIs(workspace string) error {
	client, err := discovery.NewDiscoveryClientForConfig(k.at(workspace))
	if err != nil {
		return fmt.Errorf("making a discovery client for workspace %s: %w", workspace, err)
	}
	if _, err := client.ServerResourcesForGroupVersion(workspaces().GroupVersion().String()); apierrors.IsNotFound(err) {
		return fmt.Errorf("workspace %s does not exist, or the server of the kubeconfig is not kcp: %w", workspace, err)
	}
	resources, err := client.ServerResourcesForGroupVersion("cache.kcp.io/v1alpha1")
	if apierrors.IsNotFound(err) {
		return errors.New("kcp does not serve cache.kcp.io/v1alpha1: start every shard with --feature-gates=CacheAPIs=true (kcp 0.31 or 0.32), then run init again")
	}
	if err != nil {
		return explain(fmt.Errorf("asking workspace %s for the API cache.kcp.io: %w", workspace, err), "access", "/", workspace)
	}
	for i := range resources.APIResources {
		if resources.APIResources[i].Name == "cachedresourceendpointslices" {
			return nil
		}
	}
	return errors.New("kcp serves cache.kcp.io/v1alpha1 without cachedresourceendpointslices: this version of tmc-apiserver supports kcp 0.31 and 0.32")
}

// explain adds what is missing to an error that speaks of a missing right.
func explain(err error, verb, resource, workspace string) error {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the kubeconfig's user lacks the right to %s %s in workspace %s (or, for rules and bindings, a right that the object gives): use an administrator of that workspace: %w",
			verb, resource, workspace, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("kcp does not accept the kubeconfig's credentials (kcp makes a new admin.kubeconfig token with each start): %w", err)
	}
	return err
}

// resourceFor maps the kinds that init writes to their resources. A REST mapper would need discovery that is not there yet.
func resourceFor(object *unstructured.Unstructured) (schema.GroupVersionResource, error) {
	gvk := object.GroupVersionKind()
	switch gvk.Kind {
	case "APIResourceSchema", "APIExport", "CachedResource", "CachedResourceEndpointSlice", "WorkspaceType",
		"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "MutatingWebhookConfiguration":
		return gvk.GroupVersion().WithResource(strings.ToLower(gvk.Kind) + "s"), nil
	}
	return schema.GroupVersionResource{}, fmt.Errorf("no resource is known for kind %s of %s", gvk.Kind, object.GetName())
}
