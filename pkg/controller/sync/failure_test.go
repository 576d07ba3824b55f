// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// SEC-19: an object that is there already is neither adopted nor changed, whatever it says of itself.
func TestSEC19ForeignObjectsStayUntouched(t *testing.T) {
	t.Parallel()
	stranger := func(w *world, change func(*unstructured.Unstructured)) {
		w.deployment(1, image("nginx"))
		desired, err := transform.Down(w.objects[web], transform.Target{Workspace: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		desired.SetUID("foreign")
		desired.SetResourceVersion("9")
		change(desired)
		m := w.members[east]
		home := transform.Namespace("acme", "", "shop", "")
		home.SetUID("home")
		m.truth[w.at(shop)] = home
		m.truth[w.at(web)] = desired
	}
	bare := func(u *unstructured.Unstructured) { u.SetLabels(nil); u.SetAnnotations(nil) }
	relabelled := func(key, value string) func(*unstructured.Unstructured) {
		return func(u *unstructured.Unstructured) {
			marks := u.GetAnnotations()
			marks[key] = value
			u.SetAnnotations(marks)
		}
	}
	tests := map[string]func(*unstructured.Unstructured){
		"no marks":            bare,
		"another workspace":   relabelled(transform.WorkspaceAnnotation, "globex"),
		"another name":        relabelled(transform.NameAnnotation, "other"),
		"another namespace":   relabelled(transform.NamespaceAnnotation, "other"),
		"no UID":              relabelled(transform.UIDAnnotation, ""),
		"annotations of type": func(u *unstructured.Unstructured) { u.Object["metadata"].(map[string]any)["annotations"] = []any{"x"} },
	}
	for name, change := range tests {
		for _, shown := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", shown"}[shown], func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				stranger(w, change)
				w.members[east].lagging = !shown
				if !shown { // the labels keep it from the informers
					w.members[east].seen[w.at(shop)] = w.members[east].truth[w.at(shop)]
				}
				// Another object keeps the namespace, which is ours.
				w.put(Key{Resource: deploymentsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "api"}}, "Deployment", map[string]any{})
				w.show()
				w.place("all", "east", "west")
				w.wait(time.Second)
				for _, write := range w.took() {
					if strings.HasPrefix(write, "east ") && strings.HasSuffix(write, " web") && write != "east get deployments web" {
						t.Errorf("there was %q", write)
					}
				}
				wantDiff(t, "rows", []string{"east False Unknown Collision", "west True Progressing Progressing"}, collisionRows(w))
				w.remove(web)
				w.wait(time.Minute)
				if live := w.copy(east, web); live == nil || live.GetUID() != "foreign" {
					t.Errorf("the member has %v", live)
				}
				if w.objects[web] != nil {
					t.Error("the object is held by what is not its copy")
				}
			})
		}
	}
}

// collisionRows are the rows of web; a collision that was met by a write leaves the health as it would be.
func collisionRows(w *world) []string {
	rows := w.rows(web)
	for i := range rows {
		rows[i] = strings.Replace(rows[i], "False Progressing Collision", "False Unknown Collision", 1)
	}
	return rows
}

// SEC-19: a namespace that is not ours, or is another workspace's, gets nothing and is not removed.
func TestSEC19ForeignNamespacesStayUntouched(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*unstructured.Unstructured){
		"no marks": func(u *unstructured.Unstructured) { u.SetLabels(nil) },
		"another workspace": func(u *unstructured.Unstructured) {
			u.SetAnnotations(map[string]string{transform.WorkspaceAnnotation: "globex", transform.NamespaceAnnotation: "shop"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(1, image("nginx"))
			home := transform.Namespace("acme", "", "shop", "")
			change(home)
			home.SetResourceVersion("1")
			w.members[east].truth[w.at(shop)] = home
			w.place("all", "east")
			for range 3 {
				w.c.EnqueueNamespace("acme", "shop")
				w.wait(time.Minute)
			}
			wantDiff(t, "rows", []string{"east False Progressing Collision"}, w.rows(web))
			for _, write := range w.took() {
				if strings.Contains(write, "deployments") || strings.Contains(write, "delete") {
					t.Errorf("there was %q", write)
				}
			}
			if w.copy(east, shop) == nil {
				t.Error("the namespace is gone")
			}
		})
	}
}

