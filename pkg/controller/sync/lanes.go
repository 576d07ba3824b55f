// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"context"
	"sync"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// task is one write to one member. A newer task for the same object replaces one that waits.
type task struct {
	at Location
	// desired is what the member should have; nil is nothing.
	desired *unstructured.Unstructured
	// generation is that of the workspace's object that desired was made of, and hash that of desired.
	generation int64
	hash       string
	// owned says that what is there is known to be ours.
	owned bool
	// repair says that the same was applied before.
	repair bool
	// uid is that of the copy to delete.
	uid types.UID
}

// outcome is what became of a task.
type outcome struct {
	task task
	live *unstructured.Unstructured
	err  error
}

// lanes are the queues of writes, one per member.
type lanes struct {
	ctx     context.Context //nolint:containedctx // that of Run; lanes are made while it runs
	workers int
	// qps and burst bound the writes of each member.
	qps   rate.Limit
	burst int
	// may says whether this process still writes. A task that waited for longer than the lease lasted is dropped: whoever
	// leads now has made its own, and who leads again looks at everything.
	may  func() bool
	do   func(ctx context.Context, member workspace.Key, key Key, t task) (*unstructured.Unstructured, error)
	done func(member workspace.Key, key Key, o outcome)

	group sync.WaitGroup
	mu    sync.Mutex
	all   map[workspace.Key]*lane
}

type lane struct {
	queue workqueue.TypedInterface[Key]
	pace  *rate.Limiter

	mu      sync.Mutex
	waiting map[Key]task
	busy    map[Key]string // the hash that is being written, or nothing for a deletion
}

func (l *lanes) lane(member workspace.Key) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found, ok := l.all[member]; ok {
		return found
	}
	made := &lane{
		queue:   workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[Key]{Name: ""}),
		pace:    rate.NewLimiter(l.qps, l.burst),
		waiting: map[Key]task{}, busy: map[Key]string{},
	}
	l.all[member] = made
	for range l.workers {
		l.group.Go(func() {
			for l.next(member, made) {
			}
		})
	}
	return made
}

// find returns the lane of a member if it has one: a question makes none.
func (l *lanes) find(member workspace.Key) (*lane, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.all[member]
	return found, ok
}

// submit queues a task, unless the same one is being done. One that waits is replaced.
func (l *lanes) submit(member workspace.Key, key Key, t task) {
	at := l.lane(member)
	at.mu.Lock()
	defer at.mu.Unlock()
	if hash, busy := at.busy[key]; busy && hash == t.hash {
		return
	}
	at.waiting[key] = t
	at.queue.Add(key)
}

// cancel takes back a task that waits. One that is being done ends as it will.
func (l *lanes) cancel(member workspace.Key, key Key) {
	l.takeBack(member, key, func(task) bool { return true })
}

// keep takes back a deletion that waits.
func (l *lanes) keep(member workspace.Key, key Key) {
	l.takeBack(member, key, func(t task) bool { return t.desired == nil })
}

// withdraw takes back a task that waits, unless it is to write what has this hash: what was to be done before, a deletion
// above all, is not wanted any more.
func (l *lanes) withdraw(member workspace.Key, key Key, hash string) {
	l.takeBack(member, key, func(t task) bool { return t.hash != hash })
}

func (l *lanes) takeBack(member workspace.Key, key Key, unwanted func(task) bool) {
	at, found := l.find(member)
	if !found {
		return
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	if t, waits := at.waiting[key]; waits && unwanted(t) {
		delete(at.waiting, key)
	}
}

// pending reports whether a task waits or is being done.
func (l *lanes) pending(member workspace.Key, key Key) bool {
	at, found := l.find(member)
	if !found {
		return false
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	_, waits := at.waiting[key]
	_, busy := at.busy[key]
	return waits || busy
}

// idle reports whether no task of a member waits or is being done.
func (l *lanes) idle(member workspace.Key) bool {
	at, found := l.find(member)
	if !found {
		return true
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	return len(at.waiting) == 0 && len(at.busy) == 0
}

func (l *lanes) next(member workspace.Key, at *lane) bool {
	key, shutdown := at.queue.Get()
	if shutdown {
		return false
	}
	defer at.queue.Done(key)
	if !at.waits(key) {
		return true
	}
	// Waiting before the task is taken: it can be replaced or taken back meanwhile. What ends the wait ends all.
	if err := at.pace.Wait(l.ctx); err != nil {
		klog.FromContext(l.ctx).V(4).Info("Ended waiting to write to member", logkey.Member, member, "err", err)
	}
	at.mu.Lock()
	may := l.ctx.Err() == nil && l.may() // asked with the lock held: a task that is handed in after the answer is another's
	t, waits := at.waiting[key]
	delete(at.waiting, key)
	if waits && may {
		at.busy[key] = t.hash
	}
	at.mu.Unlock()
	if !waits || !may {
		return true
	}
	live, err := l.do(l.ctx, member, key, t)
	at.mu.Lock()
	delete(at.busy, key)
	at.mu.Unlock()
	l.done(member, key, outcome{task: t, live: live, err: err})
	return true
}

// waits reports whether a task waits for an object.
func (at *lane) waits(key Key) bool {
	at.mu.Lock()
	defer at.mu.Unlock()
	_, waits := at.waiting[key]
	return waits
}

// remove ends the lane of a member that is gone.
func (l *lanes) remove(member workspace.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found, ok := l.all[member]; ok {
		found.queue.ShutDown()
		delete(l.all, member)
	}
}

// close ends all lanes and waits for them.
func (l *lanes) close() {
	l.mu.Lock()
	for member, found := range l.all {
		found.queue.ShutDown()
		delete(l.all, member)
	}
	l.mu.Unlock()
	l.group.Wait()
}
