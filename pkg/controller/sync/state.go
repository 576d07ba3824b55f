// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Row is one copy of one object, for the view.
type Row struct {
	// Cluster is the member's name in the workspace, and Member its registration.
	Cluster string
	Member  workspace.Key
	// Owner is the Placement that the copy is shown with.
	Owner workspace.Key
	// Leaving says that the copy stays only until others are available.
	Leaving bool
	// ReadingUntil is until when what was said of the copy before stands, as it is being read; zero if it is not.
	ReadingUntil time.Time
	// Object is what became of the copy.
	Object tmcv1alpha1.PlacedObject
}

// object is what is remembered of one object between passes. Its fields are used by the one worker that has its key;
// what others read is in rows.
type object struct {
	copies map[workspace.Key]*copyState
	// marked is the resourceVersion on top of which finalizer and annotation were written last.
	marked string
	// status is what was written last, on top of statusVersion, at statusAt.
	status        map[string]any
	statusVersion string
	statusAt      time.Time
	// heldSince is when a status differed first that is not written yet since members are still about to follow.
	heldSince time.Time
	// unlentSince is since when it is waited for that members of the decision are known to be lent.
	unlentSince time.Time
	// told are the problems that events were sent about.
	told sets.Set[string]
}

// copyState is what is remembered of one copy.
type copyState struct {
	// echo is the resourceVersion of the copy when the last write was handed out: until the informer shows another one,
	// the write is not seen yet. waitUntil bounds the wait.
	echo      string
	waitUntil time.Time
	awaiting  bool
	// hash is what was applied last, and signature what the member made of it. It was the copy uid of the object origin.
	hash, signature string
	uid, origin     types.UID
	// inOrder is the last look that found the copy to be what it should be, and told the hash of what it was.
	inOrder transform.Memo
	told    string
	// readingSince is since when the member's copies are being read.
	readingSince time.Time
	// failed is what went wrong with failedHash; it is tried again at retryAt, and failures counts.
	failed     *CallProblem
	failedHash string
	retryAt    time.Time
	failures   int
	// repairs counts how often, until repairedAt, it was brought back after somebody else changed it.
	repairs    int
	repairedAt time.Time
	// unseenSince is since when the workspace does not see the member any more. It is known if the workspace did see it.
	unseenSince time.Time
	known       bool
}

// states keeps what is remembered, and the indexes over it.
type states struct {
	mu      sync.RWMutex
	objects map[Key]*object
	// outcomes of lanes that the object's worker has not taken in yet.
	outcomes map[Key]map[workspace.Key]outcome
	// rows by object, the Placement that selects it, and which objects a Placement selects or has rows of.
	rows        map[Key][]Row
	placedBy    map[Key]workspace.Key
	byPlacement map[workspace.Key]sets.Set[Key]
	// located are the members that have a copy of an object, as informers say.
	located map[Key]map[workspace.Key]struct{}
	// counts are how many copies members have.
	counts map[workspace.Key]int
	// needs are the dependencies of a workload, and neededBy the reverse.
	needs    map[Key]sets.Set[Key]
	neededBy map[Key]sets.Set[Key]
	// reach are the members that a workload is or should be on, for what it needs.
	reach map[Key]map[workspace.Key]reached
	// heard are the objects whose needs are known, looked those that a whole pass was made over, and scaled what autoscalers
	// scale.
	heard  sets.Set[Key]
	looked sets.Set[Key]
	scaled map[Key]Key
	// unheld are the members that copies are not made on before their registrations are held.
	unheld sets.Set[workspace.Key]
	// fresh are copies that were written and have not shown yet, until when that is waited for.
	fresh map[workspace.Key]map[Key]time.Time
}

func newStates() *states {
	return &states{
		objects: map[Key]*object{}, outcomes: map[Key]map[workspace.Key]outcome{}, rows: map[Key][]Row{},
		placedBy: map[Key]workspace.Key{}, byPlacement: map[workspace.Key]sets.Set[Key]{},
		located: map[Key]map[workspace.Key]struct{}{}, needs: map[Key]sets.Set[Key]{}, neededBy: map[Key]sets.Set[Key]{},
		reach: map[Key]map[workspace.Key]reached{}, counts: map[workspace.Key]int{},
		heard: sets.Set[Key]{}, looked: sets.Set[Key]{}, scaled: map[Key]Key{}, unheld: sets.Set[workspace.Key]{}, fresh: map[workspace.Key]map[Key]time.Time{},
	}
}

// object returns what is remembered of an object.
func (s *states) object(key Key) *object {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.objects[key]
	if !ok {
		found = &object{copies: map[workspace.Key]*copyState{}, told: sets.New[string]()}
		s.objects[key] = found
	}
	return found
}

func (o *object) copyOf(member workspace.Key) *copyState {
	found, ok := o.copies[member]
	if !ok {
		found = &copyState{}
		o.copies[member] = found
	}
	return found
}

// report hands an outcome to the object's worker.
func (s *states) report(key Key, member workspace.Key, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outcomes[key] == nil {
		s.outcomes[key] = map[workspace.Key]outcome{}
	}
	s.outcomes[key][member] = o
}

func (s *states) takeOutcomes(key Key) map[workspace.Key]outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.outcomes[key]
	delete(s.outcomes, key)
	return taken
}

