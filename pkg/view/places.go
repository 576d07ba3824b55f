// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/util/sets"
)

// places are workspaces by path, ordered, so that a subtree is found without looking at all of them.
type places []place

type place struct {
	path string
	ws   logicalcluster.Name
}

func newPlaces(bound map[logicalcluster.Name]logicalcluster.Path) places {
	out := make(places, 0, len(bound))
	for ws, path := range bound {
		out = append(out, place{path: path.String(), ws: ws})
	}
	slices.SortFunc(out, func(a, b place) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.ws, b.ws)) })
	return out
}

// at returns the workspace at a path; of several the last by name.
func (p places) at(path string) (logicalcluster.Name, bool) {
	after, _ := slices.BinarySearchFunc(p, path+"\x00", func(e place, path string) int { return cmp.Compare(e.path, path) })
	if after == 0 || p[after-1].path != path {
		return "", false
	}
	return p[after-1].ws, true
}

// addSubtree adds the workspaces at and below a path.
func (p places) addSubtree(to sets.Set[logicalcluster.Name], root string) {
	p.addPrefixed(to, root, func(path string) bool { return path == root })
	p.addPrefixed(to, root+":", func(path string) bool { return strings.HasPrefix(path, root+":") })
}

// addPrefixed adds what follows from a path on, as long as it belongs.
func (p places) addPrefixed(to sets.Set[logicalcluster.Name], from string, belongs func(path string) bool) {
	at, _ := slices.BinarySearchFunc(p, from, func(e place, path string) int { return cmp.Compare(e.path, path) })
	for ; at < len(p) && belongs(p[at].path); at++ {
		to.Insert(p[at].ws)
	}
}

// outermost leaves out paths that are below others, and repetitions.
func outermost(paths []string) []string {
	var out []string
	for _, path := range slices.Compact(slices.Sorted(slices.Values(paths))) {
		if !slices.ContainsFunc(out, func(root string) bool { return strings.HasPrefix(path, root+":") }) {
			out = append(out, path)
		}
	}
	return out
}
