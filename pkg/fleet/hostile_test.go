// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/fleet"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

// planted stands in answers and must never be seen again.
const planted = "planted-body-33ab"

func jsonAnswer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

func statusAnswer(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, planted, code) }
}

// endless writes until the other side has enough.
func endless(contentType string) http.HandlerFunc {
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}

func TestFLT05HostileAnswersToProbes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"HTML with 200": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>"+planted)
		}, "False/InvalidResponse"},
		"not JSON":         {jsonAnswer(planted), "False/InvalidResponse"},
		"other JSON":       {jsonAnswer(`{"message":"` + planted + `"}`), "False/InvalidResponse"},
		"wrong type":       {jsonAnswer(`{"gitVersion":{"a":1}}`), "False/InvalidResponse"},
		"deep JSON":        {jsonAnswer(strings.Repeat("[", 200_000)), "False/InvalidResponse"},
		"endless body":     {endless("application/json"), "False/InvalidResponse"},
		"not found":        {statusAnswer(404), "False/InvalidResponse"},
		"teapot":           {statusAnswer(418), "False/InvalidResponse"},
		"no content":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "False/InvalidResponse"},
		"own error":        {statusAnswer(500), "False/ServerError"},
		"FLT-06 throttled": {statusAnswer(429), "False/ServerError"},
		"huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Big", strings.Repeat("x", 512<<10))
		}, "False/InvalidResponse"},
		"FLT-03 never answers":    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "Unknown/TimedOut"},
		"SEC-20 drips its answer": {drip, "Unknown/TimedOut"},
		"hangs up":                {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "Unknown/DialFailed"},
		"identity is garbage": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/version" {
				panic(errPass)
			}
			jsonAnswer(`{"kind":"Namespace","metadata":{"name":"kube-system"}}`)(w, r)
		}, "False/InvalidResponse"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			member := newFakeMember(t)
			member.answer(tc.answer)
			config := fast()
			config.ProbeTimeout = 500 * time.Millisecond
			h := run(t, config)
			h.Ensure(east, member.connection())
			checkSilence(t, h.waitCondition(east, tmcv1alpha1.ConditionReachable, tc.want))
			member.answer(nil)
			h.wait(east, "recovery", allTrue)
		})
	}
}

func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// checkSilence fails if a condition repeats what the member said, or a credential.
func checkSilence(t *testing.T, state fleet.State) {
	t.Helper()
	text := describe(state)
	for _, secret := range []string{planted, memberToken, "Bearer"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is told in %s", secret, text)
		}
	}
	for _, c := range state.Conditions {
		if c.Message == "" || len(c.Message) > 400 || c.LastTransitionTime.IsZero() {
			t.Errorf("condition %+v is incomplete", c)
		}
	}
}

func TestMembersThatDoNotSpeakHTTPOrTLS(t *testing.T) {
	t.Parallel()
	trusted := newPKI(t)
	hold := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	closed := listenRaw(t, func(net.Conn) {})
	tests := map[string]struct {
		server string
		ca     *pki
		want   string
	}{
		"plain HTTP": {listenRaw(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}), trusted, "False/TLSFailed"},
		"SSH":                                {listenRaw(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "SSH-2.0-OpenSSH\r\n") }), trusted, "False/TLSFailed"},
		"FLT-03 black hole before TLS":       {listenRaw(t, hold), trusted, "Unknown/TimedOut"},
		"FLT-03 black hole after TLS":        {trusted.listen(t, hold), trusted, "Unknown/TimedOut"},
		"hangs up":                           {closed, trusted, "Unknown/DialFailed"},
		"not HTTP":                           {trusted.listen(t, func(conn net.Conn) { _, _ = io.WriteString(conn, planted+"\r\n\r\n"); hold(conn) }), trusted, "False/InvalidResponse"},
		"SEC-20 endless header":              {trusted.listen(t, endlessHeader), trusted, "False/InvalidResponse"},
		"SEC-20 endless 1xx answers":         {trusted.listen(t, endlessInformation), trusted, "False/InvalidResponse"},
		"wrong CA":                           {trusted.listen(t, hold), newPKI(t), "False/TLSFailed"},
		"nobody listens":                     {"https://127.0.0.1:1", trusted, "Unknown/DialFailed"},
		"name that does not exist":           {"https://member.invalid", trusted, "Unknown/DialFailed"},
		"FLT-13 expired serving certificate": {serverWith(t, trusted, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), trusted, "False/TLSFailed"},
		"certificate of another host":        {serverWith(t, trusted, func(c *x509.Certificate) { c.IPAddresses = nil; c.DNSNames = []string{"evil.example"} }), trusted, "False/TLSFailed"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := fast()
			config.ProbeTimeout = 500 * time.Millisecond
			h := run(t, config)
			h.Ensure(east, memberconfig.Connection{Server: tc.server, CAData: tc.ca.caPEM, BearerToken: memberToken})
			checkSilence(t, h.waitCondition(east, tmcv1alpha1.ConditionReachable, tc.want))
		})
	}
}

