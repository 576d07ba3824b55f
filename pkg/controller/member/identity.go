// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

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

// claims returns the registrations that claim a cluster, the older ones first.
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
		return cmp.Or(a.member.created.Compare(b.member.created), a.key.Compare(b.key))
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

// sameCluster compares two claims to one UID. Within a workspace the UID decides, since nobody but its own users would
// be deceived; across workspaces the verified root must be the same, or a tenant could keep others out by a lie.
func sameCluster(a, b claim) bool {
	if a.key.Workspace == b.key.Workspace {
		return true
	}
	root := a.member.identity.root
	return root == b.member.identity.root && root != [32]byte{}
}
