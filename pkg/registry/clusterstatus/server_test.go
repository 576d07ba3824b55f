// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterstatus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/kcp-dev/tmc/pkg/viewstore"
)

const protobufFirst = "application/vnd.kubernetes.protobuf,application/json"

func TestReadsOverTLS(t *testing.T) {
	t.Parallel()
	s := newServer(t, newStore(t, viewstore.Limits{}))
	show(s.store, "east", 7, acme)
	show(s.store, "west", 8, acme, globex)
	const table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
	tests := map[string]struct {
		path, accept string
		code         int
		contentType  string
		want         []string
	}{
		"get":                 {path: "/east", accept: "application/json", code: 200, contentType: "application/json", want: []string{`{"kind":"ClusterStatus","apiVersion":"tmc.kcp.io/v1alpha1","metadata":{"name":"east"`, `"kcp.io/cluster":"2acme0000000000x"`}},
		"protobuf falls back": {path: "/east", accept: protobufFirst, code: 200, contentType: "application/json", want: []string{`"name":"east"`}},
		"only protobuf":       {path: "/east", accept: "application/vnd.kubernetes.protobuf", code: 406},
		"yaml":                {path: "", accept: "application/yaml", code: 200, contentType: "application/yaml", want: []string{"kind: ClusterStatusList", "name: west"}},
		"list":                {path: "", accept: "application/json", code: 200, contentType: "application/json", want: []string{`{"kind":"ClusterStatusList","apiVersion":"tmc.kcp.io/v1alpha1","metadata":{"resourceVersion":"`, `"name":"west"`}},
		"table":               {path: "", accept: table, code: 200, contentType: "application/json", want: []string{`"kind":"Table"`, `"cells":["east","True","v1.36.3","2/3","11.8/12","30.9Gi/32Gi","7","\u003cunknown\u003e"`, `"kind":"PartialObjectMetadata"`}},
		"table of objects":    {path: "/west?includeObject=Object", accept: table, code: 200, contentType: "application/json", want: []string{`"object":{"kind":"ClusterStatus"`}},
		"metadata":            {path: "/east", accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", code: 200, contentType: "application/json", want: []string{`"kind":"PartialObjectMetadata"`, `"name":"east"`}},
		"metadata list":       {path: "", accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", code: 200, contentType: "application/json", want: []string{`"kind":"PartialObjectMetadataList"`, `"name":"west"`}},
		"by name":             {path: "?fieldSelector=metadata.name%3Dwest", accept: "application/json", code: 200, contentType: "application/json", want: []string{`"name":"west"`}},
		"by other field":      {path: "?fieldSelector=spec.foo%3Dwest", accept: "application/json", code: 400, want: []string{"field"}},
		"by label":            {path: "?labelSelector=member%3Deast", accept: "application/json", code: 200, contentType: "application/json", want: []string{`"name":"east"`}},
		"absent":              {path: "/north", accept: "application/json", code: 404, want: []string{`clusterstatuses.tmc.kcp.io \"north\" not found`}},
		"another process":     {path: "?resourceVersion=12345&resourceVersionMatch=NotOlderThan", accept: "application/json", code: 410, want: []string{`"reason":"Expired"`}},
		"not a version":       {path: "/east?resourceVersion=x", accept: "application/json", code: 400},
		"foreign token":       {path: "?continue=abc", accept: "application/json", code: 400, want: []string{"continue"}},
		"watch too old":       {path: "?watch=true&resourceVersion=12345", accept: "application/json", code: 410},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			code, contentType, body := s.do(t, http.MethodGet, acme, tc.path, tc.accept)
			if code != tc.code || tc.contentType != "" && contentType != tc.contentType {
				t.Fatalf("status %d %s, want %d %s: %s", code, contentType, tc.code, tc.contentType, body)
			}
			for _, want := range tc.want {
				if !strings.Contains(body, want) {
					t.Errorf("no %s in %s", want, body)
				}
			}
		})
	}
}

// TestWritesAreNotAllowed is SEC-05: there is no method behind any writing verb.
func TestWritesAreNotAllowed(t *testing.T) {
	t.Parallel()
	s := newServer(t, newStore(t, viewstore.Limits{}))
	show(s.store, "east", 7, acme)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		for _, path := range []string{"", "/east", "/east/status"} {
			code, _, body := s.do(t, method, acme, path, "application/json")
			if code != http.StatusMethodNotAllowed && (path != "/east/status" || code != http.StatusNotFound) {
				t.Errorf("%s %q: status %d, want 405: %s", method, path, code, body)
			}
		}
	}
	if _, found := s.store.Get(keyOf(acme, "east")); !found {
		t.Error("the object is gone")
	}
}

