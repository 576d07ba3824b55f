// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"

	"github.com/kcp-dev/tmc/pkg/logkey"
)

// errIncomplete is the cause when an object lacks what every object has.
var errIncomplete = errors.New("the object has no name, namespace or uid")

// When discovery is repeated.
const (
	discoveryInterval = 30 * time.Second
	// discoverySoon is how long it waits for more changes after one, and for kcp to follow.
	discoverySoon = time.Second
	// discoveryRepeat is how long after such a change it looks once more, and the longest pause after a failure.
	discoveryRepeat = 5 * time.Second
	// discoveryTimeout bounds one look.
	discoveryTimeout = 20 * time.Second
	// restartPause is how long a resource is given before it is read anew since it was missing.
	restartPause = 10 * time.Second
)

// maxResources bounds what is followed at one endpoint.
const maxResources = 128

// shard is what one endpoint shows us.
type shard struct {
	workloads  *Workloads
	endpoint   *endpoint
	client     dynamic.Interface
	kick       chan struct{}
	discovered *atomic.Int32
	namespaces *atomic.Int32
	// whole says that once everything was discovered that the endpoint shows.
	whole atomic.Bool

	// following is written by run alone, with the workloads' lock held.
	following map[schema.GroupResource]*followed
}

// followed is a resource that is being read.
type followed struct {
	resource    Resource
	state       *atomic.Int32
	missing     *atomic.Bool // the endpoint said that it has no such resource
	startedAt   time.Time
	absentSince time.Time // when discovery lost it; zero while it is there
	stop        context.CancelFunc
	done        chan struct{}
}

func newShard(w *Workloads, e *endpoint, client dynamic.Interface) *shard {
	s := &shard{
		workloads: w, endpoint: e, client: client,
		kick: make(chan struct{}, 1), discovered: new(atomic.Int32), following: map[schema.GroupResource]*followed{},
	}
	e.watchState(s.discovered)
	return s
}

func (s *shard) discoverSoon() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// run keeps up with what the endpoint shows until the context ends.
func (s *shard) run(ctx context.Context) {
	pause := firstPause
	hurried := true // kcp may still be preparing the endpoint
	for ctx.Err() == nil {
		interval := discoveryInterval
		if s.look(ctx) {
			pause = firstPause
		} else {
			interval, pause = pause, min(2*pause, discoveryRepeat)
		}
		if hurried {
			interval = min(interval, discoveryRepeat)
		}
		hurried = s.rest(ctx, interval)
	}
	for _, one := range s.following {
		one.end()
	}
}

// rest waits until it is time for another look, and reports whether something called for it.
func (s *shard) rest(ctx context.Context, interval time.Duration) (called bool) {
	timer := s.workloads.config.Clock.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	case <-s.kick:
		select {
		case <-ctx.Done():
		case <-s.workloads.config.Clock.After(discoverySoon):
		}
		return true
	}
	return false
}

// look finds out what the endpoint shows and follows that. It reports whether all was found out.
func (s *shard) look(ctx context.Context) bool {
	defer s.workloads.changed()
	found, err := s.discover(ctx)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		state := stateFailing
		if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsUnauthorized(err) {
			state = stateDenied
		}
		if syncState(s.discovered.Load()) != stateSynced {
			s.discovered.Store(int32(state))
		}
		klog.FromContext(ctx).V(2).Info("Did not find out what the endpoint shows", logkey.Endpoint, s.endpoint.url, "err", err)
		return false
	}
	s.takeOver(ctx, found)
	s.workloads.publish()
	s.discovered.Store(int32(stateSynced))
	if len(found.unsure) > 0 {
		return false
	}
	s.whole.Store(true)
	return true
}

// takeOver starts, restarts and ends what is followed.
func (s *shard) takeOver(ctx context.Context, found discovery) {
	now := s.workloads.config.Clock.Now()
	for name, resource := range found.resources {
		one := s.following[name]
		switch {
		case one == nil && len(s.following) >= maxResources:
			klog.FromContext(ctx).Info("Left out resource since there are too many", logkey.Resource, name, logkey.Endpoint, s.endpoint.url)
		case one == nil:
			s.start(ctx, name, resource)
		case one.resource.GVR != resource.GVR, !one.absentSince.IsZero(), one.missing.Load() && now.Sub(one.startedAt) >= restartPause:
			one.end()
			s.endpoint.forgetState(one.state)
			s.start(ctx, name, resource)
		default:
			s.update(func() { one.resource = resource })
		}
	}
	for name, one := range s.following {
		if _, there := found.resources[name]; there || slices.Contains(found.unsure, name.Group) {
			continue
		}
		// kcp shows less than there is while it starts, and a resource may come back at once.
		if one.absentSince.IsZero() {
			one.absentSince = now
		}
		if now.Sub(one.absentSince) >= s.workloads.config.RetireGrace {
			s.leave(ctx, name, one)
		}
	}
}

// start reads a resource. What was read of it before is shown until it is replaced.
func (s *shard) start(ctx context.Context, name schema.GroupResource, resource Resource) {
	w := s.workloads
	ctx, stop := context.WithCancel(ctx)
	one := &followed{
		resource: resource, state: new(atomic.Int32), missing: new(atomic.Bool), startedAt: w.config.Clock.Now(),
		stop: stop, done: make(chan struct{}),
	}
	s.endpoint.watchState(one.state)
	var index *Index[*unstructured.Unstructured]
	s.update(func() {
		index = w.makeIndex(name)
		s.following[name] = one
	})
	reflector := reflectorOf(ctx, w.export, s.endpoint, s.client, index, decodeObject, resource.GVR, metav1.ListOptions{}, one.state, func() {
		one.missing.Store(true)
		s.discoverSoon()
	})
	s.endpoint.group.Go(func() {
		defer close(one.done)
		reflect(ctx, w.config.Clock, reflector, name.String(), s.endpoint.url)
	})
	klog.FromContext(ctx).V(2).Info("Followed resource", logkey.Resource, name, logkey.Endpoint, s.endpoint.url)
}

// leave ends a resource that is no longer shown. It is not synced before its objects go, so that nobody takes them for
// deleted.
func (s *shard) leave(ctx context.Context, name schema.GroupResource, one *followed) {
	one.end()
	s.endpoint.forgetState(one.state)
	s.update(func() { delete(s.following, name) })
	if index, found := s.workloads.index(name); found {
		index.drop(s.endpoint.url)
	}
	klog.FromContext(ctx).Info("Left resource that is no longer shown", logkey.Resource, name, logkey.Endpoint, s.endpoint.url)
}

func (s *shard) update(change func()) {
	s.workloads.state.Lock()
	defer s.workloads.state.Unlock()
	change()
}

// end returns when the resource is no longer read.
func (f *followed) end() {
	f.stop()
	<-f.done
}
