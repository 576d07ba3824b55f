// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/protoscan"
)

// kind is a resource that is followed.
type kind struct {
	resource string // pods
	object   string // Pod
	selector string // of fields
	upsert   func(*buffers, *capacity.Cluster, []byte) error
	remove   func(*buffers, *capacity.Cluster, []byte) error
	begin    func(*capacity.Cluster)
	end      func(*capacity.Cluster)
}

// buffers are filled with one object after the other.
type buffers struct {
	pod  capacity.Pod
	node capacity.Node
}

func podsKind() kind {
	return kind{
		resource: resourcePods, object: "Pod", selector: "status.phase!=Succeeded,status.phase!=Failed",
		upsert: func(b *buffers, c *capacity.Cluster, raw []byte) error {
			return b.withPod(raw, c.UpsertPod)
		},
		remove: func(b *buffers, c *capacity.Cluster, raw []byte) error {
			return b.withPod(raw, c.DeletePod)
		},
		begin: (*capacity.Cluster).BeginPods, end: (*capacity.Cluster).EndPods,
	}
}

func nodesKind() kind {
	return kind{
		resource: resourceNodes, object: "Node",
		upsert: func(b *buffers, c *capacity.Cluster, raw []byte) error {
			return b.withNode(raw, c.UpsertNode)
		},
		remove: func(b *buffers, c *capacity.Cluster, raw []byte) error {
			return b.withNode(raw, c.DeleteNode)
		},
		begin: (*capacity.Cluster).BeginNodes, end: (*capacity.Cluster).EndNodes,
	}
}

func (b *buffers) withPod(raw []byte, apply func(*capacity.Pod)) error {
	b.pod.Reset()
	if err := protoscan.Pod(raw, &b.pod); err != nil {
		return invalidResponse("a pod cannot be read")
	}
	apply(&b.pod)
	return nil
}

func (b *buffers) withNode(raw []byte, apply func(*capacity.Node)) error {
	b.node.Reset()
	if err := protoscan.Node(raw, &b.node); err != nil {
		return invalidResponse("a node cannot be read")
	}
	apply(&b.node)
	return nil
}
