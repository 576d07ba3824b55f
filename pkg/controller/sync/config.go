// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Defaults of Config.
const (
	// DefaultDetachAfter is how long a deletion waits for a member that cannot be reached.
	DefaultDetachAfter = 2 * time.Minute
	// DefaultStatusInterval is the least time between two writes of one object's status.
	DefaultStatusInterval = 100 * time.Millisecond
	// DefaultWorkers is how many objects are reconciled at once.
	DefaultWorkers = 8
	// DefaultWritesPerMember is how many writes one member gets at once.
	DefaultWritesPerMember = 8
	// DefaultWriteQPS is how many writes a second one member gets, and DefaultWriteBurst how many at once after a rest: enough not
	// to be felt (a thousand workloads at once were 14 writes a second and member in the benchmark on two processors), and
	// not so many that whoever edits thousands of objects has a member's API server to himself.
	DefaultWriteQPS   = 200
	DefaultWriteBurst = 400
)

// takeBackGrace is how long copies stay on a member that the workspace does not see any more.
const takeBackGrace = 5 * time.Second

// Key names an object of a workspace.
type Key struct {
	Resource schema.GroupResource
	Object   workspace.Key
}

// String returns resource.group workspace|namespace/name.
func (k Key) String() string { return k.Resource.String() + " " + k.Object.String() }

// Compare orders keys by resource and object.
func (k Key) Compare(other Key) int {
	return cmp.Or(strings.Compare(k.Resource.String(), other.Resource.String()), k.Object.Compare(other.Object))
}

// Kind is what is known of a resource.
type Kind struct {
	GVR schema.GroupVersionResource
	// Claimed says that workspaces share it by a permission claim: TMC may read it, and writes nothing to it.
	Claimed bool
	// Status says that it has a status that can be written.
	Status bool
}

// Upstream is what workspaces hold.
type Upstream interface {
	Find(gr schema.GroupResource, key workspace.Key) (*unstructured.Unstructured, bool)
	InNamespace(gr schema.GroupResource, ws logicalcluster.Name, namespace string) []*unstructured.Unstructured
	Kinds() []schema.GroupResource
	Kind(gr schema.GroupResource) (Kind, bool)
	// Namespace says whether a namespace exists; known is false until namespaces have been read.
	Namespace(ws logicalcluster.Name, name string) (exists, terminating, known bool)
	// Leaving says that a workspace is giving up its binding.
	Leaving(ws logicalcluster.Name) bool
	// Certain says that absence of an object of a workspace, or of the Placement that it needs, means absence.
	Certain(gr schema.GroupResource, ws logicalcluster.Name) bool
	// LoansKnown says that it is known who sees which member: who does not see one then does not borrow it.
	LoansKnown() bool
	Path(ws logicalcluster.Name) string
	PatchMetadata(ctx context.Context, gr schema.GroupResource, key workspace.Key, patch []byte) error
	PatchStatus(ctx context.Context, gr schema.GroupResource, key workspace.Key, patch []byte) error
	CreateEvent(ctx context.Context, ws logicalcluster.Name, event *corev1.Event) error
}

// Location names an object on a member.
type Location struct {
	Resource  schema.GroupVersionResource
	Namespace string
	Name      string
}

// Downstream is what members hold.
type Downstream interface {
	Copy(member workspace.Key, at Location) (*unstructured.Unstructured, bool)
	// Synced says that what Copy does not find is not there.
	Synced(member workspace.Key, gvr schema.GroupVersionResource) bool
	// Reachable says whether a member answers, and whether that is known: it was called since this process began.
	Reachable(member workspace.Key) (answers, called bool)
	// Missing says what a member lacks to have copies of a resource, if it is known to lack something.
	Missing(member workspace.Key, gr schema.GroupResource) (message string, missing bool)
	Apply(ctx context.Context, member workspace.Key, at Location, object *unstructured.Unstructured, force bool) (*unstructured.Unstructured, error)
	Get(ctx context.Context, member workspace.Key, at Location) (*unstructured.Unstructured, error)
	Create(ctx context.Context, member workspace.Key, at Location, object *unstructured.Unstructured) (*unstructured.Unstructured, error)
	Delete(ctx context.Context, member workspace.Key, at Location, uid types.UID) error
}

