// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/fleet"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

const fastDiscovery = 240 * time.Millisecond

type memberKey = workspace.Key

func typesUID(i int) types.UID { return types.UID(fmt.Sprint("copy-uid-", i)) }

func toldOf(told chan fleet.ObjectKey) func(workspace.Key, fleet.ObjectKey, *unstructured.Unstructured) {
	return func(_ workspace.Key, key fleet.ObjectKey, _ *unstructured.Unstructured) { told <- key }
}

func TestCopiesAreListedAndFollowed(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.set(func(*fakeMember) { member.copies.served[widgets] = member.copies.served[deployments] })
	for i := range 7 {
		member.copies.set(deployments, newCopy(deployments, fmt.Sprint("web-", i), "one"))
	}
	member.copies.set(widgets, newCopy(widgets, "gear", "one"))
	member.copies.set(namespaces, newCopy(namespaces, "tmc-a", "one"))
	stranger := newCopy(deployments, "stranger", "one")
	stranger.SetLabels(nil)
	member.copies.set(deployments, stranger)
	unmarked := newCopy(deployments, "unmarked", "one")
	unmarked.SetAnnotations(nil)
	member.copies.set(deployments, unmarked)
	config := fast()
	config.PageSize = 2
	h := runCopies(t, config, deployments, widgets, namespaces)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments, widgets, namespaces)

	if got := len(h.Copies(east, deployments)); got != 7 {
		t.Errorf("%d copies, want 7", got)
	}
	object := h.waitValue(keyOf(deployments, "web-0"), "one")
	if object.GetKind() != "Deployment" || object.GetAPIVersion() != "apps/v1" || object.GetManagedFields() != nil {
		t.Errorf("object = %v", object)
	}
	if count, _, err := unstructured.NestedInt64(object.Object, "spec", "count"); err != nil || count != 3 {
		t.Errorf("count = %d, %v", count, err)
	}
	h.waitValue(keyOf(widgets, "gear"), "one")
	h.waitValue(keyOf(namespaces, "tmc-a"), "one")

	h.drain()
	member.copies.set(deployments, newCopy(deployments, "web-1", "two"))
	h.waitTold(keyOf(deployments, "web-1"))
	h.waitValue(keyOf(deployments, "web-1"), "two")
	member.copies.set(deployments, newCopy(deployments, "new", "three"))
	h.waitValue(keyOf(deployments, "new"), "three")
	h.drain()
	member.copies.remove(deployments, "tmc-a/web-2")
	h.waitTold(keyOf(deployments, "web-2"))
	h.waitValue(keyOf(deployments, "web-2"), "")
	unmarked = newCopy(deployments, "web-3", "four")
	unmarked.SetAnnotations(nil)
	member.copies.set(deployments, unmarked)
	h.waitTold(keyOf(deployments, "web-3"))
	h.waitValue(keyOf(deployments, "web-3"), "")
	if got := member.count("/apis/apps/v1/deployments?watch"); got != 1 {
		t.Errorf("%d watches, want 1", got)
	}
	if at, ok := h.CopiesConfirmedAt(east); !ok || at.IsZero() {
		t.Errorf("CopiesConfirmedAt() = %s, %t", at, ok)
	}
	if got, observed := h.Reachable(east); got.Status != metav1.ConditionTrue || got.Reason == tmcv1alpha1.ReasonPending || !observed {
		t.Errorf("Reachable() = %+v, %t", got, observed)
	}
}

func TestCopiesOfAnotherOriginAreToldTwice(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.copies.set(configMaps, newCopy(configMaps, "a", "one"))
	h := runCopies(t, fast(), configMaps)
	h.Ensure(east, member.connection())
	h.waitSynced(configMaps)
	h.drain()
	moved := newCopy(configMaps, "a", "two")
	moved.SetAnnotations(map[string]string{transform.WorkspaceAnnotation: "thief"})
	member.copies.set(configMaps, moved)
	h.waitTold(keyOf(configMaps, "a"))
	h.waitTold(keyOf(configMaps, "a"))
}

