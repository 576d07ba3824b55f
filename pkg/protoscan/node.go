// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan

import (
	"errors"
	"fmt"

	"github.com/kcp-dev/tmc/pkg/capacity"
)

// nodeScan gathers the two resource lists of a node, each with names of its own.
type nodeScan struct {
	capacityNames    names
	allocatableNames names
	capacity         amounts
	allocatable      amounts
}

// Node reads the protobuf encoding of a core/v1 Node, without an envelope. The slices of into belong to raw afterwards.
// After an error, what into holds is of no use.
func Node(raw []byte, into *capacity.Node) error {
	into.Reset()
	s := nodeScan{capacityNames: names{count: firstOther}, allocatableNames: names{count: firstOther}}
	var meta Meta
	r := reader{data: raw}
	for r.next(1<<1 | 1<<2 | 1<<3) {
		switch r.field {
		case 1:
			inner := reader{data: r.bytes()}
			for inner.next(metaFields) {
				objectMetaField(&inner, &meta)
			}
			r.adopt(&inner)
		case 2:
			inner := reader{data: r.bytes()}
			for inner.next(1 << 4) {
				if inner.field == 4 {
					into.Unschedulable = inner.varint() != 0
				}
			}
			r.adopt(&inner)
		case 3:
			s.status(&r, into)
		}
	}
	if r.err == nil && len(meta.Name) == 0 {
		r.err = errors.New("metadata.name is missing")
	}
	if r.err != nil {
		return fmt.Errorf("reading node %s: %w", clip(meta.Name), r.err)
	}
	into.Name, into.UID, into.ResourceVersion = meta.Name, meta.UID, meta.ResourceVersion
	into.Capacity = s.capacityNames.list(&s.capacity, into.Capacity)
	into.Allocatable = s.allocatableNames.list(&s.allocatable, into.Allocatable)
	into.Truncated = s.capacityNames.truncated || s.allocatableNames.truncated
	return nil
}

func (s *nodeScan) status(parent *reader, into *capacity.Node) {
	r := reader{data: parent.bytes()}
	for r.next(1<<1 | 1<<2 | 1<<4) {
		switch r.field {
		case 1:
			s.capacityNames.set(&r, &s.capacity)
		case 2:
			s.allocatableNames.set(&r, &s.allocatable)
		case 4:
			nodeCondition(&r, into)
		}
	}
	parent.adopt(&r)
}

// nodeCondition takes the condition Ready; the last one counts if a member sends more than one.
func nodeCondition(parent *reader, into *capacity.Node) {
	var kind, status []byte
	r := reader{data: parent.bytes()}
	for r.next(1<<1 | 1<<2) {
		switch r.field {
		case 1:
			kind = r.bytes()
		case 2:
			status = r.bytes()
		}
	}
	parent.adopt(&r)
	if string(kind) == "Ready" {
		into.Ready = string(status) == "True"
	}
}
