// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"github.com/spf13/pflag"
	logsapi "k8s.io/component-base/logs/api/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

func (o *Options) addKCPFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.KCP.Kubeconfig, "kubeconfig", o.KCP.Kubeconfig,
		"Kubeconfig of the workspace that holds the APIExport. Its client certificate and certificate authority are used for the export's endpoints, too. Required.")
	fs.StringVar(&o.KCP.ExportName, "export-name", o.KCP.ExportName, "Name of the APIExport.")
	fs.StringVar(&o.KCP.WorkloadExportName, "workload-export-name", o.KCP.WorkloadExportName,
		"Name of the APIExport with the workload kinds, in the same workspace.")
	fs.StringVar(&o.KCP.PathPrefix, "path-prefix", o.KCP.PathPrefix,
		"What stands before /clusters/<workspace> in request paths. The front-proxies map it to this server.")
	fs.DurationVar(&o.KCP.StartGrace, "start-grace", o.KCP.StartGrace,
		"How long a shard that does not answer may keep this server from becoming ready.")
}

func (o *Options) addServingFlags(fs *pflag.FlagSet) {
	all := pflag.NewFlagSet("serving", pflag.ContinueOnError)
	o.Serving.AddFlags(all)
	// The others make no sense here, or would generate a certificate that nobody trusts.
	for _, name := range []string{
		"bind-address", "secure-port", "tls-cert-file", "tls-private-key-file", "tls-cipher-suites", "tls-min-version",
		"tls-sni-cert-key", "disable-http2-serving", "http2-max-streams-per-connection",
	} {
		fs.AddFlag(all.Lookup(name))
	}
	fs.Lookup("tls-cert-file").Usage = "File with the certificate of this server, followed by intermediates if there are any. Read again when it changes. Required."
	fs.Lookup("tls-private-key-file").Usage = "File with the private key of --tls-cert-file. Required."
	fs.Lookup("secure-port").Usage = "Port to listen at. 0 chooses a free one."
	fs.Lookup("disable-http2-serving").Usage = "Serve HTTP/1.1 only."
}

func (o *Options) addFrontFlags(fs *pflag.FlagSet) {
	addDoorFlags(fs, &o.Front, "requestheader-", "the front-proxies of kcp shards")
	fs.StringSliceVar(&o.ShardUsers, "shard-user-names", o.ShardUsers,
		"Users that are kcp shards at this door: kcp has authorized their requests. Every other user is authorized by this server.")
}

func (o *Options) addSideFlags(fs *pflag.FlagSet) {
	addDoorFlags(fs, &o.Side, "side-door-requestheader-", "the front-proxies that users come through")
}

func addDoorFlags(fs *pflag.FlagSet, o *HeaderDoorOptions, prefix, who string) {
	fs.StringVar(&o.ClientCA, prefix+"client-ca-file", o.ClientCA,
		"File with the authorities of the client certificates of "+who+". Read again when it changes.")
	fs.StringSliceVar(&o.AllowedNames, prefix+"allowed-names", o.AllowedNames,
		"Common names of the client certificates of "+who+". May not be empty.")
	fs.StringSliceVar(&o.UserHeaders, prefix+"username-headers", o.UserHeaders,
		"Headers with the user's name. Exactly one value must arrive. Choose names that nobody can guess.")
	fs.StringSliceVar(&o.GroupHeaders, prefix+"group-headers", o.GroupHeaders, "Headers with the user's groups.")
	fs.StringSliceVar(&o.ExtraPrefixes, prefix+"extra-headers-prefix", o.ExtraPrefixes,
		"Prefixes of the headers with what else is known of the user.")
}

func (o *Options) addAccessFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.ClientCA, "client-ca-file", o.ClientCA,
		"File with the authorities of users' own client certificates, for example of metrics scrapers. Read again when it changes.")
	fs.DurationVar(&o.Reviews.AllowedFor, "authorization-allowed-ttl", o.Reviews.AllowedFor, "How long an access review that allowed holds.")
	fs.DurationVar(&o.Reviews.DeniedFor, "authorization-denied-ttl", o.Reviews.DeniedFor, "How long an access review that denied holds.")
	fs.IntVar(&o.Reviews.CacheSize, "authorization-cache-size", o.Reviews.CacheSize, "How many access reviews are remembered.")
	fs.DurationVar(&o.Reviews.Timeout, "authorization-timeout", o.Reviews.Timeout, "How long an access review may take.")
	fs.IntVar(&o.Limits.Requests, "max-requests-per-tenant", o.Limits.Requests,
		"How many requests that are not watches one workspace, or one user at the side door, may have open. 0 is no limit.")
	fs.IntVar(&o.Limits.Watches, "max-watches-per-tenant", o.Limits.Watches,
		"How many watches one workspace, or one user at the side door, may have open. 0 is no limit.")
	fs.IntVar(&o.Limits.AllWatches, "max-watches", o.Limits.AllWatches, "How many watches all may have open together. 0 is no limit.")
}

