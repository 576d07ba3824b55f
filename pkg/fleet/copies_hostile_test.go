// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/fleet"
)

// onlyCopies lets a member answer otherwise to lists and watches of deployments.
func onlyCopies(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/deployments") {
			panic(errPass)
		}
		answer(w, r)
	}
}

// TestSEC20HostileListsAndWatchesKeepTheCopies lets a member answer nonsense, and sees the copies stay and return.
func TestSEC20HostileListsAndWatchesKeepTheCopies(t *testing.T) {
	t.Parallel()
	item := func(metadata string) string {
		return `{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":` + metadata + `}]}`
	}
	event := func(eventType, object string) string { return `{"type":"` + eventType + `","object":` + object + "}\n" }
	tests := map[string]struct {
		list  http.HandlerFunc
		event string
	}{
		"event of garbage":         {event: "\x00\xff}"},
		"event is a list":          {event: "[1]\n"},
		"event of wrong types":     {event: `{"type":1,"object":"x"}` + "\n"},
		"event without object":     {event: `{"type":"ADDED"}` + "\n"},
		"event of another kind":    {event: event("ADDED", `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","uid":"u","resourceVersion":"1"}}`)},
		"event of unknown kind":    {event: event("ADDED", `{"metadata":{"name":"x","uid":"u","resourceVersion":"1"}}`)},
		"event of unknown type":    {event: event("EXPLODED", `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"x","uid":"u","resourceVersion":"1"}}`)},
		"bookmark without version": {event: event("BOOKMARK", `{"metadata":{"resourceVersion":7}}`)},
		"error without code":       {event: event("ERROR", `"`+planted+`"`)},
		"error":                    {event: event("ERROR", `{"code":500,"message":"`+planted+`"}`)},
		"error of its age":         {event: event("ERROR", `{"code":410,"message":"`+planted+`"}`)},
		"event too large":          {event: event("ADDED", `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"x","uid":"u","resourceVersion":"1"},"spec":"`+strings.Repeat("x", 5<<20)+`"}`)},
		"deep event":               {event: event("ADDED", strings.Repeat(`{"a":`, 20_000))},
		"list is HTML":             {list: endless("text/html")},
		"list is endless":          {list: endless("application/json")},
		"list is one large string": {list: jsonAnswer(`{"apiVersion":"apps/v1","metadata":{"resourceVersion":"1"},"kind":"` + strings.Repeat("x", 5<<20) + `List"}`)},
		"list is truncated":        {list: jsonAnswer(`{"kind":"DeploymentList","items":[{"a"`)},
		"list is deep":             {list: jsonAnswer(`{"kind":"DeploymentList","items":[` + strings.Repeat("[", 200_000))},
		"list of another kind":     {list: jsonAnswer(`{"kind":"SecretList","apiVersion":"v1","items":[]}`)},
		"list is an object":        {list: jsonAnswer(`{"kind":"Deployment","apiVersion":"apps/v1"}`)},
		"list is an array":         {list: jsonAnswer(`[]`)},
		"list of wrong types":      {list: jsonAnswer(`{"kind":[],"apiVersion":{}}`)},
		"items are no array":       {list: jsonAnswer(`{"kind":"DeploymentList","items":{}}`)},
		"items are numbers":        {list: jsonAnswer(`{"kind":"DeploymentList","items":[1,2]}`)},
		"items before the kind":    {list: jsonAnswer(`{"items":[{"metadata":{"name":"x"}}]}`)},
		"list without version":     {list: jsonAnswer(`{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{},"items":null}`)},
		"list never ends":          {list: jsonAnswer(`{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{"continue":"x"},"items":[]}`)},
		"metadata is a list":       {list: jsonAnswer(item(`[]`))},
		"name is a number":         {list: jsonAnswer(item(`{"name":1,"uid":"u","resourceVersion":"1"}`))},
		"SEC-11 name is a path":    {list: jsonAnswer(item(`{"name":"../x","uid":"u","resourceVersion":"1"}`))},
		"namespace is a path":      {list: jsonAnswer(item(`{"name":"x","namespace":"..","uid":"u","resourceVersion":"1"}`))},
		"endless UID":              {list: jsonAnswer(item(`{"name":"x","uid":"` + strings.Repeat("u", 1000) + `","resourceVersion":"1"}`))},
		"redirect": {list: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1", http.StatusTemporaryRedirect)
		}},
		"list fails":    {list: statusAnswer(503)},
		"list hangs up": {list: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			member := newFakeMember(t)
			for i := range 3 {
				member.copies.set(deployments, newCopy(deployments, fmt.Sprint("web-", i), "one"))
			}
			config := fast()
			config.MaxCopyPageBytes, config.MaxCopies = 8<<20, 10
			h := runCopies(t, config, deployments)
			h.Ensure(east, member.connection())
			h.waitSynced(deployments)
			failing := tc.list
			if failing == nil {
				failing = statusAnswer(503)
			} else {
				tc.event = event("ERROR", `{"code":410}`)
			}
			member.answer(onlyCopies(failing))
			member.copies.send(deployments, tc.event)
			eventually(t, func() bool { return !h.CopiesSynced(east, deployments) }, func() string { return "the copies lost" })
			asked := member.count("/apis/apps/v1/deployments") + member.count("/apis/apps/v1/deployments?watch")
			eventually(t, func() bool {
				return member.count("/apis/apps/v1/deployments")+member.count("/apis/apps/v1/deployments?watch") > asked+1
			}, func() string { return "further tries" })
			if got := len(h.Copies(east, deployments)); got != 3 {
				t.Errorf("%d copies, want 3", got)
			}
			state, _ := h.State(east)
			checkSilence(t, state)
			member.set(func(m *fakeMember) { m.override, m.copies.log, m.oldest = nil, nil, m.rv })
			h.waitSynced(deployments)
			member.copies.set(deployments, newCopy(deployments, "web-1", "two"))
			h.waitValue(keyOf(deployments, "web-1"), "two")
		})
	}
}

