// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Command member is one physical cluster in one process: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler as released, with kwok playing the nodes and their kubelets.
//
// One process per cluster is the invariant: the parts register process-wide names, and one pid is what a test hangs,
// kills or restarts. The command makes no certificates and creates no nodes; its starter does (package test/env).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:           "member",
		Short:         "Run one simulated-node Kubernetes cluster in this process",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.validate(); err != nil {
				return err
			}
			return run(cmd.Context(), s)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&s.pkiDir, "pki-dir", "", "directory of the certificates, keys and kubeconfigs")
	fs.StringVar(&s.dataDir, "data-dir", "", "directory of etcd's data and of generated configuration")
	fs.IntVar(&s.apiPort, "api-port", 0, "port of kube-apiserver on 127.0.0.1")
	fs.IntVar(&s.etcdPort, "etcd-client-port", 0, "client port of etcd on 127.0.0.1")
	fs.IntVar(&s.etcdPeerPort, "etcd-peer-port", 0, "peer port of etcd on 127.0.0.1")
	fs.IntVar(&s.kubeletPort, "kubelet-port", 0, "port of the simulated kubelets on 127.0.0.1")
	fs.StringVar(&s.podCIDR, "pod-cidr", "10.240.0.0/16", "range of the pods' addresses")
	fs.StringVar(&s.serviceCIDR, "service-cidr", "10.0.0.0/16", "range of the services' addresses")
	return cmd
}
