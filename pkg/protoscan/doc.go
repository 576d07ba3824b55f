// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package protoscan reads the few fields that the capacity sums need out of the protobuf encoding of pods, nodes, lists
// and watch events.
//
// Everything else is skipped over, and nothing is allocated for ordinary objects. What comes in is from a member
// cluster and may be garbage: that gives an error, never a panic, a recursion or more than linear work. The effective
// requests of a pod are those that the scheduler counts, which fuzzing holds against the typed decoder and
// k8s.io/component-helpers. The package does not decode anything completely, and it does not encode.
package protoscan
