// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// ShardLabel is on every shard, with its name: a Workspace's location selector chooses by it.
const ShardLabel = "tmc.test/shard"

const maxReadyzBytes = 4 << 10

var errNotReady = errors.New("not ready")

func workspacesResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspaces"}
}

func workspaceTypesResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspacetypes"}
}

func shardsResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "core.kcp.io", Version: "v1alpha1", Resource: "shards"}
}

// readyz asks a server of kcp's side whether it is ready, without credentials.
func (e *Environment) readyz(url string) func(context.Context) error {
	var client *http.Client
	return func(ctx context.Context) error {
		if client == nil {
			ca, err := os.ReadFile(e.layout.pkiFile(servingCA + ".crt"))
			if err != nil {
				return fmt.Errorf("reading the serving authority: %w", err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(ca)
			client = &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
			}}
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("making a request to %s: %w", url, err)
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("asking %s: %w", url, err)
		}
		defer response.Body.Close() // only read from
		if response.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(response.Body, maxReadyzBytes)) // what came is shown
			return fmt.Errorf("%s answers %s: %w: %s", url, response.Status, errNotReady, body)
		}
		return nil
	}
}

// kcpUsable says whether an administrator can work through the public front-proxy: readiness of the processes alone
// comes earlier than that. It labels the shards on the way.
func (e *Environment) kcpUsable(ctx context.Context) error {
	client, err := e.dynamic("root")
	if err != nil {
		return err
	}
	if _, err := client.Resource(workspacesResource()).List(ctx, metav1.ListOptions{}); err != nil {
		return fmt.Errorf("listing workspaces: %w", err)
	}
	if _, err := client.Resource(workspaceTypesResource()).Get(ctx, "universal", metav1.GetOptions{}); err != nil {
		return fmt.Errorf("reading workspace type universal: %w", err)
	}
	for _, shard := range e.state.Shards {
		patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, ShardLabel, shard.Name)
		_, err := client.Resource(shardsResource()).Patch(ctx, shard.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("shard %s is not registered yet: %w", shard.Name, err)
		}
		if err != nil {
			return fmt.Errorf("labelling shard %s: %w", shard.Name, err)
		}
	}
	return nil
}

// dynamic is an administrator's client of one workspace.
func (e *Environment) dynamic(workspace string) (dynamic.Interface, error) {
	config, err := e.AdminConfig(workspace)
	if err != nil {
		return nil, err
	}
	config.Timeout = requestTimeout
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of workspace %s: %w", workspace, err)
	}
	return client, nil
}
