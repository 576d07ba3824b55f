// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/health"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// The rights that credentials must have, and the resources that figures are computed from.
const (
	rightVersion  = "version"
	rightIdentity = "identity"
	resourceNodes = "nodes"
	resourcePods  = "pods"
)

// member is what is known of one member, over all the connections that it had.
type member struct {
	key     workspace.Key
	config  *Config
	changed func(workspace.Key)

	stopped  chan struct{} // closed by Remove
	replaced chan struct{} // holds an item when the connection was replaced

	confirmed atomic.Int64 // nanoseconds since 1970; 0 is never
	copies    *copies

	mu          sync.Mutex
	gone        bool // stopped is closed
	connection  memberconfig.Connection
	fingerprint [sha256.Size]byte
	version     string
	clusterUID  types.UID
	root        [sha256.Size]byte
	denied      *metav1.Condition // Accepted, while the address policy forbids the address
	reach       *health.Reachability
	credentials *health.Credentials
	figures     *health.Figures
	cluster     *capacity.Cluster
	generation  uint64 // of all but the cluster's figures, and of former clusters
}

func newMember(key workspace.Key, connection memberconfig.Connection, config *Config, changed func(workspace.Key)) *member {
	now, thresholds := config.Clock.Now(), config.thresholds()
	m := &member{
		key:         key,
		config:      config,
		changed:     changed,
		stopped:     make(chan struct{}),
		replaced:    make(chan struct{}, 1),
		connection:  connection,
		fingerprint: connection.Fingerprint(),
		reach:       health.NewReachability(thresholds, now),
		credentials: health.NewCredentials(thresholds, now, rightVersion, rightIdentity, resourceNodes, resourcePods),
		figures:     health.NewFigures(thresholds, now, resourceNodes, resourcePods),
		cluster:     capacity.NewCluster(),
	}
	config.Metrics.members.WithLabelValues(string(metav1.ConditionUnknown)).Inc()
	return m
}

// replace makes the member go on with another connection, if it is another.
func (m *member) replace(connection memberconfig.Connection) {
	fingerprint := connection.Fingerprint()
	m.mu.Lock()
	defer m.mu.Unlock()
	if fingerprint == m.fingerprint {
		return
	}
	m.connection, m.fingerprint = connection, fingerprint
	m.credentials.Forget()
	select {
	case m.replaced <- struct{}{}:
	default: // one replacement is enough, it reads the newest connection
	}
}

// stop ends the member for good.
func (m *member) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.gone {
		m.gone = true
		close(m.stopped)
		m.config.Metrics.members.WithLabelValues(string(m.reach.Condition().Status)).Dec()
	}
}

// takeConnection returns the newest connection and notes that it is in use.
func (m *member) takeConnection() memberconfig.Connection {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.replaced:
	default:
	}
	return m.connection
}

// state returns what is known.
func (m *member) state() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := State{
		Generation:      m.generation + m.cluster.Generation(), // first: what changes meanwhile is told again
		Version:         m.version,
		ClusterUID:      m.clusterUID,
		VerifiedRoot:    m.root,
		CapacityCounted: m.figures.Counted(),
		Capacity:        m.cluster.Summary(),
		Conditions:      []metav1.Condition{m.reach.Condition(), m.credentials.Condition(), m.figures.Condition()},
	}
	state.ConfirmedAt, _ = m.confirmedAt()
	if m.denied != nil {
		state.Conditions = append(state.Conditions, *m.denied)
	}
	return state
}

func (m *member) confirmedAt() (time.Time, bool) {
	nanos := m.confirmed.Load()
	if nanos == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, nanos), true
}

// update runs a step that returns whether the state differs now, and tells so.
func (m *member) update(step func(now time.Time) bool) {
	m.mu.Lock()
	before := m.reach.Condition()
	differs := step(m.config.Clock.Now())
	if differs {
		m.generation++
	}
	after := m.reach.Condition()
	if after.Status != before.Status && !m.gone {
		m.config.Metrics.members.WithLabelValues(string(before.Status)).Dec()
		m.config.Metrics.members.WithLabelValues(string(after.Status)).Inc()
	}
	m.mu.Unlock()
	if differs {
		m.changed(m.key)
	}
	// Who waits for the first call is told, too, if the status is Unknown after it as before.
	if after.Status != before.Status || (after.Reason == tmcv1alpha1.ReasonPending) != (before.Reason == tmcv1alpha1.ReasonPending) {
		m.copies.notify()
	}
}

