// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

var (
	deploymentsGR = schema.GroupResource{Group: "apps", Resource: "deployments"}
	configmapsGR  = schema.GroupResource{Resource: "configmaps"}
)

// world plays kcp, the members, the sync controller and the time. It is safe for concurrent use.
type world struct {
	t     testing.TB
	clock *testingclock.FakeClock
	c     *Controller

	mu            sync.Mutex
	version       int
	placements    map[workspace.Key]*tmcv1alpha1.Placement
	registrations map[workspace.Key]*tmcv1alpha1.ClusterRegistration
	observations  map[workspace.Key]view.Observation
	entries       map[workspace.Key][]view.Entry
	objects       map[schema.GroupResource]map[workspace.Key]*unstructured.Unstructured
	missing       map[workspace.Key]map[schema.GroupResource]string
	unknown       map[workspace.Key]sets.Set[schema.GroupResource]
	made          map[workspace.Key]int32 // by workload, on every member
	progress      map[workspace.Key]Progress
	doubt         bool
	follower      bool
	lagging       bool // patches are not read back
	patches       []string
	patchErr      error
	decisions     map[workspace.Key]int
	explanations  map[workspace.Key]int
	promises      map[workspace.Key]int
	pending       []workspace.Key
	end           func()
}

func newWorld(t testing.TB, clock clock.WithTicker) *world {
	t.Helper()
	w := &world{
		t: t, placements: map[workspace.Key]*tmcv1alpha1.Placement{}, registrations: map[workspace.Key]*tmcv1alpha1.ClusterRegistration{},
		observations: map[workspace.Key]view.Observation{}, entries: map[workspace.Key][]view.Entry{},
		objects: map[schema.GroupResource]map[workspace.Key]*unstructured.Unstructured{deploymentsGR: {}, configmapsGR: {}},
		missing: map[workspace.Key]map[schema.GroupResource]string{}, unknown: map[workspace.Key]sets.Set[schema.GroupResource]{}, made: map[workspace.Key]int32{}, progress: map[workspace.Key]Progress{},
		decisions: map[workspace.Key]int{}, explanations: map[workspace.Key]int{}, promises: map[workspace.Key]int{},
	}
	w.clock, _ = clock.(*testingclock.FakeClock)
	w.c = New(Config{
		Placements: placements{w}, Registrations: registrations{w}, Members: w, Lending: w, Workloads: w, Copies: copies{w}, Leader: w, Status: w,
		Certain:       func(logicalcluster.Name) bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.doubt },
		TrustsLender:  func(ws logicalcluster.Name) bool { return ws == "platform" },
		OnDecision:    func(key workspace.Key) { w.mu.Lock(); defer w.mu.Unlock(); w.decisions[key]++ },
		OnExplanation: func(key workspace.Key) { w.mu.Lock(); defer w.mu.Unlock(); w.explanations[key]++ },
		OnPromise:     func(key workspace.Key) { w.mu.Lock(); defer w.mu.Unlock(); w.promises[key]++ },
		Clock:         clock,
	})
	return w
}

// stepped is a world whose queue the test works off.
func stepped(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, testingclock.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
	w.c.engine = w.newEngine()
	return w
}

func (w *world) newEngine() *engine.Engine[workspace.Key] {
	return engine.New(engine.Config[workspace.Key]{Name: "test", Workers: 1, Clock: w.clock, Reconcile: func(_ context.Context, key workspace.Key) (engine.Result, error) {
		if key == (workspace.Key{}) {
			w.end()
			return engine.Result{}, nil
		}
		w.pending = append(w.pending, key)
		return engine.Result{}, nil
	}})
}

// queued empties the queue and returns the names of what was in it.
func (w *world) queued() []string {
	names := []string{}
	for _, key := range w.take() {
		names = append(names, key.Name)
	}
	slices.Sort(names)
	return names
}

func (w *world) take() []workspace.Key {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.end, w.pending = cancel, nil
	w.c.engine.Add(workspace.Key{}) // the last one
	w.c.engine.Run(ctx)
	w.c.engine = w.newEngine()
	return w.pending
}

// awaitQueued lets time pass until something is queued.
func (w *world) awaitQueued() {
	w.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for w.c.engine.Len() == 0 {
		select {
		case <-ticker.C:
			w.clock.Step(DefaultSettleInterval)
		case <-deadline:
			w.t.Fatal("nothing is ever looked at")
		}
	}
}

// settle works until the queue is empty.
func (w *world) settle() {
	w.t.Helper()
	for range 100 {
		keys := w.take()
		if len(keys) == 0 {
			return
		}
		for _, key := range keys {
			w.reconcile(key)
		}
	}
	w.t.Fatal("it does not settle")
}

func (w *world) reconcile(key workspace.Key) engine.Result {
	w.t.Helper()
	result, err := w.c.Reconcile(w.t.Context(), key)
	if err != nil {
		w.t.Fatalf("reconciling %s: %v", key, err)
	}
	return result
}

