// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"errors"
	"net/http"
	gosync "sync"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/grant"
	"github.com/kcp-dev/tmc/pkg/controller/schedule"
	"github.com/kcp-dev/tmc/pkg/controller/sync"
	"github.com/kcp-dev/tmc/pkg/fleet"
	"github.com/kcp-dev/tmc/pkg/kcp"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// upstream is what workspaces hold, as the controllers see it.
type upstream struct {
	*kcp.Workloads

	set     *kcp.Set
	lending *grant.Controller
}

func (u upstream) Kinds() []schema.GroupResource {
	resources := u.Resources()
	kinds := make([]schema.GroupResource, 0, len(resources))
	for _, resource := range resources {
		kinds = append(kinds, resource.GVR.GroupResource())
	}
	return kinds
}

func (u upstream) Kind(gr schema.GroupResource) (sync.Kind, bool) {
	resource, found := u.Resource(gr)
	return sync.Kind{GVR: resource.GVR, Claimed: resource.Claimed, Status: resource.Status}, found
}

func (u upstream) KindName(gr schema.GroupResource) string {
	resource, _ := u.Resource(gr)
	return resource.Kind
}

func (u upstream) Path(ws logicalcluster.Name) string {
	path, _ := u.Workloads.Path(ws)
	return path.String()
}

// orphanGrace is how long every shard must have been read before a workspace that nothing was ever seen of counts as gone:
// an endpoint that is missing for a while must not cost anybody their workloads.
const orphanGrace = 5 * time.Minute

// Certain says that what is not found is not there: neither the object nor a Placement that selects it.
func (u upstream) Certain(gr schema.GroupResource, ws logicalcluster.Name) bool {
	if !u.Bound(ws) {
		return isGone(u.Workloads, ws)
	}
	if gr == (schema.GroupResource{Resource: "namespaces"}) {
		_, _, known := u.Namespace(ws, metav1.NamespaceDefault)
		return known && u.placementsCertain(ws)
	}
	return u.Synced(gr, ws) && u.placementsCertain(ws)
}

// decidable says that everything has been read that decisions of a workspace depend on.
func (u upstream) decidable(ws logicalcluster.Name) bool {
	if !u.lending.Certain() {
		return false
	}
	if !u.Bound(ws) {
		return isGone(u.Workloads, ws)
	}
	return u.Read(ws)
}

// LoansKnown says that it is known who sees which member.
func (u upstream) LoansKnown() bool { return u.lending.Certain() }

func (u upstream) placementsCertain(ws logicalcluster.Name) bool {
	if u.set.Bound(ws) {
		return u.set.PlacementsRead(ws)
	}
	return isGone(u.set, ws)
}

// isGone says that a workspace that is not bound to an export is not merely unknown.
func isGone(export interface {
	Ended(ws logicalcluster.Name) bool
	CompleteFor() time.Duration
}, ws logicalcluster.Name,
) bool {
	return export.Ended(ws) || export.CompleteFor() >= orphanGrace
}

// downstream is what members hold, as the controllers see it.
type downstream struct {
	fleet   *fleet.Fleet
	members schedule.Members
}

func (d downstream) Copy(member workspace.Key, at sync.Location) (*unstructured.Unstructured, bool) {
	return d.fleet.Copy(member, fleet.ObjectKey(at))
}

func (d downstream) Synced(member workspace.Key, gvr schema.GroupVersionResource) bool {
	return d.fleet.CopiesSynced(member, gvr)
}

func (d downstream) Missing(member workspace.Key, gr schema.GroupResource) (string, bool) {
	api := d.fleet.API(member, gr)
	return api.Message, api.Known && !api.Served
}

// Reachable counts a member that is not observed, as one whose credentials are not valid, as called; but not before its
// registration and its credentials have been read.
func (d downstream) Reachable(member workspace.Key) (answers, called bool) {
	condition, observed := d.fleet.Reachable(member)
	if observed {
		return condition.Status == metav1.ConditionTrue, condition.Reason != tmcv1alpha1.ReasonPending
	}
	known, found := d.members.Observation(member)
	ready := meta.FindStatusCondition(known.Conditions, tmcv1alpha1.ConditionReady)
	return false, found && ready != nil && ready.Reason != tmcv1alpha1.ReasonPending
}

func (d downstream) Apply(ctx context.Context, member workspace.Key, at sync.Location, object *unstructured.Unstructured, force bool) (*unstructured.Unstructured, error) {
	live, err := d.fleet.Apply(ctx, member, fleet.ObjectKey(at), object, force)
	return live, callProblem(err)
}

func (d downstream) Get(ctx context.Context, member workspace.Key, at sync.Location) (*unstructured.Unstructured, error) {
	live, err := d.fleet.Get(ctx, member, fleet.ObjectKey(at))
	return live, callProblem(err)
}

func (d downstream) Create(ctx context.Context, member workspace.Key, at sync.Location, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live, err := d.fleet.Create(ctx, member, fleet.ObjectKey(at), object)
	return live, callProblem(err)
}

func (d downstream) Delete(ctx context.Context, member workspace.Key, at sync.Location, uid types.UID) error {
	return callProblem(d.fleet.Delete(ctx, member, fleet.ObjectKey(at), uid, ""))
}

