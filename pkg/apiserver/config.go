// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/util/compatibility"
	restclient "k8s.io/client-go/rest"
	"k8s.io/component-base/metrics"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/door"
)

// HeaderDoor is a door with the source of its certificate authorities.
type HeaderDoor struct {
	door.HeaderDoor
	// CAs are the authorities of the proxies' client certificates. They replace VerifyOptions of the embedded door.
	CAs dynamiccertificates.CAContentProvider
}

// DoorConfig says who is let in and how much of the server one tenant may have.
type DoorConfig struct {
	// PathPrefix is what stands before /clusters/<workspace> in request paths.
	PathPrefix string
	// Headers are the doors at which a proxy names the user.
	Headers []HeaderDoor
	// Clients are the authorities of users' own client certificates; nil lets no user in directly.
	Clients dynamiccertificates.CAContentProvider
	// Limits bound what one tenant may have open.
	Limits door.Limits
	// Reviews bounds the cache of access reviews. Clock and Metrics are filled in.
	Reviews door.ReviewCacheConfig
}

// Backend is what the server serves and runs.
type Backend struct {
	// Storage is the read-only storage of each resource of the group. Its verbs are those that it implements.
	Storage map[string]rest.Storage
	// OpenAPI describes the kinds.
	OpenAPI common.GetOpenAPIDefinitions
	// Workspaces tells which workspaces use the export.
	Workspaces door.Workspaces
	// Reviewer asks kcp; its answers are cached here.
	Reviewer door.Reviewer
	// Components run for as long as the server serves. If one ends before that, the server ends too.
	Components []Component
	// ReadyChecks are added to /readyz. They must not depend on members.
	ReadyChecks []healthz.HealthChecker
	// EndWatches ends all watches in good order, and refuses new ones. It is called once, when the server shuts down.
	EndWatches func()
}

// Config is what a server is made of.
type Config struct {
	Generic *genericapiserver.Config
	Doors   DoorConfig
	Backend Backend
	Clock   clock.Clock
	// Metrics is the server's own registry. /metrics shows it together with the global one.
	Metrics metrics.KubeRegistry
}

type completedConfig struct {
	generic   genericapiserver.CompletedConfig
	config    *Config
	scheme    *runtime.Scheme
	codecs    serializer.CodecFactory
	delay     time.Duration
	resources door.Resources
}

// CompletedConfig can be made by Complete only.
type CompletedConfig struct{ *completedConfig }

// NewGenericConfig returns the generic configuration with what is the same for every server of this kind.
func NewGenericConfig() (*genericapiserver.Config, error) {
	scheme, err := NewScheme()
	if err != nil {
		return nil, err
	}
	generic := genericapiserver.NewConfig(serializer.NewCodecFactory(scheme))
	generic.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	generic.LegacyAPIGroupPrefixes = sets.NewString()
	// The chain demands a client configuration for calls to itself. Without a token it is worth nothing to anybody.
	generic.LoopbackClientConfig = &restclient.Config{}
	generic.EnableProfiling = false
	// /metrics shows this server's registry, too, so it is installed by New.
	generic.EnableMetrics = false
	generic.EnableIndex = true
	return generic, nil
}

// Complete checks the configuration and fills in what follows from it.
func (c *Config) Complete() (CompletedConfig, error) {
	if err := c.validate(); err != nil {
		return CompletedConfig{}, err
	}
	scheme, err := NewScheme()
	if err != nil {
		return CompletedConfig{}, err
	}
	done := &completedConfig{config: c, scheme: scheme, codecs: serializer.NewCodecFactory(scheme), delay: c.Generic.ShutdownDelayDuration}
	done.resources = verbsOf(c.Backend.Storage)
	c.Generic.Serializer = textCodecs{done.codecs}
	c.Generic.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(c.Backend.OpenAPI, openapi.NewDefinitionNamer(scheme))
	c.Generic.OpenAPIV3Config.Info.Title = "TMC"
	c.Generic.AddReadyzChecks(c.Backend.ReadyChecks...)
	if err := done.installDoors(); err != nil {
		return CompletedConfig{}, err
	}
	done.generic = c.Generic.Complete(nil)
	return CompletedConfig{done}, nil
}

func (c *Config) validate() error {
	var errs []error
	require := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New("the server's configuration lacks "+what))
		}
	}
	require(c.Generic != nil && c.Generic.SecureServing != nil, "a secure listener")
	require(len(c.Backend.Storage) > 0, "storage")
	require(c.Backend.OpenAPI != nil, "OpenAPI definitions")
	require(c.Backend.Workspaces != nil, "an index of workspaces")
	require(c.Backend.Reviewer != nil, "a reviewer of access")
	require(c.Clock != nil, "a clock")
	require(c.Metrics != nil, "a metrics registry")
	return errors.Join(errs...)
}

// verbsOf derives from the storage what may be done, so that authorization and discovery cannot disagree.
func verbsOf(storage map[string]rest.Storage) door.Resources {
	resources := door.Resources{}
	for name, s := range storage {
		verbs := sets.New[string]()
		if _, ok := s.(rest.Getter); ok {
			verbs.Insert("get")
		}
		if _, ok := s.(rest.Lister); ok {
			verbs.Insert("list")
		}
		if _, ok := s.(rest.Watcher); ok {
			verbs.Insert("watch")
		}
		resources[schema.GroupResource{Group: tmcv1alpha1.GroupName, Resource: name}] = verbs
	}
	return resources
}
