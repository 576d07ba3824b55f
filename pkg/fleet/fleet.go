// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// slotLoan is how long a member may keep others from being listed.
const slotLoan = 5 * time.Second

// copyLoan is that for lists of copies, of which a member has many.
const copyLoan = 2 * time.Second

// notifyInterval is how long changes are collected after some were told. A member sends as many events as it likes,
// and each change that is told is work for others.
const notifyInterval = 20 * time.Millisecond

// State is what is known of a member.
type State struct {
	// Version is the Kubernetes version, for example v1.36.3. It is empty until the member first answered.
	Version string
	// ClusterUID is the UID of the namespace kube-system, which identifies the cluster.
	ClusterUID types.UID
	// VerifiedRoot is the SHA-256 of the root certificate that the server was verified with when it told ClusterUID.
	VerifiedRoot [32]byte
	// Conditions are Reachable, CredentialsValid and CapacityKnown, and also Accepted, being False, while the server's
	// name resolves to addresses that members may not have.
	Conditions []metav1.Condition
	// Capacity holds the last known figures. They mean something only if CapacityCounted.
	Capacity        capacity.Summary
	CapacityCounted bool
	// Generation grows whenever anything above differs.
	Generation uint64
	// ConfirmedAt is when the member last confirmed the figures; zero is never.
	ConfirmedAt time.Time
}

// Fleet is the set of members, one per registration. Its methods may be called at any time, by many at once.
type Fleet struct {
	config Config
	slots  *slots        // for lists of nodes and pods
	lists  *slots        // for lists of copies, which must not delay those
	wake   chan struct{} // holds an item when Run has something to do

	mu      sync.Mutex
	members map[workspace.Key]*member
	waiting []*member // to be started
	dirty   map[workspace.Key]struct{}
	copied  map[workspace.Key]struct{} // members of whose copies is to be told
	follow  []schema.GroupVersionResource
}

// New returns a fleet without members. They are called only while Run runs.
func New(config Config) *Fleet {
	config = config.withDefaults()
	return &Fleet{
		config:  config,
		slots:   newSlots(config.Clock, config.ConcurrentLists, slotLoan),
		lists:   newSlots(config.Clock, config.ConcurrentLists, copyLoan),
		wake:    make(chan struct{}, 1),
		members: map[workspace.Key]*member{},
		dirty:   map[workspace.Key]struct{}{},
		copied:  map[workspace.Key]struct{}{},
	}
}

// Run observes the members until the context ends. It returns when every connection is closed.
func (f *Fleet) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { f.auditLoop(ctx) })
	running.Go(func() { f.notifyLoop(ctx) })
	f.signal()
	<-ctx.Done()
}

// Ensure begins to observe a member, or goes on with this connection if the member has another. The last known
// figures stay, unless the new connection leads to another cluster.
func (f *Fleet) Ensure(key workspace.Key, connection memberconfig.Connection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m, found := f.members[key]; found {
		m.replace(connection)
		return
	}
	m := newMember(key, connection, &f.config, f.changed)
	m.copies = newCopies(key, &f.config, f.lists, f.copiesChanged)
	m.copies.follow(f.follow)
	f.members[key] = m
	f.waiting = append(f.waiting, m)
	f.signal()
}

// Remove closes the connection and forgets everything about the member. It does not wait.
func (f *Fleet) Remove(key workspace.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m, found := f.members[key]; found {
		delete(f.members, key)
		delete(f.dirty, key)
		m.stop()
		// Its registration may be there still, such as one that lost its credentials: what is known of the copies differs.
		f.copied[key] = struct{}{}
		f.signal()
	}
}

// State returns what is known of the member, and false if there is no such member.
func (f *Fleet) State(key workspace.Key) (State, bool) {
	m, found := f.find(key)
	if !found {
		return State{}, false
	}
	return m.state(), true
}

// ConfirmedAt returns when the member last confirmed its figures, and false if it never did. It is cheap.
func (f *Fleet) ConfirmedAt(key workspace.Key) (time.Time, bool) {
	m, found := f.find(key)
	if !found {
		return time.Time{}, false
	}
	return m.confirmedAt()
}

func (f *Fleet) find(key workspace.Key) (*member, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, found := f.members[key]
	return m, found
}

// changed notes that a member's state differs. It does not wait.
func (f *Fleet) changed(key workspace.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, found := f.members[key]; !found {
		return
	}
	if len(f.dirty) == 0 {
		f.signal()
	}
	f.dirty[key] = struct{}{}
}

// copiesChanged notes that a member's copies are to be told of. It does not wait.
func (f *Fleet) copiesChanged(key workspace.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, found := f.members[key]; !found {
		return
	}
	if len(f.copied) == 0 {
		f.signal()
	}
	f.copied[key] = struct{}{}
}

func (f *Fleet) signal() {
	select {
	case f.wake <- struct{}{}:
	default: // there is a signal already
	}
}

// notifyLoop starts new members and tells of changes, each change at most once for all that came before.
func (f *Fleet) notifyLoop(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return
		}
		f.mu.Lock()
		waiting, dirty, copied := f.waiting, f.dirty, f.copied
		f.waiting, f.dirty, f.copied = nil, map[workspace.Key]struct{}{}, map[workspace.Key]struct{}{}
		f.mu.Unlock()
		for _, m := range waiting {
			running.Go(func() {
				m.run(klog.NewContext(ctx, klog.FromContext(ctx).WithValues(logkey.Member, m.key)), f.slots)
			})
		}
		for key := range dirty {
			f.config.OnChange(key)
		}
		for key := range copied {
			f.config.OnMemberCopies(key)
		}
		if len(dirty)+len(copied) > 0 && !sleep(ctx, f.config.Clock, notifyInterval) {
			return
		}
	}
}

// auditLoop recounts the members one after the other, spread over the interval.
func (f *Fleet) auditLoop(ctx context.Context) {
	for {
		keys := f.keys()
		pause := f.config.AuditInterval / time.Duration(len(keys)+1)
		for _, key := range keys {
			if !sleep(ctx, f.config.Clock, pause) {
				return
			}
			if m, found := f.find(key); found {
				f.audit(ctx, m)
			}
		}
		if !sleep(ctx, f.config.Clock, pause) {
			return
		}
	}
}

func (f *Fleet) keys() []workspace.Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys := make([]workspace.Key, 0, len(f.members))
	for key := range f.members {
		keys = append(keys, key)
	}
	return keys
}

// audit recounts one member.
func (f *Fleet) audit(ctx context.Context, m *member) {
	f.config.Metrics.audits.Inc()
	f.reportDrift(ctx, m, m.figuresOf().Audit())
}

// reportDrift reports sums that were wrong, which the recount has mended.
func (f *Fleet) reportDrift(ctx context.Context, m *member, audit capacity.Audit) {
	drifts := audit.Miscounts
	for _, drift := range audit.Drift {
		if drift != 0 {
			drifts++
		}
	}
	if drifts == 0 {
		return
	}
	f.config.Metrics.drifts.Add(float64(drifts))
	klog.FromContext(ctx).Error(nil, "Recount found wrong sums", logkey.Member, m.key, "sums", drifts)
	m.sawEvent(true)
}
