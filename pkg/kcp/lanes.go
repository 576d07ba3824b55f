// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import "sync"

// lanes keep writers from waiting all at once for an endpoint that does not answer: while it does not, one write at a
// time tries whether it is back, and all others are turned away. The zero value lets everybody pass.
type lanes struct {
	mu   sync.Mutex
	away map[string]*awayLane // only endpoints whose last write was not answered
}

type awayLane struct{ tried bool }

// enter reports whether a write to the endpoint may go ahead. Who may says afterwards, by leave, whether there was an
// answer.
func (l *lanes) enter(endpoint string) (leave func(answered bool), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lane, away := l.away[endpoint]; away {
		if lane.tried {
			return nil, false
		}
		lane.tried = true
	}
	return func(answered bool) { l.leave(endpoint, answered) }, true
}

func (l *lanes) leave(endpoint string, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if answered {
		delete(l.away, endpoint)
		return
	}
	if l.away == nil {
		l.away = map[string]*awayLane{}
	}
	l.away[endpoint] = &awayLane{}
}
