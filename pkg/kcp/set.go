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
	apisv1alpha2 "github.com/kcp-dev/sdk/apis/apis/v1alpha2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

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

// Set follows all endpoints of one export.
type Set struct {
	config Config
	http   *http.Client
	kick   chan struct{}

	registrations *Index[*tmcv1alpha1.ClusterRegistration]
	grants        *Index[*tmcv1alpha1.ClusterGrant]
	secrets       *Index[*corev1.Secret]
	bindings      *Index[*apisv1alpha2.APIBinding]
	workspaces    *Workspaces
	secretsRead   endpointNames // where Secrets have been read
	lanes         lanes

	synced atomic.Bool

	mu               sync.Mutex
	listed           bool // whether the slice was read
	listedAt         time.Time
	wanted           []string
	following        map[string]*endpoint
	endpointHandlers []func()
}

// New returns a set that is empty until Run runs.
func New(config Config) (*Set, error) {
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
	s := &Set{
		config:     config,
		http:       client,
		kick:       make(chan struct{}, 1),
		workspaces: newWorkspaces(config.ExportName),
		following:  map[string]*endpoint{},
	}
	s.registrations = newIndex[*tmcv1alpha1.ClusterRegistration](s.workspaces.Bound)
	s.grants = newIndex[*tmcv1alpha1.ClusterGrant](s.workspaces.Bound)
	s.secrets = newIndex[*corev1.Secret](s.workspaces.Bound)
	s.bindings = newIndex[*apisv1alpha2.APIBinding](func(logicalcluster.Name) bool { return true })
	s.bindings.AddHandler(func(key workspace.Key) { s.workspaces.refresh(key.Workspace, s.bindings) })
	s.workspaces.AddHandler(func(ws logicalcluster.Name) {
		s.secrets.notifyWorkspace(ws)
		s.registrations.notifyWorkspace(ws)
		s.grants.notifyWorkspace(ws)
	})
	return s, nil
}

// Registrations are the ClusterRegistrations of bound workspaces.
func (s *Set) Registrations() *Index[*tmcv1alpha1.ClusterRegistration] { return s.registrations }

// Grants are the ClusterGrants of bound workspaces.
func (s *Set) Grants() *Index[*tmcv1alpha1.ClusterGrant] { return s.grants }

// Secrets are the credentials of members in bound workspaces.
func (s *Set) Secrets() *Secrets { return &Secrets{Index: s.secrets, set: s} }

// Bindings are the bindings to the export, active or not.
func (s *Set) Bindings() *Index[*apisv1alpha2.APIBinding] { return s.bindings }

// Workspaces are the workspaces with an active binding.
func (s *Set) Workspaces() *Workspaces { return s.workspaces }

// Path returns the path of a bound workspace.
func (s *Set) Path(ws logicalcluster.Name) (logicalcluster.Path, bool) { return s.workspaces.Path(ws) }

// Name returns the name of the bound workspace at a path.
func (s *Set) Name(path logicalcluster.Path) (logicalcluster.Name, bool) {
	return s.workspaces.Name(path)
}

// Bound reports whether a workspace has an active binding to the export.
func (s *Set) Bound(ws logicalcluster.Name) bool { return s.workspaces.Bound(ws) }

// HasSynced reports whether every endpoint that answers has been read once. An endpoint that does not answer holds
// it up for the startup grace only. Once true it stays so.
func (s *Set) HasSynced() bool { return s.synced.Load() }

// Endpoints returns the URLs of the endpoint slice, ordered, and false until it has been read.
func (s *Set) Endpoints() ([]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.wanted), s.listed
}

// AddEndpointHandler adds a function that is told when the endpoint slice changed. Handlers are added before Run.
func (s *Set) AddEndpointHandler(handler func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpointHandlers = append(s.endpointHandlers, handler)
}

// ConfigFor returns how to reach one bound workspace through the endpoint of its shard, and false if the workspace
// is not bound.
func (s *Set) ConfigFor(ws logicalcluster.Name) (*rest.Config, bool) {
	base, bound := s.workspaces.endpoint(ws)
	if !bound || ws == workspace.Wildcard {
		return nil, false
	}
	return s.configAt(base, ws), true
}

// HTTPClient is the HTTP client that every request to kcp shares; rest.RESTClientForConfigAndClient takes it.
func (s *Set) HTTPClient() *http.Client { return s.http }

func (s *Set) configAt(base string, ws logicalcluster.Name) *rest.Config {
	config := rest.CopyConfig(s.config.ProviderConfig)
	config.Host = base + "/clusters/" + ws.String()
	return config
}

// Run follows the export until the context ends, and returns when everything has stopped.
func (s *Set) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slice, err := s.sliceReflector(ctx)
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

func (s *Set) changed() {
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