func TestCopiesKnowNothingOfStrangers(t *testing.T) {
	t.Parallel()
	h := runCopies(t, fast(), deployments)
	key := keyOf(deployments, "web")
	if _, found := h.Copy(east, key); found || h.Copies(east, deployments) != nil || h.CopiesSynced(east, deployments) || h.APIs(east) != nil {
		t.Error("something is known of no member")
	}
	if h.API(east, deployments.GroupResource()).Known {
		t.Error("the APIs of no member are known")
	}
	if _, ok := h.CopiesConfirmedAt(east); ok {
		t.Error("no member confirmed something")
	}
	if got, observed := h.Reachable(east); got.Status != metav1.ConditionUnknown || observed {
		t.Errorf("Reachable() = %+v, %t", got, observed)
	}
	member := newFakeMember(t)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	if _, found := h.Copy(east, keyOf(widgets, "x")); found || h.Copies(east, widgets) != nil || h.CopiesSynced(east, widgets) {
		t.Error("a resource that is not followed has copies")
	}
	if h.API(east, widgets.GroupResource()).Known {
		t.Error("a resource that is not followed is judged")
	}
}

func TestFollowedResourcesComeAndGo(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.copies.set(deployments, newCopy(deployments, "web", "one"))
	member.copies.set(configMaps, newCopy(configMaps, "settings", "one"))
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	h.FollowCopies([]schema.GroupVersionResource{configMaps})
	h.waitSynced(configMaps)
	h.waitValue(keyOf(configMaps, "settings"), "one")
	if h.Copies(east, deployments) != nil || h.CopiesSynced(east, deployments) {
		t.Error("what is not followed any more is still known")
	}
	lists := member.count("/api/v1/configmaps")
	h.FollowCopies([]schema.GroupVersionResource{deployments, configMaps})
	h.waitSynced(deployments, configMaps)
	h.waitValue(keyOf(deployments, "web"), "one")
	if got := member.count("/api/v1/configmaps"); got != lists {
		t.Errorf("config maps were listed %d more times", got-lists)
	}
	member.copies.set(deployments, newCopy(deployments, "web", "two"))
	h.waitValue(keyOf(deployments, "web"), "two")
	if got := member.count("/api/v1/pods"); got != 1 {
		t.Errorf("pods were listed %d times, want 1: nothing restarts", got)
	}
}

func TestCopiesOutliveAnOutage(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	for i := range 4 {
		member.copies.set(deployments, newCopy(deployments, fmt.Sprint("web-", i), "one"))
	}
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	member.answer(statusAnswer(503))
	member.closeConnections()
	eventually(t, func() bool {
		got, _ := h.Reachable(east)
		return !h.CopiesSynced(east, deployments) && got.Status == metav1.ConditionFalse
	}, func() string { return "the outage" })
	confirmed, _ := h.CopiesConfirmedAt(east)
	h.waitValue(keyOf(deployments, "web-1"), "one")
	member.copies.set(deployments, newCopy(deployments, "web-1", "two"))
	member.copies.remove(deployments, "tmc-a/web-2")
	lists := member.count("/apis/apps/v1/deployments")
	for len(h.members) > 0 {
		<-h.members
	}
	member.answer(nil)
	h.waitSynced(deployments)
	h.waitValue(keyOf(deployments, "web-1"), "two")
	h.waitValue(keyOf(deployments, "web-2"), "")
	if got := member.count("/apis/apps/v1/deployments"); got != lists {
		t.Errorf("%d lists after a short outage, want the watch resumed", got-lists)
	}
	eventually(t, func() bool { at, _ := h.CopiesConfirmedAt(east); return at.After(confirmed) }, func() string { return "a later confirmation" })
	eventually(t, func() bool { return len(h.members) > 0 }, func() string { return "a call of OnMemberCopies" })
}

// A member that does not answer from the beginning is Unknown before the first call and after it. Who waited for that call is
// told all the same.
func TestFirstFailureIsTold(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	connection := member.connection()
	connection.Server = "https://127.0.0.1:1"
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, connection)
	h.waitCondition(east, tmcv1alpha1.ConditionReachable, "Unknown/DialFailed")
	eventually(t, func() bool { return len(h.members) > 0 }, func() string { return "a call of OnMemberCopies" })
	if got, observed := h.Reachable(east); got.Reason == tmcv1alpha1.ReasonPending || !observed {
		t.Errorf("Reachable() = %+v, %t", got, observed)
	}
}

func TestCopiesLoseNoDeleteInACompaction(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	for i := range 4 {
		member.copies.set(deployments, newCopy(deployments, fmt.Sprint("web-", i), "one"))
	}
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	h.drain()
	member.copies.removeUnseen(deployments, "tmc-a/web-3")
	member.set(func(m *fakeMember) { m.rv += 50; m.oldest = m.rv })
	member.closeConnections()
	h.waitValue(keyOf(deployments, "web-3"), "")
	h.waitTold(keyOf(deployments, "web-3"))
	h.waitSynced(deployments)
}

