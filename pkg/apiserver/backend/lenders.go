// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kcp-dev/logicalcluster/v3"
)

// Lenders are the workspaces that the operator trusts to lend members: logical clusters, paths such as root:platform, or *
// for all. Anybody may lend a member to anybody, and whoever owns the member reads what runs there, so members of others
// wait to be asked for. There are no subtrees: a workspace's administrator can have it say that it is anywhere.
type Lenders []string

// everyLender trusts all.
const everyLender = "*"

// Trust reports whether a workspace is one of them. Its path is empty if it is not known.
func (l Lenders) Trust(ws logicalcluster.Name, path string) bool {
	return slices.ContainsFunc(l, func(lender string) bool {
		// Without a colon it is a logical cluster, and not what somebody says that his path is.
		return lender == everyLender || lender == ws.String() || (strings.Contains(lender, ":") && lender == path)
	})
}

// Validate names every entry that can be no workspace.
func (l Lenders) Validate() error {
	var errs []error
	for _, lender := range l {
		if lender != everyLender && !logicalcluster.NewPath(lender).IsValid() {
			errs = append(errs, fmt.Errorf("%q is neither a logical cluster, nor a path such as root:platform, nor *", lender))
		}
	}
	return errors.Join(errs...)
}