// key is that of something of the namespace shop, or, written like ns/name, of another one.
func key(name string) workspace.Key {
	namespace, rest, found := strings.Cut(name, "/")
	if !found {
		namespace, rest = "shop", name
	}
	return workspace.Key{Workspace: "acme", Namespace: namespace, Name: rest}
}

func registration(name string) workspace.Key { return workspace.Key{Workspace: "acme", Name: name} }

// place makes a Placement; later ones are younger.
func (w *world) place(name string, edit func(*tmcv1alpha1.Placement)) workspace.Key {
	w.mu.Lock()
	w.version++
	at := key(name)
	p := &tmcv1alpha1.Placement{ObjectMeta: metav1.ObjectMeta{
		Name: at.Name, Namespace: at.Namespace, UID: types.UID(fmt.Sprint("uid-", w.version)), ResourceVersion: fmt.Sprint(w.version), Generation: 1,
		Annotations:       map[string]string{logicalcluster.AnnotationKey: "acme"},
		CreationTimestamp: metav1.NewTime(time.Date(2025, 1, 1, 0, 0, w.version, 0, time.UTC)),
	}}
	if edit != nil {
		edit(p)
	}
	w.placements[at] = p
	w.mu.Unlock()
	w.c.Enqueue(at)
	return at
}

func (w *world) edit(at workspace.Key, edit func(*tmcv1alpha1.Placement)) {
	w.change(at, func(p *tmcv1alpha1.Placement) { edit(p); p.Generation++ })
}

// change changes what is no part of the spec.
func (w *world) change(at workspace.Key, edit func(*tmcv1alpha1.Placement)) {
	w.mu.Lock()
	w.version++
	changed := w.placements[at].DeepCopy()
	edit(changed)
	changed.ResourceVersion = fmt.Sprint(w.version)
	w.placements[at] = changed
	w.mu.Unlock()
	w.c.Enqueue(at)
}

func (w *world) unplace(at workspace.Key) {
	w.mu.Lock()
	delete(w.placements, at)
	w.mu.Unlock()
	w.c.Enqueue(at)
}

func list(cpu string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("1000Gi"), corev1.ResourcePods: resource.MustParse("10000")}
}

// join registers a member with so much cpu, which the workspace sees by the same name.
func (w *world) join(name, cpu string) workspace.Key {
	at := registration(name)
	w.mu.Lock()
	w.registrations[at] = &tmcv1alpha1.ClusterRegistration{ObjectMeta: metav1.ObjectMeta{
		Name: name, Generation: 1, Labels: map[string]string{"name": name}, Annotations: map[string]string{logicalcluster.AnnotationKey: "acme"},
	}}
	w.entries[at] = []view.Entry{{Key: at}}
	w.mu.Unlock()
	w.observe(at, cpu, metav1.ConditionTrue)
	w.c.SetEntries(at)
	return at
}

// observe tells how much cpu a member has, and whether it answers.
func (w *world) observe(at workspace.Key, cpu string, reachable metav1.ConditionStatus) {
	w.mu.Lock()
	observed := w.observations[at]
	observed.Conditions = nil
	for _, name := range []string{tmcv1alpha1.ConditionAccepted, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ConditionReachable, tmcv1alpha1.ConditionCapacityKnown} {
		condition := metav1.Condition{Type: name, Status: metav1.ConditionTrue, Reason: name}
		if name == tmcv1alpha1.ConditionReachable {
			condition.Status = reachable
		}
		observed.Conditions = append(observed.Conditions, condition)
	}
	if cpu != "" {
		observed.CapacityCounted = true
		observed.Capacity.Allocatable = list(cpu)
		observed.Capacity.LargestFree = []tmcv1alpha1.FreeSlot{{Resource: corev1.ResourceCPU, Free: list(cpu)}}
	}
	observed.Generation++
	w.observations[at] = observed
	w.mu.Unlock()
	w.c.MemberChanged(at)
}

func (w *world) register(at workspace.Key, edit func(*tmcv1alpha1.ClusterRegistration)) {
	w.mu.Lock()
	changed := w.registrations[at].DeepCopy()
	edit(changed)
	w.registrations[at] = changed
	w.mu.Unlock()
	w.c.MemberChanged(at)
	w.c.SetEntries(at)
}

func (w *world) leave(at workspace.Key) {
	w.mu.Lock()
	delete(w.registrations, at)
	delete(w.entries, at)
	delete(w.observations, at)
	w.mu.Unlock()
	w.c.MemberChanged(at)
	w.c.SetEntries(at)
}

