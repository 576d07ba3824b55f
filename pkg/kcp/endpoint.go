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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// follower is what the endpoints of an export are followed for.
type follower interface {
	// begin starts to read what an endpoint has, through a client for all workspaces. It must not wait.
	begin(ctx context.Context, e *endpoint, client dynamic.Interface)
	// ended is told that an endpoint is no longer followed. What it had is still shown.
	ended(url string)
	// drop forgets what an endpoint had, but for its bindings.
	drop(url string)
	// looked is told that all endpoints were looked at.
	looked()
	// read says whether an endpoint's objects have been read that others than its own workspaces depend on.
	read(url string) bool
}

// endpoint is one shard's URL while it is followed.
type endpoint struct {
	url    string
	stop   context.CancelFunc
	group  sync.WaitGroup
	leftAt time.Time // when it left the slice; zero while it is in it
	// bindings is how far the bindings are, which is one of states.
	bindings *atomic.Int32

	mu     sync.Mutex
	states map[*atomic.Int32]bool // how far each of its resources is
}

// watchState makes the endpoint settled only once the state is.
func (e *endpoint) watchState(state *atomic.Int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.states[state] = true
}

// forgetState takes back watchState.
func (e *endpoint) forgetState(state *atomic.Int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.states, state)
}

// settled says whether nothing more is to be waited for: every resource was read or is not shown to us.
func (e *endpoint) settled() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for state := range e.states {
		if syncState(state.Load()) < stateDenied {
			return false
		}
	}
	return true
}

// follow starts what is in the slice, ends what left it, and sees whether all is read.
func (s *export) follow(ctx context.Context) {
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
	s.follower.looked()
	s.judge(ctx)
	s.noteComplete(s.allRead(wanted))
}

// retire ends endpoints that left the slice. One that was replaced, as when a shard gets another address, goes on
// until the others are read: otherwise every row of the shard would go and come back.
func (s *export) retire(ctx context.Context, wanted []string) {
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
		s.forget(url)
		klog.FromContext(ctx).Info("Left endpoint", logkey.Endpoint, url)
	}
}

func (s *export) end(running *endpoint) {
	running.stop()
	running.group.Wait()
	delete(s.following, running.url)
	s.follower.ended(running.url)
	s.writers.clients.Delete(running.url)
	s.lanes.leave(running.url, true)
}

// forget drops what an endpoint held; bindings last, so that nothing shows up unbound in between.
func (s *export) forget(url string) {
	s.follower.drop(url)
	s.workspaces.dropped(func() { s.bindings.drop(url) })
}

func (s *export) stopAll() {
	for _, running := range s.following {
		s.end(running)
	}
}

// allRead says whether the bindings at every wanted endpoint have been read, so that a workspace without one has none, and
// what else concerns workspaces of other endpoints.
func (s *export) allRead(wanted []string) bool {
	for _, url := range wanted {
		running, found := s.following[url]
		if !found || syncState(running.bindings.Load()) != stateSynced || !s.follower.read(url) {
			return false
		}
	}
	return len(wanted) > 0
}

