// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package sync

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	testingclock "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/placement"
	"github.com/kcp-dev/tmc/pkg/transform"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

var (
	deploymentsGR = schema.GroupResource{Group: "apps", Resource: "deployments"}
	configmapsGR  = schema.GroupResource{Resource: "configmaps"}
	namespacesGR  = schema.GroupResource{Resource: "namespaces"}
	jobsGR        = schema.GroupResource{Group: "batch", Resource: "jobs"}

	east = workspace.Key{Workspace: "acme", Name: "east"}
	west = workspace.Key{Workspace: "acme", Name: "west"}
)

// web is the Deployment that most tests are about, and settings the ConfigMap that it may refer to.
var (
	web      = Key{Resource: deploymentsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "web"}}
	settings = Key{Resource: configmapsGR, Object: workspace.Key{Workspace: "acme", Namespace: "shop", Name: "settings"}}
	all      = workspace.Key{Workspace: "acme", Namespace: "shop", Name: "all"} // the Placement that most tests have
	shop     = Key{Resource: namespacesGR, Object: workspace.Key{Workspace: "acme", Name: "shop"}}
)

// member is a physical cluster: what it holds, and what its informers have shown.
type member struct {
	truth, seen map[Location]*unstructured.Unstructured
	away        bool
	uncalled    bool // as the server has just begun
	unread      map[schema.GroupVersionResource]bool
	missing     map[schema.GroupResource]string
	admission   func(*unstructured.Unstructured)
	refuse      func(verb string, at Location) error
	lagging     bool // its informers show nothing new
}

// world is a workspace, its members, and the time.
type world struct {
	t     testing.TB
	clock *testingclock.FakeClock
	c     *Controller

	version    int
	objects    map[Key]*unstructured.Unstructured
	stale      map[Key]*unstructured.Unstructured // what is still shown of objects
	kinds      map[schema.GroupResource]Kind
	uncertain  map[schema.GroupResource]bool
	leaving    bool
	unlent     bool // it is not known who lends what
	distrusts  bool // no lender is known to be trusted
	unclear    bool // it is not certain what Placements select
	homeless   bool // the workspace has no namespace any more
	follower   bool
	patches    []string // "metadata web {...}"
	patchErr   error
	events     []*corev1.Event
	eventErr   error
	placements []*tmcv1alpha1.Placement
	selects    func(p *tmcv1alpha1.Placement, gr schema.GroupResource, object *unstructured.Unstructured) bool
	names      map[string]workspace.Key
	retiring   map[workspace.Key]time.Time
	// unregistered are members that may still tell something.
	unregistered map[workspace.Key]bool
	unheld       map[workspace.Key]bool

	members  map[workspace.Key]*member
	writes   []string // "east apply deployments web"
	progress map[workspace.Key]int
	copies   map[workspace.Key]int
	after    map[Key]time.Time
	pending  []Key
	end      func()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, clock: testingclock.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
		objects: map[Key]*unstructured.Unstructured{}, stale: map[Key]*unstructured.Unstructured{},
		kinds: map[schema.GroupResource]Kind{
			deploymentsGR:                 {GVR: deploymentsGR.WithVersion("v1"), Status: true},
			configmapsGR:                  {GVR: configmapsGR.WithVersion("v1"), Claimed: true},
			jobsGR:                        {GVR: jobsGR.WithVersion("v1"), Status: true},
			autoscalers():                 {GVR: autoscalers().WithVersion("v2"), Status: true},
			{Resource: "serviceaccounts"}: {GVR: schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}, Claimed: true},
			{Resource: "secrets"}:         {GVR: schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, Claimed: true},
		},
		uncertain: map[schema.GroupResource]bool{}, names: map[string]workspace.Key{}, retiring: map[workspace.Key]time.Time{}, unregistered: map[workspace.Key]bool{}, unheld: map[workspace.Key]bool{},
		members: map[workspace.Key]*member{}, progress: map[workspace.Key]int{}, copies: map[workspace.Key]int{}, after: map[Key]time.Time{},
	}
	w.selects = func(_ *tmcv1alpha1.Placement, gr schema.GroupResource, _ *unstructured.Unstructured) bool {
		return gr != configmapsGR
	}
	w.restart()
	for _, key := range []workspace.Key{east, west} {
		w.join(key)
	}
	return w
}

