// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity

// Phase is what matters of a pod's phase.
type Phase uint8

// The phases of a pod. Only PhaseSucceeded and PhaseFailed end a pod; one whose phase is missing or not known here
// still holds its resources.
const (
	PhaseOther Phase = iota
	PhasePending
	PhaseRunning
	PhaseSucceeded
	PhaseFailed
)

// Ended says that the containers of the pod have stopped for good, so that it holds no resources any more.
func (p Phase) Ended() bool { return p == PhaseSucceeded || p == PhaseFailed }

// Amount is how much of one resource is asked for or offered: cpu in thousandths, everything else in whole units,
// fractions rounded up.
type Amount struct {
	Name  []byte
	Value int64
}

// Pod is what the sums need of a pod. It is a buffer: a reader fills the same Pod again and again. Its byte slices may
// belong to the reader's frame; a Cluster copies what it keeps.
type Pod struct {
	UID             []byte
	Namespace       []byte
	Name            []byte
	ResourceVersion []byte
	// NodeName is empty while the pod waits for a node.
	NodeName []byte
	Phase    Phase
	// Requests are the effective requests as the scheduler counts them, each resource at most once.
	Requests []Amount
	// Truncated says that the pod asks for more kinds of resources than are followed.
	Truncated bool
	// Scratch is working memory that a reader leaves for the next pod. Nobody else looks at it.
	Scratch any
}

// Reset empties the pod and keeps its memory for the next one.
func (p *Pod) Reset() {
	*p = Pod{Requests: p.Requests[:0], Scratch: p.Scratch}
}

// Node is what the sums need of a node. It is a buffer as Pod is.
type Node struct {
	UID             []byte
	Name            []byte
	ResourceVersion []byte
	// Ready is the truth of the condition Ready: neither False nor Unknown is ready.
	Ready bool
	// Unschedulable says that the node is cordoned.
	Unschedulable bool
	// Capacity and Allocatable hold each resource at most once.
	Capacity    []Amount
	Allocatable []Amount
	// Truncated says that the node offers more kinds of resources than are followed.
	Truncated bool
}

// Reset empties the node and keeps its memory for the next one.
func (n *Node) Reset() {
	*n = Node{Capacity: n.Capacity[:0], Allocatable: n.Allocatable[:0]}
}
