// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/client-go/util/cert"

	"github.com/kcp-dev/tmc/pkg/apiserver/backend"
	"github.com/kcp-dev/tmc/pkg/door"
	"github.com/kcp-dev/tmc/pkg/transform"
)

// CompletedOptions can be made by Complete only.
type CompletedOptions struct{ *completedOptions }

type completedOptions struct {
	*Options
	cidrs    []netip.Prefix
	problems []error
}

// Complete fills in what follows from the flags. It never fails: what is wrong is left for Validate to tell.
func (o *Options) Complete() CompletedOptions {
	done := &completedOptions{Options: o}
	for _, text := range o.Members.AllowedCIDRs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			done.problems = append(done.problems, fmt.Errorf("--allowed-member-cidrs: %q is not an address range such as 127.0.0.0/8", text))
			continue
		}
		done.cidrs = append(done.cidrs, prefix.Masked())
	}
	return CompletedOptions{done}
}

// Validate reports every problem at once, each with the flag and the remedy.
func (o CompletedOptions) Validate() error {
	if o.completedOptions == nil {
		return errors.New("the options were not completed")
	}
	return errors.Join(slices.Concat(
		o.problems,
		o.validateKCP(),
		o.validateServing(),
		o.validateDoors(),
		o.validateReviews(),
		o.validateMembers(),
		o.validateSync(),
		o.validateControllers(),
		o.validateLifecycle(),
		o.Audit.Validate(),
		o.Tracing.Validate(),
	)...)
}

func (o CompletedOptions) validateKCP() []error {
	var errs []error
	if o.KCP.Kubeconfig == "" {
		errs = append(errs, errors.New("--kubeconfig is required: it names the workspace that holds the APIExport"))
	} else {
		errs = append(errs, readable("--kubeconfig", o.KCP.Kubeconfig))
	}
	if problems := validation.NameIsDNSSubdomain(o.KCP.ExportName, false); len(problems) > 0 {
		errs = append(errs, fmt.Errorf("--export-name=%q is not the name of an APIExport: %s", o.KCP.ExportName, problems[0]))
	}
	if problems := validation.NameIsDNSSubdomain(o.KCP.WorkloadExportName, false); len(problems) > 0 {
		errs = append(errs, fmt.Errorf("--workload-export-name=%q is not the name of an APIExport: %s", o.KCP.WorkloadExportName, problems[0]))
	}
	if err := door.ValidatePrefix(o.KCP.PathPrefix); err != nil {
		errs = append(errs, fmt.Errorf("--path-prefix: %w", err))
	}
	return append(errs, atLeast("--start-grace", o.KCP.StartGrace, 0))
}

func (o CompletedOptions) validateServing() []error {
	errs := o.Serving.Validate()
	certFile, keyFile := o.Serving.ServerCert.CertKey.CertFile, o.Serving.ServerCert.CertKey.KeyFile
	if certFile == "" || keyFile == "" {
		errs = append(errs, errors.New("--tls-cert-file and --tls-private-key-file are required: this server is only reached by TLS, and makes no certificate of its own"))
		return errs
	}
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		errs = append(errs, fmt.Errorf("--tls-cert-file and --tls-private-key-file: %w", err))
	}
	return errs
}

// validateDoors lets the doors judge themselves, and adds what only the flags know.
func (o CompletedOptions) validateDoors() []error {
	var errs []error
	if o.Front.ClientCA == "" && o.Side.ClientCA == "" {
		errs = append(errs, errors.New("--requestheader-client-ca-file or --side-door-requestheader-client-ca-file is required: without either, nobody can reach a view"))
	}
	errs = append(errs, o.Front.validate("--requestheader-", o.ShardUsers, "--shard-user-names")...)
	errs = append(errs, o.Side.validate("--side-door-requestheader-", nil, "")...)
	for _, name := range o.Side.AllowedNames {
		if slices.Contains(o.Front.AllowedNames, name) {
			errs = append(errs, fmt.Errorf("--side-door-requestheader-allowed-names: %q is also in --requestheader-allowed-names, so that the doors could not be told apart", name))
		}
	}
	if o.ClientCA != "" {
		errs = append(errs, authorities("--client-ca-file", o.ClientCA))
	}
	return append(errs, o.Limits.Validate())
}

func (d HeaderDoorOptions) validate(prefix string, shardUsers []string, shardFlag string) []error {
	if d.ClientCA == "" {
		if len(shardUsers) > 0 {
			return []error{fmt.Errorf("%s has no meaning without %sclient-ca-file", shardFlag, prefix)}
		}
		if len(d.AllowedNames)+len(d.UserHeaders)+len(d.GroupHeaders)+len(d.ExtraPrefixes) > 0 {
			return []error{fmt.Errorf("the other %s flags have no meaning without %sclient-ca-file", prefix, prefix)}
		}
		return nil
	}
	errs := []error{authorities(prefix+"client-ca-file", d.ClientCA)}
	if len(d.AllowedNames) == 0 {
		errs = append(errs, fmt.Errorf("%sallowed-names is required: an empty list would trust every certificate of %sclient-ca-file", prefix, prefix))
	}
	if len(d.UserHeaders) == 0 {
		errs = append(errs, fmt.Errorf("%susername-headers is required: it says in which header the proxy names the user", prefix))
	}
	if slices.Contains(d.AllowedNames, "") || slices.Contains(shardUsers, "") {
		errs = append(errs, fmt.Errorf("%sallowed-names and %s must not hold an empty name", prefix, shardFlag))
	}
	headers := door.HeaderDoor{Name: strings.TrimSuffix(prefix, "-"), UserHeaders: d.UserHeaders, GroupHeaders: d.GroupHeaders, ExtraPrefixes: d.ExtraPrefixes}
	return append(errs, headers.ValidateHeaders())
}