func TestNotSyncedIsUnavailable(t *testing.T) {
	t.Parallel()
	s := newServer(t, unsynced(t))
	for _, path := range []string{"", "/east", "?watch=true"} {
		if code, _, body := s.do(t, http.MethodGet, acme, path, "application/json"); code != http.StatusServiceUnavailable {
			t.Errorf("GET %q: status %d, want 503: %s", path, code, body)
		}
	}
}

func TestShutdownEndsWatchesInOrder(t *testing.T) {
	t.Parallel()
	s := newServer(t, newStore(t, viewstore.Limits{}))
	show(s.store, "east", 7, acme)
	time.AfterFunc(300*time.Millisecond, s.store.Shutdown)
	code, _, body := s.do(t, http.MethodGet, acme, "?watch=true&timeoutSeconds=60", "application/json")
	if code != http.StatusOK || !strings.HasPrefix(body, `{"type":"ADDED","object":{"kind":"ClusterStatus"`) || !strings.HasSuffix(body, "}\n") {
		t.Errorf("status %d and body %q, want one whole event and a proper end", code, body)
	}
	if code, _, _ := s.do(t, http.MethodGet, acme, "?watch=true", "application/json"); code != http.StatusServiceUnavailable {
		t.Errorf("a watch after the shutdown: status %d, want 503", code)
	}
}

// TestTenantsDoNotSeeEachOther compares what acme reads, byte for byte, with and without globex beside it.
func TestTenantsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	read := func(beside bool) []string {
		store, err := newFixedStore()
		if err != nil {
			t.Fatalf("making a store: %v", err)
		}
		store.MarkSynced()
		s := newServer(t, store)
		show(s.store, "east", 7, acme)
		if beside {
			show(s.store, "secret-west", 8, globex)
		}
		var bodies []string
		for _, path := range []string{"/east", "/secret-west", "?fieldSelector=metadata.name%3Dsecret-west&limit=1", "?limit=1", "?watch=true&timeoutSeconds=1"} {
			_, _, body := s.do(t, http.MethodGet, acme, path, "application/json")
			bodies = append(bodies, withoutListVersion(t, body))
		}
		return bodies
	}
	if diff := cmp.Diff(read(false), read(true)); diff != "" {
		t.Errorf("what acme reads without and with globex (-without +with):\n%s", diff)
	}
}

// withoutListVersion blanks the revision of a list, which counts the changes of the whole process.
func withoutListVersion(t *testing.T, body string) string {
	t.Helper()
	var list struct{ Metadata metav1.ListMeta }
	if strings.Contains(body, `"kind":"ClusterStatusList"`) {
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatalf("decoding a list: %v", err)
		}
		return strings.Replace(body, `"metadata":{"resourceVersion":"`+list.Metadata.ResourceVersion, `"metadata":{"resourceVersion":"`, 1)
	}
	return body
}

