// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"fmt"
	gosync "sync"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/apiserver"
	"github.com/kcp-dev/tmc/pkg/controller/detach"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/controller/report"
	"github.com/kcp-dev/tmc/pkg/controller/schedule"
	"github.com/kcp-dev/tmc/pkg/controller/sync"
	"github.com/kcp-dev/tmc/pkg/fleet"
	"github.com/kcp-dev/tmc/pkg/kcp"
	"github.com/kcp-dev/tmc/pkg/registry/placementstatus"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// firstReportsGrace is how long the first statuses of placements may take once members are known.
const firstReportsGrace = 10 * time.Second

// settleGrace is how long decisions wait for the copies on members to be looked at. Edits of what is placed do not wait.
const settleGrace = 5 * time.Second

// placing are the parts that place workloads and keep their copies.
type placing struct {
	workloads *kcp.Workloads
	store     *viewstore.Store
	statuses  *statuses
	schedule  *schedule.Controller
	sync      *sync.Controller
	report    *report.Controller
	detach    *detach.Controller
	// started is closed once members are known: before, nothing could be said of their copies. settled is closed once
	// their copies have been looked at: before, a Placement would be said to have none.
	started, settled chan struct{}
}

func (p *parts) makeWorkloads(metrics *kcp.Metrics) error {
	var err error
	p.placing.started, p.placing.settled = make(chan struct{}), make(chan struct{})
	p.placing.workloads, err = kcp.NewWorkloads(kcp.Config{
		ProviderConfig: p.config.Provider,
		ExportName:     p.config.WorkloadExportName,
		StartupGrace:   p.config.StartGrace,
		Clock:          p.config.Clock,
		Metrics:        metrics,
	})
	return err
}

func (p *parts) makePlacementViews(revisions *viewstore.Revisions) error {
	store, err := placementstatus.NewStore(revisions, p.config.Clock, viewstore.Limits{})
	if err != nil {
		return fmt.Errorf("making the store of %s: %w", placementstatus.Resource, err)
	}
	p.placing.store, p.placing.statuses = store, newStatuses(store)
	return nil
}

// makePlacing makes the controllers that place and sync.
func (p *parts) makePlacing(queues *engine.Metrics) {
	w := &p.placing
	up := upstream{w.workloads, p.set, p.grants}
	w.schedule = schedule.New(schedule.Config{
		Placements: p.set.Placements(), Registrations: p.set.Registrations(), Members: p.members, Lending: p.grants,
		Workloads: up, Copies: placed{p}, Leader: p.leader, Status: p.set.PlacementStatus(),
		Certain:       up.decidable,
		TrustsLender:  p.trustsLender,
		OnDecision:    func(key workspace.Key) { w.sync.EnqueuePlacement(key); w.report.Enqueue(key) },
		OnExplanation: func(key workspace.Key) { w.report.Enqueue(key) },
		OnPromise:     func(member workspace.Key) { p.publisher.Enqueue(member) },
		OnLending: func(member workspace.Key, workspaces sets.Set[logicalcluster.Name]) {
			w.sync.EnqueueNamespaces(member, workspaces)
		},
		Clock: p.config.Clock, Metrics: queues,
	})
	w.sync = sync.New(sync.Config{
		Upstream: up, Downstream: downstream{p.fleet, p.members}, Decisions: w.schedule, Leader: p.leader,
		OnProgress: func(key workspace.Key) { w.report.Enqueue(key); w.schedule.EnqueueProgress(key) },
		OnCopies:   func(member workspace.Key) { w.detach.Enqueue(member) },
		WriteQPS:   p.config.WriteQPS, WriteBurst: p.config.WriteBurst,
		DetachAfter: p.config.DetachAfter, PodSecurity: p.config.PodSecurity, Clock: p.config.Clock, Metrics: queues,
	})
	w.detach = detach.New(detach.Config{
		Registrations: p.set.Registrations(), Copies: w.sync, Leader: p.leader, Metadata: p.set.RegistrationMetadata(), Events: up,
		DetachAfter: p.config.DetachAfter, Clock: p.config.Clock, Metrics: queues,
	})
	w.report = report.New(report.Config{
		Placements: p.set.Placements(), Facts: facts{p}, Store: w.statuses,
		CoalesceWindow: p.config.CoalesceWindow, RefreshInterval: p.config.RefreshInterval, Clock: p.config.Clock, Metrics: queues,
	})
}

// trustsLender reports whether the operator trusts a workspace to lend members.
func (p *parts) trustsLender(ws logicalcluster.Name) bool {
	path, _ := p.set.Workspaces().Path(ws)
	if owner, _ := p.set.Workspaces().Name(path); owner != ws {
		path = logicalcluster.None // another one is there by now
	}
	return p.config.TrustedLenders.Trust(ws, path.String())
}

