// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver is the server: the handler chain of k8s.io/apiserver, used whole, with one filter ahead of it and
// one API group behind it.
//
// It serves whatever read-only storage it is given, and runs whatever components it is given for as long as it
// serves. It keeps nothing and stores nothing; there is no etcd, no admission and no token authentication. Making the
// storage and the components is the backend package's work.
package apiserver
