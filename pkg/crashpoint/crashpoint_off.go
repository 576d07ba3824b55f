// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !crashpoints

package crashpoint

// Hit does nothing in this build.
func Hit(Point) {}