// connectPlacing says which change concerns whom.
func (p *parts) connectPlacing() {
	w := &p.placing
	p.set.Placements().AddHandler(func(key workspace.Key) {
		w.schedule.Enqueue(key)
		w.report.Enqueue(key)
	})
	var ending gosync.Mutex // a registration that was found to be gone must not be ended after it was found to be there
	p.set.Registrations().AddHandler(func(key workspace.Key) {
		w.schedule.MemberChanged(key)
		w.detach.Enqueue(key)
		w.sync.RegistrationChanged(key)
		ending.Lock()
		defer ending.Unlock()
		if _, exists := p.set.Registrations().Find(key); !exists {
			w.sync.RemoveMember(key)
		}
	})
	w.workloads.AddHandler(func(gr schema.GroupResource, key workspace.Key) {
		w.sync.Enqueue(gr, key)
		w.schedule.EnqueueObject(key.Workspace, key.Namespace)
	})
	p.set.Workspaces().AddHandler(w.schedule.LenderChanged)
	w.workloads.AddNamespaceHandler(func(key workspace.Key) { w.sync.EnqueueNamespace(key.Workspace, key.Name) })
	w.workloads.AddWorkspaceHandler(func(ws logicalcluster.Name) { w.sync.EnqueueWorkspace(ws) })
	w.workloads.AddResourceHandler(p.followCopies)
	p.followCopies()
}

// followCopies follows on the members what workspaces can place.
func (p *parts) followCopies() {
	resources := []schema.GroupVersionResource{{Version: "v1", Resource: "namespaces"}}
	for _, resource := range p.placing.workloads.Resources() {
		resources = append(resources, resource.GVR)
	}
	p.fleet.FollowCopies(resources)
}

// memberDiffers is told that what is known of a member differs.
func (p *parts) memberDiffers(key workspace.Key) {
	p.publisher.Enqueue(key)
	p.placing.schedule.MemberChanged(key)
}

// lendingDiffers is told that other workspaces see a member.
func (p *parts) lendingDiffers(key workspace.Key) {
	p.publisher.Enqueue(key)
	p.placing.schedule.SetEntries(key)
}

func (p *parts) copyDiffers(member workspace.Key, key fleet.ObjectKey, live *unstructured.Unstructured) {
	_, there := p.fleet.Copy(member, key)
	p.placing.sync.EnqueueCopy(member, key.Resource, live, !there)
}

func (p *parts) copiesDiffer(member workspace.Key) {
	p.placing.sync.EnqueueMember(member)
	p.placing.schedule.MemberChanged(member)
}

// placingComponents place and sync once members are known.
func (p *parts) placingComponents() []apiserver.Component {
	w := &p.placing
	return []apiserver.Component{
		{Name: "workloads", Run: w.workloads.Run},
		{Name: "schedule", Run: once(w.settled, w.schedule.Run)},
		{Name: "sync", Run: once(w.started, w.sync.Run)},
		{Name: "detach", Run: once(w.started, w.detach.Run)},
		{Name: "report", Run: endless(w.report.Run)},
	}
}

func once(begin <-chan struct{}, run func(context.Context)) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-begin:
			run(ctx)
		case <-ctx.Done():
		}
		return nil
	}
}

// startPlacing lets workloads be placed, and opens the view of placements once it is complete.
func (p *parts) startPlacing(ctx context.Context) {
	w := &p.placing
	deadline := p.config.Clock.Now().Add(firstReportsGrace)
	late := func() bool { return p.config.Clock.Now().After(deadline) }
	if !p.until(ctx, func() bool { return w.workloads.HasSynced() || late() }) {
		return
	}
	close(w.started)
	settleBy := p.config.Clock.Now().Add(settleGrace)
	if !p.until(ctx, func() bool { return p.settled() || p.config.Clock.Now().After(settleBy) }) {
		return
	}
	close(w.settled)
	w.schedule.EnqueueAll()
	if p.until(ctx, func() bool { return p.reported() || late() }) {
		w.store.MarkSynced()
	}
}

// settled says whether the copies on every member that answers have been looked at.
func (p *parts) settled() bool {
	for _, registration := range p.set.Registrations().List() {
		key := workspace.Key{Workspace: logicalcluster.From(registration), Name: registration.Name}
		state, running := p.fleet.State(key)
		if !running {
			continue
		}
		reachable := meta.FindStatusCondition(state.Conditions, tmcv1alpha1.ConditionReachable)
		if reachable == nil || reachable.Reason == tmcv1alpha1.ReasonPending {
			return false
		}
		if reachable.Status == metav1.ConditionTrue && !p.placing.sync.Knows(key) {
			return false
		}
	}
	return p.placing.sync.Len() == 0
}

// reported says whether every Placement that is still there has its status in the view.
func (p *parts) reported() bool {
	for _, placement := range p.set.Placements().List() {
		key := workspace.Key{Workspace: logicalcluster.From(placement), Namespace: placement.Namespace, Name: placement.Name}
		if !p.placing.statuses.has(key) {
			return false
		}
	}
	return true
}
