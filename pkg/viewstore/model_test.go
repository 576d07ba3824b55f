// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// client is a reader of a watch that keeps what it was told, as an informer does, and checks every event.
type client struct {
	tb        testing.TB
	name      string
	store     *viewstore.Store
	selection viewstore.Selection
	bookmarks bool

	watch  watch.Interface
	known  map[workspace.Key]uint64
	newest uint64
	// lax says that it resumed where it had not yet been told of everything before. What was moved behind newer events
	// then may come as a change or a deletion of an object that it has not heard of, which informers take as well.
	lax bool
	// history are versions that it has been at, with what it knew then.
	history []point
	relists int
	resumes int
	marks   int
}

type point struct {
	rev   uint64
	known map[workspace.Key]uint64
	lax   bool
}

func keyAndRev(tb testing.TB, obj any) (workspace.Key, uint64) {
	tb.Helper()
	switch o := obj.(type) {
	case *viewstore.Object:
		return o.Key(), o.Revision()
	case *tmcv1alpha1.ClusterStatus:
		rev, err := strconv.ParseUint(o.ResourceVersion, 10, 64)
		if err != nil {
			tb.Fatalf("resourceVersion of a bookmark: %v", err)
		}
		return workspace.Key{}, rev
	}
	tb.Fatalf("unexpected object %T", obj)
	return workspace.Key{}, 0
}

func (c *client) relist() {
	c.tb.Helper()
	list, err := c.store.List(c.selection, viewstore.ListOptions{})
	if err != nil {
		c.tb.Fatalf("%s: listing: %v", c.name, err)
	}
	c.known, c.lax = map[workspace.Key]uint64{}, false
	c.newest, err = strconv.ParseUint(list.ResourceVersion, 10, 64)
	if err != nil {
		c.tb.Fatalf("%s: resourceVersion of a list: %v", c.name, err)
	}
	for _, item := range list.Items {
		if item.Revision() > c.newest {
			c.tb.Fatalf("%s: a list at %d holds an object at %d", c.name, c.newest, item.Revision())
		}
		c.known[item.Key()] = item.Revision()
	}
	c.relists++
	c.start()
}

// start resumes at the newest revision, and lists again if it gets 410.
func (c *client) start() {
	c.tb.Helper()
	w, err := c.store.Watch(context.Background(), c.selection, viewstore.WatchOptions{ResourceVersion: strconv.FormatUint(c.newest, 10), AllowBookmarks: c.bookmarks})
	if apierrors.IsResourceExpired(err) {
		c.relist()
		return
	}
	if err != nil {
		c.tb.Fatalf("%s: watching: %v", c.name, err)
	}
	c.watch = w
	c.resumes++
}

// travel stops, goes back to an earlier version and resumes from there.
func (c *client) travel(r *rand.Rand) {
	c.watch.Stop()
	for range c.watch.ResultChan() { // what was on its way is lost, as with a broken connection
	}
	if len(c.history) > 0 {
		p := c.history[r.IntN(len(c.history))]
		c.newest, c.known, c.lax = p.rev, maps.Clone(p.known), p.lax
	} else {
		c.lax = true
	}
	c.start()
}

// receive handles one event.
func (c *client) receive(event watch.Event) {
	c.tb.Helper()
	key, rev := keyAndRev(c.tb, event.Object)
	_, has := c.known[key]
	switch {
	case event.Type == watch.Bookmark:
		c.marks++
		if rev < c.newest || !c.bookmarks {
			c.tb.Fatalf("%s: bookmark %d after %d", c.name, rev, c.newest)
		}
	case rev <= c.newest:
		c.tb.Fatalf("%s: %s %s at %d after %d: not ordered or not unique", c.name, event.Type, key, rev, c.newest)
	case event.Type == watch.Added && !has, event.Type == watch.Modified && (has || c.lax):
		c.known[key] = rev
	case event.Type == watch.Deleted && (has || c.lax):
		delete(c.known, key)
	default:
		c.tb.Fatalf("%s: %s %s, while the client has it = %v", c.name, event.Type, key, has)
	}
	c.newest = rev
	c.history = append(c.history, point{rev: rev, known: maps.Clone(c.known), lax: !c.current()})
	if len(c.history) > 200 {
		c.history = c.history[100:]
	}
}

// read takes up to n events that are there already.
func (c *client) read(n int) {
	c.tb.Helper()
	for range n {
		select {
		case event, ok := <-c.watch.ResultChan():
			if !ok {
				c.tb.Fatalf("%s: the watch ended", c.name)
			}
			c.receive(event)
		default:
			return
		}
	}
}