// callProblem turns an error of the fleet into one that controllers know.
func callProblem(err error) error {
	var failed *fleet.CallError
	if !errors.As(err, &failed) {
		return err
	}
	return &sync.CallProblem{
		Reason: failed.Reason, Message: failed.Message, NotFound: failed.NotFound(), RetryAfter: failed.RetryAfter,
		Exists: failed.Code == http.StatusConflict,
	}
}

// placed tells the scheduler what members have.
type placed struct{ parts *parts }

func (p placed) APIs(member workspace.Key) schedule.APIs {
	apis := p.parts.fleet.APIs(member)
	out := schedule.APIs{Missing: map[schema.GroupResource]string{}, Unknown: sets.Set[schema.GroupResource]{}}
	for _, resource := range p.parts.placing.workloads.Resources() {
		gr := resource.GVR.GroupResource()
		switch api := apis[gr]; {
		case !api.Known: // also one that is not followed yet
			out.Unknown.Insert(gr)
		case !api.Served:
			out.Missing[gr] = api.Message
		}
	}
	return out
}

func (p placed) Replicas(member workspace.Key, gr schema.GroupResource, workload workspace.Key) (int32, bool) {
	return p.parts.placing.sync.Replicas(member, gr, workload)
}

// Assumed returns what was decided to run on a member and has not been seen there yet.
func (p placed) Assumed(member workspace.Key) corev1.ResourceList {
	return p.parts.placing.schedule.Assumed(member)
}

func (p placed) Progress(placement workspace.Key) schedule.Progress {
	return schedule.Progress(p.parts.placing.sync.Summary(placement))
}

// facts gathers what is known of a Placement.
type facts struct{ parts *parts }

func (f facts) Facts(placement *tmcv1alpha1.Placement) (view.PlacementFacts, bool) {
	key := workspace.Key{Workspace: logicalcluster.From(placement), Namespace: placement.Namespace, Name: placement.Name}
	explained, known := f.parts.placing.schedule.Explain(key)
	if !known {
		return view.PlacementFacts{}, false
	}
	out := view.PlacementFacts{
		Wanted: placement.Spec.NumberOfClusters, Outcome: explained.Stored, NotPlaced: explained.Lost,
		NotChosen: explained.Rejected, Scores: map[string]int32{}, Clusters: map[string]view.ClusterFacts{},
	}
	for _, choice := range explained.Outcome.Chosen {
		out.Scores[choice.Name] = choice.Score
	}
	for _, decision := range explained.Stored.Decisions {
		f.addCluster(&out, key.Workspace, decision.ClusterName)
	}
	for _, rows := range f.parts.placing.sync.Rows(key) {
		for _, row := range rows {
			out.Copies = append(out.Copies, view.PlacedCopy{Cluster: row.Cluster, Leaving: row.Leaving, Object: row.Object})
			f.addCluster(&out, key.Workspace, row.Cluster)
		}
	}
	return out, true
}

func (f facts) addCluster(out *view.PlacementFacts, ws logicalcluster.Name, name string) {
	if _, known := out.Clusters[name]; known {
		return
	}
	member, found := f.parts.placing.schedule.Member(ws, name)
	if !found {
		return
	}
	at, _ := f.parts.fleet.CopiesConfirmedAt(member)
	reachable, _ := f.parts.fleet.Reachable(member)
	out.Clusters[name] = view.ClusterFacts{Reachable: reachable.Status, ConfirmedAt: at}
}

// ConfirmedAt returns when the member of a Placement that was heard of least recently confirmed its copies.
func (f facts) ConfirmedAt(placement workspace.Key) (time.Time, bool) {
	explained, known := f.parts.placing.schedule.Explain(placement)
	if !known {
		return time.Time{}, false
	}
	var oldest time.Time
	for _, decision := range explained.Stored.Decisions {
		member, found := f.parts.placing.schedule.Member(placement.Workspace, decision.ClusterName)
		if !found || decision.Phase == tmcv1alpha1.DecisionLeaving {
			continue
		}
		if at, confirmed := f.parts.fleet.CopiesConfirmedAt(member); confirmed && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest, !oldest.IsZero()
}

// statuses is the view store as the reporter sees it. It also knows which Placements have been reported once.
type statuses struct {
	store *viewstore.Store

	mu       gosync.Mutex
	reported sets.Set[workspace.Key]
}

func newStatuses(store *viewstore.Store) *statuses {
	return &statuses{store: store, reported: sets.New[workspace.Key]()}
}

func (s *statuses) SetContent(source workspace.Key, status *tmcv1alpha1.PlacementStatusStatus) {
	s.store.SetContent(source, status)
}

func (s *statuses) SetEntries(source workspace.Key, entries []view.Entry) {
	converted := make([]viewstore.Entry, 0, len(entries))
	for _, entry := range entries {
		converted = append(converted, viewstore.Entry(entry))
	}
	s.store.SetEntries(source, converted)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reported.Insert(source)
}

func (s *statuses) DeleteSource(source workspace.Key) {
	s.store.DeleteSource(source)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reported.Delete(source)
}

func (s *statuses) has(source workspace.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reported.Has(source)
}
