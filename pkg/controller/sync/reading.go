// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// readingPatience is how long a status, and what is said of a Placement, waits for copies that are being read, as after a
// start or when a watch broke: what is not confirmed counts as not up to date, and a member that was not called yet as away,
// so each object would be written twice. Longer than that, as where a member fails to list a kind, what the other members
// say matters more.
const readingPatience = 30 * time.Second

// unknown says why nothing is known of a member's copies.
func (p *pass) unknown(member workspace.Key, t target, row *Row) {
	state := p.object.copyOf(member)
	if !t.answers && t.called {
		state.readingSince = time.Time{}
		row.isAway()
		return
	}
	if message, missing := p.c.config.Downstream.Missing(member, p.key.Resource); missing {
		state.readingSince = time.Time{}
		row.Object.Synced = metav1.ConditionFalse
		row.explain(tmcv1alpha1.ReasonAPIMissing, message)
		return
	}
	until, waits := p.awaitRead(&state.readingSince)
	if !waits && !t.answers {
		row.isAway()
		return
	}
	row.explain(tmcv1alpha1.ReasonSyncing, "the member's copies are being read")
	if waits && p.wasTold(state, t) {
		row.ReadingUntil = until
	}
}

func (r *Row) isAway() {
	r.explain(tmcv1alpha1.ReasonMemberUnreachable, "the member cannot be reached; what is shown is the last that is known")
}

// awaitRead returns until when something is waited for that is being read, and whether it still is.
func (p *pass) awaitRead(since *time.Time) (until time.Time, waits bool) {
	now := p.c.config.Clock.Now()
	if since.IsZero() {
		*since = now
	}
	until = since.Add(readingPatience)
	if waits = now.Before(until); waits {
		p.reading = true
		p.later(until)
	}
	return until, waits
}

// wasTold reports whether what was said of a copy is of what it should be now. What was said before this process began is
// taken to be, unless the object's own status shows that it is of a former generation.
func (p *pass) wasTold(state *copyState, t target) bool {
	if state.told != "" {
		desired, err := transform.Down(p.upstream, p.targetOf(t, nil))
		return err == nil && transform.AppliedHash(desired) == state.told
	}
	marked := p.kind.Claimed || slices.Contains(p.upstream.GetFinalizers(), tmcv1alpha1.SyncFinalizer)
	if !marked || !p.upstream.GetCreationTimestamp().Time.Before(p.c.began) {
		return false
	}
	observed, told := p.observed()
	return observed || (!told && p.key.Resource.Group != "apps") // whose controllers always tell
}

// tellUnlent adds what is said of members that are not known to be lent yet. What runs there counts.
func (p *pass) tellUnlent() {
	if len(p.unlent) == 0 {
		p.object.unlentSince = time.Time{}
		return
	}
	until, waits := p.awaitRead(&p.object.unlentSince)
	if !waits {
		p.later(p.c.config.Clock.Now().Add(doubtPause)) // nobody tells when it is known
	}
	for _, name := range p.unlent {
		row := p.newRow(workspace.Key{}, name)
		if waits {
			row.ReadingUntil = until
			row.explain(tmcv1alpha1.ReasonSyncing, "who lends the member is being read")
		} else {
			row.explain(tmcv1alpha1.ReasonMemberUnreachable, "it is not known who lends the member: a shard of kcp has not been read since the server was started")
		}
		p.rows = append(p.rows, row)
	}
}

// endReading ends waiting for copies that took too long to be read, where no pass gets that far, and returns how long others
// are still waited for.
func (c *Controller) endReading(key Key) time.Duration {
	owners, wait := c.states.endReading(key, c.config.Clock.Now())
	for _, placement := range owners {
		c.config.OnProgress(placement)
	}
	return wait
}

func (s *states) endReading(key Key, now time.Time) (owners []workspace.Key, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []Row
	for i, row := range s.rows[key] {
		switch left := row.ReadingUntil.Sub(now); {
		case row.ReadingUntil.IsZero():
		case left > 0:
			wait = soonest(wait, left)
		default:
			if rows == nil {
				rows = slices.Clone(s.rows[key]) // others may be reading them
			}
			rows[i].ReadingUntil = time.Time{}
			owners = append(owners, row.Owner)
		}
	}
	if rows != nil {
		s.rows[key] = rows
	}
	return owners, wait
}