// locate notes whether a member has a copy. It returns whether it had none before, and whether that is the member's
// first one.
func (s *states) locate(key Key, member workspace.Key, there bool) (appeared, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, was := s.located[key][member]
	switch {
	case there && !was:
		if s.located[key] == nil {
			s.located[key] = map[workspace.Key]struct{}{}
		}
		s.located[key][member] = struct{}{}
		s.counts[member]++
		return true, s.counts[member] == 1
	case !there && was:
		delete(s.located[key], member)
		if len(s.located[key]) == 0 {
			delete(s.located, key)
		}
		if s.counts[member]--; s.counts[member] == 0 {
			delete(s.counts, member)
		}
	}
	return false, false
}

func (s *states) countOn(member workspace.Key) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.counts[member]
}

// copiesOn returns the objects that a member has copies of, and namespaces. It looks through all: for what is rare.
func (s *states) copiesOn(member workspace.Key) sets.Set[Key] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.locatedOn(member)
}

// locatedOn is copiesOn for those who hold the lock.
func (s *states) locatedOn(member workspace.Key) sets.Set[Key] {
	found := sets.Set[Key]{}
	for key, members := range s.located {
		if _, there := members[member]; there {
			found.Insert(key)
		}
	}
	return found
}

func (s *states) membersWith(key Key) []workspace.Key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Keys(s.located[key]))
}

// publish replaces the rows of an object, and the Placement that selects it, and returns the Placements that show something
// else now.
func (s *states) publish(key Key, placement workspace.Key, rows []Row) []workspace.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked.Insert(key)
	was, before := s.placedBy[key], s.rows[key]
	if was == placement && slices.EqualFunc(before, rows, sameRow) {
		return nil
	}
	had, has := ownersOf(was, before), ownersOf(placement, rows)
	var changed []workspace.Key
	for _, owner := range had {
		if !slices.Contains(has, owner) {
			changed = append(changed, owner)
			s.byPlacement[owner].Delete(key)
			if s.byPlacement[owner].Len() == 0 {
				delete(s.byPlacement, owner)
			}
		}
	}
	for _, owner := range has {
		if !slices.Contains(had, owner) || !slices.EqualFunc(shownWith(before, owner), shownWith(rows, owner), sameRow) {
			changed = append(changed, owner)
		}
		if s.byPlacement[owner] == nil {
			s.byPlacement[owner] = sets.Set[Key]{}
		}
		s.byPlacement[owner].Insert(key)
	}
	s.placedBy[key], s.rows[key] = placement, rows
	if placement == (workspace.Key{}) {
		delete(s.placedBy, key)
	}
	if len(rows) == 0 {
		delete(s.rows, key)
	}
	return changed
}

// ownersOf are the Placements that an object belongs to: the one that selects it, and those that its rows are shown with.
func ownersOf(placement workspace.Key, rows []Row) []workspace.Key {
	var owners []workspace.Key
	if placement != (workspace.Key{}) {
		owners = append(owners, placement)
	}
	for i := range rows {
		if !slices.Contains(owners, rows[i].Owner) {
			owners = append(owners, rows[i].Owner)
		}
	}
	return owners
}

// shownWith are the rows that a Placement shows.
func shownWith(rows []Row, owner workspace.Key) []Row {
	others := func(row Row) bool { return row.Owner != owner }
	if !slices.ContainsFunc(rows, others) {
		return rows
	}
	return slices.DeleteFunc(slices.Clone(rows), others)
}

func sameRow(a, b Row) bool {
	if a.Cluster != b.Cluster || a.Member != b.Member || a.Owner != b.Owner || a.Leaving != b.Leaving || !a.ReadingUntil.Equal(b.ReadingUntil) {
		return false
	}
	x, y := a.Object, b.Object
	replicas := x.Replicas == y.Replicas || (x.Replicas != nil && y.Replicas != nil && *x.Replicas == *y.Replicas)
	x.Replicas, y.Replicas = nil, nil
	return replicas && x == y
}

// Rows returns the copies of a Placement, by object.
func (s *states) rowsOf(placement workspace.Key) map[Key][]Row {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make(map[Key][]Row, len(s.byPlacement[placement]))
	for key := range s.byPlacement[placement] {
		out[key] = shownWith(s.rows[key], placement)
	}
	return out
}

// shownBy is the Placement that the copy on a member was shown with last.
func (s *states) shownBy(key Key, member workspace.Key) workspace.Key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := range s.rows[key] {
		if row := &s.rows[key][i]; row.Member == member {
			return row.Owner
		}
	}
	return workspace.Key{}
}

// forget drops an object that is gone on all sides.
func (s *states) forget(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
	delete(s.outcomes, key)
	s.heard.Delete(key)
	s.looked.Delete(key)
}

// placedIn returns the objects of a Placement.
func (s *states) placedIn(placement workspace.Key) []Key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byPlacement[placement].UnsortedList()
}

// onMember returns the objects that have, or should have, a copy on a member.
func (s *states) onMember(member workspace.Key) []Key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := s.locatedOn(member)
	for key, rows := range s.rows {
		if slices.ContainsFunc(rows, func(r Row) bool { return r.Member == member }) {
			found.Insert(key)
		}
	}
	// What reaches a member may not have told of it yet: passes publish last what they looked at first.
	for key, reach := range s.reach {
		if _, there := reach[member]; there {
			found.Insert(key)
			for need := range s.needs[key] {
				found.Insert(need)
			}
		}
	}
	return found.UnsortedList()
}
