// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memberconfig turns what a tenant wrote about a member into a connection, or into a problem to tell them.
//
// All input is hostile. Of a kubeconfig only the current context counts, and of that only the server, the certificate
// authority data, and a token or a client certificate with its key, all given inline. Whatever else could change how
// or as whom we connect is refused by name: programs to run, files to read, proxies, impersonation, skipped
// verification, basic authentication, another TLS server name. What changes nothing (extensions, preferences, the
// namespace, disable-compression) and all other contexts are ignored, and nothing is ever executed or read from disk.
//
// The package parses and judges; it opens no connection. The one thing it lends to those who do is AddressPolicy,
// which judges each address when it is dialled, after names were resolved. Nothing here ever puts a credential into a
// message.
package memberconfig
