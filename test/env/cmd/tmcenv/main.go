// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Command tmcenv starts and stops an environment of real parts: kcp, member clusters and tmc-apiserver.
//
// It is what make demo, make up and make down call. All it knows is in package env; it adds words for people.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
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