// FLT-17: whatever somebody writes onto copies, what they say reaches no other object, and theirs alone is told of them.
func TestFLT17TamperedMarksReachNoOtherObject(t *testing.T) {
	t.Parallel()
	for _, mark := range []string{transform.WorkspaceAnnotation, transform.NamespaceAnnotation, transform.NameAnnotation, transform.UIDAnnotation, "label"} {
		t.Run(mark, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(1, image("nginx"))
			other := Key{Resource: deploymentsGR, Object: workspace.Key{Workspace: "globex", Namespace: "shop", Name: "web"}}
			w.put(other, "Deployment", map[string]any{"spec": map[string]any{"replicas": int64(1)}})
			w.place("all", "east")
			w.settle()
			before := w.objects[other].GetResourceVersion()
			w.edit(east, web, func(u *unstructured.Unstructured) {
				if mark == "label" {
					u.SetLabels(nil)
				} else {
					marks := u.GetAnnotations()
					marks[mark] = "globex"
					u.SetAnnotations(marks)
				}
				u.Object["status"] = map[string]any{"replicas": int64(666), "observedGeneration": int64(1)}
			})
			w.wait(time.Minute)
			if told := w.c.states.rows[web][0].Object.Reason == tmcv1alpha1.ReasonCollision; told != (mark != transform.UIDAnnotation) {
				t.Errorf("that it is another's by its marks is told: %v", told)
			}
			w.c.EnqueueAll()
			w.wait(time.Minute)
			if got := w.objects[other].GetResourceVersion(); got != before {
				t.Error("the other workspace's object was written")
			}
			replicas, _, _ := unstructured.NestedInt64(w.objects[web].Object, "status", "replicas")
			if mark != transform.UIDAnnotation && replicas == 666 {
				t.Error("the object tells what somebody's object says")
			}
			w.remove(web)
			w.wait(time.Minute)
			if w.objects[web] != nil {
				t.Error("the object is held")
			}
			if copies, certain := w.c.On(east); copies > 1 || !certain {
				t.Errorf("the member is taken to have %d copies, %v", copies, certain)
			}
		})
	}
}

// FLT-25 and FLT-28: a change on the member is repaired once; what its admission makes of a write is left alone.
func TestFLT25DriftIsRepairedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(2, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.took()
	w.edit(east, web, func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, int64(5), "spec", "replicas")
	})
	w.show()
	w.reconcile(web)
	wantDiff(t, "rows", true, w.c.states.rows[web][0].Object.Drifted)
	w.wait(time.Minute)
	wantDiff(t, "writes", []string{"east force deployments web"}, w.took())
	wantDiff(t, "drifted", false, w.c.states.rows[web][0].Object.Drifted)
	if replicas, _, _ := unstructured.NestedInt64(w.copy(east, web).Object, "spec", "replicas"); replicas != 2 {
		t.Errorf("the member runs %d replicas", replicas)
	}
}

func TestFLT25AdmissionIsNotFought(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.members[east].admission = func(u *unstructured.Unstructured) {
		if u.GetKind() == "Deployment" {
			_ = unstructured.SetNestedField(u.Object, int64(1), "spec", "replicas")
		}
	}
	w.deployment(2, image("nginx"))
	w.place("all", "east")
	w.wait(time.Hour)
	wantDiff(t, "writes", 3, len(w.took()))
	w.run(east, web)
	w.wait(time.Hour)
	wantDiff(t, "writes after a change of status", []string(nil), w.took())
	w.restart() // once, since it is not known any more what the member makes of it
	w.show()
	w.wait(time.Hour)
	wantDiff(t, "writes after a restart", []string{"east force deployments web"}, w.took())
}

