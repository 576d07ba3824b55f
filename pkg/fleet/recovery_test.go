// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/fleet"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

func TestFLT01OutageKeepsFiguresAndRecovers(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(2, 4)
	h := run(t, fast())
	h.Ensure(east, member.connection())
	h.waitPods(east, 4)
	member.answer(statusAnswer(503))
	member.closeConnections()
	state := h.wait(east, "unreachable and stale", func(s fleet.State) bool {
		return is(s, tmcv1alpha1.ConditionReachable, "False/ServerError") && is(s, tmcv1alpha1.ConditionCapacityKnown, "False/Stale")
	})
	at := state.ConfirmedAt
	if state.Capacity.Pods.Bound != 4 || !state.CapacityCounted || at.IsZero() {
		t.Errorf("state = %s", describe(state))
	}
	member.addPod("meanwhile", "node-0", "1")
	member.deletePod("pod-1")
	lists := member.count("/api/v1/pods")
	member.answer(nil)
	state = h.wait(east, "recovery", func(s fleet.State) bool { return allTrue(s) && s.Capacity.Pods.Bound == 4 && s.ConfirmedAt.After(at) })
	if cpu := state.Capacity.Allocated["cpu"]; cpu.MilliValue() != 1300 {
		t.Errorf("allocated = %s, want 1300m", cpu.String())
	}
	if got := member.count("/api/v1/pods"); got != lists {
		t.Errorf("%d lists after a short outage, want the watch resumed", got-lists)
	}
}

func TestFLT03BlackHoleIsNoticedWithoutPilingUp(t *testing.T) {
	// Not parallel: it counts goroutines.
	member := newFakeMember(t)
	member.fill(1, 1)
	config := fast()
	config.ProbeTimeout = 100 * time.Millisecond
	h := run(t, config)
	h.Ensure(east, member.connection())
	h.waitPods(east, 1)
	member.answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	h.waitCondition(east, tmcv1alpha1.ConditionReachable, "Unknown/TimedOut")
	before, asked := runtime.NumGoroutine(), member.count("/version")
	eventually(t, func() bool { return member.count("/version") > asked+5 }, func() string { return "further probes" })
	if after := runtime.NumGoroutine(); after > before+10 {
		t.Errorf("goroutines went from %d to %d", before, after)
	}
	member.answer(nil)
	h.waitPods(east, 1)
}

func TestFLT04FlappingMemberKeepsItsConditions(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 1)
	h := run(t, fast())
	h.Ensure(east, member.connection())
	state := h.waitPods(east, 1)
	since := condition(state, tmcv1alpha1.ConditionReachable).LastTransitionTime
	for range 8 {
		for _, override := range []http.HandlerFunc{statusAnswer(500), nil} {
			member.answer(override)
			asked := member.count("/version")
			eventually(t, func() bool { return member.count("/version") > asked+1 }, func() string { return "probes" })
		}
	}
	state, _ = h.State(east)
	if !is(state, tmcv1alpha1.ConditionReachable, "True/Reachable") || condition(state, tmcv1alpha1.ConditionReachable).LastTransitionTime != since {
		t.Errorf("state = %s", describe(state))
	}
}

func TestFLT06RetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 1)
	member.answer(onlyCapacity(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, planted, http.StatusTooManyRequests)
	}))
	h := run(t, fast())
	h.Ensure(east, member.connection())
	eventually(t, func() bool { return member.count("/api/v1/pods") == 1 }, func() string { return "a list" })
	probes := member.count("/version")
	eventually(t, func() bool { return member.count("/version") > probes+6 }, func() string { return "probes for half a second" })
	if got := member.count("/api/v1/pods"); got != 1 {
		t.Errorf("%d lists before the second was over, want 1", got)
	}
	member.answer(nil)
	h.waitPods(east, 1)
}

func TestFLT09CompactionDuringAnOutageLosesNoDelete(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(2, 6)
	h := run(t, fast())
	h.Ensure(east, member.connection())
	h.waitPods(east, 6)
	member.deletePodUnseen("pod-2")
	member.set(func(m *fakeMember) { m.rv += 50; m.oldest = m.rv })
	member.closeConnections()
	h.waitPods(east, 5)
}

func TestFLT09GoneWithinAWatchListsAnew(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 3)
	h := run(t, fast())
	h.Ensure(east, member.connection())
	h.waitPods(east, 3)
	member.deletePodUnseen("pod-0")
	member.set(func(m *fakeMember) { m.rv++; m.oldest = m.rv + 1; m.append("pods", goneFrame(t)) })
	member.set(func(m *fakeMember) { m.rv++ })
	h.waitPods(east, 2)
}

