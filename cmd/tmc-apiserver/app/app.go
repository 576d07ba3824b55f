// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app is the command line of tmc-apiserver.
package app

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register"           // for --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/workqueue" // for the metrics of the controllers' queues
	"k8s.io/klog/v2"

	"github.com/kcp-dev/tmc/cmd/tmc-apiserver/app/options"
	"github.com/kcp-dev/tmc/pkg/apiserver"
	"github.com/kcp-dev/tmc/pkg/apiserver/backend"
	"github.com/kcp-dev/tmc/pkg/bootstrap"
	"github.com/kcp-dev/tmc/pkg/memberrole"
)

// Run executes the command line and returns the exit code. Errors are printed as they are, one problem a line.
func Run(args []string, out, errOut io.Writer) int {
	cmd := NewCommand(args, out)
	cmd.SetArgs(args)
	cmd.SetErr(errOut)
	if err := cli.RunNoErrOutput(cmd); err != nil {
		_, _ = fmt.Fprintf(errOut, "Error: %v\n", err)
		return 1
	}
	return 0
}

// NewCommand returns the command with its subcommands. The arguments are those that it will be run with: they are
// needed to report every flag that cannot be understood, not only the first.
func NewCommand(args []string, out io.Writer) *cobra.Command {
	o := options.New()
	groups := o.Flags()
	cmd := &cobra.Command{
		Use:   "tmc-apiserver",
		Short: "Serve live views of physical clusters to kcp workspaces",
		Long: `tmc-apiserver serves live views of physical clusters to kcp workspaces, and runs the controllers behind them.

It is reached through the front-proxies of kcp, and follows every shard of the APIExport that it is given.
Prepare kcp with "tmc-apiserver init" first. It never runs as an administrator.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       versionString(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			completed := o.Complete()
			if err := completed.Validate(); err != nil {
				return err
			}
			if err := logsapi.ValidateAndApply(o.Logs, nil); err != nil {
				return fmt.Errorf("setting up logs: %w", err)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			// The second signal ends the process at once.
			defer context.AfterFunc(ctx, stop)()
			return serve(ctx, completed)
		},
	}
	for _, name := range groups.Order {
		cmd.Flags().AddFlagSet(groups.FlagSet(name))
	}
	cmd.SetOut(out)
	cmd.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	cmd.SetFlagErrorFunc(func(failed *cobra.Command, err error) error {
		if failed == cmd {
			err = everyProblem(cmd.Flags(), args, err)
		}
		return fmt.Errorf("%w\nSee %s --help", err, failed.CommandPath())
	})
	groupedHelp(cmd, groups)
	// Added here, so that they are on the persistent flags of no subcommand's help but their own.
	cmd.AddCommand(bootstrap.NewCommand(out), memberrole.NewCommand(out), newVersionCommand(out))
	return cmd
}

// serve builds the parts from the options, in the order in which they depend on each other.
func serve(ctx context.Context, o options.CompletedOptions) error {
	defer logs.FlushLogs()
	logger := klog.FromContext(ctx)
	logger.Info("Starting tmc-apiserver", "version", versionString())
	for _, warning := range o.Warnings() {
		logger.Info("Unwise setting: " + warning)
	}
	config, err := o.ServerConfig()
	if err != nil {
		return err
	}
	backendConfig, err := o.BackendConfig(config)
	if err != nil {
		return err
	}
	config.Backend, err = backend.New(backendConfig)
	if err != nil {
		return err
	}
	return run(ctx, config)
}

func run(ctx context.Context, config *apiserver.Config) error {
	completed, err := config.Complete()
	if err != nil {
		return err
	}
	server, err := completed.New()
	if err != nil {
		return err
	}
	return server.Run(ctx)
}

// helpWidth is where the lines of the help are broken.
const helpWidth = 120

// groupedHelp shows the flags of the server by group. Subcommands keep cobra's own help.
func groupedHelp(cmd *cobra.Command, groups cliflag.NamedFlagSets) {
	plain := cmd.HelpFunc()
	cmd.SetHelpFunc(func(shown *cobra.Command, args []string) {
		if shown != cmd {
			plain(shown, args)
			return
		}
		out := cmd.OutOrStdout()
		_, _ = fmt.Fprintf(out, "%s\n\nUsage:\n  %s [flags]\n", cmd.Long, cmd.CommandPath())
		for _, subcommand := range cmd.Commands() {
			if subcommand.IsAvailableCommand() && subcommand.Name() != "completion" {
				_, _ = fmt.Fprintf(out, "  %s\n        %s\n", subcommand.CommandPath(), subcommand.Short)
			}
		}
		cliflag.PrintSections(out, groups, helpWidth)
	})
}
