// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	apisv1alpha1 "github.com/kcp-dev/sdk/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/kcp-dev/sdk/apis/apis/v1alpha2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// endpoint is one shard's URL while it is followed.
type endpoint struct {
	url     string
	states  []*atomic.Int32
	secrets *atomic.Int32 // the one of states that is about Secrets
	stop    context.CancelFunc
	group   sync.WaitGroup
	leftAt  time.Time // when it left the slice; zero while it is in it
}

// settled says whether nothing more is to be waited for: every resource was read or is not shown to us.
func (e *endpoint) settled() bool {
	return !slices.ContainsFunc(e.states, func(state *atomic.Int32) bool { return syncState(state.Load()) < stateDenied })
}

// follow starts what is in the slice, ends what left it, and sees whether all is read.
func (s *Set) follow(ctx context.Context) {
	logger := klog.FromContext(ctx)
	s.mu.Lock()
	wanted, listed := slices.Clone(s.wanted), s.listed
	s.mu.Unlock()
	if !listed || ctx.Err() != nil {
		return
	}
	for _, url := range wanted {
		if running, found := s.following[url]; found {
			running.leftAt = time.Time{}
			continue
		}
		started, err := s.start(ctx, url)
		if err != nil {
			logger.Error(err, "Left out endpoint", logkey.Endpoint, url)
			continue
		}
		s.following[url] = started
		logger.Info("Followed endpoint", logkey.Endpoint, url)
	}
	s.retire(ctx, wanted)
	s.noteSecrets()
	s.judge(ctx)
}

// noteSecrets looks which endpoints' Secrets have been read for the first time. The registrations there may have been
// looked at before, and have to be again.
func (s *Set) noteSecrets() {
	for url, running := range s.following {
		if syncState(running.secrets.Load()) != stateSynced || !s.secretsRead.add(url) {
			continue
		}
		for _, key := range s.registrations.keysOf(url) {
			s.registrations.notify(key)
		}
	}
}

// retire ends endpoints that left the slice. One that was replaced, as when a shard gets another address, goes on
// until the others are read: otherwise every row of the shard would go and come back.
func (s *Set) retire(ctx context.Context, wanted []string) {
	now := s.config.Clock.Now()
	replaced := len(wanted) > 0
	for _, url := range wanted {
		running, found := s.following[url]
		replaced = replaced && found && running.settled()
	}
	for url, running := range s.following {
		if slices.Contains(wanted, url) {
			continue
		}
		if running.leftAt.IsZero() {
			running.leftAt = now
		}
		if !replaced && now.Sub(running.leftAt) < s.config.RetireGrace {
			continue
		}
		s.end(running)
		s.drop(url)
		klog.FromContext(ctx).Info("Left endpoint", logkey.Endpoint, url)
	}
}

func (s *Set) end(running *endpoint) {
	running.stop()
	running.group.Wait()
	delete(s.following, running.url)
	s.secretsRead.remove(running.url)
	s.lanes.leave(running.url, true)
}

// drop forgets what an endpoint held; bindings last, so that nothing shows up unbound in between.
func (s *Set) drop(url string) {
	s.registrations.drop(url)
	s.grants.drop(url)
	s.secrets.drop(url)
	s.bindings.drop(url)
}

func (s *Set) stopAll() {
	for _, running := range s.following {
		s.end(running)
	}
}

// judge decides whether the set is synced.
func (s *Set) judge(ctx context.Context) {
	unread := 0
	for _, running := range s.following {
		if !running.settled() {
			unread++
		}
	}
	s.config.Metrics.observeEndpoints(len(s.following)-unread, unread)
	if s.synced.Load() {
		return
	}
	if unread > 0 {
		if s.config.Clock.Since(s.listedAt) < s.config.StartupGrace {
			return
		}
		s.config.Metrics.graceExceeded()
		klog.FromContext(ctx).Info("Went on without endpoints that could not be read in time", "count", unread)
	}
	s.synced.Store(true)
}

