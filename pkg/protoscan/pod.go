// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/kcp-dev/tmc/pkg/capacity"
)

// Pod reads the protobuf encoding of a core/v1 Pod, without an envelope. The slices of into belong to raw afterwards.
// After an error, what into holds is of no use.
func Pod(raw []byte, into *capacity.Pod) error {
	into.Reset()
	// The scan has 10 KB: to clear all of it would cost more than to read a pod, so it stays with the buffer.
	s, ok := into.Scratch.(*podScan)
	if !ok {
		s = &podScan{}
		into.Scratch = s
	}
	s.reset()
	meta, err := s.scan(raw, into)
	if err != nil {
		return fmt.Errorf("reading pod %s/%s: %w", clip(meta.Namespace), clip(meta.Name), err)
	}
	into.Namespace, into.Name, into.UID, into.ResourceVersion = meta.Namespace, meta.Name, meta.UID, meta.ResourceVersion
	into.Requests = s.names.list(&s.sum, into.Requests)
	into.Truncated = s.names.truncated
	return nil
}

func (s *podScan) scan(raw []byte, into *capacity.Pod) (Meta, error) {
	var meta Meta
	// The status comes last, but says how the spec is to be read.
	r := reader{data: raw}
	for r.next(1<<1 | 1<<3) {
		switch r.field {
		case 1:
			inner := reader{data: r.bytes()}
			for inner.next(metaFields &^ (1 << metaAnnotations)) {
				objectMetaField(&inner, &meta)
			}
			r.adopt(&inner)
		case 3:
			s.status(&r, into)
		}
	}
	if r.err != nil {
		return meta, r.err
	}
	if len(meta.UID) == 0 {
		return meta, errors.New("metadata.uid is missing")
	}
	r = reader{data: raw}
	for r.next(1 << 2) {
		if r.field == 2 {
			s.spec(&r, into)
		}
	}
	s.finish()
	return meta, r.err
}

func (s *podScan) status(parent *reader, into *capacity.Pod) {
	r := reader{data: parent.bytes()}
	for r.next(1<<1 | 1<<2 | 1<<8 | 1<<10 | 1<<19 | 1<<20) {
		switch r.field {
		case 1:
			into.Phase = phase(r.bytes())
		case 2:
			s.condition(&r)
		case 8:
			s.containerStatus(&r, false)
		case 10:
			s.containerStatus(&r, true)
		case 19:
			s.names.set(&r, &s.podAllocated)
		case 20:
			s.podResizeKnown = true
			s.requests(&r, &s.podActuated)
		}
	}
	parent.adopt(&r)
}

func phase(text []byte) capacity.Phase {
	switch string(text) {
	case "Pending":
		return capacity.PhasePending
	case "Running":
		return capacity.PhaseRunning
	case "Succeeded":
		return capacity.PhaseSucceeded
	case "Failed":
		return capacity.PhaseFailed
	}
	return capacity.PhaseOther
}

// condition looks for the first condition PodResizePending; its reason decides.
func (s *podScan) condition(parent *reader) {
	var kind, reason []byte
	r := reader{data: parent.bytes()}
	if bytes.IndexByte(r.data, 'z') < 0 {
		return // whatever it is, it is not of that type
	}
	for r.next(1<<1 | 1<<5) {
		switch r.field {
		case 1:
			kind = r.bytes()
		case 5:
			reason = r.bytes()
		}
	}
	parent.adopt(&r)
	if !s.conditions && string(kind) == "PodResizePending" {
		s.conditions = true
		s.infeasible = string(reason) == "Infeasible"
	}
}

func (s *podScan) containerStatus(parent *reader, init bool) {
	if s.count >= inlineStatuses {
		s.more = append(s.more, containerStatus{})
	}
	status := s.statusAt(s.count)
	s.count++
	status.raw, status.init = parent.bytes(), init
	status.name, status.actual, status.resources, status.promised.count = nil, nil, 0, 0
	r := reader{data: status.raw}
	for r.next(1<<1 | 1<<10 | 1<<11) {
		switch r.field {
		case 1:
			status.name = r.bytes()
		case 10:
			status.promised.add(r.bytes())
		case 11:
			status.resources++
			status.actual = r.bytes()
		}
	}
	parent.adopt(&r)
}

func (s *podScan) spec(parent *reader, into *capacity.Pod) {
	r := reader{data: parent.bytes()}
	for r.next(1<<2 | 1<<10 | 1<<20 | 1<<32 | 1<<40) {
		switch r.field {
		case 2:
			s.container(&r)
		case 20:
			s.initContainer(&r)
		case 10:
			into.NodeName = r.identifier()
		case 32:
			s.names.set(&r, &s.overhead)
		case 40:
			s.podLevelRequests(&r)
		}
	}
	parent.adopt(&r)
}

