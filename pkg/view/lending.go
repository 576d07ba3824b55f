// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kcp-dev/logicalcluster/v3"

	"github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

const (
	maxName           = 253
	maxNamesInMessage = 5
)

// Input is everything that decides who sees which member. Objects carry their workspace in the annotation of kcp.
type Input struct {
	Registrations []*v1alpha1.ClusterRegistration
	Grants        []*v1alpha1.ClusterGrant
	// Bound holds the workspaces with an active binding, with their paths. Nothing else lends, borrows or sees.
	Bound map[logicalcluster.Name]logicalcluster.Path
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
	Status  metav1.ConditionStatus
	Reason  string
	Message string
}

// Resolve decides who sees which member. A workspace's own registrations have its names first, then older grants
// before newer ones; of equally old ones the first by workspace and name.
func Resolve(in Input) Lending {
	r := newResolver(in)
	for _, grant := range r.grants {
		r.verdicts[keyOf(grant)] = r.lend(grant)
	}
	for _, entries := range r.entries {
		slices.SortFunc(entries, func(a, b Entry) int { return a.Key.Compare(b.Key) })
	}
	return Lending{Entries: r.entries, Verdicts: r.verdicts}
}

type resolver struct {
	bound    map[logicalcluster.Name]logicalcluster.Path
	byPath   map[string]logicalcluster.Name
	members  map[logicalcluster.Name][]*v1alpha1.ClusterRegistration
	grants   []*v1alpha1.ClusterGrant
	taken    map[workspace.Key]struct{}
	entries  map[workspace.Key][]Entry
	verdicts map[workspace.Key]Verdict
}

func newResolver(in Input) *resolver {
	r := &resolver{
		bound:    in.Bound,
		byPath:   make(map[string]logicalcluster.Name, len(in.Bound)),
		members:  map[logicalcluster.Name][]*v1alpha1.ClusterRegistration{},
		taken:    make(map[workspace.Key]struct{}, len(in.Registrations)),
		entries:  make(map[workspace.Key][]Entry, len(in.Registrations)),
		verdicts: make(map[workspace.Key]Verdict, len(in.Grants)),
	}
	for _, ws := range slices.Sorted(maps.Keys(in.Bound)) {
		r.byPath[in.Bound[ws].String()] = ws
	}
	for _, registration := range in.Registrations {
		key := keyOf(registration)
		if _, bound := r.bound[key.Workspace]; !bound {
			continue
		}
		r.members[key.Workspace] = append(r.members[key.Workspace], registration)
		r.taken[key] = struct{}{}
		r.entries[key] = []Entry{NewEntry(registration, key.Workspace, key.Name)}
	}
	for _, members := range r.members {
		slices.SortFunc(members, func(a, b *v1alpha1.ClusterRegistration) int { return strings.Compare(a.Name, b.Name) })
	}
	r.grants = slices.DeleteFunc(slices.Clone(in.Grants), func(grant *v1alpha1.ClusterGrant) bool {
		_, bound := r.bound[logicalcluster.From(grant)]
		return !bound || grant.DeletionTimestamp != nil
	})
	slices.SortFunc(r.grants, olderFirst)
	return r
}

func olderFirst(a, b *v1alpha1.ClusterGrant) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), keyOf(a).Compare(keyOf(b)))
}

// lend gives every selected member to every borrower, as far as names are free.
func (r *resolver) lend(grant *v1alpha1.ClusterGrant) Verdict {
	selected, err := r.selected(grant)
	if err != nil {
		return Verdict{metav1.ConditionFalse, v1alpha1.ReasonInvalidSelector, fmt.Sprintf("spec.clusterSelector cannot be parsed: %s", err)}
	}
	if len(selected) == 0 {
		return Verdict{
			metav1.ConditionFalse, v1alpha1.ReasonNothingSelected,
			"No ClusterRegistration of this workspace matches spec.clusterSelector or spec.clusterNames",
		}
	}
	borrowers := r.borrowers(grant)
	var collisions, tooLong []string
	for _, registration := range selected {
		name := registration.Name + "." + grant.Name
		if len(name) > maxName {
			tooLong = append(tooLong, registration.Name)
			continue
		}
		if !r.lendOne(registration, name, borrowers) {
			collisions = append(collisions, name)
		}
	}
	return verdictOf(collisions, tooLong)
}

