// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package patchguard keeps strategic merge patches from damaging the workloads that tenants keep in their workspaces.
//
// kcp stores Kubernetes' own kinds as custom resources. It accepts strategic merge patches on them, as kubectl sends
// them, but does not know which lists are to be merged: the list of the patch replaces the list of the object. What the
// patch did not mention is gone. The guard is asked by kcp, as a mutating admission webhook, before the result is stored.
// The list that it finds in the new object is the list of the patch, so it can do what a cluster would have done. Where
// it cannot know what was meant it refuses, and says what to type instead.
//
// The invariant: a list item, or a field of one, that an update does not clearly remove is still there afterwards, or
// the update is refused. Review is a pure function of the request. It reads nothing and writes nothing, so whoever calls
// it learns nothing but what they said themselves; that is why the handler needs no authentication. The package is no
// general admission webhook: creations, server-side apply, status and scale are none of its business.
package patchguard
