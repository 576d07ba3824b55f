// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schedule decides which members run the objects that a Placement selects, and keeps its status.
//
// One key is one Placement. The decision itself is the work of pkg/placement; this package says what the members look
// like from the workspace, which objects the Placement has, and what other Placements were promised and have not
// used yet. One worker decides, so that promises are known before the next decision: any number of Placements that
// race for room for some get exactly that room. A decision counts once it is written, on every replica alike.
//
// Invariant: no object grows with the number of workloads; a Placement is written on transitions only. The package
// knows no client, and nothing of how objects reach members.
package schedule
