// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package viewstore holds the read-only views that tmc-apiserver serves, encoded once per version, with watches.
//
// A view object is computed from a source, such as a ClusterRegistration, and shown under one or more names in one
// or more workspaces. What the objects of a source have in common, the content, is encoded once however many show
// it; an object adds its metadata and its resourceVersion. Resource versions are revisions of this process alone:
// a version of another process, or one too old to resume from, is answered with 410 and never with a guess.
//
// Watches are state based: there is no log of events. A watcher holds at most one pending event per object, so it
// can be as slow as it likes without costing memory, publishers or other watchers anything. Publishers are serial
// among themselves; readers never wait for an encoder or for a watcher.
//
// The package computes no view, knows no kind, and reads no request; that is the work of the controllers and of the
// registry packages.
package viewstore
