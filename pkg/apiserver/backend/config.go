// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package backend is the composition root: it makes the parts that know kcp, the parts that know members and the
// parts that serve views, and joins them by their interfaces. The parts do not know each other.
//
// It holds no logic of its own: what is worth a test on its own belongs in a part.
package backend

import (
	"net/netip"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/pkg/transform"
)

// Config is what the flags say.
type Config struct {
	// Provider is the configuration of a client for the workspace that holds the export.
	Provider *rest.Config
	// ExportName is the name of the APIExport.
	ExportName string
	// WorkloadExportName is the name of the APIExport with the workload kinds.
	WorkloadExportName string
	// PathPrefix is what kcp is told to put before /clusters/<workspace>.
	PathPrefix string
	// StartGrace is how long a shard that does not answer may keep the server from becoming ready.
	StartGrace time.Duration

	// AllowedMembers are address ranges where members may be although they are refused otherwise.
	AllowedMembers []netip.Prefix
	// ProbeInterval, ProbeTimeout and UnreachableAfter say how members are judged.
	ProbeInterval, ProbeTimeout, UnreachableAfter time.Duration

	// DetachAfter is how long a deletion waits for a member that cannot be reached.
	DetachAfter time.Duration
	// WriteQPS and WriteBurst bound the writes to each member; zero takes the defaults of the sync controller.
	WriteQPS   float64
	WriteBurst int
	// TrustedLenders are the workspaces whose members are used where they are lent to, unless a Placement says otherwise.
	TrustedLenders Lenders
	// PodSecurity is the level that members enforce in the namespaces of workspaces.
	PodSecurity transform.PodSecurity

	// CoalesceWindow and RefreshInterval say how often views change.
	CoalesceWindow, RefreshInterval time.Duration

	// PublishEndpoints lets the leader tell kcp where this server is.
	PublishEndpoints bool
	// Election says when this process may write to kcp.
	Election Election

	Clock   clock.WithTickerAndDelayedExecution
	Metrics metrics.KubeRegistry
}

// Election is how replicas agree on who writes.
type Election struct {
	// Enabled is false for a process that is known to be the only one.
	Enabled                                   bool
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
}