// current says whether nothing has changed after the newest event, and the client knows what there is.
func (c *client) current() bool {
	c.tb.Helper()
	list, err := c.store.List(c.selection, viewstore.ListOptions{
		ResourceVersion: strconv.FormatUint(c.newest, 10), ResourceVersionMatch: metav1.ResourceVersionMatchExact,
	})
	if apierrors.IsResourceExpired(err) {
		return false
	}
	if err != nil {
		c.tb.Fatalf("%s: listing exactly %d: %v", c.name, c.newest, err)
	}
	for _, item := range list.Items {
		if c.known[item.Key()] != item.Revision() {
			return false
		}
	}
	return len(list.Items) == len(c.known)
}

// truth returns what a list says.
func (c *client) truth() map[workspace.Key]uint64 {
	c.tb.Helper()
	list, err := c.store.List(c.selection, viewstore.ListOptions{})
	if err != nil {
		c.tb.Fatalf("%s: listing: %v", c.name, err)
	}
	truth := map[workspace.Key]uint64{}
	for _, item := range list.Items {
		truth[item.Key()] = item.Revision()
	}
	return truth
}

// converge reads until the client knows what a list says.
func (c *client) converge() {
	c.tb.Helper()
	want := c.truth()
	deadline := time.After(10 * time.Second)
	for !maps.Equal(want, c.known) {
		select {
		case event, ok := <-c.watch.ResultChan():
			if !ok {
				c.tb.Fatalf("%s: the watch ended", c.name)
			}
			c.receive(event)
		case <-deadline:
			c.tb.Fatalf("%s: did not converge (-list +watch):\n%s", c.name, cmp.Diff(want, c.known))
		}
	}
	c.watch.Stop()
}

// mutate makes one random publication.
func mutate(r *rand.Rand, store *viewstore.Store) {
	src := source(fmt.Sprintf("s%d", r.IntN(8)))
	switch r.IntN(10) {
	case 0:
		store.DeleteSource(src)
	case 1, 2, 3:
		var entries []viewstore.Entry
		for _, ws := range []logicalcluster.Name{acme, globex} {
			for i := range 3 {
				if r.IntN(2) == 0 { // names collide between sources on purpose
					e := entry(ws, fmt.Sprintf("%s-%d", []string{src.Name, "shared"}[r.IntN(2)], i), "tier", strconv.Itoa(r.IntN(3)))
					if r.IntN(8) == 0 {
						e.UID = "another"
					}
					entries = append(entries, e)
				}
			}
		}
		store.SetEntries(src, entries)
	default:
		store.SetContent(src, status(r.Int64N(4)))
	}
}

// TestWatchersConvergeWhateverTheirLag is FLT-11: events are ordered, unique and resumable, bookmarks hold, and a
// reader ends up with what a list says, however slow it is and however often it starts again.
func TestWatchersConvergeWhateverTheirLag(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			store := newStore(t, func(o *viewstore.Options) {
				o.Limits = viewstore.Limits{BookmarkInterval: time.Millisecond}
				if seed%3 == 0 { // deletions are soon forgotten, so that many resumptions get 410
					o.Limits.TombstonesPerWorkspace, o.Limits.Tombstones = 5+int(seed), 8+int(seed)
				}
			})
			clients := population(t, store)
			for _, c := range clients {
				c.relist()
			}
			for range 3000 {
				mutate(r, store)
				c := clients[r.IntN(len(clients))]
				switch r.IntN(30) {
				case 0:
					c.travel(r)
				case 1:
					c.watch.Stop()
					c.relist()
				default:
					c.read(r.IntN(6))
				}
			}
			relists, resumes, marks := 0, 0, 0
			for _, c := range clients {
				c.converge()
				relists, resumes, marks = relists+c.relists, resumes+c.resumes, marks+c.marks
			}
			t.Logf("%d lists, %d watches, %d bookmarks", relists, resumes, marks)
		})
	}
}

func population(tb testing.TB, store *viewstore.Store) []*client {
	tb.Helper()
	tier := labels.SelectorFromSet(labels.Set{"tier": "1"})
	one := fields.OneTermEqualSelector("metadata.name", "shared-1")
	selections := map[string]viewstore.Selection{
		"acme": {Workspace: acme}, "globex": {Workspace: globex}, "all": {Workspace: workspace.Wildcard},
		"acme by label": {Workspace: acme, Labels: tier}, "acme by name": {Workspace: acme, Fields: one},
		"all by label": {Workspace: workspace.Wildcard, Labels: tier}, "empty": {Workspace: "4empty000000000x"},
	}
	var clients []*client
	for _, name := range []string{"acme", "globex", "all", "acme by label", "acme by name", "all by label", "empty"} {
		for _, bookmarks := range []bool{true, false} {
			clients = append(clients, &client{tb: tb, name: fmt.Sprintf("%s, bookmarks %v", name, bookmarks), store: store, selection: selections[name], bookmarks: bookmarks})
		}
	}
	return clients
}
