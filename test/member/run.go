// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	readyTimeout = 3 * time.Minute
	stopGrace    = 2 * time.Second
	leaseSpace   = "kube-node-lease"
)

// run starts the parts in the order in which they need each other, and ends when one of them ends or ctx does.
// The API server is stopped ahead of etcd: without its etcd it does not end on its own.
func run(ctx context.Context, s settings) error {
	kwok, err := newKwok(ctx, s)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(ctx, s)
	if err != nil {
		return err
	}
	defer stopEtcd(etcd)

	parts, cancel := context.WithCancel(ctx)
	ended := make(chan error, 4)
	apiServerDone := make(chan struct{})
	defer waitFor(apiServerDone)
	defer cancel()
	start := func(name string, f func(context.Context) error) {
		go func() { ended <- fmt.Errorf("%s ended: %w", name, orCause(parts, f(parts))) }()
	}
	start("kube-apiserver", func(ctx context.Context) error {
		defer close(apiServerDone)
		return runAPIServer(ctx, s)
	})
	ready := make(chan error, 1)
	go func() { ready <- awaitAPIServer(parts, s) }()
	select {
	case err := <-ready:
		if err != nil {
			return err
		}
	case err := <-ended:
		return quiet(ctx, err)
	}
	start("kube-controller-manager", func(ctx context.Context) error { return runControllerManager(ctx, s) })
	start("kube-scheduler", func(ctx context.Context) error { return runScheduler(ctx, s) })
	start("kwok", kwok)

	select {
	case err := <-ended:
		return quiet(ctx, err)
	case <-ctx.Done():
		return nil
	}
}

// awaitAPIServer waits until the API server is ready. It then drops the node leases of an earlier process: kwok has a
// new identity at each start and plays no node whose lease another identity still holds.
func awaitAPIServer(ctx context.Context, s settings) error {
	config, err := clientcmd.BuildConfigFromFlags("", s.pki("admin.kubeconfig"))
	if err != nil {
		return fmt.Errorf("reading the administrator's kubeconfig: %w", err)
	}
	admin, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making the administrator's client: %w", err)
	}
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		_, err := admin.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for kube-apiserver to be ready: %w", err)
	}
	if err := admin.CoordinationV1().Leases(leaseSpace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return fmt.Errorf("deleting node leases of an earlier process: %w", err)
	}
	return nil
}

// quiet turns what ends after a requested stop into success.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the context's error is that stop
	}
	return err
}

// orCause gives a part that ended without an error a reason to show.
func orCause(ctx context.Context, err error) error {
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return errEndedEarly
	}
}

func waitFor(done <-chan struct{}) {
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C: // clients with open watches hold the API server for up to a minute
	}
}