// advance lets time pass, and returns when the state will differ if nothing happens.
func (m *member) advance() (expiry time.Time, ok bool) {
	m.update(func(now time.Time) bool {
		differs := m.reach.Advance(now)
		return m.figures.Advance(now) || differs
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	expiry, ok = m.reach.Expiry()
	if other, found := m.figures.Expiry(); found && (!ok || other.Before(expiry)) {
		return other, true
	}
	return expiry, ok
}

// probed takes in how a probe went. A member whose address may not be dialled was not called.
func (m *member) probed(result probe) {
	m.update(func(now time.Time) bool {
		differs := m.noteDenied(now, result.failed)
		outcome := health.Outcome{}
		if result.failed != nil {
			outcome = result.failed.outcome()
			if m.denied != nil {
				outcome.Reason = tmcv1alpha1.ReasonNotTried
			}
		}
		differs = m.reach.Observe(now, outcome) || differs
		if result.version != "" && m.version != result.version {
			m.version, differs = result.version, true
		}
		if outcome.OK() && result.granted {
			m.copies.confirm(now)
			if m.figures.Live() {
				m.confirmed.Store(now.UnixNano())
			}
		}
		return differs
	})
}

// noteDenied keeps the condition Accepted in step with what the address policy says, and returns whether it changed.
func (m *member) noteDenied(now time.Time, failed *failure) bool {
	if failed == nil || failed.reason != tmcv1alpha1.ReasonAddressNotAllowed {
		differs := m.denied != nil
		m.denied = nil
		return differs
	}
	if m.denied != nil {
		return false
	}
	m.denied = &metav1.Condition{
		Type:               tmcv1alpha1.ConditionAccepted,
		Status:             metav1.ConditionFalse,
		Reason:             failed.reason,
		Message:            failed.message,
		LastTransitionTime: metav1.NewTime(now),
	}
	return true
}

// judged takes in the member's verdict on one right; other failures are none.
func (m *member) judged(right string, failed *failure) {
	if failed != nil && !failed.denied() {
		return
	}
	verdict := health.Outcome{}
	if failed != nil {
		verdict = failed.outcome()
	}
	m.update(func(now time.Time) bool { return m.credentials.Observe(now, right, verdict) })
}

// identified takes in which cluster answers, and what it was verified with. It returns true if it is another one than before: then the figures are
// dropped, for they are those of the former.
func (m *member) identified(uid types.UID, root [sha256.Size]byte) (another bool) {
	m.update(func(now time.Time) bool {
		if m.clusterUID == uid && m.root == root {
			return false
		}
		another = m.clusterUID != "" && m.clusterUID != uid
		m.clusterUID, m.root = uid, root
		if another {
			m.dropFigures(now)
		}
		return true
	})
	if another {
		m.copies.forget()
	}
	return another
}

// dropFigures forgets all figures. The caller holds the lock, and counts the change.
func (m *member) dropFigures(now time.Time) {
	m.generation += m.cluster.Generation() + 1
	m.cluster = capacity.NewCluster()
	m.figures.Forget(now)
	m.confirmed.Store(0)
}

// overflowed drops the figures of a member that has more objects than are kept.
func (m *member) overflowed(resource string, failed *failure) {
	m.update(func(now time.Time) bool {
		m.dropFigures(now)
		m.figures.Lost(now, resource, failed.message)
		return true
	})
}

// figuresOf returns where the figures are kept right now.
func (m *member) figuresOf() *capacity.Cluster {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cluster
}

// started notes that counting began.
func (m *member) started() {
	m.update(func(now time.Time) bool { return m.figures.Started(now) })
}

// followed notes that a resource is counted and followed, into the given figures.
func (m *member) followed(resource string, cluster *capacity.Cluster) {
	m.update(func(now time.Time) bool {
		if m.cluster != cluster {
			return false
		}
		counted := m.figures.Counted()
		differs := m.figures.Followed(now, resource)
		if m.figures.Live() {
			m.confirmed.Store(now.UnixNano())
		}
		return differs || counted != m.figures.Counted()
	})
}

// lost notes that a resource is not followed any more.
func (m *member) lost(resource string, failed *failure) {
	m.update(func(now time.Time) bool { return m.figures.Lost(now, resource, failed.message) })
}

// disconnected notes that nothing is followed until there is another session, unless something else is known already.
func (m *member) disconnected() {
	m.update(func(now time.Time) bool {
		differs := false
		for _, resource := range []string{resourceNodes, resourcePods} {
			if m.figures.Following(resource) {
				differs = m.figures.Lost(now, resource, "the connection ended") || differs
			}
		}
		return differs
	})
}

// sawEvent notes that the member told something, and tells of the change if the figures mean something.
func (m *member) sawEvent(differs bool) {
	m.mu.Lock()
	live, counted := m.figures.Live(), m.figures.Counted()
	if live {
		m.confirmed.Store(m.config.Clock.Now().UnixNano())
	}
	m.mu.Unlock()
	if differs && counted {
		m.changed(m.key)
	}
}