func TestBookmarksMoveTheVersionOfCopiesOn(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.copies.set(deployments, newCopy(deployments, "web", "one"))
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	bookmark := fmt.Sprintf(`{"type":"BOOKMARK","object":{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"resourceVersion":"%d"}}}`, 500)
	member.set(func(m *fakeMember) { m.rv = 499 })
	member.copies.send(deployments, bookmark)
	member.copies.set(deployments, newCopy(deployments, "last", "one"))
	h.waitValue(keyOf(deployments, "last"), "one")
	lists, watches := member.count("/apis/apps/v1/deployments"), member.count("/apis/apps/v1/deployments?watch")
	member.set(func(m *fakeMember) { m.oldest = m.rv })
	member.closeConnections()
	eventually(t, func() bool { return member.count("/apis/apps/v1/deployments?watch") > watches }, func() string { return "a new watch" })
	h.waitSynced(deployments)
	if got := member.count("/apis/apps/v1/deployments"); got != lists {
		t.Errorf("listed %d times although the version was known", got-lists)
	}
}

func TestSilentWatchesOfCopiesAreMended(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.copies.set(deployments, newCopy(deployments, "web", "one"))
	config := fast()
	config.WatchSilence, config.RelistInterval = 200*time.Millisecond, 300*time.Millisecond
	h := runCopies(t, config, deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	member.copies.removeUnseen(deployments, "tmc-a/web")
	h.waitValue(keyOf(deployments, "web"), "")
}

func TestAnotherClusterDropsTheCopies(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fakeMember, *copyHarness, *fakeMember){
		"behind the same address": func(member *fakeMember, _ *copyHarness, _ *fakeMember) {
			member.set(func(m *fakeMember) {
				m.uid = "uid-2"
				clear(m.copies.objects)
				m.copies.log = nil
				m.override = onlyCopies(statusAnswer(503))
			})
			member.closeConnections()
		},
		"at another address": func(_ *fakeMember, h *copyHarness, other *fakeMember) { h.Ensure(east, other.connection()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			member, other := newFakeMember(t), newFakeMember(t)
			other.set(func(m *fakeMember) { m.uid, m.override = "uid-2", onlyCopies(statusAnswer(503)) })
			member.copies.set(deployments, newCopy(deployments, "web", "one"))
			h := runCopies(t, fast(), deployments)
			h.Ensure(east, member.connection())
			h.waitSynced(deployments)
			change(member, h, other)
			h.wait(east, "the other cluster", func(s fleet.State) bool { return s.ClusterUID == "uid-2" })
			h.waitValue(keyOf(deployments, "web"), "") // although nothing can be listed
			member.answer(nil)
			other.answer(nil)
			h.waitSynced(deployments)
			if got := len(h.Copies(east, deployments)); got != 0 {
				t.Errorf("%d copies of the former cluster", got)
			}
		})
	}
}

func TestRemovedMemberIsNotFollowed(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.copies.set(deployments, newCopy(deployments, "web", "one"))
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	told := len(h.members)
	h.Remove(east)
	eventually(t, func() bool { return member.openConnections() == 0 }, func() string { return "all connections closed" })
	if _, found := h.Copy(east, keyOf(deployments, "web")); found {
		t.Error("the copy is still known")
	}
	// Its registration may be there still: whoever shows its copies must hear that nothing is known of them any more.
	eventually(t, func() bool { return len(h.members) > told }, func() string { return "told that the copies differ" })
}

func TestRotatedCredentialsKeepTheCopies(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.copies.set(deployments, newCopy(deployments, "web", "one"))
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	member.set(func(m *fakeMember) { m.token = "second" })
	member.closeConnections()
	h.waitCondition(east, tmcv1alpha1.ConditionCredentialsValid, "False/Unauthorized")
	_, err := h.Get(t.Context(), east, keyOf(deployments, "web"))
	_ = checkCallError(t, err, tmcv1alpha1.ReasonMemberForbidden, "does not accept the token")
	h.waitValue(keyOf(deployments, "web"), "one")
	rotated := member.connection()
	rotated.BearerToken = "second"
	h.Ensure(east, rotated)
	eventually(t, func() bool { return !h.CopiesSynced(east, deployments) }, func() string { return "the end of the former session" })
	h.waitSynced(deployments)
	member.copies.set(deployments, newCopy(deployments, "web", "two"))
	h.waitValue(keyOf(deployments, "web"), "two")
}