func verdictOf(collisions, tooLong []string) Verdict {
	switch {
	case len(collisions) > 0:
		return Verdict{metav1.ConditionFalse, v1alpha1.ReasonNameCollision, fmt.Sprintf(
			"A borrowing workspace already has a member named %s; rename the grant or the registration", someOf(collisions))}
	case len(tooLong) > 0:
		return Verdict{metav1.ConditionFalse, v1alpha1.ReasonNameTooLong, fmt.Sprintf(
			"<registration>.<grant> is longer than %d characters for %s; rename the grant or the registration", maxName, someOf(tooLong))}
	default:
		return Verdict{metav1.ConditionTrue, v1alpha1.ReasonReady, "Everything that the grant offers is lent"}
	}
}

func someOf(names []string) string {
	if len(names) <= maxNamesInMessage {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamesInMessage], ", "), len(names)-maxNamesInMessage)
}

// lendOne reports whether the name was free in every borrowing workspace.
func (r *resolver) lendOne(registration *v1alpha1.ClusterRegistration, name string, borrowers []logicalcluster.Name) bool {
	free := true
	source := keyOf(registration)
	for _, ws := range borrowers {
		row := workspace.Key{Workspace: ws, Name: name}
		if _, taken := r.taken[row]; taken {
			free = false
			continue
		}
		r.taken[row] = struct{}{}
		r.entries[source] = append(r.entries[source], NewEntry(registration, ws, name))
	}
	return free
}

// selected returns the lender's registrations that match the selector or are named, ordered by name.
func (r *resolver) selected(grant *v1alpha1.ClusterGrant) ([]*v1alpha1.ClusterRegistration, error) {
	selector := labels.Nothing()
	if grant.Spec.ClusterSelector != nil {
		parsed, err := metav1.LabelSelectorAsSelector(grant.Spec.ClusterSelector)
		if err != nil {
			return nil, err
		}
		selector = parsed
	}
	var out []*v1alpha1.ClusterRegistration
	for _, registration := range r.members[logicalcluster.From(grant)] {
		if selector.Matches(labels.Set(registration.Labels)) || slices.Contains(grant.Spec.ClusterNames, registration.Name) {
			out = append(out, registration)
		}
	}
	return out, nil
}

// borrowers returns the bound workspaces that the grant names, the lender left out, ordered and each once.
func (r *resolver) borrowers(grant *v1alpha1.ClusterGrant) []logicalcluster.Name {
	named := map[logicalcluster.Name]struct{}{}
	for _, reference := range grant.Spec.Workspaces {
		r.addNamed(named, reference)
	}
	delete(named, logicalcluster.From(grant))
	return slices.Sorted(maps.Keys(named))
}

func (r *resolver) addNamed(named map[logicalcluster.Name]struct{}, reference v1alpha1.WorkspaceReference) {
	if ws := logicalcluster.Name(reference.Cluster); ws != "" {
		if _, bound := r.bound[ws]; bound {
			named[ws] = struct{}{}
		}
	}
	if reference.Path != "" {
		if ws, bound := r.byPath[reference.Path]; bound {
			named[ws] = struct{}{}
		}
	}
	if reference.Subtree == "" {
		return
	}
	for ws, path := range r.bound {
		if path.String() == reference.Subtree || strings.HasPrefix(path.String(), reference.Subtree+":") {
			named[ws] = struct{}{}
		}
	}
}

func keyOf(object metav1.Object) workspace.Key {
	return workspace.Key{Workspace: logicalcluster.From(object), Name: object.GetName()}
}
