// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placement decides which members run the workloads of a Placement, and how replicas are divided among them.
//
// It is pure: what is known of the members and what is wanted go in, a decision and its explanation come out. Equal input
// gives equal output on every replica and in every order, for ties are broken by a hash and all arithmetic is of whole
// numbers. Members are filtered, scored and assigned; what runs somewhere stays there unless there is a reason to move
// it: a member that is merely unreachable, cordoned, full or uncounted keeps what it has, and what has to move stays
// where it is while it fits nowhere else.
//
// It calls nobody, reads no clock and keeps no state. Reserving what was decided, so that placements that race do not get
// the same room, and doing what was decided are the work of controllers.
package placement