func TestServes(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	h := runCopies(t, fast(), deployments, configMaps, widgets)
	member.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/configmaps" {
			panic(errPass)
		}
		answerStatus(w, http.StatusForbidden, metav1.Status{Message: planted})
	})
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	want := map[schema.GroupResource]fleet.API{
		deployments.GroupResource(): {Known: true, Served: true},
		configMaps.GroupResource():  {Known: true, Message: "the member does not permit to list configmaps (403); grant this right to the identity of the credentials"},
		widgets.GroupResource():     {Known: true, Message: "the member does not serve widgets.example.com in version v1"},
	}
	eventually(t, func() bool { return cmp.Equal(want, h.APIs(east)) }, func() string { return cmp.Diff(want, h.APIs(east)) })
	for resource, one := range want {
		if got := h.API(east, resource); got != one {
			t.Errorf("API(%s) = %+v, want %+v", resource, got, one)
		}
	}
	eventually(t, func() bool { at, ok := h.CopiesConfirmedAt(east); return ok && !at.IsZero() }, func() string {
		return "a confirmation although some resources cannot be followed"
	})

	// What is granted and installed later is followed without a restart.
	member.answer(nil)
	member.set(func(m *fakeMember) { m.copies.served[widgets] = m.copies.served[deployments] })
	h.waitSynced(configMaps, widgets)
	for resource, api := range h.APIs(east) {
		if !api.Served {
			t.Errorf("%s is %+v", resource, api)
		}
	}
	// What is taken away again is missing again.
	member.set(func(m *fakeMember) { delete(m.copies.served, widgets) })
	member.closeConnections()
	eventually(t, func() bool { api := h.API(east, widgets.GroupResource()); return !api.Served && api.Known }, func() string { return "the API gone" })
	// When it is there again, it counts when it is followed again.
	member.answer(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/widgets") {
			panic(errPass)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	member.set(func(m *fakeMember) { m.copies.served[widgets] = m.copies.served[deployments] })
	eventually(t, func() bool { return h.API(east, widgets.GroupResource()) == fleet.API{} }, func() string { return "that nothing is known" })
}

func TestServesNeedsAllVerbs(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	member.set(func(m *fakeMember) { m.copies.served[widgets] = []string{"get", "list", "watch", "create", "patch"} })
	h := runCopies(t, fast(), widgets)
	member.answer(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/widgets") {
			panic(errPass)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	h.Ensure(east, member.connection())
	want := fleet.API{Known: true, Message: "the member does not offer to delete widgets.example.com"}
	eventually(t, func() bool { return h.API(east, widgets.GroupResource()) == want }, func() string { return cmp.Diff(want, h.API(east, widgets.GroupResource())) })
}

// TestServesOnlyWhatItLetsUsFollow: discovery tells everybody of a resource that nobody may use, and who may list it may
// not be allowed to watch it.
func TestServesOnlyWhatItLetsUsFollow(t *testing.T) {
	t.Parallel()
	for name, watches := range map[string]bool{"list": false, "watch": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			member := newFakeMember(t)
			var discoveries atomic.Int32
			asked, answer := make(chan struct{}, 1000), make(chan struct{})
			member.answer(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/v1" {
					discoveries.Add(1)
				}
				if r.URL.Path != "/api/v1/configmaps" || (r.URL.Query().Get("watch") != "") != watches {
					panic(errPass)
				}
				asked <- struct{}{}
				select {
				case <-answer:
					answerStatus(w, http.StatusForbidden, metav1.Status{})
				case <-r.Context().Done():
				}
			})
			h := runCopies(t, fast(), configMaps)
			h.Ensure(east, member.connection())
			<-asked
			// The second is asked for when the first was taken in.
			eventually(t, func() bool { return discoveries.Load() > 1 }, func() string { return "two discoveries" })
			if got := h.API(east, configMaps.GroupResource()); got.Known || h.CopiesSynced(east, configMaps) {
				t.Errorf("it is %+v before the member answered", got)
			}
			close(answer)
			eventually(t, func() bool { api := h.API(east, configMaps.GroupResource()); return api.Known && !api.Served }, func() string { return "the refusal" })
		})
	}
}

// TestOtherCredentialsBeginAnew: what was served to the former ones says nothing of these.
func TestOtherCredentialsBeginAnew(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	member.answer(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/deployments") {
			panic(errPass)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	member.closeConnections()
	eventually(t, func() bool { return !h.CopiesSynced(east, deployments) }, func() string { return "the copies lost" })
	if got, want := h.API(east, deployments.GroupResource()), (fleet.API{Known: true, Served: true}); got != want {
		t.Errorf("it is %+v while the member is away, want %+v", got, want)
	}
	other := member.connection()
	other.BearerToken = "another"
	h.Ensure(east, other)
	eventually(t, func() bool { return h.API(east, deployments.GroupResource()) == fleet.API{} }, func() string { return "that nothing is known" })
}
