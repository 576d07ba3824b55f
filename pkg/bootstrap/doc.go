// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bootstrap is `tmc-apiserver init`: it puts into kcp what the server needs there, once per installation and
// once per upgrade, with an administrator's rights.
//
// Everything is compared before anything is written: each object is applied server-side as a dry run, and only objects
// that would change are applied in earnest. So a second run writes nothing and says so, a missing right is found
// before half of the work is done, and --dry-run shows the same plan. Nothing is ever deleted: superseded schemas stay,
// since stored objects and bindings refer to them. Running the server is not this package's work.
package bootstrap
