// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"github.com/kcp-dev/tmc/test/env/pki"
	"github.com/kcp-dev/tmc/test/env/proc"
)

// ProviderWorkspace is where TMC's APIExport lives.
const ProviderWorkspace = "root:tmc"

// tmcStopGrace is longer than the server's own time to end watches.
const tmcStopGrace = 20 * time.Second

// TMCOptions say which server to run, and how.
type TMCOptions struct {
	// Binary to run; built from cmd/tmc-apiserver unless set.
	Binary string
	// ExtraArgs come last, so that they win over the environment's own.
	ExtraArgs []string
	// GOCOVERDIR is where a binary built with -cover writes its counters.
	GOCOVERDIR string
	// Env is added to the environment of the server.
	Env []string
}

// TMCArgs are the flags that fit this environment.
func (e *Environment) TMCArgs() []string {
	l := e.layout
	shards := make([]string, 0, len(e.state.Shards))
	for _, shard := range e.state.Shards {
		shards = append(shards, shardUser(shard.Name))
	}
	args := append([]string{
		"--kubeconfig=" + l.kcp("tmc.kubeconfig"), "--export-name=tmc.kcp.io", "--path-prefix=" + PathPrefix,
		"--client-ca-file=" + l.pkiFile(clientCA+".crt"),
		"--shard-user-names=" + strings.Join(shards, ","),
		"--allowed-member-cidrs=127.0.0.0/8", "--trusted-lenders=root:acme",
	}, l.servingArgs(e.state.TMCPort)...)
	args = append(args, l.requestHeaderArgs("", proxyTMC, e.state.FrontHeaders)...)
	return append(args, l.requestHeaderArgs("side-door-", proxyTMCSide, e.state.SideHeaders)...)
}

// InitArgs are the arguments with which tmc-apiserver prepares the provider workspace.
func (e *Environment) InitArgs() []string {
	return []string{
		"init", "--kubeconfig=" + e.AdminKubeconfig(), "--provider-workspace=" + ProviderWorkspace, "--server-user=" + userTMC,
		"--webhook-url=" + e.TMCURL(), "--webhook-ca-file=" + e.layout.pkiFile(servingCA+".crt"),
	}
}

// InitTMC prepares the provider workspace as an administrator: it runs tmc-apiserver init.
func (e *Environment) InitTMC(ctx context.Context, o TMCOptions) error {
	binary, err := e.tmcBinary(ctx, &o)
	if err != nil {
		return err
	}
	e.say("preparing the provider workspace %s", ProviderWorkspace)
	cmd := exec.CommandContext(ctx, binary, e.InitArgs()...)
	cmd.Env = append(cmd.Environ(), o.environment()...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("running tmc-apiserver init: %w; the output was:\n%s", err, output)
	}
	return nil
}

// StartTMC starts the server, unless it is running, and waits until it is ready. The flags are kept in
// run/tmc-apiserver.args.
func (e *Environment) StartTMC(ctx context.Context, o TMCOptions) (*proc.Process, error) {
	if p, err := e.table.Find(processTMC); err == nil && p.Running() {
		e.say("tmc-apiserver is running already")
		return p, nil
	}
	binary, err := e.tmcBinary(ctx, &o)
	if err != nil {
		return nil, err
	}
	args := append(e.TMCArgs(), o.ExtraArgs...)
	if err := pki.WriteSecret(e.layout.tmcArgs(), []byte(strings.Join(args, "\n")+"\n")); err != nil {
		return nil, err
	}
	p, err := e.table.Start(proc.Spec{Name: processTMC, Path: binary, Args: args, Env: o.environment()})
	if err != nil {
		return nil, err
	}
	if err := e.AwaitTMC(ctx, p); err != nil {
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx), stopGrace))
	}
	e.say("tmc-apiserver is ready")
	return p, nil
}

// AwaitTMC waits until the server is ready, also after a restart.
func (e *Environment) AwaitTMC(ctx context.Context, p *proc.Process) error {
	return e.await(ctx, p, e.readyz(e.TMCURL()+"/readyz"))
}

// StopTMC stops the server and waits until it is gone. That it never ran is no error.
func (e *Environment) StopTMC(ctx context.Context) error {
	p, err := e.table.Find(processTMC)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.Stop(ctx, tmcStopGrace)
}

func (e *Environment) tmcBinary(ctx context.Context, o *TMCOptions) (string, error) {
	if o.Binary != "" {
		return o.Binary, nil
	}
	return buildTMC(ctx, &Options{CacheDir: e.state.CacheDir, RepoDir: e.state.RepoDir, Out: e.out, Clock: e.clock})
}

func (o *TMCOptions) environment() []string {
	if o.GOCOVERDIR == "" {
		return o.Env
	}
	return append([]string{"GOCOVERDIR=" + o.GOCOVERDIR}, o.Env...)
}