// TestReflectorFollows drives client-go's own reflector: list by watch, bookmarks, and 410 after its version is gone.
func TestReflectorFollows(t *testing.T) {
	t.Parallel()
	s := newServer(t, newStore(t, viewstore.Limits{BookmarkInterval: 50 * time.Millisecond}))
	for i := range 20 {
		show(s.store, fmt.Sprintf("member-%02d", i), int64(i), acme)
	}
	client := s.dynamic(t, acme)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	kept := cache.NewStore(cache.MetaNamespaceKeyFunc)
	reflector := cache.NewReflector(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) { return client.Watch(ctx, o) },
	}, client), &unstructured.Unstructured{}, kept, 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		reflector.RunWithContext(ctx)
	}()
	wantSame := func(step string) {
		t.Helper()
		deadline := time.Now().Add(15 * time.Second)
		for {
			got, want := map[string]string{}, map[string]string{}
			for _, obj := range kept.List() {
				u, _ := obj.(*unstructured.Unstructured)
				got[u.GetName()] = u.GetResourceVersion()
			}
			list, err := s.store.List(viewstore.Selection{Workspace: acme}, viewstore.ListOptions{})
			if err != nil {
				t.Fatalf("listing: %v", err)
			}
			for _, item := range list.Items {
				want[item.GetName()] = item.GetResourceVersion()
			}
			if maps.Equal(got, want) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s (-store +reflector):\n%s", step, cmp.Diff(want, got))
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	wantSame("after the start")
	for i := range 20 {
		show(s.store, fmt.Sprintf("member-%02d", i), int64(100+i), acme)
		if i%3 == 0 {
			s.store.DeleteSource(source(fmt.Sprintf("member-%02d", i)))
		}
	}
	wantSame("after changes")
	s.CloseClientConnections() // the watch breaks, and resumes
	show(s.store, "late", 1, acme)
	wantSame("after a broken connection")
	before := reflector.LastSyncResourceVersion()
	show(s.store, "elsewhere", 1, globex)
	deadline := time.Now().Add(15 * time.Second)
	for reflector.LastSyncResourceVersion() == before && time.Now().Before(deadline) {
		<-time.After(5 * time.Millisecond)
	}
	if reflector.LastSyncResourceVersion() == before {
		t.Error("no bookmark moved the reflector's version on")
	}
	cancel()
	<-done
}

// listFirst keeps a reflector from starting with a watch, which would never be told 410.
type listFirst struct{}

func (listFirst) IsWatchListSemanticsUnSupported() bool { return true }

// TestReflectorListsAgainAfter410 takes away what a reflector would need to resume: it must notice, and list again.
func TestReflectorListsAgainAfter410(t *testing.T) {
	t.Parallel()
	s := newServer(t, newStore(t, viewstore.Limits{TombstonesPerWorkspace: 1}))
	for i := range 6 {
		show(s.store, fmt.Sprintf("member-%d", i), 1, acme)
	}
	client := s.dynamic(t, acme)
	// The second watch waits until the versions that it could resume from are gone.
	var lists, watches, expired atomic.Int32
	gone := make(chan struct{})
	kept := cache.NewStore(cache.MetaNamespaceKeyFunc)
	reflector := cache.NewReflector(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			lists.Add(1)
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if watches.Add(1) == 2 {
				<-gone
			}
			w, err := client.Watch(ctx, o)
			if apierrors.IsResourceExpired(err) {
				expired.Add(1)
			}
			return w, err
		},
	}, listFirst{}), &unstructured.Unstructured{}, kept, 0)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		reflector.RunWithContext(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()
	eventually := func(what string, condition func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !condition(); <-time.After(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain until %s: %d lists, %d watches, %d expired, keys %q", what, lists.Load(), watches.Load(), expired.Load(), kept.ListKeys())
			}
		}
	}
	eventually("the reflector has listed", func() bool { return len(kept.List()) == 6 && watches.Load() == 1 })
	show(s.store, "member-6", 1, acme)
	eventually("the reflector follows", func() bool { return len(kept.List()) == 7 })
	before := lists.Load()
	s.CloseClientConnections()
	eventually("the reflector watches again", func() bool { return watches.Load() == 2 })
	for i := range 4 { // more deletions than are remembered
		s.store.DeleteSource(source(fmt.Sprintf("member-%d", i)))
	}
	show(s.store, "late", 1, acme)
	close(gone)
	want := []string{"late", "member-4", "member-5", "member-6"}
	eventually("the reflector holds what there is", func() bool {
		got := kept.ListKeys()
		slices.Sort(got)
		return slices.Equal(got, want)
	})
	if expired.Load() == 0 || lists.Load() == before {
		t.Errorf("%d watches were answered with 410 and %d lists followed; want at least one of each", expired.Load(), lists.Load()-before)
	}
	show(s.store, "later", 1, acme)
	eventually("the reflector follows again", func() bool { return len(kept.List()) == 5 })
}

// TestWatchListEndsWithTheBookmark is what informers wait for: the objects, then the bookmark that ends them.
func TestWatchListEndsWithTheBookmark(t *testing.T) {
	t.Parallel()
	s := newServer(t, newStore(t, viewstore.Limits{}))
	show(s.store, "east", 7, acme)
	tests := map[string]struct {
		query, accept string
		want          []string
	}{
		"bookmarks allowed":     {query: "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", accept: protobufFirst, want: []string{"ADDED", "BOOKMARK"}},
		"bookmarks not allowed": {query: "", accept: "application/json", want: []string{"ADDED"}},
		"no initial events":     {query: "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", accept: "application/json"},
		"tables":                {query: "&allowWatchBookmarks=true", accept: "application/json;as=Table;v=v1;g=meta.k8s.io", want: []string{"ADDED", "BOOKMARK"}},
		"metadata":              {query: "", accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", want: []string{"ADDED"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			code, _, body := s.do(t, http.MethodGet, acme, "?watch=true&timeoutSeconds=1"+tc.query, tc.accept)
			if code != http.StatusOK {
				t.Fatalf("status %d: %s", code, body)
			}
			var got []string
			for line := range strings.SplitSeq(strings.TrimSpace(body), "\n") {
				var event metav1.WatchEvent
				if line == "" {
					continue
				}
				if err := json.Unmarshal([]byte(line), &event); err != nil {
					t.Fatalf("decoding %s: %v", line, err)
				}
				got = append(got, event.Type)
				if event.Type == "BOOKMARK" && !strings.Contains(line, metav1.InitialEventsAnnotationKey) {
					t.Errorf("the bookmark does not end the initial events: %s", line)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s\n%s", diff, body)
			}
		})
	}
}
