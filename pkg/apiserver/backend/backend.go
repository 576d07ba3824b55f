// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/server/healthz"

	"github.com/kcp-dev/tmc/openapi"
	"github.com/kcp-dev/tmc/pkg/apiserver"
	"github.com/kcp-dev/tmc/pkg/apiserver/accessreview"
	"github.com/kcp-dev/tmc/pkg/controller/endpoint"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/controller/grant"
	electing "github.com/kcp-dev/tmc/pkg/controller/leader"
	"github.com/kcp-dev/tmc/pkg/controller/member"
	"github.com/kcp-dev/tmc/pkg/controller/publish"
	"github.com/kcp-dev/tmc/pkg/fleet"
	"github.com/kcp-dev/tmc/pkg/kcp"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/registry/clusterstatus"
	"github.com/kcp-dev/tmc/pkg/registry/placementstatus"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// firstRowsGrace is how long the first rows may take once kcp has been read.
const firstRowsGrace = 10 * time.Second

// pollInterval is how often the start looks whether it may go on.
const pollInterval = 50 * time.Millisecond

// parts are what the backend is made of.
type parts struct {
	config    Config
	set       *kcp.Set
	fleet     *fleet.Fleet
	store     *viewstore.Store
	rows      *rows
	elector   *electing.Elector // nil if this process runs alone
	leader    leader
	members   *member.Controller
	grants    *grant.Controller
	publisher *publish.Controller
	endpoints *endpoint.Controller // nil if endpoints are not published
	placing   placing
}

// New makes the parts and joins them. Nothing runs yet.
func New(config Config) (apiserver.Backend, error) {
	p := &parts{config: config}
	for _, step := range []func() error{p.makeKCP, p.makeViews, p.makeLeader, p.makeControllers} {
		if err := step(); err != nil {
			return apiserver.Backend{}, err
		}
	}
	p.connect()
	p.connectPlacing()
	return p.backend(), nil
}

func (p *parts) makeKCP() error {
	metrics, err := kcp.NewMetrics(p.config.Metrics)
	if err != nil {
		return fmt.Errorf("registering the metrics of kcp: %w", err)
	}
	p.set, err = kcp.New(kcp.Config{
		ProviderConfig: p.config.Provider,
		ExportName:     p.config.ExportName,
		StartupGrace:   p.config.StartGrace,
		Clock:          p.config.Clock,
		Metrics:        metrics,
	})
	if err != nil {
		return err
	}
	return p.makeWorkloads(metrics)
}

func (p *parts) makeViews() error {
	revisions := viewstore.NewRevisions(p.config.Clock.Now())
	store, err := clusterstatus.NewStore(revisions, p.config.Clock, viewstore.Limits{})
	if err != nil {
		return fmt.Errorf("making the store of %s: %w", clusterstatus.Resource, err)
	}
	p.store, p.rows = store, newRows(store)
	return p.makePlacementViews(revisions)
}

func (p *parts) makeLeader() error {
	election := p.config.Election
	if !election.Enabled {
		p.leader = syncedLeader{electing.Always{}, p.set.HasSynced}
		return nil
	}
	identity, err := electing.ClaimIdentity(p.config.Provider.Host)
	if err != nil {
		return err
	}
	p.elector, err = electing.New(electing.Config{
		ProviderConfig: p.config.Provider,
		HTTPClient:     p.set.HTTPClient(),
		Identity:       identity,
		Clock:          p.config.Clock,
		LeaseDuration:  election.LeaseDuration,
		RenewDeadline:  election.RenewDeadline,
		RetryPeriod:    election.RetryPeriod,
		OnGained:       []func(){p.writeAll},
	})
	if err != nil {
		return err
	}
	p.leader = syncedLeader{p.elector, p.set.HasSynced}
	return nil
}

func (p *parts) makeControllers() error {
	queues, err := engine.NewMetrics(p.config.Metrics)
	if err != nil {
		return fmt.Errorf("registering the metrics of controllers: %w", err)
	}
	fleetMetrics, err := fleet.NewMetrics(p.config.Metrics.Register)
	if err != nil {
		return err
	}
	addresses := memberconfig.NewAddressPolicy(p.config.AllowedMembers)
	p.fleet = fleet.New(fleet.Config{
		Clock: p.config.Clock, Addresses: addresses, Metrics: fleetMetrics,
		OnChange: func(key workspace.Key) { p.members.Enqueue(key) },
		OnCopy:   p.copyDiffers, OnMemberCopies: p.copiesDiffer,
		ProbeInterval: p.config.ProbeInterval, ProbeTimeout: p.config.ProbeTimeout, UnreachableAfter: p.config.UnreachableAfter,
	})
	p.members = member.New(member.Config{
		Registrations: p.set.Registrations(), Secrets: p.set.Secrets(), Fleet: observedFleet{p.fleet},
		Leader: p.leader, Status: p.set.RegistrationStatus(), Check: addresses.Check, OnChange: p.memberDiffers,
		Clock: p.config.Clock, Metrics: queues,
	})
	p.grants = grant.New(grant.Config{
		Registrations: p.set.Registrations(), Grants: p.set.Grants(), Workspaces: p.set.Workspaces(),
		Leader: p.leader, Status: p.set.GrantStatus(), Trusts: p.trustsLender, CompleteSince: p.set.CompleteSince, OnChange: p.lendingDiffers, Clock: p.config.Clock, Metrics: queues,
	})
	p.publisher = publish.New(publish.Config{
		Registrations: p.set.Registrations(), Members: p.members, Lending: p.grants, Promises: placed{p}, Store: p.rows,
		CoalesceWindow: p.config.CoalesceWindow, RefreshInterval: p.config.RefreshInterval, Clock: p.config.Clock, Metrics: queues,
	})
	p.makePlacing(queues)
	if !p.config.PublishEndpoints {
		return nil
	}
	p.endpoints, err = endpoint.New(endpoint.Config{
		ProviderConfig: p.config.Provider, HTTPClient: p.set.HTTPClient(), Endpoints: p.set, Leader: p.leader,
		PathPrefix: p.config.PathPrefix, Clock: p.config.Clock, Metrics: queues,
	})
	return err
}

