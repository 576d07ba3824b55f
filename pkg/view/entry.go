// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"crypto/sha256"
	"maps"

	"github.com/google/uuid"
	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Entry is one row: the object by which a workspace sees a member.
type Entry struct {
	// Key is the workspace and the name of the row.
	Key workspace.Key
	// UID is the same as long as the registration and the workspace are.
	UID types.UID
	// CreationTimestamp is that of the registration.
	CreationTimestamp metav1.Time
	// Labels are those of the registration.
	Labels map[string]string
	// Annotations hold the workspace in which the row is seen, as kcp-aware clients expect.
	Annotations map[string]string
}

// Equal reports whether two rows are the same.
func (e Entry) Equal(other Entry) bool {
	return e.Key == other.Key && e.UID == other.UID && e.CreationTimestamp.Equal(&other.CreationTimestamp) &&
		maps.Equal(e.Labels, other.Labels) && maps.Equal(e.Annotations, other.Annotations)
}

// NewEntry returns the row by which a workspace sees the member of a registration.
func NewEntry(registration *tmcv1alpha1.ClusterRegistration, ws logicalcluster.Name, name string) Entry {
	return Entry{
		Key:               workspace.Key{Workspace: ws, Name: name},
		Labels:            maps.Clone(registration.Labels),
		Annotations:       map[string]string{logicalcluster.AnnotationKey: ws.String()},
		UID:               entryUID(registration.UID, ws, name),
		CreationTimestamp: registration.CreationTimestamp,
	}
}

// entryUID derives a UID from which the registration's own cannot be found again.
func entryUID(registration types.UID, ws logicalcluster.Name, name string) types.UID {
	// The name is part of it, since two grants may lend one member to one workspace under two names.
	seed := string(registration) + "\x00" + ws.String() + "\x00" + name
	return types.UID(uuid.NewHash(sha256.New(), uuid.NameSpaceURL, []byte(seed), 5).String())
}