// running is a world in which web runs on members of the workspace, and nothing has happened for a while.
func running(t *testing.T, replicas int64, members ...workspace.Key) *world {
	t.Helper()
	w := newWorld(t)
	w.runOn(replicas, nil, members...)
	return w
}

// runOn places web on members, by the names of their registrations, and lets it run there.
func (w *world) runOn(replicas int64, divided *tmcv1alpha1.ReplicaScheduling, members ...workspace.Key) {
	w.t.Helper()
	w.deployment(replicas, image("nginx"))
	names := make([]string, 0, len(members))
	for _, member := range members {
		names = append(names, member.Name)
	}
	w.place("all", names...).Spec.ReplicaScheduling = divided
	w.settle()
	for _, member := range members {
		w.run(member, web)
	}
	w.wait(time.Minute)
}

// restart forgets everything that a process remembers.
func (w *world) restart() {
	w.c = New(Config{
		Upstream: w, Downstream: downstream{w}, Decisions: w, Leader: w, Clock: w.clock,
		OnProgress: func(key workspace.Key) { w.progress[key]++ }, OnCopies: func(key workspace.Key) { w.copies[key]++ },
	})
	w.c.lanes.workers, w.c.lanes.ctx = 0, w.t.Context() // the test does their work
	w.c.engine = w.newEngine()
	clear(w.after)
	for _, m := range w.members {
		clear(m.seen)
	}
	for key := range w.objects {
		w.c.Enqueue(key.Resource, key.Object)
	}
}

func (w *world) newEngine() *engine.Engine[Key] {
	return engine.New(engine.Config[Key]{Name: "test", Workers: 1, Clock: w.clock, Reconcile: func(_ context.Context, key Key) (engine.Result, error) {
		if key == (Key{}) {
			w.end()
			return engine.Result{}, nil
		}
		w.pending = append(w.pending, key)
		return engine.Result{}, nil
	}})
}

// queued empties the queue and returns what was in it.
func (w *world) queued() []Key {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.end, w.pending = cancel, nil
	w.c.engine.Add(Key{}) // the last one
	w.c.engine.Run(ctx)
	w.c.engine = w.newEngine()
	slices.SortFunc(w.pending, Key.Compare)
	return w.pending
}

func (w *world) join(key workspace.Key) *member {
	made := &member{
		truth: map[Location]*unstructured.Unstructured{}, seen: map[Location]*unstructured.Unstructured{},
		unread: map[schema.GroupVersionResource]bool{}, missing: map[schema.GroupResource]string{},
	}
	w.members[key], w.names[key.Name] = made, key
	return made
}

// reconcile makes one pass.
func (w *world) reconcile(key Key) engine.Result {
	w.t.Helper()
	result, err := w.c.Reconcile(w.t.Context(), key)
	if err != nil {
		w.t.Fatalf("reconciling %s: %v", key, err)
	}
	if result.After > 0 {
		w.after[key] = w.clock.Now().Add(result.After)
	}
	return result
}

// work does what waits in the lanes.
func (w *world) work() bool {
	did := false
	for _, key := range slices.SortedFunc(maps.Keys(w.c.lanes.all), workspace.Key.Compare) {
		for at := w.c.lanes.all[key]; at.queue.Len() > 0; did = true {
			w.c.lanes.next(key, at)
		}
	}
	return did
}

// show lets the informers of members catch up.
func (w *world) show() bool {
	did := false
	for key, m := range w.members {
		if m.away || m.lagging {
			continue
		}
		for at, live := range m.truth {
			before, known := m.seen[at]
			if known && before.GetResourceVersion() == live.GetResourceVersion() || m.unread[at.Resource] {
				continue
			}
			m.seen[at], did = live.DeepCopy(), true
			w.c.EnqueueCopy(key, at.Resource, m.seen[at], false)
		}
		for at, live := range m.seen {
			if _, there := m.truth[at]; !there {
				delete(m.seen, at)
				did = true
				w.c.EnqueueCopy(key, at.Resource, live, true)
			}
		}
	}
	return did
}

// settle goes on until nothing happens any more. What waits for a time waits.
func (w *world) settle() {
	w.t.Helper()
	for range 200 {
		keys := w.queued()
		for _, key := range keys {
			w.reconcile(key)
		}
		if worked, shown := w.work(), w.show(); len(keys) == 0 && !worked && !shown {
			return
		}
	}
	w.t.Fatalf("it does not settle; the last writes are %q", w.writes[max(0, len(w.writes)-6):])
}

