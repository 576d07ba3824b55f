// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package logkey holds the keys of structured log lines, so that one search finds every line about one thing.
// Keys are never credentials, and neither are values.
package logkey

// Keys of log lines.
const (
	// Workspace is the logical cluster name of a workspace.
	Workspace = "workspace"
	// Member is the key of the ClusterRegistration of a physical cluster.
	Member = "member"
	// Grant is the key of a ClusterGrant.
	Grant = "grant"
	// Object is the key of any other object.
	Object = "object"
	// Resource is a group and resource.
	Resource = "resource"
	// Endpoint is the URL of a kcp endpoint, which never carries credentials.
	Endpoint = "endpoint"
	// Controller is the name of a controller.
	Controller = "controller"
	// Condition is a condition type.
	Condition = "condition"
	// Reason is a condition's reason.
	Reason = "reason"
	// Door is the name of the entrance that a request took.
	Door = "door"
	// User is the name of a request's user.
	User = "user"
)
