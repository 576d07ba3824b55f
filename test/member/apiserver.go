// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	_ "k8s.io/component-base/logs/json/register" // registers a log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

func (s settings) apiServerArgs() []string {
	return []string{
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", s.apiPort),
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none", // a loopback address may not stand in an Endpoints object
		"--etcd-servers=" + s.etcdURL(),
		"--tls-cert-file=" + s.pki("apiserver.crt"),
		"--tls-private-key-file=" + s.pki("apiserver.key"),
		"--client-ca-file=" + s.pki("ca.crt"),
		"--kubelet-client-certificate=" + s.pki("kubelet-client.crt"),
		"--kubelet-client-key=" + s.pki("kubelet-client.key"),
		"--kubelet-certificate-authority=" + s.pki("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + s.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + s.pki("front-proxy.crt"),
		"--proxy-client-key-file=" + s.pki("front-proxy.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + s.pki("sa.pub"),
		"--service-account-signing-key-file=" + s.pki("sa.key"),
		"--service-cluster-ip-range=" + s.serviceCIDR,
		"--authorization-mode=Node,RBAC",
		"--profiling=false",
		// Five minutes, the default, is too long to wait for an eviction in a test.
		"--default-not-ready-toleration-seconds=5",
		"--default-unreachable-toleration-seconds=5",
		// A load test of many clients on one machine must not be throttled here.
		"--enable-priority-and-fairness=false",
		"--max-requests-inflight=0",
		"--max-mutating-requests-inflight=0",
	}
}

// runAPIServer runs kube-apiserver until ctx ends. It does not use the stock command, which installs the process's one
// signal handler.
func runAPIServer(ctx context.Context, s settings) error {
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, fs := range opts.Flags().FlagSets {
		flags.AddFlagSet(fs)
	}
	if err := flags.Parse(s.apiServerArgs()); err != nil {
		return fmt.Errorf("parsing flags: %w", err)
	}
	// The registry is the process's: once is for all parts.
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return fmt.Errorf("setting feature gates: %w", err)
	}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return fmt.Errorf("completing options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return fmt.Errorf("validating options: %w", utilerrors.NewAggregate(errs))
	}
	return app.Run(ctx, completed)
}
