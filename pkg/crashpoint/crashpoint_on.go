// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build crashpoints

package crashpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// armed reads the environment at the first hit. It is set here and never again.
var armed = sync.OnceValue(func() *trigger { return parse(os.Getenv(Variable)) })

// trigger is the hit at which the process dies.
type trigger struct {
	point Point
	at    int64
	hits  atomic.Int64
}

// parse reads name[:n]. What is malformed is no point, and the process lives: the test sees that it was not reached.
func parse(text string) *trigger {
	name, count, found := strings.Cut(text, ":")
	t := &trigger{point: Point(name), at: 1}
	if found {
		at, err := strconv.ParseInt(count, 10, 64)
		if err != nil || at < 1 {
			return &trigger{}
		}
		t.at = at
	}
	return t
}

// reached counts a hit, and reports whether it is the one.
func (t *trigger) reached(point Point) bool {
	return point == t.point && t.hits.Add(1) == t.at
}

// Hit kills the process if this is the point and the hit at which it is to die. It does not return then.
func Hit(point Point) {
	if t := armed(); t.reached(point) {
		fmt.Fprintf(os.Stderr, "Killed at the crash point %s\n", point)
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		select {} // nothing more may happen while the signal is on its way
	}
}
