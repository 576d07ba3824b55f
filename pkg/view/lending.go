// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

const (
	maxName           = 253
	maxNamesInMessage = 5
	maxCauseInMessage = 500
	// MaxLent is how many rows one workspace may give to others. Members times grants times workspaces is more than any
	// server holds.
	MaxLent = 100_000
)

// Input is everything that decides who sees which member. Objects carry their workspace in the annotation of kcp.
type Input struct {
	Registrations []*tmcv1alpha1.ClusterRegistration
	Grants        []*tmcv1alpha1.ClusterGrant
	// Bound holds the workspaces with an active binding, with their paths. Nothing else lends, borrows or sees.
	Bound map[logicalcluster.Name]logicalcluster.Path
	// Trusts says whose grants have the names before those of others. Nobody's have if it is nil.
	Trusts func(lender logicalcluster.Name) bool
	// Former is an earlier outcome, whose rows are used again. It makes no difference but that it is faster.
	Former Lending
}

// Lending is who sees which member, and what became of each grant.
type Lending struct {
	// Entries are the rows per registration, ordered by key. A registration of a bound workspace has at least one.
	Entries map[workspace.Key][]Entry
	// Verdicts are the outcomes of the grants of bound workspaces.
	Verdicts map[workspace.Key]Verdict
}

// Verdict is whether everything that a grant offers is lent; it is the grant's condition Ready.
type Verdict struct {
	// UID and Generation are those of the grant that was judged.
	UID        types.UID
	Generation int64
	Status     metav1.ConditionStatus
	Reason     string
	Message    string
}

// Resolve decides who sees which member. A workspace's own registrations have its names first, then grants of lenders that
// are trusted, then older grants before newer ones; of equally old ones the first by workspace and name.
func Resolve(in Input) Lending {
	r := newResolver(in)
	for _, grant := range r.grants {
		verdict := r.lend(grant)
		verdict.UID, verdict.Generation = grant.UID, grant.Generation
		r.verdicts[keyOf(grant)] = verdict
	}
	for _, entries := range r.entries {
		slices.SortFunc(entries, compareEntries)
	}
	return Lending{Entries: r.entries, Verdicts: r.verdicts}
}

func compareEntries(a, b Entry) int { return a.Key.Compare(b.Key) }

type resolver struct {
	bound    map[logicalcluster.Name]logicalcluster.Path
	places   places
	former   map[workspace.Key][]Entry
	lent     map[logicalcluster.Name]int // rows, per lending workspace
	members  map[logicalcluster.Name][]*tmcv1alpha1.ClusterRegistration
	grants   []*tmcv1alpha1.ClusterGrant
	taken    map[workspace.Key]struct{}
	entries  map[workspace.Key][]Entry
	verdicts map[workspace.Key]Verdict
}

func newResolver(in Input) *resolver {
	r := &resolver{
		bound:    in.Bound,
		places:   newPlaces(in.Bound),
		former:   make(map[workspace.Key][]Entry, len(in.Former.Entries)),
		lent:     map[logicalcluster.Name]int{},
		members:  map[logicalcluster.Name][]*tmcv1alpha1.ClusterRegistration{},
		taken:    make(map[workspace.Key]struct{}, len(in.Registrations)),
		entries:  make(map[workspace.Key][]Entry, len(in.Registrations)),
		verdicts: make(map[workspace.Key]Verdict, len(in.Grants)),
	}
	for _, registration := range in.Registrations {
		key := keyOf(registration)
		if _, bound := r.bound[key.Workspace]; !bound {
			continue
		}
		r.members[key.Workspace] = append(r.members[key.Workspace], registration)
		r.taken[key] = struct{}{}
		r.entries[key] = []Entry{NewEntry(registration, key.Workspace, key.Name)}
		if former := in.Former.Entries[key]; sameSource(former, r.entries[key][0]) {
			r.former[key] = former
		}
	}
	for _, members := range r.members {
		slices.SortFunc(members, func(a, b *tmcv1alpha1.ClusterRegistration) int { return strings.Compare(a.Name, b.Name) })
	}
	r.grants = slices.DeleteFunc(slices.Clone(in.Grants), func(grant *tmcv1alpha1.ClusterGrant) bool {
		_, bound := r.bound[logicalcluster.From(grant)]
		return !bound || grant.DeletionTimestamp != nil
	})
	slices.SortFunc(r.grants, func(a, b *tmcv1alpha1.ClusterGrant) int {
		return cmp.Or(in.rank(a)-in.rank(b), olderFirst(a, b))
	})
	return r
}

// rank is lower for those that go first.
func (in *Input) rank(grant *tmcv1alpha1.ClusterGrant) int {
	if in.Trusts != nil && in.Trusts(logicalcluster.From(grant)) {
		return 0
	}
	return 1
}

func olderFirst(a, b *tmcv1alpha1.ClusterGrant) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), keyOf(a).Compare(keyOf(b)))
}