func TestSEC20HugeListsTakeLittleMemory(t *testing.T) {
	// Not parallel: it measures the heap.
	member := newFakeMember(t)
	stranger := `{"metadata":{"name":"x","uid":"u","resourceVersion":"1"}},`
	bulk := strings.Repeat(stranger, 1000)
	member.answer(onlyCopies(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{"resourceVersion":"1"},"items":[`)
		for range 2000 { // 100 MB and more
			if _, err := io.WriteString(w, bulk); err != nil {
				return
			}
		}
	}))
	config := fast()
	config.MaxCopyPageBytes = 16 << 20 // more takes long with the race detector
	h := runCopies(t, config, deployments)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	h.Ensure(east, member.connection())
	eventually(t, func() bool { return member.count("/apis/apps/v1/deployments") > 1 }, func() string { return "a refusal" })
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if h.CopiesSynced(east, deployments) || len(h.Copies(east, deployments)) != 0 {
		t.Error("there are copies")
	}
}

func TestSEC20TooManyCopiesAreForgotten(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*fleet.Config){
		"objects": func(c *fleet.Config) { c.MaxCopies = 5 },
		"memory":  func(c *fleet.Config) { c.MaxCopyBytes = 10_000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			member := newFakeMember(t)
			for i := range 20 {
				member.copies.set(deployments, newCopy(deployments, fmt.Sprint("web-", i), "one"))
			}
			member.copies.set(configMaps, newCopy(configMaps, "settings", "one"))
			config := fast()
			limit(&config)
			h := runCopies(t, config, deployments, configMaps)
			h.Ensure(east, member.connection())
			h.waitSynced(configMaps)
			eventually(t, func() bool { return member.count("/apis/apps/v1/deployments") > 3 }, func() string { return "refusals" })
			if h.CopiesSynced(east, deployments) {
				t.Error("there are more copies than are allowed")
			}
			for i := range 18 {
				member.copies.removeUnseen(deployments, fmt.Sprint("tmc-a/web-", i))
			}
			h.waitSynced(deployments)
			h.waitValue(keyOf(deployments, "web-19"), "one")
			h.waitValue(keyOf(configMaps, "settings"), "one")
			for i := range 18 {
				member.copies.set(deployments, newCopy(deployments, fmt.Sprint("late-", i), "one"))
			}
			eventually(t, func() bool { return !h.CopiesSynced(east, deployments) }, func() string { return "a refusal of events" })
		})
	}
}

func TestCopiesOfOneMemberDisturbNoOther(t *testing.T) {
	t.Parallel()
	config := fast()
	config.ConcurrentLists = 1
	config.RequestTimeout = time.Minute
	h := runCopies(t, config, deployments, configMaps)
	for i := range 2 {
		slow := newFakeMember(t)
		slow.answer(func(_ http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/deployments") && !strings.HasSuffix(r.URL.Path, "/configmaps") {
				panic(errPass)
			}
			<-r.Context().Done()
		})
		key := east
		key.Name = fmt.Sprint("slow-", i)
		h.Ensure(key, slow.connection())
		eventually(t, func() bool {
			return slow.count("/apis/apps/v1/deployments")+slow.count("/api/v1/configmaps") > 0 || i > 0
		}, func() string { return "a list" })
	}
	member := newFakeMember(t)
	member.copies.set(deployments, newCopy(deployments, "web", "one"))
	h.Ensure(east, member.connection())
	h.waitSynced(deployments, configMaps)
}

// Whatever many copies do, probes and figures go over a connection of their own.
func TestManyResourcesShareOneConnection(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	resources := make([]schema.GroupVersionResource, 30)
	member.set(func(m *fakeMember) {
		for i := range resources {
			resources[i] = deployments.GroupVersion().WithResource(fmt.Sprint("things", i))
			m.copies.served[resources[i]] = m.copies.served[deployments]
		}
	})
	h := runCopies(t, fast(), resources...)
	h.Ensure(east, member.connection())
	h.waitSynced(resources...)
	if got := member.openConnections(); got > 2 {
		t.Errorf("%d connections for %d resources, want 2", got, len(resources))
	}
}