// requests reads the requests of a ResourceRequirements.
func (s *podScan) requests(parent *reader, v *amounts) {
	r := reader{data: parent.bytes()}
	for r.next(1 << 2) {
		if r.field == 2 {
			s.names.set(&r, v)
		}
	}
	parent.adopt(&r)
}

// askedRequests reads the requests of a container as requests does, and notes how they are encoded.
func (s *podScan) askedRequests(parent *reader) {
	r := reader{data: parent.bytes()}
	for r.next(1 << 2) {
		s.asked.add(r.bytes())
		s.names.set(&r, &s.effective)
	}
	parent.adopt(&r)
}

func (s *podScan) podLevelRequests(parent *reader) {
	r := reader{data: parent.bytes()}
	for r.next(1 << 2) {
		if r.field != 2 {
			continue
		}
		if place := s.names.set(&r, &s.podLevel); place >= 0 {
			s.podLevelSet |= 1 << place
		}
	}
	parent.adopt(&r)
}

func (s *podScan) container(parent *reader) {
	c, _ := s.containerRequests(parent)
	s.resized(parent, c)
	s.names.add(&s.sum, &s.effective)
}

// initContainer counts a sidecar like a container that stays, and lets any other reserve what it needs while it runs.
func (s *podScan) initContainer(parent *reader) {
	c, sidecar := s.containerRequests(parent)
	if sidecar {
		s.resized(parent, c)
		s.names.add(&s.sum, &s.effective)
		s.names.add(&s.sidecars, &s.effective)
		s.names.raise(&s.initMost, &s.sidecars)
		return
	}
	s.names.add(&s.effective, &s.sidecars)
	s.names.raise(&s.initMost, &s.effective)
}

// containerSpec is what is needed of a container besides its requests.
type containerSpec struct {
	name      []byte
	resources []byte // the encoding of its resources, if they come in one piece
}

// containerRequests reads what the spec of a container requests into effective.
func (s *podScan) containerRequests(parent *reader) (c containerSpec, always bool) {
	s.names.clear(&s.effective)
	s.asked.count = 0
	pieces := 0
	r := reader{data: parent.bytes()}
	for r.next(1<<1 | 1<<8 | 1<<24) {
		switch r.field {
		case 1:
			c.name = r.bytes()
		case 8:
			pieces++
			c.resources = r.bytes()
			s.askedRequests(&r)
		case 24:
			always = string(r.bytes()) == "Always"
		}
	}
	parent.adopt(&r)
	if pieces != 1 {
		c.resources = nil
	}
	return c, always
}

// resized raises effective to what the container still has or was promised while a resize goes on.
func (s *podScan) resized(parent *reader, c containerSpec) {
	status := s.find(c.name)
	if status == nil || status.resources == 0 {
		return
	}
	// A container that has what it asks for, which is nearly every one, has that in the same encoding.
	asAsked := status.resources == 1 && c.resources != nil && bytes.Equal(status.actual, c.resources)
	if asAsked && (status.promised.count == 0 || status.promised.same(&s.asked)) {
		return // nothing that could raise it
	}
	if s.infeasible && !asAsked {
		s.names.clear(&s.effective)
	}
	s.names.clear(&s.actuated)
	s.names.clear(&s.allocated)
	r := reader{data: status.raw}
	for r.next(1<<10 | 1<<11) {
		switch {
		case r.field == 10:
			s.names.set(&r, &s.allocated)
		case !asAsked:
			s.requests(&r, &s.actuated)
		}
	}
	parent.adopt(&r)
	s.names.raise(&s.effective, &s.actuated)
	s.names.raise(&s.effective, &s.allocated)
}

// finish puts the parts together.
func (s *podScan) finish() {
	s.names.raise(&s.sum, &s.initMost)
	for i := range s.names.count {
		if s.podLevelSet&(1<<i) == 0 || !podLevelResource(s.names.text[i]) {
			continue
		}
		level := s.podLevel[i]
		if s.podResizeKnown {
			level = s.podLevelResized(i)
		}
		s.sum[i] = level
	}
	s.names.add(&s.sum, &s.overhead)
}

func (s *podScan) podLevelResized(i int) amount {
	most := s.podActuated[i]
	if most.less(s.podAllocated[i]) {
		most = s.podAllocated[i]
	}
	if !s.infeasible && most.less(s.podLevel[i]) {
		most = s.podLevel[i]
	}
	return most
}

// podLevelResource says whether the requests of a pod as a whole count for the resource.
func podLevelResource(name []byte) bool {
	return string(name) == "cpu" || string(name) == "memory" || strings.HasPrefix(string(name), "hugepages-")
}

// clip makes text of a member safe for a message.
func clip(text []byte) string {
	if len(text) == 0 {
		return "?"
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, string(text))
}
