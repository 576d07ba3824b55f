// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package view turns what is known of members into what workspaces see of them.
//
// It is pure: registrations, grants, bindings and observations go in, rows come out, and the same input gives the
// same output on every replica. Nothing here reads a clock or calls a server. A row is shared by every workspace that
// sees the member, so it never holds what only the owner may know: no address, no Secret, no text from the member or
// from kcp, and no name of another workspace. Storing and serving rows is the viewstore package's work.
package view
