// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"fmt"
	"testing"

	"github.com/kcp-dev/logicalcluster/v3"

	"github.com/kcp-dev/tmc/pkg/view"
)

// manyRows returns 1,000 workspaces with a registration each, and 100 grants that lend one member each to all of them.
func manyRows() view.Input {
	in := view.Input{Bound: map[logicalcluster.Name]logicalcluster.Path{}}
	for i := range 1000 {
		ws := fmt.Sprint("w", i)
		in.Bound[logicalcluster.Name(ws)] = logicalcluster.NewPath("root:team:" + ws)
		in.Registrations = append(in.Registrations, reg(ws, "east", map[string]string{"zone": "e", "region": "eu"}))
	}
	for i := range 100 {
		in.Grants = append(in.Grants, grant(fmt.Sprint("w", i), fmt.Sprint("g", i), i, []string{"east"}, subtree("root:team")))
	}
	return in
}

func BenchmarkResolve(b *testing.B) {
	in := manyRows()
	b.ReportAllocs()
	for b.Loop() {
		view.Resolve(in)
	}
}

// Every resolution but the first.
func BenchmarkResolveAgain(b *testing.B) {
	in := manyRows()
	in.Former = view.Resolve(in)
	b.ReportAllocs()
	for b.Loop() {
		view.Resolve(in)
	}
}

// One workspace with 1,000 registrations and 100 grants that lend all of them to all others.
func BenchmarkResolveHostile(b *testing.B) {
	in := manyRows()
	in.Registrations, in.Grants = nil, nil
	var names []string
	for i := range 1000 {
		name := fmt.Sprint("r", i)
		in.Registrations = append(in.Registrations, reg("w0", name, nil))
		names = append(names, name)
	}
	for i := range 100 {
		in.Grants = append(in.Grants, grant("w0", fmt.Sprint("g", i), i, names, subtree("root:team")))
	}
	b.ReportAllocs()
	for b.Loop() {
		view.Resolve(in)
	}
}