// wait lets time pass, and looks again at what was waiting for it.
func (w *world) wait(d time.Duration) {
	w.t.Helper()
	end := w.clock.Now().Add(d)
	for range 1000 {
		w.settle()
		var next Key
		for key, at := range w.after {
			if at.After(end) {
				continue
			}
			if before, known := w.after[next]; !known || at.Before(before) {
				next = key
			}
		}
		at, known := w.after[next]
		if !known {
			w.clock.SetTime(end)
			w.settle()
			return
		}
		if at.After(w.clock.Now()) {
			w.clock.SetTime(at)
		}
		delete(w.after, next)
		w.c.engine.Add(next)
	}
	w.t.Fatal("time does not pass")
}

// took returns what was written to members since the last call.
func (w *world) took() []string {
	taken := w.writes
	w.writes = nil
	return taken
}

func (w *world) tookPatches() []string {
	taken := w.patches
	w.patches = nil
	return taken
}

// put writes an object of the workspace, as its user would.
func (w *world) put(key Key, kind string, content map[string]any) *unstructured.Unstructured {
	w.version++
	object := &unstructured.Unstructured{Object: map[string]any{}}
	if before, there := w.objects[key]; there {
		object = before.DeepCopy()
	} else {
		group := key.Resource.WithVersion("v1")
		if gvr, known := w.kinds[key.Resource]; known {
			group = gvr.GVR
		}
		object.SetAPIVersion(group.GroupVersion().String())
		object.SetKind(kind)
		object.SetName(key.Object.Name)
		object.SetNamespace(key.Object.Namespace)
		object.SetUID(types.UID(fmt.Sprint("up-", w.version)))
		object.SetAnnotations(map[string]string{logicalcluster.AnnotationKey: key.Object.Workspace.String()})
	}
	maps.Copy(object.Object, content)
	object.SetGeneration(object.GetGeneration() + 1)
	object.SetResourceVersion(fmt.Sprint(w.version))
	w.objects[key] = object
	w.c.Enqueue(key.Resource, key.Object)
	return object
}

func (w *world) deployment(replicas int64, pod map[string]any) *unstructured.Unstructured {
	return w.put(web, "Deployment", map[string]any{"spec": map[string]any{
		"replicas": replicas, "template": map[string]any{"spec": pod},
	}})
}

func image(name string) map[string]any {
	return map[string]any{"containers": []any{map[string]any{"name": "web", "image": name}}}
}

func withSettings(pod map[string]any) map[string]any {
	pod["volumes"] = []any{map[string]any{"name": "settings", "configMap": map[string]any{"name": "settings"}}}
	return pod
}

// change edits an object of the workspace without a new generation.
func (w *world) change(key Key, edit func(*unstructured.Unstructured)) {
	w.version++
	object := w.objects[key].DeepCopy()
	edit(object)
	object.SetResourceVersion(fmt.Sprint(w.version))
	w.objects[key] = object
	if object.GetDeletionTimestamp() != nil && len(object.GetFinalizers()) == 0 {
		delete(w.objects, key)
	}
	w.c.Enqueue(key.Resource, key.Object)
}

// remove deletes an object of the workspace, as its user would.
func (w *world) remove(key Key) {
	now := metav1.NewTime(w.clock.Now())
	w.change(key, func(u *unstructured.Unstructured) { u.SetDeletionTimestamp(&now) })
}

// place makes a Placement that chose members.
func (w *world) place(name string, members ...string) *tmcv1alpha1.Placement {
	w.version++
	p := &tmcv1alpha1.Placement{ObjectMeta: metav1.ObjectMeta{
		Name: name, Namespace: "shop", UID: types.UID(fmt.Sprint("pl-", w.version)), ResourceVersion: fmt.Sprint(w.version),
		Annotations: map[string]string{logicalcluster.AnnotationKey: "acme"},
	}}
	p.Status.Decisions = decisions(members...)
	w.placements = slices.DeleteFunc(w.placements, func(other *tmcv1alpha1.Placement) bool { return other.Name == name })
	w.placements = append(w.placements, p)
	w.c.EnqueuePlacement(workspace.Key{Workspace: "acme", Namespace: "shop", Name: name})
	return p
}