// FLT-02: what one member refuses is tried again ever more rarely, and holds up no other.
func TestFLT02FailuresBackOff(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		problem *CallProblem
		within  time.Duration
		most    int
	}{
		"an error":          {problem: &CallProblem{Reason: tmcv1alpha1.ReasonApplyFailed, Message: "no"}, within: time.Minute, most: 7},
		"a refusal":         {problem: &CallProblem{Reason: tmcv1alpha1.ReasonMemberDenied, Message: "no"}, within: 10 * time.Minute, most: 6},
		"it says when":      {problem: &CallProblem{Reason: tmcv1alpha1.ReasonApplyFailed, Message: "no", RetryAfter: time.Hour}, within: time.Hour - time.Minute, most: 1},
		"for a day, rarely": {problem: &CallProblem{Reason: tmcv1alpha1.ReasonImmutableField, Message: "no"}, within: 24 * time.Hour, most: 300},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(1, image("nginx"))
			refused := 0
			w.members[east].refuse = func(_ string, at Location) error {
				if at.Resource.Resource != "deployments" {
					return nil
				}
				refused++
				return tc.problem
			}
			w.place("all", "east", "west")
			w.settle()
			w.run(west, web)
			w.wait(tc.within)
			if refused < 1 || refused > tc.most {
				t.Errorf("it was tried %d times, want at most %d", refused, tc.most)
			}
			wantDiff(t, "rows", []string{"east False Progressing " + tc.problem.Reason, "west True Healthy"}, w.rows(web))
			wantDiff(t, "events", 1, len(w.events))
			// It is not tried again in between because something else happens.
			before := refused
			w.run(west, web)
			w.settle()
			wantDiff(t, "tries without a reason", before, refused)
			// Another content is tried at once, and success is noticed.
			w.deployment(1, image("nginx:2"))
			w.settle()
			wantDiff(t, "tries of another content", before+1, refused)
			w.members[east].refuse = nil
			w.wait(2*lastRetry + tc.problem.RetryAfter)
			if live := w.copy(east, web); live == nil {
				t.Error("the member has nothing after it stopped refusing")
			}
		})
	}
}

// An event that nobody answered is sent again with the next look.
func TestEventsThatNobodyAnswered(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want int
	}{
		"no answer":   {errors.New("connection lost"), 2},
		"kcp is down": {fmt.Errorf("sending: %w", apierrors.NewInternalError(errors.New("down"))), 2},
		"refused":     {fmt.Errorf("sending: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "x", errors.New("no"))), 1},
		"taken":       {nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.eventErr = tc.err
			w.deployment(1, image("nginx"))
			w.members[east].refuse = func(string, Location) error {
				return &CallProblem{Reason: tmcv1alpha1.ReasonMemberDenied, Message: "quota"}
			}
			w.place("all", "east")
			w.settle()
			w.eventErr = nil
			before := len(w.events)
			for range 2 {
				w.c.Enqueue(web.Resource, web.Object)
				w.settle()
			}
			if got := len(w.events) - before + 1; got != tc.want || before == 0 {
				t.Errorf("%d events at first, and %d with the next looks, want %d in all", before, got-1, tc.want)
			}
		})
	}
}

// Events are sent once per problem, and a lost one changes nothing.
func TestEventsOncePerProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.eventErr = apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop")
	w.deployment(1, image("nginx"))
	denied := func(string, Location) error {
		return &CallProblem{Reason: tmcv1alpha1.ReasonMemberDenied, Message: "quota\x1b[2J " + strings.Repeat("x", 5000)}
	}
	w.members[east].refuse = denied
	w.place("all", "east")
	w.wait(time.Hour)
	wantDiff(t, "events", 1, len(w.events))
	event := w.events[0]
	if event.Reason != tmcv1alpha1.ReasonMemberDenied || !strings.HasPrefix(event.Message, "member east: ") || len(event.Message) > 1024 || strings.Contains(event.Message, "\x1b") {
		t.Errorf("the event is %s %.100q", event.Reason, event.Message)
	}
	if event.Namespace != "shop" || event.InvolvedObject.UID != w.objects[web].GetUID() || !strings.HasPrefix(event.Name, "web.") {
		t.Errorf("the event is about %+v", event.InvolvedObject)
	}
	w.members[east].refuse = nil
	w.wait(time.Hour)
	w.members[east].refuse = denied
	w.deployment(1, image("nginx:2"))
	w.wait(time.Hour)
	wantDiff(t, "events when the problem is back", 2, len(w.events))
	if long := (&pass{key: Key{Object: workspace.Key{Name: strings.Repeat("a", 253)}}}).eventName("0123456789abcdef"); len(long) != 253 {
		t.Errorf("the name of an event has %d characters", len(long))
	}
}

