// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/pkg/logkey"
)

// listTimeout bounds a list, so that an endpoint that accepts a connection and sends nothing is noticed.
const listTimeout = time.Minute

// Pauses between tries to list and watch. The first ones are short: a resource is refused for some seconds after the
// first binding of the export, until kcp has prepared its endpoint.
const (
	firstPause = 200 * time.Millisecond
	longPause  = 30 * time.Second
	// resetPause is how long a watch must have lasted for the next pause to be short again.
	resetPause = 2 * time.Minute
)

// reflect lists and watches until the context ends. It is the reflector's own loop, but that a resource which an
// endpoint does not show is no error: the claim may be rejected, or the endpoint so new that it will show it soon.
func reflect(ctx context.Context, clock clock.Clock, reflector *cache.Reflector, resource, endpoint string) {
	logger := klog.FromContext(ctx).WithValues(logkey.Resource, resource, logkey.Endpoint, endpoint)
	delay := wait.Backoff{Duration: firstPause, Cap: longPause, Factor: 2, Jitter: 0.5, Steps: math.MaxInt32}.DelayWithReset(clock, resetPause)
	_ = delay.Until(ctx, true, true, func(ctx context.Context) (bool, error) { // it ends with the context, and no other way
		err := reflector.ListAndWatchWithContext(ctx)
		switch {
		case err == nil, ctx.Err() != nil, apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
			logger.V(2).Info("Endpoint does not show the resource", logkey.Reason, apierrors.ReasonForError(err))
		default:
			logger.Info("Lost the endpoint for a while", "err", err)
		}
		return false, nil //nolint:nilerr // it was logged, and is tried again
	})
}

// syncState is how far one resource at one endpoint is known.
type syncState int32

const (
	statePending syncState = iota
	stateFailing
	stateDenied // the endpoint answers, but does not show the resource
	stateSynced
)

// listWatch lists and watches one resource of all workspaces at one endpoint, and notes how that goes.
type listWatch struct {
	client   dynamic.ResourceInterface
	selector metav1.ListOptions
	state    *atomic.Int32
	resource string
	metrics  *Metrics
	changed  func()
	missing  func() // told when the endpoint has no such resource
}

var _ cache.ListerWatcherWithContext = &listWatch{}

// IsWatchListSemanticsUnSupported keeps reflectors from streaming the first list: they collect it in a store whose
// keys leave out the workspace, where objects of the same name would replace each other.
func (*listWatch) IsWatchListSemanticsUnSupported() bool { return true }

func (l *listWatch) options(options metav1.ListOptions) metav1.ListOptions {
	options.LabelSelector, options.FieldSelector = l.selector.LabelSelector, l.selector.FieldSelector
	return options
}

// ListWithContext lists, and takes the answer as the state.
func (l *listWatch) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	list, err := l.client.List(ctx, l.options(options))
	if err != nil {
		l.failed(err)
		return nil, fmt.Errorf("listing %s: %w", l.resource, err)
	}
	return list, nil
}

// failed notes that a list went wrong. What was synced stays so: its objects are the last known ones.
func (l *listWatch) failed(err error) {
	code := "none"
	state := stateFailing
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		code = strconv.Itoa(int(status.Status().Code))
	}
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsUnauthorized(err) {
		state = stateDenied
	}
	l.metrics.listFailed(l.resource, code)
	if apierrors.IsNotFound(err) {
		l.missing()
	}
	for {
		before := l.state.Load()
		if syncState(before) == stateSynced || l.state.CompareAndSwap(before, int32(state)) {
			break
		}
	}
	l.changed()
}

// WatchWithContext watches.
func (l *listWatch) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return l.client.Watch(ctx, l.options(options))
}

// List is ListWithContext without a context, which reflectors do not call.
func (l *listWatch) List(options metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(context.Background(), options)
}

// Watch is WatchWithContext without a context, which reflectors do not call.
func (l *listWatch) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return l.WatchWithContext(context.Background(), options)
}

// sink writes what a reflector sees into an index. An object that cannot be decoded is left out, since one tenant's
// object must not keep out those of others.
type sink[T metav1.Object] struct {
	index    *Index[T]
	endpoint string
	resource string
	decode   func(map[string]any) (T, error)
	state    *atomic.Int32
	metrics  *Metrics
	logger   klog.Logger
	changed  func()
}

var _ cache.ReflectorStore = &sink[*metav1.ObjectMeta]{}

// Add takes over an object.
func (s *sink[T]) Add(raw any) error {
	object, ok := s.decoded(raw)
	if ok {
		s.index.upsert(s.endpoint, object)
		return nil
	}
	return s.Delete(raw)
}

// Update takes over an object.
func (s *sink[T]) Update(raw any) error { return s.Add(raw) }

// Delete forgets an object.
func (s *sink[T]) Delete(raw any) error {
	if object, ok := raw.(metav1.Object); ok {
		s.index.remove(s.endpoint, keyOf(object))
	}
	return nil
}

// Replace takes over a complete list.
func (s *sink[T]) Replace(list []any, _ string) error {
	objects := make([]T, 0, len(list))
	for _, raw := range list {
		if object, ok := s.decoded(raw); ok {
			objects = append(objects, object)
		}
	}
	s.index.replace(s.endpoint, objects)
	s.state.Store(int32(stateSynced))
	s.changed()
	return nil
}

// Resync does nothing: consumers are level-based.
func (s *sink[T]) Resync() error { return nil }

func (s *sink[T]) decoded(raw any) (object T, ok bool) {
	u, ok := raw.(*unstructured.Unstructured)
	if !ok {
		return object, false
	}
	if logicalcluster.From(u) == "" {
		return object, false // belongs to no workspace
	}
	u.SetManagedFields(nil) // nobody reads them, and they are often the larger half
	object, err := s.decode(u.Object)
	if err != nil {
		// The cause is not logged: it may quote a value.
		s.logger.Info("Left out object that cannot be decoded", logkey.Resource, s.resource, logkey.Object, keyOf(u))
		s.metrics.undecodableObject(s.resource)
		return object, false
	}
	return object, true
}

// decoder returns a function that decodes to a type of its own.
func decoder[V any, T interface {
	*V
	metav1.Object
}]() func(map[string]any) (T, error) {
	return func(content map[string]any) (T, error) {
		object := T(new(V))
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, object); err != nil {
			return nil, fmt.Errorf("decoding %T: %w", object, err)
		}
		return object, nil
	}
}
