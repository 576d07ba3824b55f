// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"slices"
	"strconv"

	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// ListOptions say how to list.
type ListOptions struct {
	// ResourceVersion and ResourceVersionMatch mean what the Kubernetes API says they mean. Exact is answered only
	// while nothing has changed since that version.
	ResourceVersion      string
	ResourceVersionMatch metav1.ResourceVersionMatch
	// Limit is the size of a page; 0 is no limit.
	Limit int64
	// Continue is the token of the page before.
	Continue string
}

// List returns the objects of a selection, or one page of them. Errors are API errors.
func (s *Store) List(selection Selection, o ListOptions) (*List, error) {
	if err := selection.normalize(); err != nil {
		return nil, err
	}
	if o.Limit < 0 {
		return nil, apierrors.NewBadRequest("limit must not be negative")
	}
	if o.Continue != "" {
		return s.nextPage(&selection, o)
	}
	rev, err := s.revisions.Parse(o.ResourceVersion)
	if err != nil {
		return nil, err
	}
	items, current, changed := s.snapshot(&selection)
	exact := o.ResourceVersionMatch == metav1.ResourceVersionMatchExact || o.ResourceVersionMatch == "" && o.Limit > 0
	if exact && rev != 0 {
		if changed > rev {
			return nil, expired(rev)
		}
		current = rev
	}
	return s.firstPage(&selection, items, current, o.Limit)
}

// snapshot returns the selected objects at one revision, that revision, and the revision of the last change.
func (s *Store) snapshot(selection *Selection) (items []*Object, rev, changed uint64) {
	if selection.Workspace == workspace.Wildcard {
		s.commit.Lock()
		defer s.commit.Unlock()
		for _, t := range s.everyTenant() {
			items = t.collect(selection, items)
			changed = max(changed, t.changed)
		}
		s.index.RLock()
		defer s.index.RUnlock()
		return items, s.revisions.Current(), max(changed, s.floor)
	}
	for {
		// The revision comes first: a workspace that gets its first object later gets it at a later revision.
		rev := s.revisions.Current()
		t := s.lookup(selection.Workspace)
		if t == nil {
			s.index.RLock()
			defer s.index.RUnlock()
			return nil, rev, s.floor
		}
		if items, rev, changed, alive := t.read(selection, s.revisions); alive {
			return items, rev, changed
		}
	}
}

func (t *tenant) read(selection *Selection, revisions *Revisions) (items []*Object, rev, changed uint64, alive bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.collect(selection, nil), revisions.Current(), t.changed, !t.dead
}

// collect appends the selected objects. The caller holds mu or the store's commit.
func (t *tenant) collect(selection *Selection, into []*Object) []*Object {
	if selection.all() {
		if into == nil {
			into = make([]*Object, 0, len(t.sorted))
		}
		for _, e := range t.sorted {
			into = append(into, e.object)
		}
		return into
	}
	if wanted, ok := selection.Fields.RequiresExactMatch(nameField); ok && selection.Namespace != "" {
		if e, found := t.entries[name{namespace: selection.Namespace, name: wanted}]; found && selection.matches(e.object) {
			into = append(into, e.object)
		}
		return into
	}
	for _, e := range t.sorted {
		if selection.matches(e.object) {
			into = append(into, e.object)
		}
	}
	return into
}

// everyTenant returns all tenants by name. The caller holds commit.
func (s *Store) everyTenant() []*tenant {
	s.index.RLock()
	defer s.index.RUnlock()
	return sortedTenants(s.tenants)
}

func (s *Store) page(items []*Object, rev uint64) *List {
	return &List{codec: s.codec, Items: items, ListMeta: metav1.ListMeta{ResourceVersion: strconv.FormatUint(rev, 10)}}
}

func (s *Store) firstPage(selection *Selection, items []*Object, rev uint64, limit int64) (*List, error) {
	if limit == 0 || int64(len(items)) <= limit {
		return s.page(items, rev), nil
	}
	id := s.pages.keep(selection.Workspace, items)
	return s.cut(selection, token{Snapshot: id, Revision: rev}, items, limit)
}

// cut answers the first limit items, with a token for the others.
func (s *Store) cut(selection *Selection, next token, items []*Object, limit int64) (*List, error) {
	list := s.page(items, next.Revision)
	if limit == 0 || int64(len(items)) <= limit {
		return list, nil
	}
	list.Items = items[:limit:limit]
	last := list.Items[limit-1].Key()
	next.Start, next.Offset = s.revisions.Start(), next.Offset+int(limit)
	next.Workspace, next.Namespace, next.Name = last.Workspace.String(), last.Namespace, last.Name
	encoded, err := s.pages.seal(selection, next)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	list.Continue = encoded
	if selection.all() {
		remaining := int64(len(items)) - limit
		list.RemainingItemCount = &remaining
	}
	return list, nil
}

// nextPage answers a continue token, from the snapshot of the first page if that is still kept. If it is not, the
// error carries a token that continues at the same place with what is true now, as etcd-backed APIs do.
func (s *Store) nextPage(selection *Selection, o ListOptions) (*List, error) {
	if o.ResourceVersion != "" && o.ResourceVersion != "0" {
		return nil, apierrors.NewBadRequest("specifying resourceVersion is not allowed when using continue")
	}
	if o.ResourceVersionMatch != "" {
		return nil, apierrors.NewBadRequest("specifying resourceVersionMatch is not allowed when using continue")
	}
	at, err := s.pages.open(selection, o.Continue, s.revisions)
	if err != nil {
		return nil, err
	}
	last := workspace.Key{Workspace: logicalcluster.Name(at.Workspace), Namespace: at.Namespace, Name: at.Name}
	if at.Inconsistent {
		items, rev, _ := s.snapshot(selection)
		return s.firstPage(selection, after(items, last), rev, o.Limit)
	}
	items, found := s.pages.find(at.Snapshot)
	if !found || at.Offset > len(items) {
		return nil, s.inconsistent(selection, at)
	}
	return s.cut(selection, at, items[at.Offset:], o.Limit)
}

func (s *Store) inconsistent(selection *Selection, at token) error {
	at.Inconsistent, at.Snapshot, at.Offset = true, 0, 0
	status := apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent list result. " +
		"You can start a new list without the continue parameter, or use the continue token in this response to retrieve the " +
		"remainder of the results. Continuing with the provided token results in an inconsistent list.")
	encoded, err := s.pages.seal(selection, at)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	status.ErrStatus.Continue = encoded
	return status
}

// after returns the items that come after a key, which need not be one of them.
func after(items []*Object, last workspace.Key) []*Object {
	at, found := slices.BinarySearchFunc(items, last, func(o *Object, key workspace.Key) int { return o.Key().Compare(key) })
	if found {
		at++
	}
	return items[at:]
}
