// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	apisv1alpha1 "github.com/kcp-dev/sdk/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/kcp-dev/sdk/apis/apis/v1alpha2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// clustersPath stands between the URL of an endpoint and the workspace.
const clustersPath = "/clusters/"

// Defaults of Config.
const (
	DefaultStartupGrace = 30 * time.Second
	DefaultRetireGrace  = 30 * time.Second
)

// Config says where kcp is.
type Config struct {
	// ProviderConfig reaches the provider workspace. Its credentials and certificate authority are used for the
	// endpoints of the export, too.
	ProviderConfig *rest.Config
	// ExportName is the name of the APIExport and of its endpoint slice.
	ExportName string
	// StartupGrace is how long HasSynced waits for endpoints that do not answer; DefaultStartupGrace if zero.
	StartupGrace time.Duration
	// RetireGrace is how long an endpoint that left the slice is still followed while its successors have not been
	// read; DefaultRetireGrace if zero.
	RetireGrace time.Duration
	// Clock is the real clock if nil.
	Clock clock.WithTicker
	// Metrics may be nil.
	Metrics *Metrics
}

// export follows the endpoints of one APIExport and the bindings to it, whatever else is read there.
type export struct {
	config   Config
	http     *http.Client
	kick     chan struct{}
	follower follower

	bindings   *Index[*apisv1alpha2.APIBinding]
	workspaces *Workspaces
	lanes      lanes
	writers    writers

	synced   atomic.Bool
	complete atomic.Int64 // since when, in nanoseconds since 1970; 0 is not

	mu               sync.Mutex
	listed           bool // whether the slice was read
	listedAt         time.Time
	wanted           []string
	following        map[string]*endpoint
	endpointHandlers []func()
}

// newExport returns an export that follows nothing until Run runs. A binding that is being deleted counts as active
// if leaving does.
func newExport(config Config, follower follower, leaving bool) (*export, error) {
	if config.ProviderConfig == nil || config.ExportName == "" {
		return nil, errors.New("following an export: ProviderConfig and ExportName are required")
	}
	if config.StartupGrace == 0 {
		config.StartupGrace = DefaultStartupGrace
	}
	if config.RetireGrace == 0 {
		config.RetireGrace = DefaultRetireGrace
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	config.ProviderConfig = rest.CopyConfig(config.ProviderConfig)
	config.ProviderConfig.QPS = -1 // few reflectors, and writers that queues hold back
	client, err := rest.HTTPClientFor(config.ProviderConfig)
	if err != nil {
		return nil, fmt.Errorf("building the HTTP client for kcp: %w", err)
	}
	s := &export{
		config:     config,
		http:       client,
		kick:       make(chan struct{}, 1),
		follower:   follower,
		bindings:   newIndex[*apisv1alpha2.APIBinding](func(logicalcluster.Name) bool { return true }),
		workspaces: newWorkspaces(config.ExportName, leaving),
		following:  map[string]*endpoint{},
	}
	s.bindings.AddHandler(func(key workspace.Key) { s.workspaces.refresh(key.Workspace, s.bindings) })
	return s, nil
}

// Bindings are the bindings to the export, active or not.
func (s *export) Bindings() *Index[*apisv1alpha2.APIBinding] { return s.bindings }

// Workspaces are the workspaces with an active binding.
func (s *export) Workspaces() *Workspaces { return s.workspaces }

// Path returns the path of a bound workspace.
func (s *export) Path(ws logicalcluster.Name) (logicalcluster.Path, bool) {
	return s.workspaces.Path(ws)
}

// Name returns the name of the bound workspace at a path.
func (s *export) Name(path logicalcluster.Path) (logicalcluster.Name, bool) {
	return s.workspaces.Name(path)
}

// Bound reports whether a workspace has an active binding to the export.
func (s *export) Bound(ws logicalcluster.Name) bool { return s.workspaces.Bound(ws) }

// HasSynced reports whether every endpoint that answers has been read once. An endpoint that does not answer holds
// it up for the startup grace only. Once true it stays so.
func (s *export) HasSynced() bool { return s.synced.Load() }

// Complete reports whether the bindings of every endpoint have been read since the start, and of TMC's own export its
// registrations and grants: a workspace that is not bound then has no binding, and a member that is not seen is not lent,
// and neither is merely unknown while its shard is away.
func (s *export) Complete() bool { return s.complete.Load() != 0 }

// CompleteSince returns since when Complete has been true without a break; zero is not at all.
func (s *export) CompleteSince() time.Time {
	since := s.complete.Load()
	if since == 0 {
		return time.Time{}
	}
	return time.Unix(0, since)
}

// CompleteFor returns for how long Complete has been true without a break; zero is not at all.
func (s *export) CompleteFor() time.Duration {
	since := s.complete.Load()
	if since == 0 {
		return 0
	}
	return s.config.Clock.Since(time.Unix(0, since))
}

// Ended reports whether the last binding of a workspace was seen to end.
func (s *export) Ended(ws logicalcluster.Name) bool { return s.workspaces.Ended(ws) }

func (s *export) noteComplete(complete bool) {
	switch {
	case !complete:
		s.complete.Store(0)
	case s.complete.Load() == 0:
		s.complete.Store(s.config.Clock.Now().UnixNano())
	}
}

// Endpoints returns the URLs of the endpoint slice, ordered, and false until it has been read.
func (s *export) Endpoints() ([]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.wanted), s.listed
}

// AddEndpointHandler adds a function that is told when the endpoint slice changed. Handlers are added before Run.
func (s *export) AddEndpointHandler(handler func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpointHandlers = append(s.endpointHandlers, handler)
}

// ConfigFor returns how to reach one bound workspace through the endpoint of its shard, and false if the workspace
// is not bound.
func (s *export) ConfigFor(ws logicalcluster.Name) (*rest.Config, bool) {
	base, bound := s.workspaces.endpoint(ws)
	if !bound || ws == workspace.Wildcard {
		return nil, false
	}
	return s.configAt(base, ws), true
}

// HTTPClient is the HTTP client that every request to kcp shares; rest.RESTClientForConfigAndClient takes it.
func (s *export) HTTPClient() *http.Client { return s.http }

func (s *export) configAt(base string, ws logicalcluster.Name) *rest.Config {
	config := rest.CopyConfig(s.config.ProviderConfig)
	config.Host = base + clustersPath + ws.String()
	return config
}

// Run follows the export until the context ends, and returns when everything has stopped.
func (s *export) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slice, err := s.providerReflector(apisv1alpha1.SchemeGroupVersion.WithResource("apiexportendpointslices"),
		func(u *unstructured.Unstructured) { s.takeSlice(ctx, u) }, s.withoutSlice)
	if err != nil {
		return err
	}
	group.Go(func() { reflect(ctx, s.config.Clock, slice, "apiexportendpointslices", s.config.ProviderConfig.Host) })
	ticker := s.config.Clock.NewTicker(time.Second)
	defer ticker.Stop()
	defer s.stopAll()
	for {
		s.follow(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-s.kick:
		case <-ticker.C():
		}
	}
}

func (s *export) changed() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// validEndpoint admits https URLs without user, query and fragment: our credentials are sent there.
func validEndpoint(raw string) (string, error) {
	parsed, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("not a URL")
	}
	if parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return "", errors.New("not an https URL without user, query and fragment")
	}
	return strings.TrimRight(raw, "/"), nil
}