// FLT-01: copies that are left stay until those on the chosen members are healthy.
func TestFLT01LeavingCopiesStayUntilReplaced(t *testing.T) {
	t.Parallel()
	w := running(t, 1, east)
	w.members[west].away = true
	w.took()
	w.place("all", "(east)", "west")
	w.wait(time.Hour)
	wantDiff(t, "writes while the chosen member is away", []string(nil), deletes(w.took()))
	wantDiff(t, "rows", []string{"(east) Unknown Healthy Syncing", "west Unknown Unknown MemberUnreachable"}, w.rows(web))
	w.members[west].away = false
	w.c.Enqueue(web.Resource, web.Object)
	w.wait(time.Hour)
	wantDiff(t, "deletions while the new copy is not healthy", []string(nil), deletes(w.took()))
	w.run(west, web)
	w.wait(time.Minute)
	wantDiff(t, "deletions", []string{"east delete deployments web"}, deletes(w.took()))
	wantDiff(t, "rows", []string{"west True Healthy"}, w.rows(web))
	if !marked(w.objects[web]) {
		t.Error("the object lost its finalizer")
	}
}

// A member that was chosen and is away keeps what it has; also when it is not in the decisions any more.
func TestCopiesThatAreNotDecidedAnyMoreStayUntilReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.took()
	w.place("all") // nothing fits
	w.wait(time.Hour)
	wantDiff(t, "deletions", []string(nil), deletes(w.took()))
	delete(w.names, "east") // nor is it lent any more
	w.place("all", "west")
	w.wait(time.Minute)
	wantDiff(t, "deletions", []string(nil), deletes(w.took()))
	w.run(west, web)
	w.wait(time.Minute)
	wantDiff(t, "copy on the former member", true, w.copy(east, web) == nil)
}

// A member that its owner takes away loses its copies after half of the time, whether they are replaced or not.
func TestRetiringMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.retiring[east] = w.clock.Now()
	w.place("all", "(east)", "west")
	w.wait(DefaultDetachAfter/2 - time.Second)
	if w.copy(east, web) == nil {
		t.Fatal("the copy went before there was time to replace it")
	}
	w.wait(2 * time.Second)
	if w.copy(east, web) != nil {
		t.Error("the copy is still there")
	}
}

// FLT-20: a member that is away holds a deletion for some time; what stays there goes when it is back.
func TestFLT20MemberAwayHoldsDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east", "west")
	w.settle()
	w.members[east].away = true
	w.remove(web)
	w.wait(DefaultDetachAfter - time.Second)
	if w.objects[web] == nil {
		t.Fatal("the object was released at once")
	}
	wantDiff(t, "rows", []string{"(east) Unknown Unknown DetachPending"}, leavingRows(w))
	wantDiff(t, "copy on the other member", true, w.copy(west, web) == nil)
	w.wait(2 * time.Second)
	if w.objects[web] != nil {
		t.Fatal("the object is held")
	}
	if len(w.events) != 1 || w.events[0].Reason != tmcv1alpha1.ReasonDetachPending || !strings.Contains(w.events[0].Message, "east") {
		t.Errorf("the events are %v", w.events)
	}
	w.members[east].away = false
	w.removeNamespace()
	w.c.EnqueueMember(east)
	w.wait(time.Minute)
	for _, key := range []Key{web, shop} {
		if w.copy(east, key) != nil {
			t.Errorf("%s is left behind", key)
		}
	}
	if len(w.c.states.objects)+len(w.c.states.located)+len(w.c.states.rows) != 0 {
		t.Errorf("something is remembered: %v %v %v", w.c.states.objects, w.c.states.located, w.c.states.rows)
	}
}

// leavingRows are rows without regard to whether they are told to be leaving.
func leavingRows(w *world) []string {
	rows := w.rows(web)
	for i, row := range rows {
		if !strings.HasPrefix(row, "(") {
			name, rest, _ := strings.Cut(row, " ")
			rows[i] = "(" + name + ") " + rest
		}
	}
	return rows
}

// FLT-20: after a restart it is known from the Placement alone that the member may have a copy.
func TestFLT20MemberAwaySinceTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.members[east].away = true
	w.restart()
	w.remove(web)
	w.wait(time.Minute)
	if w.objects[web] == nil {
		t.Fatal("the object was released at once")
	}
	w.wait(DefaultDetachAfter)
	if w.objects[web] != nil {
		t.Fatal("the object is held")
	}
	w.members[east].away = false
	w.wait(time.Minute)
	if w.copy(east, web) != nil {
		t.Error("the copy is left behind")
	}
}

