// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Revisions hands out the resource versions of one process. They start at the time of the start, so that the ranges
// of two processes do not meet, and a version of another process can be told from one's own.
type Revisions struct {
	start   uint64
	current atomic.Uint64
}

// NewRevisions returns the revisions of a process that started at start. A process has one, for all of its stores.
func NewRevisions(start time.Time) *Revisions {
	nanos := max(start.UnixNano(), 1)
	r := &Revisions{start: uint64(nanos)}
	r.current.Store(r.start)
	return r
}

// Next returns a revision greater than all before it.
func (r *Revisions) Next() uint64 { return r.current.Add(1) }

// Current returns the newest revision.
func (r *Revisions) Current() uint64 { return r.current.Load() }

// Start returns the oldest revision; no object has it.
func (r *Revisions) Start() uint64 { return r.start }

// Parse reads a resourceVersion of a request. Empty and "0" are 0; a version that this process has never handed out
// is 410 Expired, for it is another process's, and what changed since then is not known here.
func (r *Revisions) Parse(resourceVersion string) (uint64, error) {
	if resourceVersion == "" || resourceVersion == "0" {
		return 0, nil
	}
	rev, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("invalid resourceVersion %.40q: it must be a number that this API returned", resourceVersion))
	}
	if rev < r.start || rev > r.Current() {
		return 0, expired(rev)
	}
	return rev, nil
}

func expired(rev uint64) error {
	return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d; list again without a resourceVersion", rev))
}
