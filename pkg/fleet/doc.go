// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fleet keeps a live connection to each member and knows what each of them looks like right now.
//
// A member is probed, its nodes and pods are listed and watched, and the figures are kept by a capacity.Cluster; what
// is known is read with State, which never calls a member and never waits for one. Members cannot disturb each other:
// each has a client, connections and goroutines of its own, and everything that it sends is bounded in size, number
// and time. A member is hostile until shown otherwise: it is verified against its own certificate authority alone,
// its address is judged when it is dialled, redirects are not followed, proxies not used, and nothing that it says is
// ever repeated except its version and why it refused a write, bounded and made printable.
//
// Copies are what the syncer wrote to members. Those of the resources that FollowCopies names are listed and watched
// over a connection of their own, so that no amount of them makes a member look as if it were away, and they are read,
// applied and deleted with Get, Apply, Create and Delete. What a write led to is known at once; what the member tells
// of it later never makes it unknown again.
//
// While a member is away its last figures and copies stay. They are dropped when another cluster answers at its address.
//
// The package does not decide what a registration may do or what is written to members, and knows no tenant.
package fleet
