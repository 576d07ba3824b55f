// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kcp-dev/logicalcluster/v3"
)

// Lenders are the workspaces that the operator trusts to lend members: paths such as root:platform, root:platform:* for
// all that are below it, logical clusters, or * for all. Anybody may lend a member to anybody, and whoever owns the member
// reads what runs there, so members of others wait to be asked for.
type Lenders []string

// everyLender trusts all.
const everyLender = "*"

// below, at the end of a path, stands for all workspaces below it.
const below = ":*"

// Trust reports whether a workspace is one of them. Its path is empty if it is not known.
func (l Lenders) Trust(ws logicalcluster.Name, path string) bool {
	for _, lender := range l {
		root, subtree := strings.CutSuffix(lender, below)
		switch {
		case lender == everyLender, lender == ws.String():
			return true
		case path == "":
		case subtree && strings.HasPrefix(path, root+":"), !subtree && lender == path:
			return true
		}
	}
	return false
}

// Validate names every entry that can be no workspace.
func (l Lenders) Validate() error {
	var errs []error
	for _, lender := range l {
		path := logicalcluster.NewPath(strings.TrimSuffix(lender, below))
		if lender != everyLender && !path.IsValid() {
			errs = append(errs, fmt.Errorf("%q is neither a path such as root:platform or root:platform:*, nor a logical cluster, nor *", lender))
		}
	}
	return errors.Join(errs...)
}
