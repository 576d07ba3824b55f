// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// rememberedWrites is how many of its last writes a lease knows again. One would do, but for those that failed and
// arrived all the same.
const rememberedWrites = 8

var errNotOurs = errors.New("the lease is held by another process, and is left to it")

// lease is what the elector of client-go reads and writes, and knows better than that one who leads:
//   - the lease is ours for as long as others are bound to believe it, counted from before it was written. The elector
//     would say so until it has given the lease up, and that may take longer, when kcp does not answer;
//   - a lease with our identity that this process did not write is another's: of a machine that was cloned with
//     everything that tells it apart;
//   - a lease that another has by now is not given up for it. The elector looks at what it saw before the last read.
//
// All but isHeld is for one goroutine, that of the elector.
type lease struct {
	resourcelock.Interface
	clock clock.PassiveClock
	// gained is called when the lease is held and was not. It must not block.
	gained func()

	// until is when the lease ends, by the clock of this process. Nil if it is not held.
	until atomic.Pointer[time.Time]
	// mine says whose the lease was when it was read last.
	mine bool
	// wrote are the renewals, in microseconds as they are stored, that this process tried to write.
	wrote []int64
}

// isHeld reports whether the lease is ours beyond doubt.
func (l *lease) isHeld() bool {
	until := l.until.Load()
	return until != nil && l.clock.Now().Before(*until)
}

// drop ends the holding, whatever others still believe. It returns whether it was held.
func (l *lease) drop() bool { return l.until.Swap(nil) != nil }

// Get reads the lease. One that a twin of this process holds is shown as somebody else's.
func (l *lease) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	l.mine = record.HolderIdentity == l.Identity()
	if l.mine && len(l.wrote) > 0 && !slices.Contains(l.wrote, record.RenewTime.UnixMicro()) {
		klog.FromContext(ctx).Error(nil, "Another process has this one's identity, perhaps that of a machine cloned from this one: leaving it the lease", "identity", l.Identity())
		l.mine = false
		l.drop()
		record.HolderIdentity += " (another process)"
	}
	return record, raw, nil
}

// Create makes the lease, held by us.
func (l *lease) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(record, func() error { return l.Interface.Create(ctx, record) })
}

// Update renews the lease, or gives it up if the record has no holder.
func (l *lease) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity == "" {
		l.drop()
		if !l.mine {
			return errNotOurs
		}
	}
	return l.write(record, func() error { return l.Interface.Update(ctx, record) })
}

func (l *lease) write(record resourcelock.LeaderElectionRecord, do func() error) error {
	began := l.clock.Now()
	if len(l.wrote) == rememberedWrites {
		l.wrote = slices.Delete(l.wrote, 0, 1)
	}
	l.wrote = append(l.wrote, record.RenewTime.UnixMicro())
	if err := do(); err != nil {
		return err
	}
	if record.HolderIdentity != l.Identity() {
		return nil
	}
	until := began.Add(time.Duration(record.LeaseDurationSeconds) * time.Second)
	before := l.until.Swap(&until)
	// Judged after it was replaced: what was dropped in between, because it had ended, is done when it is gained.
	if before == nil || !l.clock.Now().Before(*before) {
		l.gained()
	}
	return nil
}