// deploy makes a Deployment whose pods request so much cpu.
func (w *world) deploy(name string, replicas int64, cpu string) {
	at := key(name)
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{
			"name": at.Name, "namespace": at.Namespace, "uid": "u-" + name, "labels": map[string]any{"app": at.Name}, "annotations": map[string]any{logicalcluster.AnnotationKey: "acme"},
		},
		"spec": map[string]any{"replicas": replicas, "template": map[string]any{"spec": map[string]any{"containers": []any{
			map[string]any{"name": "c", "resources": map[string]any{"requests": map[string]any{"cpu": cpu}}},
		}}}},
	}}
	w.put(deploymentsGR, object)
}

func (w *world) put(gr schema.GroupResource, object *unstructured.Unstructured) {
	at := keyOf(object)
	w.mu.Lock()
	w.objects[gr][at] = object
	w.mu.Unlock()
	w.c.EnqueueObject(at.Workspace, at.Namespace)
}

func selecting(name string) func(*tmcv1alpha1.Placement) {
	return func(p *tmcv1alpha1.Placement) {
		p.Spec.ResourceSelectors = []tmcv1alpha1.ResourceSelector{{Kind: "Deployment", Name: name}}
		p.Spec.NumberOfClusters = new(int32(1))
	}
}

// chosen are the decisions of a Placement as they are stored; what is left is in parentheses.
func (w *world) chosen(at workspace.Key) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, decision := range w.placements[at].Status.Decisions {
		name := decision.ClusterName
		if decision.Phase == tmcv1alpha1.DecisionLeaving {
			name = "(" + name + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// condition is like "True Scheduled".
func (w *world) condition(at workspace.Key, name string) string {
	found := meta.FindStatusCondition(w.placements[at].Status.Conditions, name)
	if found == nil {
		return "none"
	}
	return string(found.Status) + " " + found.Reason
}

func (w *world) tookPatches() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := len(w.patches)
	w.patches = nil
	return taken
}

type placements struct{ *world }

func (p placements) Find(at workspace.Key) (*tmcv1alpha1.Placement, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.placements[at]
	return found, ok
}

func (p placements) List() []*tmcv1alpha1.Placement {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.placements))
}

func (p placements) InNamespace(ws logicalcluster.Name, namespace string) []*tmcv1alpha1.Placement {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []*tmcv1alpha1.Placement
	for at, placement := range p.placements {
		if at.Workspace == ws && at.Namespace == namespace {
			found = append(found, placement)
		}
	}
	return found
}

type registrations struct{ *world }

func (r registrations) Find(at workspace.Key) (*tmcv1alpha1.ClusterRegistration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.registrations[at]
	return found, ok
}

func (w *world) Observation(at workspace.Key) (view.Observation, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, ok := w.observations[at]
	return found, ok
}

func (w *world) Entries(at workspace.Key) []view.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entries[at]
}

func (w *world) Kinds() []schema.GroupResource {
	return []schema.GroupResource{configmapsGR, deploymentsGR}
}

func (w *world) KindName(gr schema.GroupResource) string {
	return map[schema.GroupResource]string{configmapsGR: "ConfigMap", deploymentsGR: "Deployment"}[gr]
}

func (w *world) InNamespace(gr schema.GroupResource, ws logicalcluster.Name, namespace string) []*unstructured.Unstructured {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*unstructured.Unstructured
	for at, object := range w.objects[gr] {
		if at.Workspace == ws && at.Namespace == namespace {
			out = append(out, object)
		}
	}
	slices.SortFunc(out, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out
}

type copies struct{ *world }

func (c copies) APIs(at workspace.Key) APIs {
	c.mu.Lock()
	defer c.mu.Unlock()
	return APIs{Missing: c.missing[at], Unknown: c.unknown[at]}
}

func (c copies) Replicas(_ workspace.Key, _ schema.GroupResource, workload workspace.Key) (int32, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.made[workload]
	return found, ok
}

func (c copies) Progress(at workspace.Key) Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress[at]
}

func (w *world) IsLeader() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.follower
}

func (w *world) PatchStatus(_ context.Context, at workspace.Key, patch []byte) error {
	w.mu.Lock()
	w.patches = append(w.patches, string(patch))
	if w.patchErr != nil {
		defer w.mu.Unlock()
		return w.patchErr
	}
	var body struct {
		Metadata struct{ UID types.UID }
		Status   tmcv1alpha1.PlacementOutcome
	}
	if err := json.Unmarshal(patch, &body); err != nil {
		defer w.mu.Unlock()
		return err
	}
	if found := w.placements[at]; found.UID != body.Metadata.UID {
		w.t.Errorf("the patch of %s is for %s", at, body.Metadata.UID)
	}
	if w.lagging {
		defer w.mu.Unlock()
		return nil
	}
	w.version++
	changed := w.placements[at].DeepCopy()
	changed.Status = body.Status
	changed.ResourceVersion = fmt.Sprint(w.version)
	w.placements[at] = changed
	w.mu.Unlock()
	w.c.Enqueue(at)
	return nil
}
