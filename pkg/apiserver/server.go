// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/mux"
	"k8s.io/apiserver/pkg/server/routes"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Component is a part of the process that runs beside the server.
type Component struct {
	// Name is for people.
	Name string
	// Run returns when the context ends, and not before unless something is wrong.
	Run func(ctx context.Context) error
	// Last keeps the component running until those that are not last have ended, such as one that says that they may write.
	Last bool
}

// Server serves views and runs components.
type Server struct {
	generic *genericapiserver.GenericAPIServer

	mu   sync.Mutex
	stop context.CancelFunc
	// ended says that no component may start any more.
	ended bool
	// failure is why the server ended by itself.
	failure error

	// drained is closed when no request is in flight any more, and quiet when only the last components run.
	drained, quiet chan struct{}
	running, last  sync.WaitGroup
}

// New puts the server together. Nothing runs yet.
func (c CompletedConfig) New() (*Server, error) {
	generic, err := c.generic.New("tmc-apiserver", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, fmt.Errorf("creating the API server: %w", err)
	}
	if err := generic.InstallAPIGroup(c.apiGroup()); err != nil {
		return nil, fmt.Errorf("installing API group %s: %w", tmcv1alpha1.GroupName, err)
	}
	installMetrics(generic.Handler.NonGoRestfulMux, c.config.Metrics)
	server := &Server{generic: generic, drained: make(chan struct{}), quiet: make(chan struct{})}
	for _, component := range c.config.Backend.Components {
		if err := generic.AddPostStartHook("tmc-"+component.Name, server.startHook(component)); err != nil {
			return nil, fmt.Errorf("adding component %s: %w", component.Name, err)
		}
	}
	if end := c.config.Backend.EndWatches; end != nil {
		if err := generic.AddPreShutdownHook("tmc-end-watches", c.endWatchesHook(end)); err != nil {
			return nil, fmt.Errorf("adding the end of watches: %w", err)
		}
	}
	return server, nil
}

func (c CompletedConfig) apiGroup() *genericapiserver.APIGroupInfo {
	gv := tmcv1alpha1.SchemeGroupVersion()
	group := genericapiserver.NewDefaultAPIGroupInfo(gv.Group, c.scheme, metav1.ParameterCodec, c.codecs)
	group.NegotiatedSerializer = textCodecs{c.codecs}
	storage := map[string]rest.Storage{}
	maps.Copy(storage, c.config.Backend.Storage)
	group.VersionedResourcesStorageMap[gv.Version] = storage
	return &group
}

// installMetrics shows the server's own registry beside the global one, in which the libraries' metrics are.
func installMetrics(paths *mux.PathRecorderMux, own metrics.KubeRegistry) {
	// This registers the metrics of the libraries; the handler that comes with it is not wanted.
	routes.DefaultMetrics{}.Install(mux.NewPathRecorderMux("unused"))
	both := prometheus.Gatherers{legacyregistry.DefaultGatherer, own}
	paths.Handle("/metrics", metrics.HandlerFor(both, metrics.HandlerOpts{ErrorHandling: metrics.ContinueOnError}))
}

// endWatchesHook waits as long as the server goes on serving normally. Watches that ended sooner would come back.
func (c CompletedConfig) endWatchesHook(end func()) genericapiserver.PreShutdownHookFunc {
	return func() error {
		if c.delay > 0 {
			<-c.config.Clock.After(c.delay)
		}
		end()
		return nil
	}
}

// startHook starts a component on its own, so that /readyz does not wait for it to end.
func (s *Server) startHook(component Component) genericapiserver.PostStartHookFunc {
	return func(hook genericapiserver.PostStartHookContext) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ended { // a server that is stopped while it starts runs its hooks all the same
			return nil
		}
		group, end := &s.running, s.drained
		if component.Last {
			group, end = &s.last, s.quiet
		}
		group.Go(func() { s.runComponent(hook.Context, component, end) })
		return nil
	}
}

// runComponent runs a component until its end is due: the hook's own context would end while requests are in flight.
func (s *Server) runComponent(hook context.Context, component Component, end <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(hook))
	defer cancel()
	go func() {
		select {
		case <-end:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := component.Run(ctx)
	if ctx.Err() != nil {
		return
	}
	s.fail(fmt.Errorf("component %s ended: %w", component.Name, orUnexpected(err)))
}

func orUnexpected(err error) error {
	if err == nil {
		return errors.New("it returned without being asked to")
	}
	return err
}

func (s *Server) fail(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure = cause
	}
	if s.stop != nil {
		s.stop()
	}
}

func (s *Server) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Run serves until the context ends, then shuts down in good order: watches are ended, requests in flight are waited
// for, and components are stopped last. It runs once.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s.mu.Lock()
	s.stop = stop
	s.mu.Unlock()

	logger := klog.FromContext(ctx)
	logger.Info("Started serving", "address", s.Address())
	err := s.generic.PrepareRun().RunWithContext(ctx)
	close(s.drained)
	s.mu.Lock()
	s.ended = true // no component starts from here on, so that all that run can be waited for
	s.mu.Unlock()
	s.running.Wait()
	close(s.quiet)
	s.last.Wait()
	if err == nil {
		err = s.failed()
	}
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	logger.Info("Stopped serving")
	return nil
}

// Address returns where the server listens.
func (s *Server) Address() string { return s.generic.SecureServingInfo.Listener.Addr().String() }

// Handler returns the whole handler chain.
func (s *Server) Handler() http.Handler { return s.generic.Handler }

// ListedPaths returns every path that the server has a handler for.
func (s *Server) ListedPaths() []string { return s.generic.ListedPaths() }
