// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// identity is which cluster a member turned out to be. The UID alone can be claimed by any server; together with the
// root certificate that the server was verified with it proves that two members are one cluster.
type identity struct {
	uid  types.UID
	root [32]byte
}

// claim is one registration's claim to a cluster.
type claim struct {
	key    workspace.Key
	member *member
}

// observe has a member observed, unless its cluster belongs to an older registration.
func (c *Controller) observe(m *member, key workspace.Key, connection memberconfig.Connection) {
	if endpoint := endpointOf(connection); endpoint != m.endpoint {
		c.mu.Lock()
		before := m.identity
		m.endpoint = endpoint
		_, running := c.config.Fleet.State(key)
		if !running {
			// A refused or stopped member that leads elsewhere is another cluster, for all we know.
			c.setIdentity(m, key, identity{})
			m.observation = view.Observation{}
		}
		c.mu.Unlock()
		if !running {
			c.enqueueRivals(key, before.uid)
		}
	}
	if state, running := c.config.Fleet.State(key); running {
		c.learn(m, key, state)
	}
	if _, refused := c.rival(key); refused {
		c.config.Fleet.Remove(key)
		c.mu.Lock()
		m.observation = view.Observation{} // the figures are shown by the older registration
		c.mu.Unlock()
		return
	}
	c.config.Fleet.Ensure(key, connection)
}

// stop ends the observation of a member whose input is not valid. Its last figures stay in the observation.
func (c *Controller) stop(m *member, key workspace.Key) {
	if state, running := c.config.Fleet.State(key); running {
		c.learn(m, key, state)
		c.mu.Lock()
		m.observation = state
		c.mu.Unlock()
	}
	c.config.Fleet.Remove(key)
}

// setIdentity is called under the lock.
func (c *Controller) setIdentity(m *member, key workspace.Key, now identity) {
	if claims := c.byUID[m.identity.uid]; claims[key] == m {
		delete(claims, key)
		if len(claims) == 0 {
			delete(c.byUID, m.identity.uid)
		}
	}
	if m.identity.uid != now.uid {
		c.claimed++
		m.claimed = c.claimed
	}
	m.identity = now
	if now.uid == "" {
		return
	}
	if c.byUID[now.uid] == nil {
		c.byUID[now.uid] = map[workspace.Key]*member{}
	}
	c.byUID[now.uid][key] = m
}

// learn takes over which cluster a member is.
func (c *Controller) learn(m *member, key workspace.Key, state view.Observation) {
	if state.ClusterUID == "" {
		return
	}
	learned := identity{uid: state.ClusterUID, root: state.VerifiedRoot}
	c.mu.Lock()
	before := m.identity
	c.setIdentity(m, key, learned)
	c.mu.Unlock()
	if before == learned {
		return
	}
	c.enqueueRivals(key, learned.uid)
	if before.uid != learned.uid {
		c.enqueueRivals(key, before.uid)
	}
}

// enqueueRivals makes the controller look at the other registrations that claim a cluster.
func (c *Controller) enqueueRivals(key workspace.Key, uid types.UID) {
	for _, other := range c.claims(uid) {
		if other.key != key {
			c.engine.Add(other.key)
		}
	}
}

// claims returns the registrations that claim a cluster, the older ones first. Times of creation have whole seconds:
// among equally old ones the one that has the cluster keeps it.
func (c *Controller) claims(uid types.UID) []claim {
	if uid == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]claim, 0, len(c.byUID[uid]))
	for key, m := range c.byUID[uid] {
		out = append(out, claim{key: key, member: m})
	}
	slices.SortFunc(out, func(a, b claim) int {
		return cmp.Or(
			a.member.created.Compare(b.member.created), compareBool(a.member.late, b.member.late),
			cmp.Compare(a.member.claimed, b.member.claimed))
	})
	return out
}

// rival returns the older registration that has the cluster of a member. A registration that is itself refused keeps
// nobody out.
func (c *Controller) rival(key workspace.Key) (workspace.Key, bool) {
	c.mu.Lock()
	m, found := c.members[key]
	var own identity
	if found {
		own = m.identity
	}
	c.mu.Unlock()
	claims := c.claims(own.uid)
	c.mu.Lock()
	defer c.mu.Unlock()
	var owners []claim
	for _, candidate := range claims {
		index := slices.IndexFunc(owners, func(owner claim) bool { return sameCluster(owner, candidate) })
		switch {
		case index < 0 && candidate.key == key:
			return workspace.Key{}, false
		case index < 0:
			owners = append(owners, candidate)
		case candidate.key == key:
			return owners[index].key, true
		}
	}
	return workspace.Key{}, false
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// noteRefusal takes over that the leader refused a registration as a duplicate, so that all replicas break a tie alike.
func (c *Controller) noteRefusal(m *member, key workspace.Key, registration *tmcv1alpha1.ClusterRegistration) {
	c.mu.Lock()
	news := !m.late && refusalOf(registration) != nil
	m.late = m.late || news
	uid := m.identity.uid
	c.mu.Unlock()
	if news {
		c.enqueueRivals(key, uid)
	}
}

// refusalOf returns the stored refusal of a registration as a duplicate; nil if there is none.
func refusalOf(registration *tmcv1alpha1.ClusterRegistration) *memberconfig.Problem {
	accepted := meta.FindStatusCondition(registration.Status.Conditions, tmcv1alpha1.ConditionAccepted)
	if accepted == nil || accepted.Status != metav1.ConditionFalse || accepted.Reason != tmcv1alpha1.ReasonDuplicateMember {
		return nil
	}
	return &memberconfig.Problem{Condition: accepted.Type, Reason: accepted.Reason, Message: accepted.Message}
}

// heldBack says whether the refusal by an earlier leader stands: until the older registrations have been judged by
// this process, but not for long. Otherwise each restart would take two registrations of one cluster for two members
// until the older one is known.
func (c *Controller) heldBack(m *member, key workspace.Key) bool {
	if m.refusal == nil {
		return false
	}
	if c.config.Clock.Now().Before(m.refusedTo) {
		for _, registration := range c.config.Registrations.List() {
			if other := keyOf(registration); other != key && !registration.CreationTimestamp.After(m.created) && !c.judged(other) {
				return true
			}
		}
	}
	m.refusal = nil
	return false
}

// judged says whether it is known which cluster a registration leads to, or that it leads to none.
func (c *Controller) judged(key workspace.Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, found := c.members[key]
	if !found {
		return false
	}
	ready := meta.FindStatusCondition(m.observation.Conditions, tmcv1alpha1.ConditionReady)
	return m.identity.uid != "" || (ready != nil && ready.Status == metav1.ConditionFalse)
}

// sameCluster compares two claims to one UID. Within a workspace the UID decides, since nobody but its own users would
// be deceived; across workspaces the verified root must be the same, or a tenant could keep others out by a lie.
func sameCluster(a, b claim) bool {
	if a.key.Workspace == b.key.Workspace {
		return true
	}
	root := a.member.identity.root
	return root == b.member.identity.root && root != [32]byte{}
}
