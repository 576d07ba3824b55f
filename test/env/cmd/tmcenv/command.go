// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kcp-dev/tmc/test/env"
)

func newCommand() *cobra.Command {
	var o env.Options
	cmd := &cobra.Command{
		Use: "tmcenv", Short: "Start and stop kcp, member clusters and tmc-apiserver on this machine",
		SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs,
	}
	fs := cmd.PersistentFlags()
	fs.StringVar(&o.Dir, "dir", envOr("TMC_DEV_DIR", ".dev"), "directory that holds everything (TMC_DEV_DIR)")
	cmd.AddCommand(upCommand(&o), demoCommand(&o), statusCommand(&o), downCommand(&o))
	return cmd
}

// sizeFlags adds the flags of commands that start an environment. Their defaults come from SHARDS and MEMBERS.
func sizeFlags(cmd *cobra.Command, o *env.Options) {
	cmd.Flags().IntVar(&o.Shards, "shards", 0, "number of kcp shards, 1 or 2 (SHARDS)")
	cmd.Flags().IntVar(&o.Members, "members", 0, "number of member clusters, -1 for none (MEMBERS)")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		o.Out = cmd.ErrOrStderr()
		return errors.Join(fromEnv(cmd, "shards", "SHARDS"), fromEnv(cmd, "members", "MEMBERS"))
	}
}

func fromEnv(cmd *cobra.Command, flag, variable string) error {
	value := os.Getenv(variable)
	if value == "" || cmd.Flags().Changed(flag) {
		return nil
	}
	if _, err := strconv.Atoi(value); err != nil {
		return fmt.Errorf("reading %s=%q from the environment: it must be a number", variable, value)
	}
	return cmd.Flags().Set(flag, value)
}

func upCommand(o *env.Options) *cobra.Command {
	var without bool
	cmd := &cobra.Command{
		Use: "up", Short: "Start kcp, the members and tmc-apiserver", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if without {
				_, err := env.Up(cmd.Context(), *o)
				return err
			}
			e, err := env.UpAll(cmd.Context(), *o, env.TMCOptions{})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), upText, e.AdminKubeconfig(), e.LogDir())
			return err
		},
	}
	cmd.Flags().BoolVar(&without, "without-tmc", false, "leave tmc-apiserver away")
	sizeFlags(cmd, o)
	return cmd
}

func downCommand(o *env.Options) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Stop and remove the environment", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.Down(cmd.Context(), o.Dir, cmd.ErrOrStderr())
		},
	}
}

func envOr(variable, otherwise string) string {
	if value := os.Getenv(variable); value != "" {
		return value
	}
	return otherwise
}

// relative shortens a path for people, where it lies below the working directory.
func relative(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	short, err := filepath.Rel(dir, path)
	if err != nil || strings.HasPrefix(short, "..") {
		return path
	}
	return short
}
