// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	serializerjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/handlers"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/viewstore"
)

var nasty = []string{"", "a", "ü<&>\u2028", `"resourceVersion":"0"`, `\"`, "{}", "\x00\x1f", "日本", `","metadata":{}`, "resourceVersion", strings.Repeat("x", 300)}

func randomEntry(r *rand.Rand, name string) viewstore.Entry {
	word := func() string { return nasty[r.IntN(len(nasty))] }
	e := entry(acme, name)
	e.UID = ""
	if r.IntN(2) == 0 {
		e.UID = "u-1"
	}
	if r.IntN(3) == 0 {
		e.CreationTimestamp = metav1.Time{}
	}
	for range r.IntN(4) {
		if e.Labels == nil {
			e.Labels, e.Annotations = map[string]string{}, map[string]string{}
		}
		e.Labels[word()] = word()
		e.Annotations[word()] = word()
	}
	return e
}

func randomStatus(r *rand.Rand) *tmcv1alpha1.ClusterStatusStatus {
	s := status(r.Int64N(1000))
	s.Version = nasty[r.IntN(len(nasty))]
	switch r.IntN(4) {
	case 0:
		return &tmcv1alpha1.ClusterStatusStatus{}
	case 1:
		s.Conditions, s.Nodes, s.Capacity = nil, nil, corev1.ResourceList{}
	case 2:
		s.Taints = []tmcv1alpha1.Taint{{Key: nasty[r.IntN(len(nasty))], Effect: "NoSchedule"}}
		s.Capacity["nvidia.com/gpu"] = *resource.NewQuantity(r.Int64(), resource.DecimalSI)
	}
	return s
}

func TestBytesEqualTheUpstreamSerializers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	store := newStore(t)
	for i := range 300 {
		name := fmt.Sprintf("m-%03d", i)
		if i%7 == 0 {
			name += nasty[r.IntN(len(nasty))]
		}
		store.SetEntries(source(name), []viewstore.Entry{randomEntry(r, name)})
		store.SetContent(source(name), randomStatus(r))
	}
	for _, mediaType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeYAML} {
		encoder := encoderOf(t, mediaType)
		page, err := store.List(everything(acme), viewstore.ListOptions{Limit: 200})
		if err != nil {
			t.Fatalf("listing: %v", err)
		}
		if page.Continue == "" || page.RemainingItemCount == nil || *page.RemainingItemCount != 100 {
			t.Fatalf("the first page has continue %q and %v remaining", page.Continue, page.RemainingItemCount)
		}
		wantSame(t, encoder, page, page.GetObject())
		empty, err := store.List(everything(globex), viewstore.ListOptions{})
		if err != nil {
			t.Fatalf("listing: %v", err)
		}
		if err := meta.SetList(empty, []runtime.Object{}); err != nil { // as the handler does
			t.Fatalf("emptying a list: %v", err)
		}
		emptied := empty.GetObject()
		if err := meta.SetList(emptied, []runtime.Object{}); err != nil {
			t.Fatalf("emptying a list: %v", err)
		}
		wantSame(t, encoder, empty, emptied)
		for _, item := range page.Items {
			wantSame(t, encoder, item, item.GetObject())
			wantSame(t, encoder, item, item.DeepCopyObject()) // from what the first encoding left
		}
	}
}

func wantSame(t *testing.T, encoder runtime.Encoder, cached, plain runtime.Object) {
	t.Helper()
	var got, want bytes.Buffer
	if err := encoder.Encode(cached, &got); err != nil {
		t.Fatalf("encoding from the store: %v", err)
	}
	if err := encoder.Encode(plain, &want); err != nil {
		t.Fatalf("encoding upstream: %v", err)
	}
	if diff := cmp.Diff(want.String(), got.String()); diff != "" {
		t.Fatalf("bytes (-upstream +ours):\n%s", diff)
	}
}

