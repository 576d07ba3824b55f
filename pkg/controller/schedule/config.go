// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"context"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Defaults of Config.
const (
	// DefaultSettleInterval gathers changes of objects before a Placement that is decided already is looked at again.
	DefaultSettleInterval = 200 * time.Millisecond
	// DefaultPromiseGrace is how long room stays promised after the member told that it made the pods: its pods are
	// watched on another stream, which may be a little behind.
	DefaultPromiseGrace = 3 * time.Second
)

// Placements are those of bound workspaces.
type Placements interface {
	Find(key workspace.Key) (*tmcv1alpha1.Placement, bool)
	List() []*tmcv1alpha1.Placement
	// InNamespace returns those of a namespace, for whoever concludes from there being none: what is told to handlers
	// comes a moment later.
	InNamespace(ws logicalcluster.Name, namespace string) []*tmcv1alpha1.Placement
}

// Registrations are those of bound workspaces.
type Registrations interface {
	Find(key workspace.Key) (*tmcv1alpha1.ClusterRegistration, bool)
}

// Members knows what is known of each member.
type Members interface {
	Observation(key workspace.Key) (view.Observation, bool)
}

// Lending knows who sees each member.
type Lending interface {
	Entries(registration workspace.Key) []view.Entry
}

// Workloads are the objects that can be placed.
type Workloads interface {
	// Kinds are the resources that can be placed.
	Kinds() []schema.GroupResource
	// KindName is the kind of the objects of a resource; empty if the resource is not known.
	KindName(gr schema.GroupResource) string
	// InNamespace returns the objects of one resource in a namespace of a workspace. They are not changed.
	InNamespace(gr schema.GroupResource, ws logicalcluster.Name, namespace string) []*unstructured.Unstructured
}

// Copies tell what the members have.
type Copies interface {
	// APIs says which kinds a member serves to us.
	APIs(member workspace.Key) APIs
	// Replicas returns how many replicas of a workload a member has made, and whether it was told to make any.
	Replicas(member workspace.Key, gr schema.GroupResource, workload workspace.Key) (made int32, found bool)
	// Progress sums up what became of a Placement.
	Progress(placement workspace.Key) Progress
}

// APIs says which kinds a member serves to us: all but these.
type APIs struct {
	// Missing are those that it does not serve to us, with messages.
	Missing map[schema.GroupResource]string
	// Unknown are those of which it has not shown yet whether it does.
	Unknown sets.Set[schema.GroupResource]
}

// Progress sums up what became of a Placement on the members.
type Progress struct {
	// Desired, Synced, Ready and Failed count copies.
	Desired, Synced, Ready, Failed int32
	// Reading counts desired copies of which will be known in a moment whether they are synced.
	Reading int32
	// Problem describes the first copy that failed, with its reason.
	Problem, Reason string
	// Degraded describes the first copy that is degraded.
	Degraded string
	// Away names the first member that has copies and cannot be reached.
	Away string
	// Occupied are the names of the members that have copies, chosen or not.
	Occupied map[string]bool
}

// Leader says whether this replica writes.
type Leader interface{ IsLeader() bool }

// StatusPatcher sends a JSON merge patch to the status of a Placement.
type StatusPatcher interface {
	PatchStatus(ctx context.Context, key workspace.Key, patch []byte) error
}

// Config says what the controller works with.
type Config struct {
	Placements    Placements
	Registrations Registrations
	Members       Members
	Lending       Lending
	Workloads     Workloads
	Copies        Copies
	Leader        Leader
	Status        StatusPatcher
	// Certain says that what is not known of a workspace does not exist, its members and its objects, and is not merely
	// unread while a shard is away or a kind has not been listed.
	Certain func(ws logicalcluster.Name) bool
	// TrustsLender says that members of a workspace are used where they are lent to, without being asked for by a
	// toleration of LenderTaint. None is trusted if it is nil.
	TrustsLender func(lender logicalcluster.Name) bool
	// OnDecision is told when the members of a Placement, or which objects it has, may differ; OnExplanation when what is
	// said of it does; OnPromise when a member owes another amount; OnLending when workspaces see a member, or see it no
	// more. They must not block.
	OnDecision, OnExplanation func(placement workspace.Key)
	OnPromise                 func(member workspace.Key)
	OnLending                 func(member workspace.Key, workspaces sets.Set[logicalcluster.Name])
	// SettleInterval and PromiseGrace take their defaults if zero.
	SettleInterval, PromiseGrace time.Duration
	// Clock is the real clock if nil.
	Clock   clock.WithTicker
	Metrics *engine.Metrics
}

func (c Config) withDefaults() Config {
	if c.SettleInterval == 0 {
		c.SettleInterval = DefaultSettleInterval
	}
	if c.PromiseGrace == 0 {
		c.PromiseGrace = DefaultPromiseGrace
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.OnLending == nil {
		c.OnLending = func(workspace.Key, sets.Set[logicalcluster.Name]) {}
	}
	if c.TrustsLender == nil {
		c.TrustsLender = func(logicalcluster.Name) bool { return false }
	}
	if c.Certain == nil {
		c.Certain = func(logicalcluster.Name) bool { return true }
	}
	for _, callback := range []*func(workspace.Key){&c.OnDecision, &c.OnExplanation, &c.OnPromise} {
		if *callback == nil {
			*callback = func(workspace.Key) {}
		}
	}
	return c
}
