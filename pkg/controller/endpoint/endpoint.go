// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package endpoint tells kcp where this server is.
//
// A shard finds the server of a virtual resource in the status of an endpoint slice, and takes the URL that begins
// with its own virtual workspace URL. The controller therefore publishes one URL for each URL of the APIExport's
// endpoint slice: the same scheme and host, with our path. Which kind of slice it is, the running kcp says. The
// controller owns its own URLs only, by server-side apply; kcp applies others under another manager.
package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

const (
	// FieldManager owns the URLs that are published.
	FieldManager = "tmc-endpoints"
	// DefaultSliceName is the name of the slice that the APIExport refers to.
	DefaultSliceName = "tmc"

	group          = "cache.kcp.io"
	repairInterval = 5 * time.Minute
	callTimeout    = 10 * time.Second
)

// ErrNoSliceKind is the cause when the running kcp offers no kind of endpoint slice that virtual storage can name.
var ErrNoSliceKind = errors.New("kcp serves neither clustercachedresourceendpointslices nor cachedresourceendpointslices; is the feature gate CacheAPIs on?")

// Endpoints are the URLs of the APIExport's endpoint slice, and whether they are known.
type Endpoints interface {
	Endpoints() ([]string, bool)
}

// Leader says whether this replica writes.
type Leader interface{ IsLeader() bool }

// Config says what is published where.
type Config struct {
	// ProviderConfig reaches the provider workspace.
	ProviderConfig *rest.Config
	// HTTPClient is shared if it is set.
	HTTPClient *http.Client
	Endpoints  Endpoints
	Leader     Leader
	// PathPrefix is where this server answers, for example /services/tmc.
	PathPrefix string
	// SliceName is DefaultSliceName if empty.
	SliceName string
	// Clock is the real clock if nil.
	Clock   clock.WithTicker
	Metrics *engine.Metrics
}

// Controller publishes our URLs.
type Controller struct {
	config    Config
	engine    *engine.Engine[workspace.Key]
	discovery discovery.DiscoveryInterface
	client    dynamic.Interface
}

// New returns a controller that publishes while Run runs.
func New(config Config) (*Controller, error) {
	if config.SliceName == "" {
		config.SliceName = DefaultSliceName
	}
	provider := rest.CopyConfig(config.ProviderConfig)
	if config.HTTPClient == nil {
		client, err := rest.HTTPClientFor(provider)
		if err != nil {
			return nil, fmt.Errorf("building the HTTP client of the provider workspace: %w", err)
		}
		config.HTTPClient = client
	}
	discoverer, err := discovery.NewDiscoveryClientForConfigAndClient(provider, config.HTTPClient)
	if err != nil {
		return nil, fmt.Errorf("building the discovery client of the provider workspace: %w", err)
	}
	client, err := dynamic.NewForConfigAndClient(provider, config.HTTPClient)
	if err != nil {
		return nil, fmt.Errorf("building the client of the provider workspace: %w", err)
	}
	c := &Controller{config: config, discovery: discoverer, client: client}
	c.engine = engine.New(engine.Config[workspace.Key]{
		Name: "endpoint", Reconcile: c.Reconcile, Workers: 1, Clock: config.Clock, Metrics: config.Metrics,
	})
	return c, nil
}

// Enqueue makes the controller publish: the endpoints changed, or this replica became the leader.
func (c *Controller) Enqueue() { c.engine.Add(workspace.Key{Name: c.config.SliceName}) }

// Run publishes until the context ends.
func (c *Controller) Run(ctx context.Context) {
	c.Enqueue()
	c.engine.Run(ctx)
}

// Reconcile applies our URLs, and does so again from time to time, since others may have removed them.
func (c *Controller) Reconcile(ctx context.Context, _ workspace.Key) (engine.Result, error) {
	urls, known := c.config.Endpoints.Endpoints()
	if !known || !c.config.Leader.IsLeader() {
		return engine.Result{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	gvr, kind, err := c.sliceKind()
	if err != nil {
		return engine.Result{}, err
	}
	published := URLs(urls, c.config.PathPrefix)
	patch, err := json.Marshal(document(gvr.GroupVersion(), kind, c.config.SliceName, published))
	if err != nil {
		return engine.Result{}, fmt.Errorf("encoding the endpoints: %w", err)
	}
	force := true
	options := metav1.PatchOptions{FieldManager: FieldManager, Force: &force}
	if _, err := c.client.Resource(gvr).Patch(ctx, c.config.SliceName, types.ApplyPatchType, patch, options, "status"); err != nil {
		return engine.Result{}, fmt.Errorf("applying endpoints to %s %s: %w", gvr.Resource, c.config.SliceName, err)
	}
	klog.FromContext(ctx).V(2).Info("Published endpoints", logkey.Resource, gvr.Resource, logkey.Endpoint, published)
	return engine.Result{After: repairInterval}, nil
}

// URLs returns our URL for each URL of the APIExport's endpoint slice, ordered and each once.
func URLs(endpoints []string, prefix string) []string {
	out := make([]string, 0, len(endpoints))
	for _, raw := range endpoints {
		parsed, err := url.Parse(raw)
		if err != nil || parsed.Host == "" {
			continue // the endpoint set admits none of these
		}
		out = append(out, parsed.Scheme+"://"+parsed.Host+"/"+strings.Trim(prefix, "/"))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func document(gv schema.GroupVersion, kind, name string, urls []string) map[string]any {
	endpoints := make([]map[string]string, 0, len(urls))
	for _, published := range urls {
		endpoints = append(endpoints, map[string]string{"url": published})
	}
	return map[string]any{
		"apiVersion": gv.String(), "kind": kind,
		"metadata": map[string]any{"name": name},
		"status":   map[string]any{"endpoints": endpoints},
	}
}

// sliceKind asks kcp which kind of slice it serves: after 0.32 it has another name.
func (c *Controller) sliceKind() (schema.GroupVersionResource, string, error) {
	groups, err := c.discovery.ServerGroups()
	if err != nil {
		return schema.GroupVersionResource{}, "", fmt.Errorf("asking for the API groups of the provider workspace: %w", err)
	}
	index := slices.IndexFunc(groups.Groups, func(g metav1.APIGroup) bool { return g.Name == group })
	if index < 0 {
		return schema.GroupVersionResource{}, "", ErrNoSliceKind
	}
	for _, name := range []string{"clustercachedresourceendpointslices", "cachedresourceendpointslices"} {
		for _, version := range groups.Groups[index].Versions {
			gvr, kind, err := c.find(version.GroupVersion, name)
			if err != nil || kind != "" {
				return gvr, kind, err
			}
		}
	}
	return schema.GroupVersionResource{}, "", ErrNoSliceKind
}

func (c *Controller) find(groupVersion, name string) (schema.GroupVersionResource, string, error) {
	resources, err := c.discovery.ServerResourcesForGroupVersion(groupVersion)
	if err != nil {
		return schema.GroupVersionResource{}, "", fmt.Errorf("asking for the resources of %s: %w", groupVersion, err)
	}
	gv, err := schema.ParseGroupVersion(groupVersion)
	if err != nil {
		return schema.GroupVersionResource{}, "", fmt.Errorf("reading a version of %s: %w", group, err)
	}
	for _, resource := range resources.APIResources {
		if resource.Name == name {
			return gv.WithResource(name), resource.Kind, nil
		}
	}
	return schema.GroupVersionResource{}, "", nil
}
