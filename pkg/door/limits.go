// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"fmt"
	"sync"
)

// Limits keep one tenant from taking what all share. Zero means no limit.
type Limits struct {
	// Requests is how many requests that are not watches a tenant may have open at a time.
	Requests int
	// Watches is how many watches a tenant may have open at a time.
	Watches int
	// AllWatches is how many watches all tenants together may have open at a time.
	AllWatches int
}

// Validate reports limits that make no sense.
func (l Limits) Validate() error {
	if l.Requests < 0 || l.Watches < 0 || l.AllWatches < 0 {
		return fmt.Errorf("limits must not be negative: requests %d, watches %d, all watches %d", l.Requests, l.Watches, l.AllWatches)
	}
	return nil
}

// tenant is who is charged: at the front door the workspace, since the shard is all that is seen of the user; else the
// user, who could otherwise use up the share of a workspace that is not theirs.
type tenant struct {
	workspace string
	door      string
	user      string
}

type load struct{ requests, watches int }

// limiter counts what is open. An entry lives only while something is.
type limiter struct {
	limits Limits

	mu      sync.Mutex
	loads   map[tenant]load
	watches int
}

func newLimiter(limits Limits) *limiter {
	return &limiter{limits: limits, loads: map[tenant]load{}}
}

// acquire admits a request, or says why not. The release function must be called exactly once if there is one.
func (l *limiter) acquire(who tenant, watch bool) (release func(), reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	current := l.loads[who]
	switch {
	case watch && exceeded(l.watches, l.limits.AllWatches):
		return nil, "too many watches are open at this server"
	case watch && exceeded(current.watches, l.limits.Watches):
		return nil, "too many watches are open for this tenant"
	case !watch && exceeded(current.requests, l.limits.Requests):
		return nil, "too many requests are open for this tenant"
	}
	l.add(who, watch, 1)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.add(who, watch, -1)
	}, ""
}

func exceeded(current, limit int) bool { return limit > 0 && current >= limit }

func (l *limiter) add(who tenant, watch bool, delta int) {
	current := l.loads[who]
	if watch {
		current.watches += delta
		l.watches += delta
	} else {
		current.requests += delta
	}
	if current == (load{}) {
		delete(l.loads, who)
		return
	}
	l.loads[who] = current
}

func tenantOf(identity *Identity, target Target) tenant {
	if identity.Trust() == TrustShard {
		return tenant{workspace: target.Requested, door: identity.Door()}
	}
	return tenant{door: identity.Door(), user: identity.Name}
}