// judge decides whether the set is synced.
func (s *export) judge(ctx context.Context) {
	unread := 0
	for _, running := range s.following {
		if !running.settled() {
			unread++
		}
	}
	s.config.Metrics.observeEndpoints(s.config.ExportName, len(s.following)-unread, unread)
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
func (s *export) start(ctx context.Context, url string) (*endpoint, error) {
	client, err := dynamic.NewForConfigAndClient(s.configAt(url, workspace.Wildcard), s.http)
	if err != nil {
		return nil, fmt.Errorf("building the client: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	e := &endpoint{url: url, stop: stop, states: map[*atomic.Int32]bool{}}
	e.bindings = run(ctx, s, e, client, s.bindings, decoder[apisv1alpha2.APIBinding](), apisv1alpha2.SchemeGroupVersion.WithResource("apibindings"), "")
	s.follower.begin(ctx, e, client)
	return e, nil
}

// run keeps an index up to date with one resource of an endpoint, and returns how far that is.
func run[T metav1.Object](ctx context.Context, s *export, e *endpoint, client dynamic.Interface, index *Index[T],
	decode func(map[string]any) (T, error), gvr schema.GroupVersionResource, selector string,
) *atomic.Int32 {
	state := new(atomic.Int32)
	e.watchState(state)
	reflector := reflectorOf(ctx, s, e, client, index, decode, gvr, metav1.ListOptions{LabelSelector: selector}, state, func() {})
	e.group.Go(func() { reflect(ctx, s.config.Clock, reflector, gvr.GroupResource().String(), e.url) })
	return state
}

// reflectorOf returns what keeps an index up to date with one resource of an endpoint. It tells missing when the
// endpoint says that it has no such resource.
func reflectorOf[T metav1.Object](ctx context.Context, s *export, e *endpoint, client dynamic.Interface, index *Index[T],
	decode func(map[string]any) (T, error), gvr schema.GroupVersionResource, selector metav1.ListOptions, state *atomic.Int32, missing func(),
) *cache.Reflector {
	resource := gvr.GroupResource().String()
	source := &listWatch{
		client: client.Resource(gvr), selector: selector,
		state: state, resource: resource, metrics: s.config.Metrics, changed: s.changed, missing: missing,
	}
	target := &sink[T]{
		index: index, endpoint: e.url, resource: resource, decode: decode,
		state: state, metrics: s.config.Metrics, logger: klog.FromContext(ctx), changed: s.changed,
	}
	// The type is not checked by the reflector, since list items carry no kind of their own in every version.
	return cache.NewReflectorWithOptions(source, nil, target, cache.ReflectorOptions{
		Name: e.url, TypeDescription: resource,
	})
}

// providerReflector follows the one object of a resource in the provider workspace that has the export's name.
func (s *export) providerReflector(gvr schema.GroupVersionResource, take func(*unstructured.Unstructured), gone func()) (*cache.Reflector, error) {
	client, err := dynamic.NewForConfigAndClient(s.config.ProviderConfig, s.http)
	if err != nil {
		return nil, fmt.Errorf("building the client of the provider workspace: %w", err)
	}
	source := &listWatch{
		client: client.Resource(gvr), state: new(atomic.Int32), resource: gvr.GroupResource().String(),
		selector: metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", s.config.ExportName).String()},
		metrics:  s.config.Metrics, changed: s.changed, missing: func() {},
	}
	target := &namedSink{name: s.config.ExportName, take: take, gone: gone}
	return cache.NewReflectorWithOptions(source, nil, target, cache.ReflectorOptions{
		Name: s.config.ExportName, TypeDescription: gvr.GroupResource().String(),
	}), nil
}

// namedSink takes the one object of a name that the reflector sees.
type namedSink struct {
	name string
	take func(*unstructured.Unstructured)
	gone func() // told when there is none
}

var _ cache.ReflectorStore = &namedSink{}

// Add takes the object.
func (s *namedSink) Add(raw any) error {
	if u, ok := raw.(*unstructured.Unstructured); ok && u.GetName() == s.name {
		s.take(u)
	}
	return nil
}

// Update takes the object.
func (s *namedSink) Update(raw any) error { return s.Add(raw) }

// Delete tells that there is none.
func (s *namedSink) Delete(raw any) error {
	if u, ok := raw.(*unstructured.Unstructured); ok && u.GetName() == s.name {
		s.gone()
	}
	return nil
}

// Replace takes the object from a list.
func (s *namedSink) Replace(list []any, _ string) error {
	if len(list) == 0 {
		s.gone()
	}
	for _, raw := range list {
		if err := s.Add(raw); err != nil {
			return err
		}
	}
	return nil
}

// Resync does nothing.
func (s *namedSink) Resync() error { return nil }

// takeSlice takes the endpoints from the slice of the export.
func (s *export) takeSlice(ctx context.Context, u *unstructured.Unstructured) {
	logger := klog.FromContext(ctx)
	var slice apisv1alpha1.APIExportEndpointSlice
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &slice); err != nil {
		logger.Error(err, "Left endpoint slice as it was", logkey.Object, u.GetName())
		return
	}
	urls := make([]string, 0, len(slice.Status.APIExportEndpoints))
	for _, e := range slice.Status.APIExportEndpoints {
		url, err := validEndpoint(e.URL)
		if err != nil {
			logger.Error(err, "Left out endpoint", logkey.Object, u.GetName()) // the URL may hold a password
			continue
		}
		urls = append(urls, url)
	}
	s.setEndpoints(urls)
}

// withoutSlice takes it that there is no slice. Before one was seen nothing is known: the export may have to be made.
func (s *export) withoutSlice() {
	s.mu.Lock()
	known := s.listed
	s.mu.Unlock()
	if known {
		s.setEndpoints(nil)
	}
}

func (s *export) setEndpoints(urls []string) {
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
