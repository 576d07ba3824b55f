// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package door decides who a request comes from and what it may do.
//
// There are three ways in. At the front door a kcp shard asks on behalf of a tenant whom it has already authorized;
// at the side door a front-proxy passes on a user; and a user may come directly with a client certificate. Which way
// a request took follows from its verified client certificate alone, never from a header, and there is no way from
// one to another: what fails at its own door is refused. Each request carries its trust. Shard trust reads the views
// of the workspace that the path names; user trust is asked for at kcp, by SubjectAccessReview in that workspace.
//
// The package knows no kcp client and no storage: what it needs of them are the small interfaces Workspaces and
// Reviewer. It verifies no tokens, on purpose.
package door
