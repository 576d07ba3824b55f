// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package transform maps an object of a workspace to the copy that a member runs: names, marks of origin, the content
// that is applied, what it depends on, and how a live copy differs from it.
//
// It is pure: the same object and target always give the same copy, and nothing here reads a clock or a server. Names
// map injectively, so two workspaces never meet in one namespace of a member. Whatever a tenant writes, none of our own
// marks reaches a member but those that this package sets. Both sides are hostile input: wrong types are passed over,
// nothing panics, and no value of an object is ever part of a message.
//
// Choosing members is the work of package placement, summing up status that of package rollup, writing that of the
// sync controller.
package transform
