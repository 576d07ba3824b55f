// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Each member has a pace of its own. What waits for it can be taken back, and a server that stops waits for nothing.
func TestMembersArePaced(t *testing.T) {
	t.Parallel()
	const burst = 3
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan workspace.Key, 100)
	l := &lanes{
		ctx: ctx, workers: 2, qps: 1e-9, burst: burst, may: func() bool { return true }, all: map[workspace.Key]*lane{},
		do: func(context.Context, workspace.Key, Key, task) (*unstructured.Unstructured, error) {
			return nil, nil //nolint:nilnil // nothing comes of it
		},
		done: func(member workspace.Key, _ Key, _ outcome) { done <- member },
	}
	key := func(i int) Key {
		return Key{Resource: configmapsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: fmt.Sprint("map-", i)}}
	}
	for i := range burst + 2 {
		l.submit(east, key(i), task{hash: fmt.Sprint(i)})
	}
	for range burst {
		<-done
	}
	l.submit(west, key(0), task{hash: "0"})
	if member := <-done; member != west {
		t.Errorf("%s was written to beyond its pace", member)
	}
	waiting := 0
	for i := range burst + 2 {
		if l.pending(east, key(i)) {
			waiting++
		}
		l.cancel(east, key(i))
	}
	wantDiff(t, "tasks that wait", 2, waiting)
	if !l.idle(east) {
		t.Error("what was taken back waits")
	}
	l.submit(east, key(9), task{hash: "9"})
	stop()
	l.close()
	wantDiff(t, "tasks that were done after the end", 0, len(done))
}