// lend gives every selected member to every borrower, as far as names are free.
func (r *resolver) lend(grant *tmcv1alpha1.ClusterGrant) Verdict {
	lender := logicalcluster.From(grant)
	if r.lent[lender] >= MaxLent {
		return tooManyRows() // not even looked at: there may be many of them
	}
	selected, err := r.selected(grant)
	if err != nil {
		return refused(tmcv1alpha1.ReasonInvalidSelector, "spec.clusterSelector cannot be parsed: "+cut(err.Error()))
	}
	if len(selected) == 0 {
		return refused(tmcv1alpha1.ReasonNothingSelected,
			"No ClusterRegistration of this workspace matches spec.clusterSelector or spec.clusterNames")
	}
	borrowers := r.borrowers(grant)
	var collisions, tooLong []string
	for _, registration := range selected {
		name := registration.Name + "." + grant.Name
		if len(name) > maxName {
			tooLong = append(tooLong, registration.Name)
			continue
		}
		if r.lent[lender]+len(borrowers) > MaxLent {
			r.lent[lender] = MaxLent
			return tooManyRows()
		}
		r.lent[lender] += len(borrowers)
		if !r.lendOne(registration, name, borrowers) {
			collisions = append(collisions, name)
		}
	}
	return verdictOf(collisions, tooLong)
}

func verdictOf(collisions, tooLong []string) Verdict {
	switch {
	case len(collisions) > 0:
		return refused(tmcv1alpha1.ReasonNameCollision, fmt.Sprintf(
			"A borrowing workspace already has a member named %s; rename the grant or the registration", someOf(collisions)))
	case len(tooLong) > 0:
		return refused(tmcv1alpha1.ReasonNameTooLong, fmt.Sprintf(
			"<registration>.<grant> is longer than %d characters for %s; rename the grant or the registration", maxName, someOf(tooLong)))
	default:
		return Verdict{Status: metav1.ConditionTrue, Reason: tmcv1alpha1.ReasonReady, Message: "Everything that the grant offers is lent"}
	}
}

func refused(reason, message string) Verdict {
	return Verdict{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

func tooManyRows() Verdict {
	return refused(tmcv1alpha1.ReasonTooManyRows, fmt.Sprintf(
		"The grants of this workspace lend members more than %d times, which is the limit; older grants come first. Name fewer members or workspaces", MaxLent))
}

// cut bounds what is quoted: a condition that is too long cannot be stored at all.
func cut(text string) string {
	if len(text) <= maxCauseInMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxCauseInMessage], "") + "..."
}

func someOf(names []string) string {
	if len(names) <= maxNamesInMessage {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamesInMessage], ", "), len(names)-maxNamesInMessage)
}

// lendOne reports whether the name was free in every borrowing workspace.
func (r *resolver) lendOne(registration *tmcv1alpha1.ClusterRegistration, name string, borrowers []logicalcluster.Name) bool {
	free := true
	source := keyOf(registration)
	for _, ws := range borrowers {
		row := workspace.Key{Workspace: ws, Name: name}
		if _, taken := r.taken[row]; taken {
			free = false
			continue
		}
		r.taken[row] = struct{}{}
		r.entries[source] = append(r.entries[source], r.entry(registration, row))
	}
	return free
}

// entry returns a row, the former one if there is.
func (r *resolver) entry(registration *tmcv1alpha1.ClusterRegistration, row workspace.Key) Entry {
	former := r.former[keyOf(registration)]
	at, found := slices.BinarySearchFunc(former, row, func(e Entry, key workspace.Key) int { return e.Key.Compare(key) })
	if found {
		return former[at]
	}
	return NewEntry(registration, row.Workspace, row.Name)
}

// sameSource reports whether the former rows of a registration are as they would be now, judging by its own row.
func sameSource(former []Entry, own Entry) bool {
	at, found := slices.BinarySearchFunc(former, own, compareEntries)
	return found && former[at].Equal(own)
}

// selected returns the lender's registrations that match the selector or are named, ordered by name.
func (r *resolver) selected(grant *tmcv1alpha1.ClusterGrant) ([]*tmcv1alpha1.ClusterRegistration, error) {
	selector := labels.Nothing()
	if grant.Spec.ClusterSelector != nil {
		parsed, err := metav1.LabelSelectorAsSelector(grant.Spec.ClusterSelector)
		if err != nil {
			return nil, err
		}
		selector = parsed
	}
	names := sets.New(grant.Spec.ClusterNames...)
	var out []*tmcv1alpha1.ClusterRegistration
	for _, registration := range r.members[logicalcluster.From(grant)] {
		if names.Has(registration.Name) || selector.Matches(labels.Set(registration.Labels)) {
			out = append(out, registration)
		}
	}
	return out, nil
}

// borrowers returns the bound workspaces that the grant names, the lender left out, ordered and each once.
func (r *resolver) borrowers(grant *tmcv1alpha1.ClusterGrant) []logicalcluster.Name {
	named := sets.Set[logicalcluster.Name]{}
	var subtrees []string
	for _, reference := range grant.Spec.Workspaces {
		if ws := logicalcluster.Name(reference.Cluster); ws != "" {
			if _, bound := r.bound[ws]; bound {
				named.Insert(ws)
			}
		}
		if reference.Path != "" {
			if ws, bound := r.places.at(reference.Path); bound {
				named.Insert(ws)
			}
		}
		if reference.Subtree != "" {
			subtrees = append(subtrees, reference.Subtree)
		}
	}
	for _, root := range outermost(subtrees) {
		r.places.addSubtree(named, root)
	}
	named.Delete(logicalcluster.From(grant))
	return sets.List(named)
}

func keyOf(object metav1.Object) workspace.Key {
	return workspace.Key{Workspace: logicalcluster.From(object), Name: object.GetName()}
}