// TestWatchFramesEqualTheUpstreamHandlers lets the handler of k8s.io/apiserver write the same events, of the store
// and typed ones, and compares.
func TestWatchFramesEqualTheUpstreamHandlers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	store := newStore(t)
	for i := range 50 {
		name := fmt.Sprintf("m-%03d", i)
		store.SetEntries(source(name), []viewstore.Entry{randomEntry(r, name)})
		store.SetContent(source(name), randomStatus(r))
	}
	list, err := store.List(everything(acme), viewstore.ListOptions{})
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	pretty := serializerjson.NewSerializerWithOptions(serializerjson.DefaultMetaFactory, scheme(t), scheme(t), serializerjson.SerializerOptions{Pretty: true})
	tests := []struct {
		name     string
		embedded runtime.Encoder
		kept     int // plain frames are spliced, so that nothing is kept
	}{
		{name: "plain", embedded: encoderOf(t, runtime.ContentTypeJSON)},
		{name: "pretty", embedded: pretty, kept: 3},
	}
	for _, tc := range tests {
		var ours, theirs []watch.Event
		for _, item := range list.Items {
			for _, eventType := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted} {
				ours = append(ours, watch.Event{Type: eventType, Object: item})
				theirs = append(theirs, watch.Event{Type: eventType, Object: item.GetObject()})
			}
		}
		want := serve(t, tc.embedded, theirs)
		if lines := strings.Count(want, "\n"); lines != len(theirs) {
			t.Fatalf("%s: upstream wrote %d frames, want %d", tc.name, lines, len(theirs))
		}
		if diff := cmp.Diff(want, serve(t, tc.embedded, ours)); diff != "" {
			t.Errorf("%s frames (-upstream +ours):\n%s", tc.name, diff)
		}
		if got := list.Items[0].Encodings(); got != tc.kept {
			t.Errorf("%s: %d encodings are kept, want %d", tc.name, got, tc.kept)
		}
	}
}

func serve(t *testing.T, embedded runtime.Encoder, events []watch.Event) string {
	t.Helper()
	feed := make(chan watch.Event, len(events))
	for _, event := range events {
		feed <- event
	}
	close(feed)
	server := &handlers.WatchServer{
		Watching: watch.NewProxyWatcher(feed), Scope: &handlers.RequestScope{}, MediaType: runtime.ContentTypeJSON,
		Framer: serializerjson.Framer, Encoder: encoderOf(t, runtime.ContentTypeJSON), EmbeddedEncoder: embedded, TimeoutFactory: never{},
	}
	recorder := httptest.NewRecorder()
	server.HandleHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	return recorder.Body.String()
}

type never struct{}

func (never) TimeoutCh() (<-chan time.Time, func() bool) { return nil, func() bool { return false } }

func TestEncodingsAreBounded(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	fill(store, acme, 1)
	list, err := store.List(everything(acme), viewstore.ListOptions{})
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	calls := 0
	encode := func(_ runtime.Object, w io.Writer) error { calls++; _, err := io.WriteString(w, "x"); return err }
	for i := range 20 {
		for range 2 {
			if err := list.Items[0].CacheEncode(runtime.Identifier(fmt.Sprintf("id-%d", i)), encode, io.Discard); err != nil {
				t.Fatalf("encoding: %v", err)
			}
		}
	}
	if got := list.Items[0].Encodings(); got != 8 {
		t.Errorf("%d encodings are kept, want 8", got)
	}
	if calls != 8+2*12 {
		t.Errorf("the encoder ran %d times, want once for each kept and twice for each other", calls)
	}
	table := runtime.Identifier(`{"target":"meta.k8s.io/v1, Kind=Table"}`)
	for range 2 {
		calls = 0
		if err := list.Items[0].CacheEncode(table, encode, io.Discard); err != nil || calls != 1 {
			t.Errorf("a table, which shows ages, was encoded %d times for a read (error %v), want once", calls, err)
		}
	}
}
