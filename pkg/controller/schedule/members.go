// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// roster knows which members each workspace sees, by which names. It is the inverse of the lending.
type roster struct {
	mu       sync.RWMutex
	byTenant map[logicalcluster.Name]map[string]workspace.Key // name in the workspace to registration
	rows     map[workspace.Key][]workspace.Key                // registration to the rows that show it
	shapes   map[workspace.Key]shape
}

// shape is what decides whether a member takes work, apart from how much room it has.
type shape struct {
	uid                      types.UID
	generation               int64
	labels, missing, unknown string
	ready                    metav1.ConditionStatus
	counted, exists          bool
}

// change says what of a member changed, and so whom it concerns.
type change int

const (
	// changedFigures concerns those who wait for room.
	changedFigures change = iota
	// changedKnowledge is that of kinds that it serves, and concerns those who were decided without it too. One kind after
	// the other becomes known, and each time new credentials are used.
	changedKnowledge
	// changedShape concerns all who may have it.
	changedShape
	// changedPresence concerns everybody: it comes to those whose members are told of, or goes.
	changedPresence
)

func (c *Controller) shapeOf(key workspace.Key) shape {
	registration, found := c.config.Registrations.Find(key)
	if !found {
		return shape{}
	}
	observed, _ := c.config.Members.Observation(key)
	out := shape{
		uid: registration.UID, generation: registration.Generation, labels: labels.Set(registration.Labels).String(),
		counted: observed.CapacityCounted, exists: registration.DeletionTimestamp == nil,
	}
	if ready := meta.FindStatusCondition(view.ClusterStatus(registration, observed).Conditions, tmcv1alpha1.ConditionReady); ready != nil {
		out.ready = ready.Status
	}
	apis := c.config.Copies.APIs(key)
	out.missing, out.unknown = joined(apis.Missing), joined(apis.Unknown)
	return out
}

// joined names resources in an order of their own.
func joined[V any](resources map[schema.GroupResource]V) string {
	names := make([]string, 0, len(resources))
	for gr := range resources {
		names = append(names, gr.String())
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// reshape notes the shape of a member, and returns how it differs from the one that was known.
func (r *roster) reshape(registration workspace.Key, after shape) change {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.shapes[registration]
	r.shapes[registration] = after
	if !after.exists {
		delete(r.shapes, registration)
	}
	switch {
	case before == after:
		return changedFigures
	case before.exists != after.exists:
		return changedPresence
	}
	before.unknown = after.unknown
	if before == after {
		return changedKnowledge
	}
	return changedShape
}

func newRoster() *roster {
	return &roster{byTenant: map[logicalcluster.Name]map[string]workspace.Key{}, rows: map[workspace.Key][]workspace.Key{}, shapes: map[workspace.Key]shape{}}
}

// set takes over the rows of a registration, and returns the workspaces for which something differs, each with the names
// by which it sees another member than before, or none.
func (r *roster) set(registration workspace.Key, entries []view.Entry) map[logicalcluster.Name]sets.Set[string] {
	r.mu.Lock()
	defer r.mu.Unlock()
	differing := map[logicalcluster.Name]sets.Set[string]{}
	before := r.rows[registration]
	after := make([]workspace.Key, 0, len(entries))
	for _, entry := range entries {
		after = append(after, entry.Key)
		differing[entry.Key.Workspace] = sets.Set[string]{} // labels may differ even if the row does not
	}
	for _, row := range before {
		if slices.Contains(after, row) {
			continue
		}
		if r.byTenant[row.Workspace][row.Name] == registration { // and not another one's by now
			delete(r.byTenant[row.Workspace], row.Name)
			if len(r.byTenant[row.Workspace]) == 0 {
				delete(r.byTenant, row.Workspace)
			}
		}
		if differing[row.Workspace] == nil {
			differing[row.Workspace] = sets.Set[string]{}
		}
		differing[row.Workspace].Insert(row.Name)
	}
	for _, row := range after {
		if r.byTenant[row.Workspace] == nil {
			r.byTenant[row.Workspace] = map[string]workspace.Key{}
		}
		if r.byTenant[row.Workspace][row.Name] != registration {
			r.byTenant[row.Workspace][row.Name] = registration
			differing[row.Workspace].Insert(row.Name)
		}
	}
	r.rows[registration] = after
	if len(after) == 0 {
		delete(r.rows, registration)
	}
	return differing
}

// find returns the registration behind a name that a workspace sees.
func (r *roster) find(ws logicalcluster.Name, name string) (workspace.Key, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	registration, found := r.byTenant[ws][name]
	return registration, found
}

// of returns the members of a workspace by name.
func (r *roster) of(ws logicalcluster.Name) map[string]workspace.Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.byTenant[ws])
}

// viewers returns the workspaces that see a member.
func (r *roster) viewers(registration workspace.Key) []logicalcluster.Name {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []logicalcluster.Name
	for _, row := range r.rows[registration] {
		if !slices.Contains(out, row.Workspace) {
			out = append(out, row.Workspace)
		}
	}
	return out
}

// registeredIn returns the registrations of a workspace that anybody sees.
func (r *roster) registeredIn(ws logicalcluster.Name) []workspace.Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []workspace.Key
	for registration := range r.rows {
		if registration.Workspace == ws {
			found = append(found, registration)
		}
	}
	return found
}

// namesIn returns the names by which a workspace sees a member.
func (r *roster) namesIn(ws logicalcluster.Name, registration workspace.Key) sets.Set[string] {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := sets.Set[string]{}
	for _, row := range r.rows[registration] {
		if row.Workspace == ws {
			names.Insert(row.Name)
		}
	}
	return names
}
