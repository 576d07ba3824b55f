// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// doubtPause is how often something is looked at that has copies, while it is not certain what should be. Nobody tells
// when it becomes certain that something is not there.
const doubtPause = 5 * time.Second

// doubt is when to look again. What has our finalizer is looked at again even if no copy of it is known.
func (p *pass) doubt() engine.Result {
	if p.upstream != nil && slices.Contains(p.upstream.GetFinalizers(), tmcv1alpha1.SyncFinalizer) {
		return engine.Result{After: doubtPause}
	}
	return p.c.doubt(p.key)
}

func (c *Controller) doubt(key Key) engine.Result {
	if len(c.states.membersWith(key)) == 0 {
		return engine.Result{}
	}
	return engine.Result{After: doubtPause}
}

// unheard reports whether a copy that nothing is known to need may be needed by an object that was not looked at yet, as
// after a start. Such objects are queued.
func (p *pass) unheard() bool {
	if p.deleting || p.stopped || transform.Class(p.key.Resource) != transform.ClassConfiguration || !p.hasOthers() {
		return false
	}
	unheard, up := false, p.c.config.Upstream
	for _, gr := range up.Kinds() {
		if kind, known := up.Kind(gr); known && !kind.Claimed && !up.Certain(gr, p.ws().Workspace) {
			unheard = true
			continue
		}
		for _, found := range up.InNamespace(gr, p.ws().Workspace, p.ws().Namespace) {
			if key := p.beside(gr, found); !p.c.states.knowsNeeds(key) && needsOf(key, transform.Dependencies(found)).Has(p.key) {
				p.c.engine.Add(key)
				unheard = true
			}
		}
	}
	return unheard
}

// beside is the key of another object of the namespace.
func (p *pass) beside(gr schema.GroupResource, object *unstructured.Unstructured) Key {
	return Key{Resource: gr, Object: workspace.Key{Workspace: p.ws().Workspace, Namespace: p.ws().Namespace, Name: object.GetName()}}
}

// hasOthers reports whether members have copies that are not wanted.
func (p *pass) hasOthers() bool {
	for _, member := range p.c.states.membersWith(p.key) {
		if _, wants := p.wanted[member]; !wants && (p.isNamed(member) || !p.isStranger(member)) {
			return true
		}
	}
	return false
}

func (s *states) knowsNeeds(key Key) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.heard.Has(key)
}

// scale notes what an autoscaler scales, if anything, and returns what it concerns: that, and what it scaled before.
func (s *states) scale(autoscaler, now Key) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var concerned []Key
	before, had := s.scaled[autoscaler]
	if had && before != now {
		concerned = append(concerned, before)
	}
	if now == (Key{}) {
		delete(s.scaled, autoscaler)
		return concerned
	}
	s.scaled[autoscaler] = now
	return append(concerned, now)
}
