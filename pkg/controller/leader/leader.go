// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package leader decides which replica writes.
//
// Every replica serves views; one at a time, the holder of a Lease in the provider workspace, writes statuses and
// endpoints. Writers ask IsLeader before each write. A lease is no fence: a write that was begun before the lease ended
// may arrive after another replica's first, so what is written must bear being written twice. A replica that loses the
// lease goes on serving and stands for it again.
package leader

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// Defaults of Config.
const (
	DefaultLeaseDuration = 15 * time.Second
	DefaultRenewDeadline = 10 * time.Second
	DefaultRetryPeriod   = 2 * time.Second
	DefaultNamespace     = "default"
	DefaultName          = "tmc-apiserver"
)

// Config says where the Lease is and who stands for it.
type Config struct {
	// ProviderConfig reaches the provider workspace.
	ProviderConfig *rest.Config
	// HTTPClient is shared if it is set.
	HTTPClient *http.Client
	// Namespace and Name are those of the Lease.
	Namespace, Name string
	// Identity tells the replicas apart.
	Identity *Identity
	// LeaseDuration, RenewDeadline and RetryPeriod take the defaults if zero. Of LeaseDuration whole seconds count.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// Clock tells when the lease ends. The real one if it is nil.
	Clock clock.PassiveClock
	// OnGained functions are called when this replica becomes the leader. They must not block.
	OnGained []func()
}

// Elector stands for the Lease.
type Elector struct {
	config  Config
	elector *leaderelection.LeaderElector
	lease   *lease
}

// New returns an elector that is not the leader until Run runs.
func New(config Config) (*Elector, error) {
	if config.ProviderConfig == nil || config.Identity == nil {
		return nil, errors.New("electing a leader: ProviderConfig and Identity are required")
	}
	setDefaults(&config)
	client, err := clientFor(config)
	if err != nil {
		return nil, fmt.Errorf("building the client of the lease: %w", err)
	}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, config.Namespace, config.Name,
		client.CoreV1(), client.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: config.Identity.Name})
	if err != nil {
		return nil, fmt.Errorf("building the lease: %w", err)
	}
	e := &Elector{config: config}
	e.lease = &lease{Interface: lock, clock: config.Clock, gained: e.gained}
	e.elector, err = leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: e.lease, Name: config.Name, ReleaseOnCancel: true,
		LeaseDuration: config.LeaseDuration, RenewDeadline: config.RenewDeadline, RetryPeriod: config.RetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) {}, OnStoppedLeading: e.lost},
	})
	if err != nil {
		return nil, fmt.Errorf("building the election: %w", err)
	}
	return e, nil
}

func setDefaults(config *Config) {
	for field, value := range map[*time.Duration]time.Duration{
		&config.LeaseDuration: DefaultLeaseDuration,
		&config.RenewDeadline: DefaultRenewDeadline,
		&config.RetryPeriod:   DefaultRetryPeriod,
	} {
		if *field == 0 {
			*field = value
		}
	}
	if config.Namespace == "" {
		config.Namespace = DefaultNamespace
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	if config.Name == "" {
		config.Name = DefaultName
	}
}

func clientFor(config Config) (kubernetes.Interface, error) {
	provider := rest.CopyConfig(config.ProviderConfig)
	if config.HTTPClient != nil {
		return kubernetes.NewForConfigAndClient(provider, config.HTTPClient)
	}
	return kubernetes.NewForConfig(provider)
}

// IsLeader reports whether this replica writes.
func (e *Elector) IsLeader() bool { return e.lease.isHeld() }

// Run stands for the Lease until the context ends, and then gives it up: whoever writes must have ended before.
func (e *Elector) Run(ctx context.Context) {
	wait.UntilWithContext(ctx, e.elector.Run, e.config.RetryPeriod)
}

func (e *Elector) gained() {
	klog.Background().Info("Became the leader", "identity", e.config.Identity.Name)
	for _, handler := range e.config.OnGained {
		handler()
	}
}

func (e *Elector) lost() {
	if e.lease.drop() {
		klog.Background().Info("Stopped being the leader", "identity", e.config.Identity.Name)
	}
}

// Always is for a server that runs alone: it is always the leader.
type Always struct{}

// IsLeader returns true.
func (Always) IsLeader() bool { return true }
