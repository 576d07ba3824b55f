// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestUnfinishedStatusIsHeldBack for one interval, so that what members make of a generation together is one write.
func TestUnfinishedStatusIsHeldBack(t *testing.T) {
	t.Parallel()
	const interval = 100 * time.Millisecond
	now := time.Unix(1_000_000, 0)
	for name, test := range map[string]struct {
		status    map[string]any
		statusAt  time.Time
		heldSince time.Time
		want      time.Duration // from now
	}{
		"finished, and none was written for long": {
			status: map[string]any{"observedGeneration": int64(2)}, statusAt: now.Add(-time.Hour), want: interval - time.Hour,
		},
		"finished, after an unfinished one was held": {
			status: map[string]any{"observedGeneration": int64(2)}, statusAt: now.Add(-time.Hour), heldSince: now.Add(-interval / 2), want: interval - time.Hour,
		},
		"finished, and one was written just now": {
			status: map[string]any{"observedGeneration": int64(2)}, statusAt: now.Add(-interval / 4), want: interval * 3 / 4,
		},
		"unfinished": {
			status: map[string]any{"observedGeneration": int64(1)}, statusAt: now.Add(-time.Hour), want: interval,
		},
		"unfinished for a while": {
			status: map[string]any{"observedGeneration": int64(1)}, statusAt: now.Add(-time.Hour), heldSince: now.Add(-interval / 2), want: interval / 2,
		},
		"unfinished for too long": {
			status: map[string]any{"observedGeneration": int64(1)}, statusAt: now.Add(-time.Hour), heldSince: now.Add(-interval), want: 0,
		},
		"unfinished, and one was written just now": {
			status: map[string]any{"observedGeneration": int64(1)}, statusAt: now, heldSince: now.Add(-interval / 2), want: interval,
		},
		"of a kind that counts no generations": {
			status: map[string]any{"loadBalancer": map[string]any{}}, statusAt: now.Add(-time.Hour), want: interval - time.Hour,
		},
		"of a wrong type": {
			status: map[string]any{"observedGeneration": "1"}, statusAt: now.Add(-time.Hour), want: interval - time.Hour,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := &unstructured.Unstructured{Object: map[string]any{}}
			upstream.SetGeneration(2)
			p := &pass{
				c: &Controller{config: Config{StatusInterval: interval}}, upstream: upstream,
				object: &object{statusAt: test.statusAt, heldSince: test.heldSince},
			}
			if diff := cmp.Diff(test.want, p.statusDue(test.status, now).Sub(now)); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
		})
	}
}