func serverWith(t *testing.T, ca *pki, change func(*x509.Certificate)) string {
	t.Helper()
	server := ca.server(t, http.NotFoundHandler(), nil)
	server.TLS.Certificates = ca.tlsConfig(t, change).Certificates
	return server.URL
}

func endlessHeader(conn net.Conn) {
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
	for i := 0; ; i++ {
		if _, err := fmt.Fprintf(conn, "X-%d: %s\r\n", i, strings.Repeat("x", 1000)); err != nil {
			return
		}
	}
}

func endlessInformation(conn net.Conn) {
	for {
		if _, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"); err != nil {
			return
		}
	}
}

func TestSEC13RedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			var followed atomic.Int64
			thief := newFakeMember(t)
			thief.answer(func(http.ResponseWriter, *http.Request) { followed.Add(1) })
			member := newFakeMember(t)
			member.answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.server.URL+r.URL.Path, code) })
			h := run(t, fast())
			h.Ensure(east, member.connection())
			state := h.waitCondition(east, tmcv1alpha1.ConditionReachable, "False/InvalidResponse")
			if message := condition(state, tmcv1alpha1.ConditionReachable).Message; !strings.Contains(message, "redirect") {
				t.Errorf("message = %q", message)
			}
			eventually(t, func() bool { return member.count("/version") > 2 }, func() string { return "further probes" })
			if followed.Load() != 0 {
				t.Error("a redirect was followed")
			}
		})
	}
}

func TestSEC13UpgradesAreNotAccepted(t *testing.T) {
	t.Parallel()
	ca := newPKI(t)
	server := ca.listen(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	h := run(t, fast())
	h.Ensure(east, memberconfig.Connection{Server: server, CAData: ca.caPEM, BearerToken: memberToken})
	h.waitCondition(east, tmcv1alpha1.ConditionReachable, "False/InvalidResponse")
}

func TestSEC14DeniedAddressIsNeverDialled(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	config := fast()
	config.Addresses = memberconfig.AddressPolicy{}
	h := run(t, config)
	server, err := url.Parse(member.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	connection := member.connection()
	connection.Server = "https://localhost:" + server.Port()
	h.Ensure(east, connection)
	state := h.waitCondition(east, tmcv1alpha1.ConditionAccepted, "False/AddressNotAllowed")
	if !is(state, tmcv1alpha1.ConditionReachable, "Unknown/NotTried") || strings.Contains(describe(state), "127.0.0.1") {
		t.Errorf("state = %s", describe(state))
	}
	if member.openConnections() != 0 {
		t.Error("the member was dialled")
	}
}

// TestFLT05HostileListsAndWatchesKeepTheFigures counts a member, lets it answer nonsense, and sees the figures stay.
func TestFLT05HostileListsAndWatchesKeepTheFigures(t *testing.T) {
	t.Parallel()
	good := newPod("x", "node-0", "1")
	tests := map[string]struct {
		list  http.HandlerFunc // answers lists from then on
		frame []byte           // ends the watch of pods
	}{
		"frame of garbage":         {frame: []byte{0, 0, 0, 3, 0xff, 0xff, 0xff}},
		"frame of 4 GiB":           {frame: []byte{0xff, 0xff, 0xff, 0xff, 1}},
		"event without envelope":   {frame: frame(t, "ADDED", []byte("nonsense"))},
		"object of another kind":   {frame: frame(t, "ADDED", envelope(t, "Secret", good))},
		"event of unknown type":    {frame: frame(t, "EXPLODED", envelope(t, "Pod", good))},
		"bookmark without version": {frame: frame(t, "BOOKMARK", envelope(t, "Pod", newBare()))},
		"list is HTML":             {list: endless("text/html")},
		"list is endless":          {list: endless("application/vnd.kubernetes.protobuf")},
		"list is truncated":        {list: listAnswer([]byte("k8s\x00\x0a\x10"))},
		"list of another kind":     {list: listAnswer([]byte("k8s\x00\x0a\x04\x12\x02Xx"))},
		"list of wrong wire type":  {list: listAnswer([]byte("k8s\x00\x08\x01"))},
		"list without magic":       {list: listAnswer([]byte("{\"kind\":\"PodList\"}"))},
		"list fails":               {list: statusAnswer(503)},
		"list hangs up":            {list: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			member := newFakeMember(t)
			member.fill(2, 5)
			config := fast()
			config.MaxPageBytes = 8 << 20
			h := run(t, config)
			h.Ensure(east, member.connection())
			h.waitPods(east, 5)
			failing := tc.list
			if failing == nil {
				failing = statusAnswer(503)
			}
			member.answer(onlyCapacity(failing))
			if tc.frame == nil {
				tc.frame = frame(t, "ERROR", nil)
			}
			member.send("pods", tc.frame)
			state := h.waitCondition(east, tmcv1alpha1.ConditionCapacityKnown, "False/Stale")
			checkSilence(t, state)
			if state.Capacity.Pods.Bound != 5 || !state.CapacityCounted || !is(state, tmcv1alpha1.ConditionReachable, "True/Reachable") {
				t.Errorf("state = %s", describe(state))
			}
			stale, _ := h.ConfirmedAt(east)
			member.set(func(m *fakeMember) { m.override, m.log, m.oldest = nil, nil, m.rv })
			h.waitPods(east, 5)
			eventually(t, func() bool { at, _ := h.ConfirmedAt(east); return at.After(stale) }, func() string { return "confirmation" })
		})
	}
}

func onlyCapacity(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/pods") {
			panic(errPass)
		}
		answer(w, r)
	}
}

