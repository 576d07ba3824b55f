// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/fleet"
)

// checkCallError makes sure that an error has a reason and a message, and returns it.
func checkCallError(t *testing.T, err error, reason, message string) *fleet.CallError {
	t.Helper()
	var refused *fleet.CallError
	if !errors.As(err, &refused) {
		t.Fatalf("error = %v, want a CallError of reason %s", err, reason)
	}
	if refused.Reason != reason || !strings.Contains(refused.Error(), message) {
		t.Errorf("error = %s: %q, want %s: %q", refused.Reason, refused.Message, reason, message)
	}
	return refused
}

func TestWritesOfCopies(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	key := keyOf(deployments, "web")
	_, err := h.Get(t.Context(), east, key)
	if refused := checkCallError(t, err, tmcv1alpha1.ReasonApplyFailed, "web not found"); !refused.NotFound() || refused.Code != http.StatusNotFound {
		t.Errorf("error = %+v", refused)
	}
	live, err := h.Apply(t.Context(), east, key, newCopy(deployments, "web", "one"), true)
	if err != nil || valueOf(live) != "one" || live.GetUID() == "" || live.GetManagedFields() != nil {
		t.Fatalf("Apply() = %v, %v", live, err)
	}
	if kept, found := h.Copy(east, key); !found || valueOf(kept) != "one" {
		t.Errorf("Copy() after Apply() = %v, %t", kept, found)
	}
	h.waitTold(key)
	if live, err = h.Apply(t.Context(), east, key, newCopy(deployments, "web", "two"), false); err != nil || valueOf(live) != "two" {
		t.Fatalf("Apply() = %v, %v", live, err)
	}
	if got, err := h.Get(t.Context(), east, key); err != nil || valueOf(got) != "two" || got.GetKind() != "Deployment" {
		t.Errorf("Get() = %v, %v", got, err)
	}
	_, err = h.Create(t.Context(), east, key, newCopy(deployments, "web", "three"))
	_ = checkCallError(t, err, tmcv1alpha1.ReasonCollision, "exists")
	_ = checkCallError(t, h.Delete(t.Context(), east, key, "another", ""), tmcv1alpha1.ReasonCollision, "Precondition")
	_ = checkCallError(t, h.Delete(t.Context(), east, key, live.GetUID(), "1"), tmcv1alpha1.ReasonCollision, "Precondition")
	_ = checkCallError(t, h.Delete(t.Context(), east, key, "", ""), tmcv1alpha1.ReasonApplyFailed, "only by its UID")
	if err := h.Delete(t.Context(), east, key, live.GetUID(), live.GetResourceVersion()); err != nil {
		t.Errorf("Delete() = %v", err)
	}
	h.waitValue(key, "")
	if refused := checkCallError(t, h.Delete(t.Context(), east, key, live.GetUID(), ""), tmcv1alpha1.ReasonApplyFailed, "not found"); !refused.NotFound() {
		t.Error("NotFound() = false")
	}
	namespace := keyOf(namespaces, "tmc-a")
	if live, err := h.Create(t.Context(), east, namespace, newCopy(namespaces, "tmc-a", "one")); err != nil || live.GetName() != "tmc-a" {
		t.Errorf("Create() = %v, %v", live, err)
	}
}

