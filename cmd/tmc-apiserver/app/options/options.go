// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package options turns the flags of tmc-apiserver into the configuration of a server.
//
// Options are the flags as typed; Complete yields CompletedOptions, the only type that can be validated and turned
// into a configuration. Nothing is read from the environment. The package starts nothing.
package options

import (
	"time"

	genericoptions "k8s.io/apiserver/pkg/server/options"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"

	"github.com/kcp-dev/tmc/pkg/controller/sync"
	"github.com/kcp-dev/tmc/pkg/door"
	"github.com/kcp-dev/tmc/pkg/health"
	"github.com/kcp-dev/tmc/pkg/transform"
)

// Defaults that more than one place names.
const (
	defaultPort          = 6443
	defaultMaxStreams    = 1000
	defaultWatchGrace    = 10 * time.Second
	defaultReviewTTL     = 10 * time.Second
	defaultReviewSize    = 16384
	defaultReviewTimeout = 10 * time.Second
)

// Options are the flags as typed.
type Options struct {
	KCP         KCPOptions
	Serving     *genericoptions.SecureServingOptions
	Front       HeaderDoorOptions
	Side        HeaderDoorOptions
	ShardUsers  []string
	ClientCA    string
	Limits      door.Limits
	Reviews     ReviewOptions
	Members     MemberOptions
	Sync        SyncOptions
	Views       ViewOptions
	Controllers ControllerOptions
	Lifecycle   LifecycleOptions
	Audit       *genericoptions.AuditOptions
	Tracing     *genericoptions.TracingOptions
	Logs        *logs.Options
}

// KCPOptions say where the export is and what it is called.
type KCPOptions struct {
	Kubeconfig string
	ExportName string
	// WorkloadExportName is the name of the export with the workload kinds.
	WorkloadExportName string
	PathPrefix         string
	// StartGrace is how long a shard that does not answer may hold back the views of all.
	StartGrace time.Duration
}

// HeaderDoorOptions describe a door at which a proxy names the user. Without ClientCA the door stays shut.
type HeaderDoorOptions struct {
	ClientCA      string
	AllowedNames  []string
	UserHeaders   []string
	GroupHeaders  []string
	ExtraPrefixes []string
}

// ReviewOptions bound the cache of access reviews.
type ReviewOptions struct {
	AllowedFor time.Duration
	DeniedFor  time.Duration
	CacheSize  int
	Timeout    time.Duration
}

// MemberOptions say how members are reached and judged.
type MemberOptions struct {
	AllowedCIDRs     []string
	ProbeInterval    time.Duration
	ProbeTimeout     time.Duration
	UnreachableAfter time.Duration
}

// SyncOptions say how copies are kept on members.
type SyncOptions struct {
	// DetachAfter is how long a deletion waits for a member that cannot be reached.
	DetachAfter time.Duration
	// WriteQPS and WriteBurst bound the writes to each member.
	WriteQPS   float64
	WriteBurst int
	// TrustedLenders are the workspaces whose loans are used without being asked for: see backend.Lenders.
	TrustedLenders []string
	// PodSecurity is the level of Pod Security that members enforce in the namespaces of workspaces.
	PodSecurity string
}

// ViewOptions say how often views change.
type ViewOptions struct {
	CoalesceWindow  time.Duration
	RefreshInterval time.Duration
}

// ControllerOptions say what this process writes to kcp.
type ControllerOptions struct {
	PublishEndpoints bool
	LeaderElect      bool
	LeaseDuration    time.Duration
	RenewDeadline    time.Duration
	RetryPeriod      time.Duration
}

// LifecycleOptions are those of k8s.io/apiserver that make sense for a server that only reads.
type LifecycleOptions struct {
	RequestTimeout         time.Duration
	MinRequestTimeout      int
	MaxRequestsInFlight    int
	GoawayChance           float64
	LivezGracePeriod       time.Duration
	ShutdownDelay          time.Duration
	ShutdownSendRetryAfter bool
	ShutdownWatchGrace     time.Duration
	Profiling              bool
}

// New returns the defaults.
func New() *Options {
	serving := genericoptions.NewSecureServingOptions()
	serving.BindPort = defaultPort
	serving.Required = false
	// A generated certificate would be trusted by nobody, so one must be given.
	serving.ServerCert.CertDirectory, serving.ServerCert.PairName = "", ""
	serving.MinTLSVersion = "VersionTLS13"
	// A front-proxy puts all tenants of a shard on few connections.
	serving.HTTP2MaxStreamsPerConnection = defaultMaxStreams
	return &Options{
		KCP:     KCPOptions{ExportName: "tmc.kcp.io", WorkloadExportName: "kubernetes", PathPrefix: "/services/tmc", StartGrace: 30 * time.Second},
		Serving: serving,
		Limits:  door.Limits{Requests: 100, Watches: 1000, AllWatches: 20000},
		Reviews: ReviewOptions{
			AllowedFor: defaultReviewTTL, DeniedFor: defaultReviewTTL, CacheSize: defaultReviewSize, Timeout: defaultReviewTimeout,
		},
		Members: MemberOptions{
			ProbeInterval: health.DefaultProbeInterval, ProbeTimeout: health.DefaultProbeTimeout, UnreachableAfter: health.DefaultUnreachableAfter,
		},
		Sync:  SyncOptions{DetachAfter: sync.DefaultDetachAfter, WriteQPS: sync.DefaultWriteQPS, WriteBurst: sync.DefaultWriteBurst, PodSecurity: string(transform.PodSecurityBaseline)},
		Views: ViewOptions{CoalesceWindow: 100 * time.Millisecond, RefreshInterval: 30 * time.Second},
		Controllers: ControllerOptions{
			PublishEndpoints: true, LeaderElect: true,
			LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
		},
		Lifecycle: LifecycleOptions{
			RequestTimeout: time.Minute, MinRequestTimeout: 1800, MaxRequestsInFlight: 400, ShutdownWatchGrace: defaultWatchGrace,
		},
		Audit:   genericoptions.NewAuditOptions(),
		Tracing: genericoptions.NewTracingOptions(),
		Logs:    logs.NewOptions(),
	}
}

// Flags returns the flags in groups, as help shows them.
func (o *Options) Flags() cliflag.NamedFlagSets {
	var groups cliflag.NamedFlagSets
	o.addKCPFlags(groups.FlagSet("kcp"))
	o.addServingFlags(groups.FlagSet("serving"))
	o.addFrontFlags(groups.FlagSet("front door"))
	o.addSideFlags(groups.FlagSet("side door"))
	o.addAccessFlags(groups.FlagSet("access"))
	o.addMemberFlags(groups.FlagSet("members"))
	o.addSyncFlags(groups.FlagSet("sync"))
	o.addViewFlags(groups.FlagSet("views"))
	o.addControllerFlags(groups.FlagSet("controllers"))
	o.addLifecycleFlags(groups.FlagSet("lifecycle"))
	o.Audit.AddFlags(groups.FlagSet("audit"))
	o.Tracing.AddFlags(groups.FlagSet("tracing"))
	o.addLogFlags(groups.FlagSet("logs"))
	return groups
}
