// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/util/sets"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	genericfilters "k8s.io/apiserver/pkg/server/filters"

	"github.com/kcp-dev/tmc/pkg/door"
	"github.com/kcp-dev/tmc/pkg/patchguard"
)

// installDoors puts authentication, authorization and the filter into the handler chain.
func (c *completedConfig) installDoors() error {
	config, generic := c.config, c.config.Generic
	doorMetrics, err := door.NewMetrics(config.Metrics)
	if err != nil {
		return fmt.Errorf("registering the metrics of the doors: %w", err)
	}
	doors, err := c.doors()
	if err != nil {
		return err
	}
	paths, err := door.NewPathParser(config.Doors.PathPrefix, config.Backend.Workspaces)
	if err != nil {
		return err
	}
	cacheConfig := config.Doors.Reviews
	cacheConfig.Clock, cacheConfig.Metrics = config.Clock, doorMetrics
	reviews, err := door.NewReviewCache(config.Backend.Reviewer, cacheConfig)
	if err != nil {
		return err
	}
	generic.Authentication.Authenticator = door.Authenticator()
	generic.Authorization.Authorizer = door.NewAuthorizer(c.resources, config.Backend.Workspaces, reviews)
	// Only watches may last: there is nothing else to follow.
	generic.LongRunningFunc = genericfilters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString())
	filterConfig := door.FilterConfig{
		Paths:       paths,
		Doors:       doors,
		Limits:      config.Doors.Limits,
		RequestInfo: genericapiserver.NewRequestInfoResolver(generic),
		LongRunning: generic.LongRunningFunc,
		Metrics:     doorMetrics,
	}
	// The chain is built where no error can be returned, so what can fail is tried here.
	if _, err := door.NewFilter(http.NotFoundHandler(), filterConfig); err != nil {
		return err
	}
	guardMetrics, err := patchguard.NewMetrics(config.Metrics)
	if err != nil {
		return fmt.Errorf("registering the metrics of the patch guard: %w", err)
	}
	guard := patchguard.NewHandler(config.Clock, guardMetrics)
	generic.BuildHandlerChainFunc = func(apiHandler http.Handler, chain *genericapiserver.Config) http.Handler {
		filtered, err := door.NewFilter(genericapiserver.DefaultBuildHandlerChain(apiHandler, chain), filterConfig)
		if err != nil {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "the server is not configured", http.StatusInternalServerError)
			})
		}
		return withPatchGuard(guard, filtered)
	}
	return nil
}

// withPatchGuard serves kcp's admission reviews before the doors: kcp calls webhooks without an identity, and the answer
// follows from the question alone. The guard bounds what it may cost by itself.
func withPatchGuard(guard, doors http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == patchguard.Path {
			guard.ServeHTTP(w, req)
			return
		}
		doors.ServeHTTP(w, req)
	})
}

// doors also tells the listener about each certificate authority: clients send only certificates that it names.
func (c *completedConfig) doors() (*door.Doors, error) {
	generic := c.config.Generic
	known := []dynamiccertificates.CAContentProvider{}
	headerDoors := make([]door.HeaderDoor, 0, len(c.config.Doors.Headers))
	for _, configured := range c.config.Doors.Headers {
		headerDoor := configured.HeaderDoor
		if configured.CAs != nil {
			headerDoor.VerifyOptions = configured.CAs.VerifyOptions
			known = append(known, configured.CAs)
		}
		headerDoors = append(headerDoors, headerDoor)
	}
	doors, err := door.NewDoors(headerDoors, nil)
	if c.config.Doors.Clients != nil {
		known = append(known, c.config.Doors.Clients)
		doors, err = door.NewDoors(headerDoors, c.config.Doors.Clients.VerifyOptions)
	}
	if err != nil {
		return nil, err
	}
	for _, authority := range known {
		if err := generic.Authentication.ApplyClientCert(authority, generic.SecureServing); err != nil {
			return nil, fmt.Errorf("telling the listener of client certificate authority %s: %w", authority.Name(), err)
		}
	}
	return doors, nil
}