func (o *Options) addMemberFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.Members.AllowedCIDRs, "allowed-member-cidrs", o.Members.AllowedCIDRs,
		"Address ranges where members may be although they are refused otherwise, such as loopback and link-local addresses.")
	fs.DurationVar(&o.Members.ProbeInterval, "probe-interval", o.Members.ProbeInterval, "How often a member is probed.")
	fs.DurationVar(&o.Members.ProbeTimeout, "probe-timeout", o.Members.ProbeTimeout, "How long a probe may take.")
	fs.DurationVar(&o.Members.UnreachableAfter, "unreachable-after", o.Members.UnreachableAfter,
		"How long no probe may succeed before a member's Ready turns Unknown.")
}

func (o *Options) addSyncFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&o.Sync.DetachAfter, "detach-after", o.Sync.DetachAfter,
		"How long the deletion of an object, or of a ClusterRegistration, waits for a member that cannot be reached; that of a ClusterRegistration whose member answers, ten times as long. What is left on a member is removed when it returns or is registered again.")
	fs.Float64Var(&o.Sync.WriteQPS, "member-write-qps", o.Sync.WriteQPS,
		"How many writes a second a member gets at most, each member for itself. At most 8 are under way at once.")
	fs.IntVar(&o.Sync.WriteBurst, "member-write-burst", o.Sync.WriteBurst, "How many writes a member may get at once after it had fewer than --member-write-qps.")
	fs.StringSliceVar(&o.Sync.TrustedLenders, "trusted-lenders", o.Sync.TrustedLenders,
		"Workspaces whose members are used by every Placement of the workspaces that they lend them to: logical clusters, paths such as root:platform, or * for all. Members of other lenders have the taint "+tmcv1alpha1.LenderTaint+"=<logical cluster of the lender>:NoExecute there, which a Placement may tolerate.")
	fs.StringVar(&o.Sync.PodSecurity, "pod-security-level", o.Sync.PodSecurity,
		"Pod Security level that members are told to enforce in the namespaces of workspaces: privileged, baseline or restricted.")
}

func (o *Options) addViewFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&o.Views.CoalesceWindow, "coalesce-window", o.Views.CoalesceWindow,
		"Changes of one member's capacity within this time become one change of its view.")
	fs.DurationVar(&o.Views.RefreshInterval, "refresh-interval", o.Views.RefreshInterval,
		"How often the observation time of a member that does not change is renewed.")
}

func (o *Options) addControllerFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&o.Controllers.PublishEndpoints, "publish-endpoints", o.Controllers.PublishEndpoints,
		"Tell kcp where this server is, once per shard, in the endpoint slice of the export.")
	fs.BoolVar(&o.Controllers.LeaderElect, "leader-elect", o.Controllers.LeaderElect,
		"Write to kcp only while holding a lease. Views are served in any case.")
	fs.DurationVar(&o.Controllers.LeaseDuration, "leader-elect-lease-duration", o.Controllers.LeaseDuration,
		"How long others wait after the last renewal before they take over.")
	fs.DurationVar(&o.Controllers.RenewDeadline, "leader-elect-renew-deadline", o.Controllers.RenewDeadline,
		"How long the leader tries to renew before it stops writing.")
	fs.DurationVar(&o.Controllers.RetryPeriod, "leader-elect-retry-period", o.Controllers.RetryPeriod, "How long to wait between tries.")
}

func (o *Options) addLifecycleFlags(fs *pflag.FlagSet) {
	l := &o.Lifecycle
	fs.DurationVar(&l.RequestTimeout, "request-timeout", l.RequestTimeout, "How long a request that is not a watch may take.")
	fs.IntVar(&l.MinRequestTimeout, "min-request-timeout", l.MinRequestTimeout,
		"Seconds that a watch without a timeout of its own stays open at least; up to twice as long, to spread out load.")
	fs.IntVar(&l.MaxRequestsInFlight, "max-requests-inflight", l.MaxRequestsInFlight,
		"How many requests that are not watches all may have open together. 0 is no limit.")
	fs.Float64Var(&l.GoawayChance, "goaway-chance", l.GoawayChance,
		"Part of the HTTP/2 requests, up to 0.02, after which the client is asked to connect anew, so that load spreads over replicas.")
	fs.DurationVar(&l.LivezGracePeriod, "livez-grace-period", l.LivezGracePeriod, "How long /livez is patient with the start.")
	fs.DurationVar(&l.ShutdownDelay, "shutdown-delay-duration", l.ShutdownDelay,
		"How long to go on serving after the signal to stop, with /readyz failing, so that load balancers notice.")
	fs.BoolVar(&l.ShutdownSendRetryAfter, "shutdown-send-retry-after", l.ShutdownSendRetryAfter,
		"Answer new requests with 429 and Retry-After while those in flight are waited for, instead of closing the port at once.")
	fs.DurationVar(&l.ShutdownWatchGrace, "shutdown-watch-termination-grace-period", l.ShutdownWatchGrace,
		"How long the shutdown waits for watches to end.")
	fs.BoolVar(&l.Profiling, "profiling", l.Profiling, "Serve /debug/pprof to those who may get it in the provider workspace.")
}

// addLogFlags leaves out what is only kept for old command lines.
func (o *Options) addLogFlags(fs *pflag.FlagSet) {
	all := pflag.NewFlagSet("logs", pflag.ContinueOnError)
	logsapi.AddFlags(o.Logs, all)
	for _, name := range []string{"v", "vmodule", "logging-format", "log-flush-frequency"} {
		fs.AddFlag(all.Lookup(name))
	}
}