// decisions are active, but for those written as (name), which are left.
func decisions(members ...string) []tmcv1alpha1.PlacementDecision {
	var out []tmcv1alpha1.PlacementDecision
	for _, member := range members {
		decision := tmcv1alpha1.PlacementDecision{ClusterName: strings.Trim(member, "()"), Phase: tmcv1alpha1.DecisionActive}
		if strings.HasPrefix(member, "(") {
			decision.Phase = tmcv1alpha1.DecisionLeaving
		}
		out = append(out, decision)
	}
	return out
}

func (w *world) Find(gr schema.GroupResource, key workspace.Key) (*unstructured.Unstructured, bool) {
	if old, is := w.stale[Key{gr, key}]; is {
		return old, true
	}
	found, ok := w.objects[Key{gr, key}]
	return found, ok
}

func (w *world) InNamespace(gr schema.GroupResource, ws logicalcluster.Name, namespace string) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for key, object := range w.objects {
		if key.Resource == gr && key.Object.Workspace == ws && key.Object.Namespace == namespace {
			out = append(out, object)
		}
	}
	return out
}

func (w *world) Kinds() []schema.GroupResource { return slices.Collect(maps.Keys(w.kinds)) }

func (w *world) Kind(gr schema.GroupResource) (Kind, bool) {
	found, ok := w.kinds[gr]
	return found, ok
}

// removeNamespace takes the workspace's namespace away.
func (w *world) removeNamespace() {
	w.homeless = true
	w.c.EnqueueNamespace("acme", "shop")
}

func (w *world) Namespace(logicalcluster.Name, string) (exists, terminating, known bool) {
	return !w.homeless, false, true
}
func (w *world) Leaving(logicalcluster.Name) bool { return w.leaving }

func (w *world) Certain(gr schema.GroupResource, _ logicalcluster.Name) bool { return !w.uncertain[gr] }
func (w *world) LoansKnown() bool                                            { return !w.unlent }
func (w *world) Path(logicalcluster.Name) string                             { return "root:acme" }

// patch applies a JSON merge patch to an object, with its conditions.
func (w *world) patch(verb string, gr schema.GroupResource, key workspace.Key, patch []byte, subresource string) error {
	w.patches = append(w.patches, verb+" "+key.Name+" "+string(patch))
	if w.patchErr != nil {
		return w.patchErr
	}
	object, there := w.objects[Key{gr, key}]
	var body map[string]any
	if err := json.Unmarshal(patch, &body); err != nil {
		return err
	}
	metadata, _ := body["metadata"].(map[string]any)
	version, conditional := metadata["resourceVersion"]
	switch {
	case !there:
		return apierrors.NewNotFound(gr, key.Name)
	case metadata["uid"] != string(object.GetUID()), conditional && version != object.GetResourceVersion():
		return apierrors.NewConflict(gr, key.Name, nil)
	}
	delete(metadata, "uid")
	delete(metadata, "resourceVersion")
	if w.kinds[gr].Claimed {
		w.t.Errorf("%s, which is claimed, was written", key)
	}
	if _, has := body["status"]; has != (subresource == "status") {
		w.t.Errorf("the patch of %s is %s", verb, patch)
	}
	w.change(Key{gr, key}, func(u *unstructured.Unstructured) { merge(u.Object, body) })
	return nil
}

func merge(into, patch map[string]any) {
	for key, value := range patch {
		inner, isMap := value.(map[string]any)
		old, wasMap := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isMap && wasMap:
			merge(old, inner)
		default:
			into[key] = runtime.DeepCopyJSONValue(value)
		}
	}
}

func (w *world) PatchMetadata(_ context.Context, gr schema.GroupResource, key workspace.Key, patch []byte) error {
	return w.patch("metadata", gr, key, patch, "")
}

func (w *world) PatchStatus(_ context.Context, gr schema.GroupResource, key workspace.Key, patch []byte) error {
	return w.patch("status", gr, key, patch, "status")
}

func (w *world) CreateEvent(_ context.Context, ws logicalcluster.Name, event *corev1.Event) error {
	if ws != "acme" {
		w.t.Errorf("an event was sent to workspace %s", ws)
	}
	w.events = append(w.events, event)
	return w.eventErr
}

func (w *world) PlacementOf(gr schema.GroupResource, object *unstructured.Unstructured) (*tmcv1alpha1.Placement, bool) {
	for _, p := range w.placements {
		if p.Namespace == object.GetNamespace() && logicalcluster.From(p) == logicalcluster.From(object) && w.selects(p, gr, object) {
			return p, true
		}
	}
	return nil, false
}

