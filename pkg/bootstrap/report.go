// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"fmt"
	"io"
)

// report writes what happens, or would happen, as it happens.
type report struct {
	out    io.Writer
	dryRun bool
	count  map[action]int
	err    error // the first error of out; the work goes on without its report
}

func (r *report) line(a action, object string, changes []string) {
	if r.count == nil {
		r.count = map[action]int{}
	}
	r.count[a]++
	r.printf("%-12s %s\n", r.verb(a), object)
	for _, change := range changes {
		r.printf("%-12s   %s\n", "", change)
	}
}

func (r *report) verb(a action) string {
	switch {
	case a == unchanged:
		return "unchanged"
	case r.dryRun:
		return "would " + string(a)
	default:
		return string(a) + "d"
	}
}

func (r *report) finish(workspace string) error {
	switch {
	case r.count[create]+r.count[update] == 0:
		r.printf("Workspace %s is up to date: nothing to change.\n", workspace)
	case r.dryRun:
		r.printf("Dry run for workspace %s: %d to create, %d to update, %d unchanged; nothing was written.\n",
			workspace, r.count[create], r.count[update], r.count[unchanged])
	default:
		r.printf("Workspace %s is up to date: %d created, %d updated, %d unchanged.\n",
			workspace, r.count[create], r.count[update], r.count[unchanged])
	}
	if r.err != nil {
		return fmt.Errorf("writing the report: %w", r.err)
	}
	return nil
}

func (r *report) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(r.out, format, args...); err != nil && r.err == nil {
		r.err = err
	}
}