func listAnswer(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
		_, _ = w.Write(body)
	}
}

func TestSEC20HugeBodiesTakeLittleMemory(t *testing.T) {
	// Not parallel: it measures the heap.
	member := newFakeMember(t)
	member.fill(1, 1)
	body := append([]byte("k8s\x00\x0a\x0d\x0a\x02v1\x12\x07PodList\x12\xff\xff\xff\xff\x07"), "\x12\xff\xff\xff\x7f"...) // announces an object of 256 MiB
	member.answer(onlyCapacity(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
		_, _ = w.Write(body)
		endless("")(w, r)
	}))
	h := run(t, fast())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h.Ensure(east, member.connection())
	h.wait(east, "refusals", func(s fleet.State) bool {
		return strings.Contains(condition(s, tmcv1alpha1.ConditionCapacityKnown).Message, "larger than") && member.count("/api/v1/pods") > 10
	})
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func TestSEC20TooManyObjectsAreRefusedAndForgotten(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 2500)
	config := fast()
	config.MaxPods, config.PageSize = 2000, 500
	config.RetryMin = 50 * time.Millisecond
	h := run(t, config)
	h.Ensure(east, member.connection())
	state := h.wait(east, "refusal", func(s fleet.State) bool {
		return strings.Contains(condition(s, tmcv1alpha1.ConditionCapacityKnown).Message, "more than 2000 pods")
	})
	if state.CapacityCounted {
		t.Errorf("state = %s", describe(state))
	}
	for i := range 1000 {
		member.deletePodUnseen(fmt.Sprintf("pod-%d", i))
	}
	h.waitPods(east, 1500)
}

func TestSEC20ListThatNeverEnds(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.answer(onlyCapacity(listAnswer(newListWith(t, "again"))))
	config := fast()
	config.MaxPods, config.MaxNodes = 1, 1
	h := run(t, config)
	h.Ensure(east, member.connection())
	h.wait(east, "refusal", func(s fleet.State) bool {
		return strings.Contains(condition(s, tmcv1alpha1.ConditionCapacityKnown).Message, "does not end")
	})
}

// TestFLT01MembersDoNotDisturbEachOther has as many members that hang as may be listed at once, and one that does not.
func TestFLT01MembersDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	config := fast()
	config.ConcurrentLists = 1
	config.RequestTimeout = time.Minute
	h := run(t, config)
	for i := range 2 {
		slow := newFakeMember(t)
		slow.answer(onlyCapacity(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		key := east
		key.Name = fmt.Sprint("slow-", i)
		h.Ensure(key, slow.connection())
		h.waitCondition(key, tmcv1alpha1.ConditionCapacityKnown, "False/Counting")
	}
	member := newFakeMember(t)
	member.fill(1, 3)
	h.Ensure(east, member.connection())
	h.waitPods(east, 3)
}
