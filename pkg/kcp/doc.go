// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kcp follows what the workspaces that bind our APIExport hold.
//
// kcp serves the objects of all binding workspaces at one endpoint per shard. The set follows the endpoints as they
// come and go, lists and watches each of them across all workspaces, and merges what they hold into one index per
// kind. No shard, resource or object waits for another: an endpoint that is lost keeps its last objects, a resource
// that may not be read stays empty, an object that cannot be decoded is left out.
//
// Invariant: an index shows objects of workspaces with an active binding only, however long kcp goes on showing
// others. Objects are shared: nobody changes them. The package knows nothing of members, and decides nothing.
package kcp