func TestFLT10BookmarkMovesTheVersionOn(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 2)
	h := run(t, fast())
	h.Ensure(east, member.connection())
	h.waitPods(east, 2)
	member.bookmark()
	member.addPod("last", "node-0", "1")
	h.waitPods(east, 3)
	lists := member.count("/api/v1/pods")
	member.set(func(m *fakeMember) { m.oldest = m.rv })
	watches := member.count("/api/v1/pods?watch")
	member.closeConnections()
	eventually(t, func() bool { return member.count("/api/v1/pods?watch") > watches }, func() string { return "a new watch" })
	h.waitPods(east, 3)
	if got := member.count("/api/v1/pods"); got != lists {
		t.Errorf("listed %d times although the version was known", got-lists)
	}
}

func TestFLT10SilentWatchIsOpenedAnew(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 2)
	config := fast()
	config.WatchSilence = 200 * time.Millisecond
	h := run(t, config)
	h.Ensure(east, member.connection())
	h.waitPods(east, 2)
	eventually(t, func() bool { return member.count("/api/v1/pods?watch") > 3 }, func() string { return "new watches" })
	if state, _ := h.State(east); !is(state, tmcv1alpha1.ConditionCapacityKnown, "True/CapacityKnown") {
		t.Errorf("state = %s", describe(state))
	}
}

func TestFLT10WatchThatLeavesSomethingOutIsMendedByALaterList(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 3)
	config := fast()
	config.WatchSilence, config.RelistInterval = 200*time.Millisecond, 300*time.Millisecond
	h := run(t, config)
	h.Ensure(east, member.connection())
	h.waitPods(east, 3)
	member.deletePodUnseen("pod-1")
	h.waitPods(east, 2)
}

func TestCredentialsDenied(t *testing.T) {
	t.Parallel()
	deny := func(path string, code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, path) {
				panic(errPass)
			}
			http.Error(w, planted, code)
		}
	}
	tests := map[string]struct {
		answer  http.HandlerFunc
		want    string
		message string
	}{
		"token refused":           {deny("/", 401), "False/Unauthorized", "401 to get /version"},
		"version forbidden":       {deny("/version", 403), "False/Forbidden", "get /version"},
		"namespace forbidden":     {deny("/api/v1/namespaces", 403), "False/Forbidden", "get the namespace kube-system"},
		"pods forbidden":          {deny("/api/v1/pods", 403), "False/Forbidden", "list pods"},
		"nodes forbidden":         {deny("/api/v1/nodes", 403), "False/Forbidden", "list nodes"},
		"only watching forbidden": {denyWatch, "False/Forbidden", "watch "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			member := newFakeMember(t)
			member.fill(1, 1)
			member.answer(tc.answer)
			h := run(t, fast())
			h.Ensure(east, member.connection())
			state := h.waitCondition(east, tmcv1alpha1.ConditionCredentialsValid, tc.want)
			checkSilence(t, state)
			if message := condition(state, tmcv1alpha1.ConditionCredentialsValid).Message; !strings.Contains(message, tc.message) {
				t.Errorf("message = %q", message)
			}
			h.waitCondition(east, tmcv1alpha1.ConditionReachable, "True/Reachable")
			member.answer(nil)
			h.waitPods(east, 1)
		})
	}
}

func denyWatch(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "" {
		panic(errPass)
	}
	http.Error(w, planted, http.StatusForbidden)
}

func TestFLT13RotatedTokenKeepsTheFigures(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 3)
	h := run(t, fast())
	h.Ensure(east, member.connection())
	h.waitPods(east, 3)
	member.set(func(m *fakeMember) { m.token = "second" })
	member.closeConnections()
	state := h.waitCondition(east, tmcv1alpha1.ConditionCredentialsValid, "False/Unauthorized")
	if state.Capacity.Pods.Bound != 3 || !state.CapacityCounted {
		t.Errorf("state = %s", describe(state))
	}
	rotated := member.connection()
	rotated.BearerToken = "second"
	h.Ensure(east, rotated)
	if state, _ := h.State(east); state.Capacity.Pods.Bound != 3 || !state.CapacityCounted {
		t.Errorf("state = %s", describe(state))
	}
	h.waitPods(east, 3)
	asked := member.count("/api/v1/pods")
	h.Ensure(east, rotated)
	probes := member.count("/version")
	eventually(t, func() bool { return member.count("/version") > probes+2 }, func() string { return "probes" })
	if member.count("/api/v1/pods") != asked {
		t.Error("the same connection was begun anew")
	}
}