func (o CompletedOptions) validateReviews() []error {
	errs := []error{
		atLeast("--authorization-allowed-ttl", o.Reviews.AllowedFor, 0),
		atLeast("--authorization-denied-ttl", o.Reviews.DeniedFor, 0),
		atLeast("--authorization-timeout", o.Reviews.Timeout, time.Millisecond),
	}
	if o.Reviews.CacheSize < 1 {
		errs = append(errs, fmt.Errorf("--authorization-cache-size=%d is too small: the least is 1", o.Reviews.CacheSize))
	}
	return errs
}

func (o CompletedOptions) validateMembers() []error {
	m := o.Members
	errs := []error{
		atLeast("--probe-interval", m.ProbeInterval, 100*time.Millisecond),
		atLeast("--probe-timeout", m.ProbeTimeout, 100*time.Millisecond),
		atLeast("--coalesce-window", o.Views.CoalesceWindow, 0),
		atLeast("--refresh-interval", o.Views.RefreshInterval, time.Second),
	}
	if m.UnreachableAfter < m.ProbeInterval+m.ProbeTimeout {
		errs = append(errs, fmt.Errorf("--unreachable-after=%s is too short: one probe takes up to --probe-interval plus --probe-timeout = %s",
			m.UnreachableAfter, m.ProbeInterval+m.ProbeTimeout))
	}
	return errs
}

func (o CompletedOptions) validateSync() []error {
	errs := []error{atLeast("--detach-after", o.Sync.DetachAfter, time.Second)}
	if !(o.Sync.WriteQPS >= 1) || math.IsInf(o.Sync.WriteQPS, 0) { // not a number compares with nothing
		errs = append(errs, fmt.Errorf("--member-write-qps=%v is no rate: the least is 1", o.Sync.WriteQPS))
	}
	if o.Sync.WriteBurst < 1 {
		errs = append(errs, fmt.Errorf("--member-write-burst=%d is too small: the least is 1", o.Sync.WriteBurst))
	}
	if err := backend.Lenders(o.Sync.TrustedLenders).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("--trusted-lenders: %w", err))
	}
	switch transform.PodSecurity(o.Sync.PodSecurity) {
	case transform.PodSecurityPrivileged, transform.PodSecurityBaseline, transform.PodSecurityRestricted:
	default:
		errs = append(errs, fmt.Errorf("--pod-security-level=%q is none of privileged, baseline and restricted", o.Sync.PodSecurity))
	}
	return errs
}

func (o CompletedOptions) validateControllers() []error {
	c := o.Controllers
	if !c.LeaderElect {
		return nil
	}
	if c.RetryPeriod <= 0 || c.RenewDeadline <= c.RetryPeriod*12/10 || c.LeaseDuration.Truncate(time.Second) <= c.RenewDeadline {
		return []error{fmt.Errorf("--leader-elect-lease-duration=%s must be longer, in whole seconds, than --leader-elect-renew-deadline=%s, and that longer than 1.2 times --leader-elect-retry-period=%s",
			c.LeaseDuration, c.RenewDeadline, c.RetryPeriod)}
	}
	return nil
}

func (o CompletedOptions) validateLifecycle() []error {
	l := o.Lifecycle
	errs := []error{
		atLeast("--request-timeout", l.RequestTimeout, time.Second),
		atLeast("--livez-grace-period", l.LivezGracePeriod, 0),
		atLeast("--shutdown-delay-duration", l.ShutdownDelay, 0),
		atLeast("--shutdown-watch-termination-grace-period", l.ShutdownWatchGrace, 0),
	}
	if l.MinRequestTimeout < 1 {
		errs = append(errs, fmt.Errorf("--min-request-timeout=%d is too small: the least is 1", l.MinRequestTimeout))
	}
	if l.MaxRequestsInFlight < 0 {
		errs = append(errs, fmt.Errorf("--max-requests-inflight=%d must not be negative", l.MaxRequestsInFlight))
	}
	if l.GoawayChance < 0 || l.GoawayChance > 0.02 {
		errs = append(errs, fmt.Errorf("--goaway-chance=%v must be from 0 to 0.02", l.GoawayChance))
	}
	return errs
}

func atLeast(flag string, value, least time.Duration) error {
	if value < least {
		return fmt.Errorf("%s=%s is too short: the least is %s", flag, value, least)
	}
	return nil
}

func readable(flag, file string) error {
	f, err := os.Open(file) // the file is the operator's choice
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return f.Close()
}

func authorities(flag, file string) error {
	if _, err := cert.CertsFromFile(file); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}
