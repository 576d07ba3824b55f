// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Command tmc-apiserver serves live views of physical clusters to kcp workspaces.
package main

import (
	"os"

	"github.com/kcp-dev/tmc/cmd/tmc-apiserver/app"
)

func main() {
	os.Exit(app.Run(os.Args[1:], os.Stdout, os.Stderr))
}
