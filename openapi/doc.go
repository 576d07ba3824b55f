// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package openapi holds the OpenAPI definitions of TMC's kinds and of the apimachinery kinds that they use, for the API
// server's own /openapi. What tenants see in `kubectl explain` comes from the schemas in apis/manifests instead.
//
// It is generated, but for this comment and the test.
package openapi