func (w *world) Accepts(p *tmcv1alpha1.Placement, member workspace.Key) bool {
	return member.Workspace == logicalcluster.From(p) || (member.Workspace == "globex" && !w.distrusts)
}

func (w *world) Concerns(_ logicalcluster.Name, _ string, member workspace.Key) (accepted, named bool) {
	for _, p := range w.placements {
		accepted = accepted || w.Accepts(p, member)
		named = named || slices.ContainsFunc(p.Status.Decisions, func(d tmcv1alpha1.PlacementDecision) bool { return w.names[d.ClusterName] == member })
	}
	return accepted, named
}

func (w *world) Unclear(schema.GroupResource, *unstructured.Unstructured) bool { return w.unclear }

func (w *world) Decisions(p *tmcv1alpha1.Placement) []tmcv1alpha1.PlacementDecision {
	return p.Status.Decisions
}

func (w *world) Divide(p *tmcv1alpha1.Placement, gr schema.GroupResource, name string, replicas int32) map[string]int32 {
	var targets []placement.Target
	for _, decision := range p.Status.Decisions {
		if decision.Phase != tmcv1alpha1.DecisionLeaving {
			target := placement.Target{Name: decision.ClusterName}
			if _, known := w.names[decision.ClusterName]; known {
				target.Labels = map[string]string{"known": "true"}
			}
			targets = append(targets, target)
		}
	}
	return placement.Divide(replicas, p.Spec.ReplicaScheduling, targets, placement.DivideKey(p.Name, gr, name))
}

func (w *world) Member(_ logicalcluster.Name, name string) (workspace.Key, bool) {
	found, ok := w.names[name]
	return found, ok
}

func (w *world) Members(logicalcluster.Name) map[string]workspace.Key { return maps.Clone(w.names) }

func (w *world) Registered(key workspace.Key) bool { return !w.unregistered[key] }

func (w *world) Held(key workspace.Key) bool { return !w.unheld[key] }

func (w *world) RetiringSince(key workspace.Key) (time.Time, bool) {
	since, retiring := w.retiring[key]
	return since, retiring
}

func (w *world) IsLeader() bool { return !w.follower }

// at is where the copy of an object is.
func (w *world) at(key Key) Location {
	if key.Resource == namespacesGR {
		return Location{Resource: namespaces(), Name: transform.NamespaceName(key.Object.Workspace, key.Object.Name)}
	}
	return Location{
		Resource: w.kinds[key.Resource].GVR, Namespace: transform.NamespaceName(key.Object.Workspace, key.Object.Namespace), Name: key.Object.Name,
	}
}

// copy returns what a member really has.
func (w *world) copy(key workspace.Key, object Key) *unstructured.Unstructured {
	return w.members[key].truth[w.at(object)]
}

// edit changes what a member has, as its own controllers and users do.
func (w *world) edit(key workspace.Key, object Key, edit func(*unstructured.Unstructured)) {
	w.t.Helper()
	live := w.copy(key, object)
	if live == nil {
		w.t.Fatalf("member %s has no %s", key, object)
	}
	w.version++
	changed := live.DeepCopy()
	edit(changed)
	changed.SetResourceVersion(fmt.Sprint(w.version))
	w.members[key].truth[w.at(object)] = changed
}

// run makes the replicas of a copy available.
func (w *world) run(key workspace.Key, object Key) {
	w.t.Helper()
	w.edit(key, object, func(u *unstructured.Unstructured) {
		replicas, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
		u.Object["status"] = map[string]any{
			"observedGeneration": u.GetGeneration(), "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas,
			"availableReplicas": replicas,
		}
	})
}