// Decisions say where objects go.
type Decisions interface {
	// PlacementOf returns the Placement that places an object.
	PlacementOf(gr schema.GroupResource, object *unstructured.Unstructured) (*tmcv1alpha1.Placement, bool)
	// Unclear says that it is not certain that no Placement places an object, if none was found.
	Unclear(gr schema.GroupResource, object *unstructured.Unstructured) bool
	Decisions(placement *tmcv1alpha1.Placement) []tmcv1alpha1.PlacementDecision
	Divide(placement *tmcv1alpha1.Placement, gr schema.GroupResource, name string, replicas int32) map[string]int32
	// Member returns the registration behind a name that a workspace sees, Members all of them.
	Member(ws logicalcluster.Name, name string) (workspace.Key, bool)
	Members(ws logicalcluster.Name) map[string]workspace.Key
	// Accepts says that a Placement may have a member, Concerns that some Placement of a namespace may (accepted), or was
	// decided to have one of that name (named).
	Accepts(placement *tmcv1alpha1.Placement, member workspace.Key) bool
	Concerns(ws logicalcluster.Name, namespace string, member workspace.Key) (accepted, named bool)
	// Registered says that a member has a registration. What is on one that has none is out of reach.
	Registered(member workspace.Key) bool
	// Held says that a member's registration cannot go without its copies.
	Held(member workspace.Key) bool
	// RetiringSince says since when a member is being taken away by its owner, if it is.
	RetiringSince(member workspace.Key) (since time.Time, retiring bool)
}

// Leader says whether this replica writes.
type Leader interface{ IsLeader() bool }

// CallProblem is why a call to a member did not succeed, in terms that a tenant may see.
type CallProblem struct { //nolint:errname // it becomes a row of a view, and is an error only on its way there
	Reason, Message string
	// NotFound says that the object is not there, Exists that another one is.
	NotFound, Exists bool
	// RetryAfter is how long to wait at least; zero leaves it to us.
	RetryAfter time.Duration
}

// Error returns the message.
func (p *CallProblem) Error() string { return p.Message }

// problemOf returns what went wrong in a call.
func problemOf(err error) *CallProblem {
	var known *CallProblem
	if errors.As(err, &known) {
		return known
	}
	return &CallProblem{Reason: tmcv1alpha1.ReasonApplyFailed, Message: "the member could not be called"}
}

// Config says what the controller works with.
type Config struct {
	Upstream   Upstream
	Downstream Downstream
	Decisions  Decisions
	Leader     Leader
	// OnProgress is told when what is known of the copies of a Placement differs. It must not block.
	OnProgress func(placement workspace.Key)
	// OnCopies is told when a member got its first copy, is about to get it, or lost one. It must not block.
	OnCopies func(member workspace.Key)
	// DetachAfter, StatusInterval, Workers and WritesPerMember take their defaults if zero.
	DetachAfter     time.Duration
	StatusInterval  time.Duration
	Workers         int
	WritesPerMember int
	// WriteQPS and WriteBurst bound the writes of each member, whatever others get. They take their defaults if zero.
	WriteQPS   float64
	WriteBurst int
	// PodSecurity is the level that members enforce in the namespaces of workspaces; baseline if empty.
	PodSecurity transform.PodSecurity
	// Clock is the real clock if nil.
	Clock   clock.WithTicker
	Metrics *engine.Metrics
}

func (c Config) withDefaults() Config {
	if c.DetachAfter == 0 {
		c.DetachAfter = DefaultDetachAfter
	}
	if c.StatusInterval == 0 {
		c.StatusInterval = DefaultStatusInterval
	}
	if c.Workers == 0 {
		c.Workers = DefaultWorkers
	}
	if c.WritesPerMember == 0 {
		c.WritesPerMember = DefaultWritesPerMember
	}
	if c.WriteQPS == 0 {
		c.WriteQPS = DefaultWriteQPS
	}
	if c.WriteBurst == 0 {
		c.WriteBurst = DefaultWriteBurst
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.OnCopies == nil {
		c.OnCopies = func(workspace.Key) {}
	}
	if c.OnProgress == nil {
		c.OnProgress = func(workspace.Key) {}
	}
	return c
}