func TestForcedDetachDoesNotWait(t *testing.T) {
	t.Parallel()
	for name, prevent := range map[string]func(*world){
		"away": func(w *world) { w.members[east].away = true },
		"refuses": func(w *world) {
			w.members[east].refuse = func(string, Location) error { return &CallProblem{Reason: tmcv1alpha1.ReasonMemberForbidden} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(1, image("nginx"))
			w.place("all", "east")
			w.settle()
			prevent(w)
			w.remove(web)
			w.settle()
			w.change(web, func(u *unstructured.Unstructured) {
				u.SetAnnotations(map[string]string{tmcv1alpha1.ForceDetachAnnotation: "yes"})
			})
			w.settle()
			if w.objects[web] == nil {
				t.Fatal("the object was released without being forced")
			}
			w.change(web, func(u *unstructured.Unstructured) {
				u.SetAnnotations(map[string]string{tmcv1alpha1.ForceDetachAnnotation: tmcv1alpha1.ForceDetachValue})
			})
			w.settle()
			if w.objects[web] != nil {
				t.Error("the object is held")
			}
		})
	}
}

// A member that answers is waited for without end.
func TestDeletionThatIsRefusedIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	w.members[east].refuse = func(string, Location) error {
		return &CallProblem{Reason: tmcv1alpha1.ReasonMemberForbidden, Message: "no right to delete"}
	}
	w.remove(web)
	w.wait(24 * time.Hour)
	if w.objects[web] == nil {
		t.Fatal("the object was released although its copy is there")
	}
	wantDiff(t, "rows", []string{"(east) False Unknown MemberForbidden"}, leavingRows(w))
	w.members[east].refuse = nil
	w.wait(2 * lastRetry)
	if w.objects[web] != nil {
		t.Error("the object is held")
	}
}

// Nobody but us may hold an object that is to lose its copies; garbage collection does not count.
func TestOthersFinalizersKeepCopies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		finalizer string
		stays     bool
	}{
		"somebody's":         {finalizer: "example.com/drain", stays: true},
		"garbage collection": {finalizer: metav1.FinalizerDeleteDependents},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployment(1, image("nginx"))
			w.place("all", "east")
			w.settle()
			w.change(web, func(u *unstructured.Unstructured) { u.SetFinalizers(append(u.GetFinalizers(), tc.finalizer)) })
			w.remove(web)
			w.wait(time.Minute)
			wantDiff(t, "copy stays", tc.stays, w.copy(east, web) != nil)
			wantDiff(t, "finalizer stays", tc.stays, len(w.objects[web].GetFinalizers()) == 2)
			w.change(web, func(u *unstructured.Unstructured) { u.SetFinalizers(dropped(u.GetFinalizers(), tc.finalizer)) })
			w.wait(time.Minute)
			if w.copy(east, web) != nil || w.objects[web] != nil {
				t.Error("the object or its copy is still there")
			}
		})
	}
}

func dropped(finalizers []string, name string) []string {
	var out []string
	for _, finalizer := range finalizers {
		if finalizer != name {
			out = append(out, finalizer)
		}
	}
	return out
}

// A kind that the workspace's export no longer has leaves nothing behind.
func TestKindThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	w.settle()
	delete(w.kinds, deploymentsGR)
	delete(w.objects, web)
	w.c.Enqueue(web.Resource, web.Object)
	w.removeNamespace()
	w.wait(time.Minute)
	if copies, certain := w.c.On(east); copies != 0 || !certain {
		t.Errorf("the member has %d copies, %v", copies, certain)
	}
	w.c.Enqueue(schema.GroupResource{Resource: "unknown"}, web.Object)
	w.settle()
}

// FLT-15: what waited for a slow member when the lease was lost is another process's to write by now.
func TestFLT15QueuedWritesAreDroppedWithTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(1, image("nginx"))
	w.place("all", "east")
	for range 3 { // the finalizer comes first
		w.reconcile(web)
	}
	if !w.c.lanes.pending(east, web) {
		t.Fatal("nothing waits for the member")
	}
	w.follower = true
	w.work()
	if w.copy(east, web) != nil || w.c.lanes.pending(east, web) {
		t.Fatalf("the member has %v; waiting: %t", w.copy(east, web), w.c.lanes.pending(east, web))
	}
	w.follower = false
	w.c.EnqueueAll()
	w.settle()
	if w.copy(east, web) == nil {
		t.Error("the leader that came back makes no copy")
	}
}
