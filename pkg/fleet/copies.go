// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// ObjectKey names an object on a member. Namespace is empty for cluster-scoped resources.
type ObjectKey struct {
	Resource  schema.GroupVersionResource
	Namespace string
	Name      string
}

// String returns resource.group/namespace/name.
func (k ObjectKey) String() string {
	text := k.Resource.GroupResource().String() + "/"
	if k.Namespace != "" {
		text += k.Namespace + "/"
	}
	return text + k.Name
}

// FollowCopies says which resources copies are followed of, on every member, those to come included. What is no longer
// named is forgotten.
func (f *Fleet) FollowCopies(resources []schema.GroupVersionResource) {
	f.mu.Lock()
	f.follow = slices.Clone(resources)
	members := slices.Collect(maps.Values(f.members))
	for _, m := range members {
		m.copies.follow(f.follow)
	}
	f.mu.Unlock()
	for _, m := range members {
		m.copies.notify()
	}
}

// Copy returns the last known state of a copy, also while the member is away, and false if none is known. The object
// is shared and must not be changed; it has no managed fields.
func (f *Fleet) Copy(member workspace.Key, key ObjectKey) (*unstructured.Unstructured, bool) {
	m, found := f.find(member)
	if !found {
		return nil, false
	}
	return m.copies.get(key)
}

// Copies returns the last known states of all copies of a resource, in no order. They are shared as that of Copy is.
func (f *Fleet) Copies(member workspace.Key, resource schema.GroupVersionResource) []*unstructured.Unstructured {
	m, found := f.find(member)
	if !found {
		return nil
	}
	return m.copies.all(resource)
}

// CopiesSynced says whether the copies of a resource were listed over the present connection and have been followed
// without a break since, so that a copy that is not known does not exist.
func (f *Fleet) CopiesSynced(member workspace.Key, resource schema.GroupVersionResource) bool {
	m, found := f.find(member)
	return found && m.copies.synced(resource)
}

// CopiesConfirmedAt returns when the member last showed that all its copies are as they are known, and false if it
// never did.
func (f *Fleet) CopiesConfirmedAt(member workspace.Key) (time.Time, bool) {
	m, found := f.find(member)
	if !found {
		return time.Time{}, false
	}
	nanos := m.copies.confirmed.Load()
	return time.Unix(0, nanos), nanos != 0
}

// API says how we stand with a resource of a member. It is the last known answer while the member is away; that it served
// other credentials says nothing of the present ones.
type API struct {
	// Known says whether the member has shown if it serves the resource to us: it let us list and watch it, or it did not.
	Known bool
	// Served says that it does.
	Served bool
	// Message says what is missing if it is known not to.
	Message string
}

// API says whether a member serves a resource that is followed, and lets us use it. Of others nothing is known.
func (f *Fleet) API(member workspace.Key, resource schema.GroupResource) API {
	m, found := f.find(member)
	if !found {
		return API{}
	}
	return m.copies.serves(resource)
}

// APIs says of every resource that is followed whether a member serves it to us. It is nil if there is no such member.
func (f *Fleet) APIs(member workspace.Key) map[schema.GroupResource]API {
	m, found := f.find(member)
	if !found {
		return nil
	}
	return m.copies.apis()
}

// Reachable returns the member's condition Reachable. Before its first call its reason is Pending, and nothing is wrong with it.
// Observed is false if there is no such member; the condition is Unknown then.
func (f *Fleet) Reachable(member workspace.Key) (condition metav1.Condition, observed bool) {
	m, found := f.find(member)
	if !found {
		return metav1.Condition{Type: tmcv1alpha1.ConditionReachable, Status: metav1.ConditionUnknown}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reach.Condition(), true
}
