// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/pflag"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/cmd"
	"sigs.k8s.io/kwok/pkg/log"
)

// aliveLabel marks the nodes whose kubelet is played; taking it off a node makes the kubelet fall silent.
const aliveLabel = "tmc.test/kubelet=alive"

//go:embed stages.yaml
var stages []byte

// newKwok prepares the part that plays nodes and kubelets. kwok reads its configuration's path from os.Args, so this
// must run ahead of everything that goes on beside it.
func newKwok(ctx context.Context, s settings) (func(context.Context) error, error) {
	path := filepath.Join(s.dataDir, "kwok.yaml")
	if err := os.MkdirAll(s.dataDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if err := os.WriteFile(path, stages, 0o600); err != nil {
		return nil, fmt.Errorf("writing kwok's configuration: %w", err)
	}
	args := os.Args
	defer func() { os.Args = args }()
	// Warnings only: at its default level kwok logs every renewal of a lease.
	os.Args = []string{"kwok", "--config=" + path, "--v=WARN"}

	flags := pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.SetOutput(io.Discard)
	ctx, _ = log.InitFlags(ctx, flags)
	ctx, err := config.InitFlags(ctx, flags)
	if err != nil {
		return nil, fmt.Errorf("loading kwok's configuration: %w", err)
	}
	command := cmd.NewCommand(ctx)
	command.Version = "" // its version flag would meet the one that Kubernetes registers
	command.SetArgs([]string{
		"--kubeconfig=" + s.pki("kwok.kubeconfig"),
		"--manage-all-nodes=false",
		"--manage-nodes-with-label-selector=" + aliveLabel,
		"--node-lease-duration-seconds=40",
		"--node-ip=127.0.0.1",
		"--node-port=" + strconv.Itoa(s.kubeletPort),
		"--server-address=127.0.0.1:" + strconv.Itoa(s.kubeletPort),
		"--tls-cert-file=" + s.pki("kubelet.crt"),
		"--tls-private-key-file=" + s.pki("kubelet.key"),
		"--cidr=" + s.podCIDR,
	})
	logger := log.FromContext(ctx)
	values := ctx
	return func(ctx context.Context) error {
		return command.ExecuteContext(log.NewContext(withValues{Context: ctx, values: values}, logger))
	}, nil
}

// withValues ends with one context and looks up values in another one first: kwok keeps its configuration in a context.
type withValues struct {
	context.Context
	values context.Context
}

// Value looks in both contexts.
func (c withValues) Value(key any) any {
	if v := c.values.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}
