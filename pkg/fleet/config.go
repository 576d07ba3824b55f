// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/pkg/health"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Config says how members are observed. What is zero takes its default.
type Config struct {
	// Clock is the real clock except in tests.
	Clock clock.WithDelayedExecution
	// Addresses judges each address that is dialled.
	Addresses memberconfig.AddressPolicy
	// OnChange is called after State of a member began to differ. Calls are coalesced and come one at a time; they
	// must not wait for anything.
	OnChange func(workspace.Key)
	// OnCopy is called after a copy on a member was added, changed or removed, with its last known state, and must not
	// wait for anything. If a copy became that of another origin, it is called with the former state as well.
	OnCopy func(member workspace.Key, key ObjectKey, object *unstructured.Unstructured)
	// OnMemberCopies is called after a member's copies became known or were lost, after its APIs differ, and after it
	// began or ceased to answer. Calls are coalesced as those of OnChange are.
	OnMemberCopies func(member workspace.Key)
	// OriginOf returns what identifies the object that a copy was made from, and false for what is not a copy.
	// Without it, an object is a copy if it has the annotation tmc.kcp.io/workspace.
	OriginOf func(object metav1.Object) (string, bool)
	// Metrics counts what the fleet does. It may be nil.
	Metrics *Metrics

	// ProbeInterval is how often a member is asked for its version, ProbeTimeout how long one such question may take.
	ProbeInterval time.Duration
	ProbeTimeout  time.Duration
	// UnreachableAfter is how long a member may go without an answer before its condition changes.
	UnreachableAfter time.Duration
	// RequestTimeout is how long one page of a list, or the beginning of a watch, may take.
	RequestTimeout time.Duration
	// WatchSilence is after how long without any sign a watch is opened anew. API servers send a bookmark a minute.
	WatchSilence time.Duration
	// RelistInterval is after how long everything is listed anew, in case a watch left something out.
	RelistInterval time.Duration
	// DiscoveryInterval is how often a member is asked which APIs it serves.
	DiscoveryInterval time.Duration
	// WriteTimeout is how long one read or write of a copy may take, with all waiting.
	WriteTimeout time.Duration
	// AuditInterval is how often each member's figures are recounted from what is kept of its objects.
	AuditInterval time.Duration
	// RetryMin and RetryMax bound the pause after a failure, which grows with each.
	RetryMin time.Duration
	RetryMax time.Duration

	// PageSize is how many objects are asked for at a time.
	PageSize int
	// MaxObjectBytes, MaxPageBytes and MaxAnswerBytes bound one object, one page of a list, and any other answer.
	MaxObjectBytes int
	MaxPageBytes   int64
	MaxAnswerBytes int64
	// MaxPods and MaxNodes bound what is kept of one member.
	MaxPods  int64
	MaxNodes int64
	// MaxCopies and MaxCopyBytes bound what is kept of the copies of one member, in objects and in memory;
	// MaxCopyPageBytes bounds one page of a list of them.
	MaxCopies        int64
	MaxCopyBytes     int64
	MaxCopyPageBytes int64
	// ConcurrentLists is how many members are listed at the same time.
	ConcurrentLists int
	// ConcurrentWrites is how many copies of one member are read or written at the same time.
	ConcurrentWrites int
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.OnChange == nil {
		c.OnChange = func(workspace.Key) {}
	}
	if c.OnCopy == nil {
		c.OnCopy = func(workspace.Key, ObjectKey, *unstructured.Unstructured) {}
	}
	if c.OnMemberCopies == nil {
		c.OnMemberCopies = func(workspace.Key) {}
	}
	if c.OriginOf == nil {
		c.OriginOf = annotatedOrigin
	}
	if c.Metrics == nil {
		c.Metrics = newMetrics()
	}
	orDefault(&c.ProbeInterval, health.DefaultProbeInterval)
	orDefault(&c.ProbeTimeout, health.DefaultProbeTimeout)
	orDefault(&c.UnreachableAfter, health.DefaultUnreachableAfter)
	orDefault(&c.RequestTimeout, time.Minute)
	orDefault(&c.WatchSilence, 150*time.Second)
	orDefault(&c.RelistInterval, 30*time.Minute)
	orDefault(&c.DiscoveryInterval, time.Minute)
	orDefault(&c.WriteTimeout, 10*time.Second)
	orDefault(&c.AuditInterval, time.Minute)
	orDefault(&c.RetryMin, time.Second)
	orDefault(&c.RetryMax, time.Minute)
	orDefault(&c.PageSize, 500)
	orDefault(&c.MaxObjectBytes, 4<<20)
	orDefault(&c.MaxPageBytes, 128<<20)
	orDefault(&c.MaxAnswerBytes, 256<<10)
	orDefault(&c.MaxPods, 500_000)
	orDefault(&c.MaxNodes, 30_000)
	orDefault(&c.MaxCopies, 200_000)
	orDefault(&c.MaxCopyBytes, 1<<30)
	orDefault(&c.MaxCopyPageBytes, 32<<20)
	orDefault(&c.ConcurrentLists, 8)
	orDefault(&c.ConcurrentWrites, 16)
	return c
}

func (c *Config) thresholds() health.Thresholds {
	return health.Thresholds{UnreachableAfter: c.UnreachableAfter}
}

func orDefault[T int | int64 | time.Duration](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}