func TestFLT13ClientCertificateThatExpires(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.set(func(m *fakeMember) { m.token = "" })
	member.answer(func(_ http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer ") // the member takes everybody with a certificate
		panic(errPass)
	})
	member.fill(1, 1)
	certPEM, keyPEM := member.pki.leaf(t, nil)
	h := run(t, fast())
	connection := memberconfig.Connection{
		Server: member.server.URL, CAData: member.pki.caPEM, ClientCertData: certPEM, ClientKeyData: keyPEM,
		CertificateNotAfter: time.Now().Add(time.Second),
	}
	h.Ensure(east, connection)
	h.waitPods(east, 1)
	state := h.waitCondition(east, tmcv1alpha1.ConditionCredentialsValid, "False/CertificateExpired")
	if !is(state, tmcv1alpha1.ConditionReachable, "True/Reachable") || state.Capacity.Pods.Bound != 1 {
		t.Errorf("state = %s", describe(state))
	}
}

func TestUnusableConnectionIsReported(t *testing.T) {
	t.Parallel()
	ca := newPKI(t)
	_, keyPEM := ca.leaf(t, func(*x509.Certificate) {})
	for name, connection := range map[string]memberconfig.Connection{
		"CA":          {Server: "https://127.0.0.1:1", CAData: []byte("x")},
		"certificate": {Server: "https://127.0.0.1:1", CAData: ca.caPEM, ClientCertData: []byte("x"), ClientKeyData: keyPEM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := run(t, fast())
			h.Ensure(east, connection)
			state := h.wait(east, "a condition", func(s fleet.State) bool {
				return is(s, tmcv1alpha1.ConditionCredentialsValid, "False/InvalidCredentials")
			})
			if strings.Contains(describe(state), "PRIVATE") {
				t.Errorf("state = %s", describe(state))
			}
			member := newFakeMember(t)
			h.Ensure(east, member.connection())
			h.waitPods(east, 0)
		})
	}
}

func TestAnotherClusterBehindTheAddressDropsTheFigures(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.fill(1, 3)
	h := run(t, fast())
	h.Ensure(east, member.connection())
	first := h.waitPods(east, 3)
	member.set(func(m *fakeMember) {
		m.uid = "uid-2"
		clear(m.pods)
		m.log = nil
	})
	member.closeConnections()
	state := h.wait(east, "the other cluster", func(s fleet.State) bool { return s.ClusterUID == "uid-2" && allTrue(s) && s.CapacityCounted })
	if state.Capacity.Pods.Bound != 0 || state.Generation <= first.Generation {
		t.Errorf("state = %s, generation %d after %d", describe(state), state.Generation, first.Generation)
	}
}

func TestNewConnectionToAnotherClusterDropsTheFigures(t *testing.T) {
	t.Parallel()
	member, other := newFakeMember(t), newFakeMember(t)
	member.fill(1, 3)
	other.set(func(m *fakeMember) { m.uid = "uid-other" })
	other.fill(2, 1)
	h := run(t, fast())
	h.Ensure(east, member.connection())
	h.waitPods(east, 3)
	h.Ensure(east, other.connection())
	state := h.waitPods(east, 1)
	if state.ClusterUID != "uid-other" || state.Capacity.Nodes.Total != 2 {
		t.Errorf("state = %s", describe(state))
	}
}

func TestFLT31ManyMembersReturnTogether(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t) // one server stands for all
	member.fill(2, 20)
	member.answer(statusAnswer(503))
	config := fast()
	config.ProbeInterval, config.UnreachableAfter = 300*time.Millisecond, 2*time.Second
	h := run(t, config)
	keys := make([]string, 40)
	for i := range keys {
		keys[i] = fmt.Sprint("member-", i)
		key := east
		key.Name = keys[i]
		h.Ensure(key, member.connection())
	}
	for _, name := range keys {
		key := east
		key.Name = name
		h.waitCondition(key, tmcv1alpha1.ConditionReachable, "False/ServerError")
	}
	if got := member.count("/api/v1/pods"); got != 0 {
		t.Errorf("%d lists while the members were away", got)
	}
	member.answer(nil)
	for _, name := range keys {
		key := east
		key.Name = name
		h.waitPods(key, 20)
	}
	if got := member.count("/api/v1/pods"); got != len(keys) {
		t.Errorf("%d lists after the return, want %d", got, len(keys))
	}
}
