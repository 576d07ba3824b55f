// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Figures judges whether a member's figures are known: whether each of the resources that they are computed from was
// counted once, and is followed.
type Figures struct {
	thresholds Thresholds
	condition  metav1.Condition
	resources  []followed
}

type followed struct {
	name    string
	counted bool
	live    bool
	lostAt  time.Time
	loss    string // why it is not followed
}

// NewFigures returns the judge of figures computed from the named resources.
func NewFigures(thresholds Thresholds, now time.Time, resources ...string) *Figures {
	f := &Figures{
		thresholds: thresholds.WithDefaults(),
		condition:  newCondition(tmcv1alpha1.ConditionCapacityKnown, "the member was not counted yet", now),
		resources:  make([]followed, len(resources)),
	}
	for i, name := range resources {
		f.resources[i] = followed{name: name, lostAt: now}
	}
	return f
}

// Started notes that counting began, and returns whether the condition changed.
func (f *Figures) Started(now time.Time) bool {
	if f.condition.Reason != tmcv1alpha1.ReasonPending {
		return false
	}
	return f.judge(now)
}

// Followed notes that a resource is counted and followed, and returns whether the condition changed.
func (f *Figures) Followed(now time.Time, name string) bool {
	for i := range f.resources {
		if f.resources[i].name == name {
			f.resources[i] = followed{name: name, counted: true, live: true}
		}
	}
	return f.judge(now)
}

// Lost notes that a resource cannot be counted or followed, and why, and returns whether the condition changed.
func (f *Figures) Lost(now time.Time, name, why string) bool {
	for i := range f.resources {
		r := &f.resources[i]
		if r.name != name {
			continue
		}
		if r.live {
			r.live, r.lostAt = false, now
		}
		r.loss = why
	}
	return f.judge(now)
}

// Forget drops the figures, and returns whether the condition changed.
func (f *Figures) Forget(now time.Time) bool {
	for i := range f.resources {
		f.resources[i] = followed{name: f.resources[i].name, lostAt: now}
	}
	return f.judge(now)
}

// Advance lets time pass and returns whether the condition changed.
func (f *Figures) Advance(now time.Time) bool {
	if expiry, ok := f.Expiry(); !ok || now.Before(expiry) {
		return false
	}
	return f.judge(now)
}

// Expiry returns when the condition changes unless all resources are followed again before.
func (f *Figures) Expiry() (time.Time, bool) {
	if f.condition.Status != metav1.ConditionTrue || f.Live() {
		return time.Time{}, false
	}
	return f.lostAt().Add(f.thresholds.UnreachableAfter), true
}

// Counted says whether every resource was counted once, so that the figures mean something.
func (f *Figures) Counted() bool {
	for _, r := range f.resources {
		if !r.counted {
			return false
		}
	}
	return true
}

// Following says whether the resource is followed right now.
func (f *Figures) Following(name string) bool {
	for _, r := range f.resources {
		if r.name == name {
			return r.live
		}
	}
	return false
}

// Live says whether every resource is followed right now.
func (f *Figures) Live() bool {
	for _, r := range f.resources {
		if !r.live {
			return false
		}
	}
	return true
}

// Condition returns the condition CapacityKnown.
func (f *Figures) Condition() metav1.Condition { return f.condition }

func (f *Figures) judge(now time.Time) bool {
	switch {
	case !f.Counted():
		return set(&f.condition, metav1.ConditionFalse, tmcv1alpha1.ReasonCounting, "nodes and pods are being counted"+f.loss(), now)
	case f.Live():
		return set(&f.condition, metav1.ConditionTrue, tmcv1alpha1.ReasonCapacityKnown, "nodes and pods are counted and followed", now)
	case now.Sub(f.lostAt()) < f.thresholds.UnreachableAfter:
		return false
	default:
		return set(&f.condition, metav1.ConditionFalse, tmcv1alpha1.ReasonStale, "the figures are the last known ones"+f.loss(), now)
	}
}

// lostAt returns since when the resource that was lost first is not followed.
func (f *Figures) lostAt() time.Time {
	var earliest time.Time
	for _, r := range f.resources {
		if !r.live && (earliest.IsZero() || r.lostAt.Before(earliest)) {
			earliest = r.lostAt
		}
	}
	return earliest
}

func (f *Figures) loss() string {
	for _, r := range f.resources {
		if !r.live && r.loss != "" {
			return ": " + r.loss
		}
	}
	return ""
}
