// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package leader decides which replica writes.
//
// Every replica serves views; one at a time, the holder of a Lease in the provider workspace, writes statuses and
// endpoints. Writers ask IsLeader before each write. A lease is no fence: a replica that stood still may write once
// more after it lost the lease, so what is written must bear being written twice. A replica that loses the lease goes
// on serving and stands for it again.
package leader

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
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
	// Identity tells the replicas apart. It is closed when Run ends.
	Identity *Identity
	// LeaseDuration, RenewDeadline and RetryPeriod take the defaults if zero.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// OnGained functions are called when this replica becomes the leader. They must not block.
	OnGained []func()
}

// Elector stands for the Lease.
type Elector struct {
	config  Config
	elector *leaderelection.LeaderElector
	leading atomic.Bool
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
	e.elector, err = leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: config.Name, ReleaseOnCancel: true,
		LeaseDuration: config.LeaseDuration, RenewDeadline: config.RenewDeadline, RetryPeriod: config.RetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: e.gained, OnStoppedLeading: e.lost},
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
func (e *Elector) IsLeader() bool { return e.leading.Load() }

// Run stands for the Lease until the context ends, and then gives it up, and the identity. It runs once.
func (e *Elector) Run(ctx context.Context) {
	wait.UntilWithContext(ctx, e.elector.Run, e.config.RetryPeriod)
	if err := e.config.Identity.Close(); err != nil {
		klog.FromContext(ctx).Error(err, "Giving up the identity", "identity", e.config.Identity.Name)
	}
}

// gained is called on a goroutine of its own, so the lease may be lost again by then.
func (e *Elector) gained(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	e.leading.Store(true)
	if ctx.Err() != nil {
		e.leading.Store(false)
		return
	}
	klog.FromContext(ctx).Info("Became the leader", "identity", e.config.Identity.Name)
	for _, handler := range e.config.OnGained {
		handler()
	}
}

func (e *Elector) lost() {
	if e.leading.Swap(false) {
		klog.Background().Info("Stopped being the leader", "identity", e.config.Identity.Name)
	}
}

// Always is for a server that runs alone: it is always the leader.
type Always struct{}

// IsLeader returns true.
func (Always) IsLeader() bool { return true }