// rows returns what is told of an object, like "east True Healthy" and "(west) Unknown Unknown DetachPending".
func (w *world) rows(key Key) []string {
	var out []string
	for _, rows := range w.c.states.rows[key] {
		name := rows.Cluster
		if rows.Leaving {
			name = "(" + name + ")"
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", name, rows.Object.Synced, rows.Object.Health, rows.Object.Reason)))
	}
	slices.Sort(out)
	return out
}

// downstream is the members.
type downstream struct{ *world }

func (d downstream) Copy(key workspace.Key, at Location) (*unstructured.Unstructured, bool) {
	m, known := d.members[key]
	if !known {
		return nil, false
	}
	found, ok := m.seen[at]
	return found, ok
}

func (d downstream) Synced(key workspace.Key, gvr schema.GroupVersionResource) bool {
	m, known := d.members[key]
	_, missing := m.lacks(gvr)
	return known && !m.away && !m.uncalled && !m.unread[gvr] && !missing
}

func (m *member) lacks(gvr schema.GroupVersionResource) (string, bool) {
	if m == nil {
		return "", false
	}
	message, missing := m.missing[gvr.GroupResource()]
	return message, missing
}

func (d downstream) Reachable(key workspace.Key) (answers, called bool) {
	m, known := d.members[key]
	called = known && !m.uncalled
	return called && !m.away, called
}

func (d downstream) Missing(key workspace.Key, gr schema.GroupResource) (string, bool) {
	return d.members[key].lacks(gr.WithVersion("v1"))
}

// call notes a call, and answers as a member that cannot be called would.
func (d downstream) call(key workspace.Key, verb string, at Location) (*member, error) {
	d.writes = append(d.writes, key.Name+" "+verb+" "+at.Resource.Resource+" "+cmp.Or(strings.TrimPrefix(at.Name, "tmc-"), "-"))
	m, known := d.members[key]
	if !known || m.away {
		return nil, &CallProblem{Reason: tmcv1alpha1.ReasonMemberUnreachable, Message: "the member cannot be reached"}
	}
	if m.refuse != nil {
		if err := m.refuse(verb, at); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func notFound() error {
	return &CallProblem{Reason: tmcv1alpha1.ReasonApplyFailed, Message: "it is not there", NotFound: true}
}

func (d downstream) store(m *member, at Location, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if object.GetName() != at.Name || object.GetNamespace() != at.Namespace {
		d.t.Errorf("%s is written to %v", object.GetName(), at)
	}
	if at.Namespace != "" {
		home, there := m.truth[Location{Resource: namespaces(), Name: at.Namespace}]
		if !there || home.GetDeletionTimestamp() != nil {
			return nil, notFound()
		}
	}
	d.version++
	live := object.DeepCopy()
	if before, there := m.truth[at]; there {
		live.SetUID(before.GetUID())
		live.SetGeneration(before.GetGeneration() + 1)
		if status, has := before.Object["status"]; has {
			live.Object["status"] = runtime.DeepCopyJSONValue(status)
		}
	} else {
		live.SetUID(types.UID(fmt.Sprint("down-", d.version)))
		live.SetGeneration(1)
	}
	live.SetResourceVersion(fmt.Sprint(d.version))
	if m.admission != nil {
		m.admission(live)
	}
	m.truth[at] = live
	return live.DeepCopy(), nil
}

func (d downstream) Apply(_ context.Context, key workspace.Key, at Location, object *unstructured.Unstructured, force bool) (*unstructured.Unstructured, error) {
	verb := "apply"
	if force {
		verb = "force"
	}
	m, err := d.call(key, verb, at)
	if err != nil {
		return nil, err
	}
	return d.store(m, at, object)
}

func (d downstream) Get(_ context.Context, key workspace.Key, at Location) (*unstructured.Unstructured, error) {
	m, err := d.call(key, "get", at)
	if err != nil {
		return nil, err
	}
	if found, there := m.truth[at]; there {
		return found.DeepCopy(), nil
	}
	return nil, notFound()
}

func (d downstream) Create(_ context.Context, key workspace.Key, at Location, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	m, err := d.call(key, "create", at)
	if err != nil {
		return nil, err
	}
	if _, there := m.truth[at]; there {
		return nil, &CallProblem{Reason: tmcv1alpha1.ReasonCollision, Message: "it is there already", Exists: true}
	}
	return d.store(m, at, object)
}

func (d downstream) Delete(_ context.Context, key workspace.Key, at Location, uid types.UID) error {
	m, err := d.call(key, "delete", at)
	if err != nil {
		return err
	}
	found, there := m.truth[at]
	if !there {
		return notFound()
	}
	if found.GetUID() != uid {
		return &CallProblem{Reason: tmcv1alpha1.ReasonCollision, Message: "it is another one by now", Exists: true}
	}
	delete(m.truth, at)
	if at.Resource == namespaces() {
		maps.DeleteFunc(m.truth, func(inside Location, _ *unstructured.Unstructured) bool { return inside.Namespace == at.Name })
	}
	return nil
}

// deletes are the deletions among writes.
func deletes(writes []string) []string {
	var out []string
	for _, write := range writes {
		if strings.Contains(write, " delete ") {
			out = append(out, write)
		}
	}
	return out
}
