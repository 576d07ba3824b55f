// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"slices"
	"testing"
	"time"

	"github.com/kcp-dev/tmc/pkg/transform"
)

// A namespace is looked at when its last copy is gone, which may be before the object's own pass took note of that.
func TestNamespaceGoesWhicheverIsLookedAtFirst(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]func([]Key){"objects first": func([]Key) {}, "namespace first": slices.Reverse[[]Key]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(1, image("nginx"))
			w.place("all", "east", "west")
			w.settle()
			w.remove(web)
			w.removeNamespace()
			for range 50 {
				keys := w.queued()
				order(keys)
				for _, key := range keys {
					w.reconcile(key)
				}
				w.work()
				w.show()
			}
			at := Location{Resource: namespaces(), Name: transform.NamespaceName("acme", "shop")}
			for member, m := range w.members {
				if m.truth[at] != nil {
					t.Errorf("member %s still has the namespace", member)
				}
			}
		})
	}
}

// A process that starts finds a namespace that the former one made for what it did not get to put there.
func TestNamespaceThatWasMadeBeforeACrashIsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	delete(w.members[east].truth, w.at(web))
	w.restart()
	w.show()
	w.took()
	w.reconcile(namespaceKey(web.Object))
	w.work()
	if writes := w.took(); len(writes) > 0 {
		t.Errorf("the namespace was not left alone: %q", writes)
	}
	w.settle()
	if w.copy(east, web) == nil {
		t.Error("the copy was not made")
	}
	w.remove(web)
	w.removeNamespace()
	w.wait(time.Minute)
	if at := (Location{Resource: namespaces(), Name: transform.NamespaceName("acme", "shop")}); w.members[east].truth[at] != nil {
		t.Error("the namespace stays")
	}
}