// connect says which change concerns whom.
func (p *parts) connect() {
	p.set.Registrations().AddHandler(func(key workspace.Key) {
		p.members.Enqueue(key)
		p.grants.Changed()
		p.publisher.Enqueue(key)
	})
	p.set.Secrets().AddHandler(p.members.EnqueueSecret)
	p.set.Grants().AddHandler(p.grants.Enqueue)
	p.set.Workspaces().AddHandler(func(logicalcluster.Name) { p.grants.Changed() })
	if p.endpoints != nil {
		p.set.AddEndpointHandler(p.endpoints.Enqueue)
	}
}

// writeAll looks at everything again: this process may write now, and could not before.
func (p *parts) writeAll() {
	p.members.EnqueueAll()
	p.grants.EnqueueAll()
	p.placing.schedule.EnqueueAll()
	p.placing.sync.EnqueueAll()
	p.placing.detach.EnqueueAll()
	if p.endpoints != nil {
		p.endpoints.Enqueue()
	}
}

func (p *parts) backend() apiserver.Backend {
	return apiserver.Backend{
		Storage: map[string]rest.Storage{
			clusterstatus.Resource:   clusterstatus.NewREST(p.store, p.fleet, p.config.Clock),
			placementstatus.Resource: placementstatus.NewREST(p.placing.store, facts{p}, p.config.Clock),
		},
		OpenAPI:    openapi.GetOpenAPIDefinitions,
		Workspaces: p.set,
		Reviewer:   accessreview.New(p.set, p.config.Provider, p.set.HTTPClient()),
		Components: p.components(),
		ReadyChecks: []healthz.HealthChecker{
			ready("kcp-informers", p.set.HasSynced, "kcp has not been read yet"),
			ready("views", p.store.Synced, "the views have not been filled yet"),
		},
		EndWatches: func() { p.store.Shutdown(); p.placing.store.Shutdown() },
	}
}

func (p *parts) components() []apiserver.Component {
	components := []apiserver.Component{
		{Name: "kcp", Run: p.set.Run},
		{Name: "fleet", Run: endless(p.fleet.Run)},
		{Name: "members", Run: endless(p.members.Run)},
		{Name: "grants", Run: endless(p.grants.Run)},
		{Name: "publisher", Run: endless(p.publisher.Run)},
		{Name: "start", Run: p.start},
	}
	components = append(components, p.placingComponents()...)
	if p.endpoints != nil {
		components = append(components, apiserver.Component{Name: "endpoints", Run: endless(p.endpoints.Run)})
	}
	if p.elector != nil {
		components = append(components, apiserver.Component{Name: "election", Run: endless(p.elector.Run), Last: true})
	}
	return components
}

func endless(run func(context.Context)) func(context.Context) error {
	return func(ctx context.Context) error {
		run(ctx)
		return nil
	}
}

func ready(name string, condition func() bool, otherwise string) healthz.HealthChecker {
	return healthz.NamedCheck(name, func(*http.Request) error {
		if !condition() {
			return errors.New(otherwise)
		}
		return nil
	})
}

// start opens the views once they are complete: a list that lacked rows would be taken for the truth.
func (p *parts) start(ctx context.Context) error {
	if !p.until(ctx, p.set.HasSynced) {
		return nil
	}
	p.grants.Resolve()
	// The controller may have been resolving at the same time, from an older state.
	p.grants.Changed()
	waiting := []workspace.Key{}
	for _, registration := range p.set.Registrations().List() {
		key := workspace.Key{Workspace: logicalcluster.From(registration), Name: registration.Name}
		p.publisher.Enqueue(key)
		waiting = append(waiting, key)
	}
	deadline := p.config.Clock.Now().Add(firstRowsGrace)
	if !p.until(ctx, func() bool { return p.complete(waiting) || p.config.Clock.Now().After(deadline) }) {
		return nil
	}
	p.store.MarkSynced()
	p.writeAll()
	p.startPlacing(ctx)
	<-ctx.Done()
	return nil
}

// complete reports whether every registration that is still there and that anybody sees has its rows.
func (p *parts) complete(keys []workspace.Key) bool {
	for _, key := range keys {
		if _, exists := p.set.Registrations().Find(key); exists && len(p.grants.Entries(key)) > 0 && !p.rows.has(key) {
			return false
		}
	}
	return true
}

// until waits for a condition, and answers false if the context ended first.
func (p *parts) until(ctx context.Context, condition func() bool) bool {
	ticker := p.config.Clock.NewTicker(pollInterval)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C():
		}
	}
	return ctx.Err() == nil
}
