// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/pkg/apiserver"
	"github.com/kcp-dev/tmc/pkg/apiserver/backend"
	"github.com/kcp-dev/tmc/pkg/door"
	"github.com/kcp-dev/tmc/pkg/transform"
)

// ServerConfig binds the port and reads certificates. What it returns lacks only the backend.
func (o CompletedOptions) ServerConfig() (*apiserver.Config, error) {
	generic, err := apiserver.NewGenericConfig()
	if err != nil {
		return nil, err
	}
	o.applyLifecycle(generic)
	if err := o.listen(generic); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	doors, err := o.doors()
	if err != nil {
		return nil, err
	}
	if err := o.Audit.ApplyTo(generic); err != nil {
		return nil, fmt.Errorf("setting up audit: %w", err)
	}
	if err := o.Tracing.ApplyTo(nil, generic); err != nil {
		return nil, fmt.Errorf("setting up tracing: %w", err)
	}
	return &apiserver.Config{Generic: generic, Doors: doors, Clock: clock.RealClock{}, Metrics: metrics.NewKubeRegistry()}, nil
}

// listen also takes port 0, which the serving options would read as not to listen at all.
func (o CompletedOptions) listen(generic *genericapiserver.Config) error {
	if o.Serving.BindPort == 0 && o.Serving.Listener == nil {
		address := net.JoinHostPort(o.Serving.BindAddress.String(), "0")
		listener, _, err := genericoptions.CreateListener("tcp", address, net.ListenConfig{})
		if err != nil {
			return err
		}
		o.Serving.Listener = listener
	}
	return o.Serving.ApplyTo(&generic.SecureServing)
}

// ProviderConfig reads the kubeconfig.
func (o CompletedOptions) ProviderConfig() (*rest.Config, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: o.KCP.Kubeconfig}, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading --kubeconfig: %w", err)
	}
	// Members' credentials come from there, so whoever answers must be known.
	if config.Insecure || !strings.HasPrefix(config.Host, "https://") {
		return nil, errors.New("--kubeconfig must name an https:// server and verify it: remove insecure-skip-tls-verify, and give certificate-authority-data")
	}
	config.UserAgent = rest.DefaultKubernetesUserAgent()
	return config, nil
}

func (o CompletedOptions) applyLifecycle(generic *genericapiserver.Config) {
	l := o.Lifecycle
	generic.RequestTimeout = l.RequestTimeout
	generic.MinRequestTimeout = l.MinRequestTimeout
	generic.MaxRequestsInFlight = l.MaxRequestsInFlight
	generic.GoawayChance = l.GoawayChance
	generic.LivezGracePeriod = l.LivezGracePeriod
	generic.ShutdownDelayDuration = l.ShutdownDelay
	generic.ShutdownSendRetryAfter = l.ShutdownSendRetryAfter
	generic.ShutdownWatchTerminationGracePeriod = l.ShutdownWatchGrace
	generic.EnableProfiling = l.Profiling
	generic.ExternalAddress = o.Serving.BindAddress.String()
}

func (o CompletedOptions) doors() (apiserver.DoorConfig, error) {
	config := apiserver.DoorConfig{
		PathPrefix: o.KCP.PathPrefix,
		Limits:     o.Limits,
		Reviews: door.ReviewCacheConfig{
			AllowedFor: o.Reviews.AllowedFor, DeniedFor: o.Reviews.DeniedFor, Size: o.Reviews.CacheSize, Timeout: o.Reviews.Timeout,
		},
	}
	for _, configured := range []struct {
		name       string
		options    HeaderDoorOptions
		shardUsers []string
	}{{door.Front, o.Front, o.ShardUsers}, {door.Side, o.Side, nil}} {
		if configured.options.ClientCA == "" {
			continue
		}
		headerDoor, err := configured.options.door(configured.name, configured.shardUsers)
		if err != nil {
			return apiserver.DoorConfig{}, err
		}
		config.Headers = append(config.Headers, headerDoor)
	}
	if o.ClientCA != "" {
		clients, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca", o.ClientCA)
		if err != nil {
			return apiserver.DoorConfig{}, fmt.Errorf("reading --client-ca-file: %w", err)
		}
		config.Clients = clients
	}
	return config, nil
}

func (d HeaderDoorOptions) door(name string, shardUsers []string) (apiserver.HeaderDoor, error) {
	authorities, err := dynamiccertificates.NewDynamicCAContentFromFile(name+"-door-client-ca", d.ClientCA)
	if err != nil {
		return apiserver.HeaderDoor{}, fmt.Errorf("reading client certificate authorities of the %s door: %w", name, err)
	}
	return apiserver.HeaderDoor{
		HeaderDoor: door.HeaderDoor{
			Name:          name,
			AllowedNames:  d.AllowedNames,
			UserHeaders:   d.UserHeaders,
			GroupHeaders:  d.GroupHeaders,
			ExtraPrefixes: d.ExtraPrefixes,
			ShardUsers:    shardUsers,
		},
		CAs: authorities,
	}, nil
}

// Warnings tells the operator of settings that work and are not wise.
func (o CompletedOptions) Warnings() []string {
	var warnings []string
	if slices.ContainsFunc(o.Front.UserHeaders, isStandardHeader) || slices.ContainsFunc(o.Side.UserHeaders, isStandardHeader) {
		warnings = append(warnings, "X-Remote-User is a name that anybody can guess: kcp front-proxies before 0.31.4 and 0.32.2 pass it on from the outside. Choose random header names")
	}
	if o.Front.ClientCA != "" && len(o.ShardUsers) == 0 {
		warnings = append(warnings, "--shard-user-names is empty: requests that kcp has authorized will be authorized again, as if the shard were the user")
	}
	return warnings
}

func isStandardHeader(name string) bool { return strings.EqualFold(name, "X-Remote-User") }

// BackendConfig reads the kubeconfig, and shares the clock and the metrics of the server.
func (o CompletedOptions) BackendConfig(server *apiserver.Config) (backend.Config, error) {
	provider, err := o.ProviderConfig()
	if err != nil {
		return backend.Config{}, err
	}
	return backend.Config{
		Provider:           provider,
		ExportName:         o.KCP.ExportName,
		PathPrefix:         o.KCP.PathPrefix,
		WorkloadExportName: o.KCP.WorkloadExportName,
		DetachAfter:        o.Sync.DetachAfter,
		WriteQPS:           o.Sync.WriteQPS,
		WriteBurst:         o.Sync.WriteBurst,
		TrustedLenders:     backend.Lenders(o.Sync.TrustedLenders),
		PodSecurity:        transform.PodSecurity(o.Sync.PodSecurity),
		StartGrace:         o.KCP.StartGrace,
		AllowedMembers:     o.cidrs,
		ProbeInterval:      o.Members.ProbeInterval,
		ProbeTimeout:       o.Members.ProbeTimeout,
		UnreachableAfter:   o.Members.UnreachableAfter,
		CoalesceWindow:     o.Views.CoalesceWindow,
		RefreshInterval:    o.Views.RefreshInterval,
		PublishEndpoints:   o.Controllers.PublishEndpoints,
		Election: backend.Election{
			Enabled:       o.Controllers.LeaderElect,
			LeaseDuration: o.Controllers.LeaseDuration,
			RenewDeadline: o.Controllers.RenewDeadline,
			RetryPeriod:   o.Controllers.RetryPeriod,
		},
		Clock:   clock.RealClock{},
		Metrics: server.Metrics,
	}, nil
}