func TestRequestsAboutCopiesAreCounted(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	registry := metrics.NewKubeRegistry()
	counted, err := fleet.NewMetrics(registry.Register)
	if err != nil {
		t.Fatalf("registering: %v", err)
	}
	config := fast()
	config.Metrics, config.DiscoveryInterval = counted, time.Hour
	h := runCopies(t, config, deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	eventually(t, func() bool {
		return member.count("/apis/apps/v1") == 1 && member.count("/apis/apps/v1/deployments?watch") == 1
	}, func() string { return "discovery and watch" })
	key := keyOf(deployments, "web")
	if _, err := h.Apply(t.Context(), east, key, newCopy(deployments, "web", "one"), true); err != nil {
		t.Fatalf("Apply() = %v", err)
	}
	if _, err := h.Create(t.Context(), east, key, newCopy(deployments, "web", "one")); err == nil {
		t.Error("Create() of what is there succeeded")
	}
	want := `# HELP tmc_member_requests_total [ALPHA] Number of requests about copies that members were sent, by verb and class of the answer's code.
# TYPE tmc_member_requests_total counter
tmc_member_requests_total{code="2xx",verb="apply"} 1
tmc_member_requests_total{code="2xx",verb="discover"} 1
tmc_member_requests_total{code="2xx",verb="list"} 1
tmc_member_requests_total{code="2xx",verb="watch"} 1
tmc_member_requests_total{code="4xx",verb="create"} 1
`
	var last error
	eventually(t, func() bool {
		last = testutil.GatherAndCompare(registry, strings.NewReader(want), "tmc_member_requests_total")
		return last == nil
	}, func() string { return last.Error() })
}

func TestCallsThatAreNotMade(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	config := fast()
	config.MaxObjectBytes = 4 << 10
	h := runCopies(t, config, deployments)
	key := keyOf(deployments, "web")
	_, err := h.Get(t.Context(), east, key)
	_ = checkCallError(t, err, tmcv1alpha1.ReasonMemberUnreachable, "no such member")
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	for name, bad := range map[string]fleet.ObjectKey{
		"SEC-11 parent":         {Resource: deployments, Namespace: "a", Name: ".."},
		"SEC-11 slash":          {Resource: deployments, Namespace: "a", Name: "x/../../secrets"},
		"SEC-11 encoded":        {Resource: deployments, Namespace: "a", Name: "%2e%2e"},
		"SEC-11 namespace":      {Resource: deployments, Namespace: "..", Name: "x"},
		"SEC-11 long":           {Resource: deployments, Namespace: "a", Name: strings.Repeat("x", 300)},
		"SEC-11 no name":        {Resource: deployments, Namespace: "a"},
		"SEC-11 subresource":    {Resource: deployments.GroupVersion().WithResource("deployments/scale"), Name: "x"},
		"SEC-11 resource of ..": {Resource: deployments.GroupVersion().WithResource(".."), Name: "x"},
	} {
		_, err := h.Get(t.Context(), east, bad)
		if refused := checkCallError(t, err, tmcv1alpha1.ReasonInvalidOnMember, "no object can have this name"); refused.Code != 0 {
			t.Errorf("%s: the member was called", name)
		}
	}
	_, err = h.Apply(t.Context(), east, key, newCopy(deployments, "other", "x"), true)
	_ = checkCallError(t, err, tmcv1alpha1.ReasonApplyFailed, "not the one")
	_, err = h.Apply(t.Context(), east, key, newCopy(deployments, "web", strings.Repeat("x", 5<<10)), true)
	_ = checkCallError(t, err, tmcv1alpha1.ReasonTooLarge, "4096 bytes")
	odd := newCopy(deployments, "web", "x")
	odd.Object["spec"] = func() {}
	_, err = h.Apply(t.Context(), east, key, odd, true)
	_ = checkCallError(t, err, tmcv1alpha1.ReasonInvalidOnMember, "cannot be encoded")
}

func TestHostileAnswersToWrites(t *testing.T) {
	t.Parallel()
	other := newCopy(deployments, "other", "x")
	other.SetUID("u")
	other.SetResourceVersion("9999")
	tests := map[string]struct {
		answer  http.HandlerFunc
		want    string
		message string
	}{
		"hangs up":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, tmcv1alpha1.ReasonMemberUnreachable, "broke"},
		"never answers": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, tmcv1alpha1.ReasonMemberUnreachable, "in time"},
		"drips":         {drip, tmcv1alpha1.ReasonMemberUnreachable, "in time"},
		"endless":       {endless("application/json"), tmcv1alpha1.ReasonApplyFailed, "larger than"},
		"endless error": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			endless("")(w, r)
		}, tmcv1alpha1.ReasonInvalidOnMember, "answered 400 to apply deployments.apps"},
		"HTML error":     {statusAnswer(400), tmcv1alpha1.ReasonInvalidOnMember, "answered 400"},
		"wrong types":    {errorAnswer(`{"kind":"Status","message":{"a":1},"details":[]}`), tmcv1alpha1.ReasonInvalidOnMember, "answered 400"},
		"garbage":        {jsonAnswer("{]"), tmcv1alpha1.ReasonApplyFailed, "not Kubernetes JSON"},
		"null":           {jsonAnswer("null"), tmcv1alpha1.ReasonApplyFailed, "not Kubernetes JSON"},
		"no metadata":    {jsonAnswer(`{"kind":"Deployment","apiVersion":"apps/v1","metadata":[]}`), tmcv1alpha1.ReasonApplyFailed, "no proper name"},
		"another kind":   {jsonAnswer(`{"kind":"Secret","apiVersion":"v1"}`), tmcv1alpha1.ReasonApplyFailed, "not of apps/v1"},
		"another object": {jsonAnswer(string(encode(other.Object))), tmcv1alpha1.ReasonApplyFailed, "another object"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			member := newFakeMember(t)
			config := fast()
			if tc.message == "in time" {
				config.WriteTimeout = 300 * time.Millisecond
			}
			h := runCopies(t, config, deployments)
			h.Ensure(east, member.connection())
			h.waitSynced(deployments)
			member.answer(onlyWrites(tc.answer))
			_, err := h.Apply(t.Context(), east, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true)
			if refused := checkCallError(t, err, tc.want, tc.message); strings.Contains(refused.Message, planted) {
				t.Errorf("message = %q", refused.Message)
			}
			if got := h.Copies(east, deployments); len(got) != 0 {
				t.Errorf("copies = %v", got)
			}
		})
	}
}