// start lists and watches everything at one endpoint.
func (s *Set) start(ctx context.Context, url string) (*endpoint, error) {
	client, err := dynamic.NewForConfigAndClient(s.configAt(url, workspace.Wildcard), s.http)
	if err != nil {
		return nil, fmt.Errorf("building the client: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	e := &endpoint{url: url, stop: stop}
	own := tmcv1alpha1.SchemeGroupVersion()
	credentials := labels.SelectorFromSet(labels.Set{tmcv1alpha1.CredentialsLabel: tmcv1alpha1.CredentialsLabelValue})
	run(ctx, s, e, client, s.bindings, decoder[apisv1alpha2.APIBinding](), apisv1alpha2.SchemeGroupVersion.WithResource("apibindings"), "")
	e.secrets = run(ctx, s, e, client, s.secrets, decoder[corev1.Secret](), corev1.SchemeGroupVersion.WithResource("secrets"), credentials.String())
	run(ctx, s, e, client, s.registrations, decoder[tmcv1alpha1.ClusterRegistration](), own.WithResource("clusterregistrations"), "")
	run(ctx, s, e, client, s.grants, decoder[tmcv1alpha1.ClusterGrant](), own.WithResource("clustergrants"), "")
	return e, nil
}

// run keeps an index up to date with one resource of an endpoint, and returns how far that is.
func run[T metav1.Object](ctx context.Context, s *Set, e *endpoint, client dynamic.Interface, index *Index[T],
	decode func(map[string]any) (T, error), gvr schema.GroupVersionResource, selector string,
) *atomic.Int32 {
	resource := gvr.GroupResource().String()
	state := new(atomic.Int32)
	e.states = append(e.states, state)
	source := &listWatch{
		client: client.Resource(gvr), selector: metav1.ListOptions{LabelSelector: selector},
		state: state, resource: resource, metrics: s.config.Metrics, changed: s.changed,
	}
	target := &sink[T]{
		index: index, endpoint: e.url, resource: resource, decode: decode,
		state: state, metrics: s.config.Metrics, logger: klog.FromContext(ctx), changed: s.changed,
	}
	// The type is not checked by the reflector, since list items carry no kind of their own in every version.
	reflector := cache.NewReflectorWithOptions(source, nil, target, cache.ReflectorOptions{
		Name: e.url, TypeDescription: resource,
	})
	e.group.Go(func() { reflect(ctx, s.config.Clock, reflector, resource, e.url) })
	return state
}

// sliceReflector follows the endpoint slice of the export in the provider workspace.
func (s *Set) sliceReflector(ctx context.Context) (*cache.Reflector, error) {
	client, err := dynamic.NewForConfigAndClient(s.config.ProviderConfig, s.http)
	if err != nil {
		return nil, fmt.Errorf("building the client of the provider workspace: %w", err)
	}
	gvr := apisv1alpha1.SchemeGroupVersion.WithResource("apiexportendpointslices")
	source := &listWatch{
		client: client.Resource(gvr), state: new(atomic.Int32), resource: gvr.GroupResource().String(),
		selector: metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", s.config.ExportName).String()},
		metrics:  s.config.Metrics, changed: s.changed,
	}
	return cache.NewReflectorWithOptions(source, nil, &sliceSink{set: s, logger: klog.FromContext(ctx)}, cache.ReflectorOptions{
		Name: s.config.ExportName, TypeDescription: gvr.GroupResource().String(),
	}), nil
}

// sliceSink takes the endpoints from the one slice that the reflector sees.
type sliceSink struct {
	set    *Set
	logger klog.Logger
}

func (s *sliceSink) Add(raw any) error {
	u, ok := raw.(*unstructured.Unstructured)
	if !ok || u.GetName() != s.set.config.ExportName {
		return nil
	}
	var slice apisv1alpha1.APIExportEndpointSlice
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &slice); err != nil {
		s.logger.Error(err, "Left endpoint slice as it was", logkey.Object, u.GetName())
		return nil
	}
	urls := make([]string, 0, len(slice.Status.APIExportEndpoints))
	for _, e := range slice.Status.APIExportEndpoints {
		url, err := validEndpoint(e.URL)
		if err != nil {
			s.logger.Error(err, "Left out endpoint", logkey.Object, u.GetName()) // the URL may hold a password
			continue
		}
		urls = append(urls, url)
	}
	s.set.setEndpoints(urls)
	return nil
}

func (s *sliceSink) Update(raw any) error { return s.Add(raw) }

func (s *sliceSink) Delete(any) error {
	s.set.setEndpoints(nil)
	return nil
}

// Replace takes the first list. Without a slice nothing is known yet: the export may still have to be made.
func (s *sliceSink) Replace(list []any, _ string) error {
	if len(list) == 0 {
		s.set.withoutSlice()
	}
	for _, raw := range list {
		if err := s.Add(raw); err != nil {
			return err
		}
	}
	return nil
}

func (s *sliceSink) Resync() error { return nil }

func (s *Set) withoutSlice() {
	s.mu.Lock()
	known := s.listed
	s.mu.Unlock()
	if known {
		s.setEndpoints(nil)
	}
}

func (s *Set) setEndpoints(urls []string) {
	slices.Sort(urls)
	urls = slices.Compact(urls)
	s.mu.Lock()
	differs := !s.listed || !slices.Equal(s.wanted, urls)
	if !s.listed {
		s.listed, s.listedAt = true, s.config.Clock.Now()
	}
	s.wanted = urls
	handlers := s.endpointHandlers
	s.mu.Unlock()
	if !differs {
		return
	}
	s.changed()
	for _, handler := range handlers {
		handler()
	}
}
