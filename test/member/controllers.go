// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	cmapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	cmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	schedapp "k8s.io/kubernetes/cmd/kube-scheduler/app"
	schedoptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// controllerNames lists what a cluster without cloud, storage and network needs.
func controllerNames() []string {
	return []string{
		"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller",
		"job-controller", "cronjob-controller", "namespace-controller", "serviceaccount-controller",
		"serviceaccount-token-controller", "root-ca-certificate-publisher-controller", "garbage-collector-controller",
		"endpoints-controller", "endpointslice-controller", "pod-garbage-collector-controller",
		"node-lifecycle-controller", "taint-eviction-controller", "resourcequota-controller", "disruption-controller",
		"horizontal-pod-autoscaler-controller", "clusterrole-aggregation-controller", "ttl-after-finished-controller",
	}
}

func (s settings) controllerManagerArgs() []string {
	return []string{
		// The identity is in system:masters: as plain system:kube-controller-manager it could write hardly anything.
		"--kubeconfig=" + s.pki("controller-manager.kubeconfig"),
		"--leader-elect=false",
		"--root-ca-file=" + s.pki("ca.crt"),
		"--service-account-private-key-file=" + s.pki("sa.key"),
		"--kube-api-qps=300",
		"--kube-api-burst=600",
		"--profiling=false",
		"--controller-start-interval=0s",
		"--secure-port=0",
		"--node-monitor-period=2s",
		// The default grace: a shorter one loses nodes when the machine stalls.
		"--node-monitor-grace-period=40s",
		"--controllers=" + strings.Join(controllerNames(), ","),
	}
}

func runControllerManager(ctx context.Context, s settings) error {
	opts, err := cmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return fmt.Errorf("making options: %w", err)
	}
	known, disabled, aliases := cmapp.KnownControllers(), cmapp.ControllersDisabledByDefault(), cmapp.ControllerAliases()
	named := opts.Flags(known, disabled, aliases)
	opts.ParsedFlags = &named
	flags := pflag.NewFlagSet("kube-controller-manager", pflag.ContinueOnError)
	for _, fs := range named.FlagSets {
		flags.AddFlagSet(fs)
	}
	if err := flags.Parse(s.controllerManagerArgs()); err != nil {
		return fmt.Errorf("parsing flags: %w", err)
	}
	config, err := opts.Config(ctx, known, disabled, aliases)
	if err != nil {
		return fmt.Errorf("making the configuration: %w", err)
	}
	return cmapp.Run(ctx, config.Complete())
}

func runScheduler(ctx context.Context, s settings) error {
	opts := schedoptions.NewOptions()
	flags := pflag.NewFlagSet("kube-scheduler", pflag.ContinueOnError)
	for _, fs := range opts.Flags.FlagSets {
		flags.AddFlagSet(fs)
	}
	args := []string{
		"--kubeconfig=" + s.pki("scheduler.kubeconfig"), "--leader-elect=false",
		"--kube-api-qps=300", "--kube-api-burst=600", "--profiling=false", "--secure-port=0",
	}
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parsing flags: %w", err)
	}
	config, scheduler, err := schedapp.Setup(ctx, opts)
	if err != nil {
		return fmt.Errorf("setting up: %w", err)
	}
	return schedapp.Run(ctx, config, scheduler)
}