func errorAnswer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		jsonAnswer(body)(w, r)
	}
}

func TestSEC13WritesDoNotFollowRedirects(t *testing.T) {
	t.Parallel()
	var followed atomic.Int64
	thief := newFakeMember(t)
	thief.answer(func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	member := newFakeMember(t)
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	for _, code := range []int{301, 307, 308} {
		member.answer(onlyWrites(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.server.URL+r.URL.Path, code) }))
		_, err := h.Apply(t.Context(), east, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true)
		_ = checkCallError(t, err, tmcv1alpha1.ReasonApplyFailed, "redirect")
	}
	if followed.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestWritesToAMemberThatIsAwayFailAtOnce(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	config := fast()
	config.WriteTimeout = time.Hour
	h := runCopies(t, config, deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	member.answer(statusAnswer(503))
	h.waitCondition(east, tmcv1alpha1.ConditionReachable, "False/ServerError")
	_, err := h.Get(t.Context(), east, keyOf(deployments, "web"))
	if refused := checkCallError(t, err, tmcv1alpha1.ReasonMemberUnreachable, "cannot be reached"); refused.Code != 0 {
		t.Error("the member was called")
	}
	member.answer(nil)
	eventually(t, func() bool {
		_, err := h.Apply(t.Context(), east, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true)
		return err == nil
	}, func() string { return "a write after the return" })
}

func TestWritesOfOneMemberAreBoundedAndDisturbNoOther(t *testing.T) {
	t.Parallel()
	slow, quick := newFakeMember(t), newFakeMember(t)
	config := fast()
	config.ConcurrentWrites, config.WriteTimeout = 2, time.Minute
	h := runCopies(t, config, deployments)
	h.Ensure(east, slow.connection())
	h.waitSynced(deployments)
	west := east
	west.Name = "west"
	h.Ensure(west, quick.connection())
	eventually(t, func() bool { return h.CopiesSynced(west, deployments) }, func() string { return "west" })
	var running, most atomic.Int64
	slow.answer(onlyWrites(func(_ http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), running.Add(1)))
		<-r.Context().Done()
		running.Add(-1)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	errs := make(chan error, 10)
	for range cap(errs) {
		writers.Go(func() {
			_, err := h.Apply(ctx, east, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true)
			errs <- err
		})
	}
	eventually(t, func() bool { return running.Load() == 2 }, func() string { return "two writes" })
	if _, err := h.Apply(t.Context(), west, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true); err != nil {
		t.Errorf("the other member: %v", err)
	}
	cancel()
	writers.Wait()
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v, want that of the context", err)
		}
	}
	if most.Load() > 2 {
		t.Errorf("%d writes at once, want at most 2", most.Load())
	}
	h.waitCondition(east, tmcv1alpha1.ConditionReachable, "True/Reachable")
}

func TestReplacedConnectionEndsWrites(t *testing.T) {
	t.Parallel()
	member, other := newFakeMember(t), newFakeMember(t)
	config := fast()
	config.WriteTimeout = time.Minute
	h := runCopies(t, config, deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	begun := make(chan struct{})
	member.answer(onlyWrites(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	}))
	result := make(chan error)
	go func() {
		_, err := h.Apply(context.Background(), east, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true)
		result <- err
	}()
	<-begun
	h.Ensure(east, other.connection())
	_ = checkCallError(t, <-result, tmcv1alpha1.ReasonMemberUnreachable, "")
	eventually(t, func() bool {
		_, err := h.Apply(t.Context(), east, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true)
		return err == nil && other.count("/apis/apps/v1/namespaces/tmc-a/deployments/web") == 1
	}, func() string { return "a write over the new connection" })
}

// A write must not reach a cluster that took the place of the member's.
func TestSEC20WritesAskWhoAnswersFirst(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	config := fast()
	config.ProbeInterval, config.RetryMin, config.RetryMax = time.Hour, time.Hour, time.Hour
	config.UnreachableAfter = 3 * time.Hour
	h := runCopies(t, config, deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	member.set(func(m *fakeMember) { m.uid = "uid-2" })
	member.closeConnections()
	eventually(t, func() bool { return !h.CopiesSynced(east, deployments) }, func() string { return "the watch broken" })
	_, err := h.Apply(t.Context(), east, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true)
	_ = checkCallError(t, err, tmcv1alpha1.ReasonMemberUnreachable, "")
	if got := member.count("/apis/apps/v1/namespaces/tmc-a/deployments/web"); got != 0 {
		t.Error("the other cluster was written to")
	}
}
