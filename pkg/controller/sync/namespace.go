// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"slices"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// namespaceOf returns the key of the workspace's namespace that a namespace on a member is for.
func namespaceOf(live *unstructured.Unstructured) (Key, bool) {
	marks := live.GetAnnotations()
	ws, name := logicalcluster.Name(marks[transform.WorkspaceAnnotation]), marks[transform.NamespaceAnnotation]
	if !transform.OwnsNamespace(live, ws, name) {
		return Key{}, false
	}
	return Key{Resource: namespaces().GroupResource(), Object: workspace.Key{Workspace: ws, Name: name}}, true
}

// reconcileNamespace removes the namespaces on members that nothing is in any more, and that the workspace has no more, or
// not on that member.
func (c *Controller) reconcileNamespace(key Key) engine.Result {
	outcomes := c.states.takeOutcomes(key)
	if !c.config.Leader.IsLeader() {
		return engine.Result{}
	}
	if !c.config.Upstream.Certain(key.Resource, key.Object.Workspace) {
		return c.doubt(key)
	}
	var again engine.Result
	for _, member := range c.states.membersWith(key) {
		live, there := c.namespaceOn(key, member)
		if !there {
			continue
		}
		if stays, after := c.namespaceStays(key, member); stays {
			c.lanes.cancel(member, key)
			again.After = soonest(again.After, after)
			continue
		}
		if o, done := outcomes[member]; done {
			pause := echoWait // it was sent, and does not show yet
			if o.err != nil {
				pause = refusedRetry
			}
			again.After = soonest(again.After, pause)
			continue
		}
		at := Location{Resource: namespaces(), Name: live.GetName()}
		c.lanes.submit(member, key, task{at: at, uid: live.GetUID()})
	}
	if len(c.states.membersWith(key)) == 0 {
		c.states.forget(key)
	}
	return again
}

// namespaceOn returns the namespace on a member that stands for one of a workspace, if it is there to stay or to be removed.
func (c *Controller) namespaceOn(key Key, member workspace.Key) (live *unstructured.Unstructured, there bool) {
	if !c.config.Decisions.Registered(member) {
		c.states.locate(key, member, false)
		return nil, false
	}
	ws, name := key.Object.Workspace, key.Object.Name
	live, found := c.config.Downstream.Copy(member, Location{Resource: namespaces(), Name: transform.NamespaceName(ws, name)})
	if !found && c.config.Downstream.Synced(member, namespaces()) {
		c.states.locate(key, member, false) // as when another cluster answers now, which nobody tells of each object
		c.config.OnCopies(member)
		return nil, false
	}
	return live, found && live.GetDeletionTimestamp() == nil && transform.OwnsNamespace(live, ws, name)
}

// namespaceStays reports whether a namespace stays on a member, and when to look again if that may change by itself.
func (c *Controller) namespaceStays(key Key, member workspace.Key) (stays bool, after time.Duration) {
	ws, name := key.Object.Workspace, key.Object.Name
	if c.states.inUse(member, ws.String(), name) {
		return true, 0
	}
	if stays, after := c.mirrors(key, member); stays {
		return true, after
	}
	// What is in it has not been read, or what is to be in it, or it was not certain any more that the workspace's is gone.
	doubtful := !c.Knows(member) || c.unlooked(ws, name, everyKind) || !c.config.Upstream.Certain(key.Resource, ws)
	return doubtful, doubtPause
}

// mirrors reports whether a namespace stays on a member although no copy is in it: as long as the workspace has both. With
// it would go what the member made of the copies, such as the claims of a StatefulSet and their data, and what its owner
// put there, such as quotas. A member that is lent no more is left after a while, as copies are; until then, it also
// returns when to look again.
func (c *Controller) mirrors(key Key, member workspace.Key) (stays bool, after time.Duration) {
	ws, up := key.Object.Workspace, c.config.Upstream
	exists, terminating, _ := up.Namespace(ws, key.Object.Name)
	if _, retiring := c.config.Decisions.RetiringSince(member); !exists || terminating || retiring || up.Leaving(ws) {
		return false, 0
	}
	back, after := c.takenBack(ws, member, c.states.object(key).copyOf(member))
	return !back, after
}

// unlooked reports whether a namespace has an object of some kinds that no pass was made over, as after a start: it may have
// to be where nothing is yet.
func (c *Controller) unlooked(ws logicalcluster.Name, namespace string, concerns func(Key) bool) bool {
	for _, gr := range c.config.Upstream.Kinds() {
		if !concerns(Key{Resource: gr}) {
			continue
		}
		for _, found := range c.config.Upstream.InNamespace(gr, ws, namespace) {
			key := Key{Resource: gr, Object: workspace.Key{Workspace: ws, Namespace: namespace, Name: found.GetName()}}
			if !c.states.wasLookedAt(key) {
				return true
			}
		}
	}
	return false
}

func everyKind(Key) bool { return true }

// overlook forgets that an object was looked at: one that is made anew under its name was not.
func (s *states) overlook(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked.Delete(key)
}

func (s *states) wasLookedAt(key Key) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.looked.Has(key)
}

// vacates reports whether an object, with new rows, is not on a member any more that its present ones tell of.
func (s *states) vacates(key Key, rows []Row) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.ContainsFunc(s.rows[key], func(before Row) bool {
		return !slices.ContainsFunc(rows, func(r Row) bool { return r.Member == before.Member })
	})
}

// inUse reports whether a member has, or is to have, a copy of an object of a namespace.
func (s *states) inUse(member workspace.Key, ws, namespace string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	within := func(key Key) bool { return key.Object.Workspace.String() == ws && key.Object.Namespace == namespace }
	for key, members := range s.located {
		if _, there := members[member]; there && within(key) {
			return true
		}
	}
	for key, rows := range s.rows {
		if !within(key) {
			continue
		}
		for _, row := range rows {
			if row.Member == member {
				return true
			}
		}
	}
	return false
}
