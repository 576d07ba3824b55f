// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package env starts, inspects and stops an environment of real parts on this machine: kcp in the topology of
// production (shards with virtual workspaces and an internal front-proxy each, one public front-proxy), member clusters
// that are real Kubernetes control planes with simulated nodes, and tmc-apiserver.
//
// One directory holds everything of one environment, and only its owner can read it. Every process listens on the
// loopback interface alone. An environment outlives the command that started it; Load finds it again. The package knows
// kcp and members by their command lines and kubeconfigs only: they are modules of their own.
package env
