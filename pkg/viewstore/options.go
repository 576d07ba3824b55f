// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"errors"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// SourceKey names what an object is computed from, for example a ClusterRegistration.
type SourceKey = workspace.Key

// Entry is one object that shows a source.
type Entry struct {
	// Key is the workspace, namespace and name of the object.
	Key workspace.Key
	// UID is the object's identity: another UID under the same key is a deletion and a creation.
	UID types.UID
	// CreationTimestamp is the object's creation time.
	CreationTimestamp metav1.Time
	// Labels are the object's labels.
	Labels map[string]string
	// Annotations are the object's annotations; kcp.io/cluster is added to them.
	Annotations map[string]string
}

func (e *Entry) equal(other *Entry) bool {
	return e.Key == other.Key && e.UID == other.UID && e.CreationTimestamp.Equal(&other.CreationTimestamp) &&
		maps.Equal(e.Labels, other.Labels) && maps.Equal(e.Annotations, other.Annotations)
}

// Options say what a Store holds.
type Options struct {
	// Revisions are those of the process.
	Revisions *Revisions
	// GVK is the kind of the objects; the kind of lists is the same with the suffix List.
	GVK schema.GroupVersionKind
	// Resource is the objects' resource, for messages.
	Resource schema.GroupResource
	// Scheme knows GVK and the list kind.
	Scheme *runtime.Scheme
	// Assemble makes an object of its metadata and a body given to SetContent. It does not change the body, and a
	// nil body makes an object with metadata only.
	Assemble func(meta metav1.ObjectMeta, body any) runtime.Object
	// Clock measures the age of list snapshots and times bookmarks.
	Clock clock.Clock
	// Limits bound what the store keeps for its readers. Zero values get defaults.
	Limits Limits
}

// Limits bound what a store keeps for its readers.
type Limits struct {
	// Watchers is how many watches may be open.
	Watchers int
	// WatchersPerWorkspace is how many of them may be of one workspace.
	WatchersPerWorkspace int
	// Tombstones is how many deletions are remembered for watches that resume.
	Tombstones int
	// TombstonesPerWorkspace is how many of them are remembered of one workspace.
	TombstonesPerWorkspace int
	// TombstoneAge is how long a deletion is remembered.
	TombstoneAge time.Duration
	// Snapshots is how many lists that are read page by page are kept as they were at the first page.
	Snapshots int
	// SnapshotsPerWorkspace is how many of them are kept of one workspace.
	SnapshotsPerWorkspace int
	// SnapshotObjects is how many objects all of them together may hold.
	SnapshotObjects int
	// SnapshotAge is how long one is kept.
	SnapshotAge time.Duration
	// BookmarkInterval is how often a watcher that asks for bookmarks gets one.
	BookmarkInterval time.Duration
}

func orDefault[T int | time.Duration](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.Watchers, 50_000)
	orDefault(&l.WatchersPerWorkspace, 10_000)
	orDefault(&l.Tombstones, 20_000)
	orDefault(&l.TombstonesPerWorkspace, 1_000)
	orDefault(&l.TombstoneAge, 15*time.Minute)
	orDefault(&l.Snapshots, 1_000)
	orDefault(&l.SnapshotsPerWorkspace, 16)
	orDefault(&l.SnapshotObjects, 1_000_000)
	orDefault(&l.SnapshotAge, 5*time.Minute)
	orDefault(&l.BookmarkInterval, time.Minute)
	return l
}

func (o *Options) validate() error {
	var errs []error
	if o.Revisions == nil {
		errs = append(errs, errors.New("option Revisions is required"))
	}
	if o.GVK.Version == "" || o.GVK.Kind == "" {
		errs = append(errs, errors.New("option GVK needs a version and a kind"))
	}
	if o.Scheme == nil || !o.Scheme.Recognizes(o.GVK) || !o.Scheme.Recognizes(o.GVK.GroupVersion().WithKind(o.GVK.Kind+"List")) {
		errs = append(errs, errors.New("option Scheme must know GVK and its list kind"))
	}
	if o.Assemble == nil {
		errs = append(errs, errors.New("option Assemble is required"))
	}
	if o.Clock == nil {
		errs = append(errs, errors.New("option Clock is required"))
	}
	return errors.Join(errs...)
}
