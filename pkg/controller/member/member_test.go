// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/kcp-dev/logicalcluster/v3"

	"github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

const planted = "planted-bearer-token-of-a-member"

// world plays kcp and the fleet.
type world struct {
	mu            sync.Mutex
	registrations map[workspace.Key]*v1alpha1.ClusterRegistration
	secrets       map[workspace.Key]*corev1.Secret
	connections   map[workspace.Key]memberconfig.Connection
	states        map[workspace.Key]view.Observation
	patches       []string
	patchErr      error
	follower      bool
	changes       map[workspace.Key]int
	version       int
	applyPatches  bool
}

func (w *world) Find(key workspace.Key) (*v1alpha1.ClusterRegistration, bool) {
	found, ok := w.registrations[key]
	return found, ok
}

func (w *world) ByWorkspace(ws logicalcluster.Name) []*v1alpha1.ClusterRegistration {
	return slices.DeleteFunc(w.List(), func(r *v1alpha1.ClusterRegistration) bool { return logicalcluster.From(r) != ws })
}

func (w *world) List() []*v1alpha1.ClusterRegistration {
	var out []*v1alpha1.ClusterRegistration
	for _, registration := range w.registrations {
		out = append(out, registration)
	}
	return out
}

func (w *world) IsLeader() bool { return !w.follower }

func (w *world) PatchStatus(_ context.Context, key workspace.Key, patch []byte) error {
	if w.patchErr != nil {
		return w.patchErr
	}
	w.patches = append(w.patches, string(patch))
	if w.applyPatches {
		var body struct {
			Status v1alpha1.ClusterRegistrationStatus
		}
		if err := json.Unmarshal(patch, &body); err != nil {
			return err
		}
		changed := w.registrations[key].DeepCopy()
		changed.Status = body.Status
		w.version++
		changed.ResourceVersion = fmt.Sprint(w.version)
		w.registrations[key] = changed
	}
	return nil
}

func (w *world) Ensure(key workspace.Key, connection memberconfig.Connection) {
	w.connections[key] = connection
	if _, running := w.states[key]; !running {
		w.states[key] = view.Observation{}
	}
}

func (w *world) Remove(key workspace.Key) {
	delete(w.connections, key)
	delete(w.states, key)
}

func (w *world) State(key workspace.Key) (view.Observation, bool) {
	state, running := w.states[key]
	return state, running
}

type secretsOf struct{ *world }

func (s secretsOf) Find(key workspace.Key) (*corev1.Secret, bool) {
	found, ok := s.secrets[key]
	return found, ok
}

func newWorld() (*world, *Controller, *testingclock.FakeClock) {
	w := &world{
		registrations: map[workspace.Key]*v1alpha1.ClusterRegistration{}, secrets: map[workspace.Key]*corev1.Secret{},
		connections: map[workspace.Key]memberconfig.Connection{}, states: map[workspace.Key]view.Observation{},
		changes: map[workspace.Key]int{}, applyPatches: true,
	}
	clock := testingclock.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 12345, time.UTC))
	c := New(Config{
		Registrations: w, Secrets: secretsOf{w}, Fleet: w, Leader: w, Status: w, Clock: clock,
		OnChange: func(key workspace.Key) { w.changes[key]++ },
	})
	return w, c, clock
}

// register adds a registration with a well-formed Secret. Later ones are younger.
func (w *world) register(ws, name string) workspace.Key {
	key := workspace.Key{Workspace: logicalcluster.Name(ws), Name: name}
	w.version++
	w.registrations[key] = &v1alpha1.ClusterRegistration{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(fmt.Sprint("uid-", w.version)), Generation: 1, ResourceVersion: fmt.Sprint(w.version),
			Annotations:       map[string]string{logicalcluster.AnnotationKey: ws},
			CreationTimestamp: metav1.NewTime(time.Date(2025, 1, 1, 0, w.version, 0, 0, time.UTC)),
		},
		Spec: v1alpha1.ClusterRegistrationSpec{KubeconfigSecretRef: &v1alpha1.KubeconfigSecretReference{
			SecretReference: v1alpha1.SecretReference{Namespace: "default", Name: name},
		}},
	}
	w.secret(key, kubeconfig(name, "token: "+planted))
	return key
}

func (w *world) secret(key workspace.Key, content string) {
	w.version++
	w.secrets[workspace.Key{Workspace: key.Workspace, Namespace: "default", Name: key.Name}] = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{UID: "s", ResourceVersion: fmt.Sprint(w.version)},
		Data:       map[string][]byte{"kubeconfig": []byte(content)},
	}
}

// answer makes the fleet see a member.
func (w *world) answer(key workspace.Key, uid types.UID, root byte) {
	state := w.states[key]
	state.ClusterUID, state.VerifiedRoot = uid, [32]byte{root}
	state.Generation++
	state.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionReachable, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReachable},
		{Type: v1alpha1.ConditionCredentialsValid, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCredentialsValid},
		{Type: v1alpha1.ConditionCapacityKnown, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCapacityKnown},
	}
	state.CapacityCounted = true
	w.states[key] = state
}

func reconcile(t *testing.T, c *Controller, key workspace.Key) engine.Result {
	t.Helper()
	result, err := c.Reconcile(t.Context(), key)
	if err != nil {
		t.Fatalf("reconciling %s: %v", key, err)
	}
	return result
}

func (w *world) want(t *testing.T, key workspace.Key, conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
	t.Helper()
	found := meta.FindStatusCondition(w.registrations[key].Status.Conditions, conditionType)
	if found == nil {
		t.Fatalf("%s has no condition %s", key, conditionType)
	}
	if found.Status != status || found.Reason != reason {
		t.Errorf("%s: condition %s is %s/%s (%s), want %s/%s", key, conditionType, found.Status, found.Reason, found.Message, status, reason)
	}
	return *found
}

func TestMemberBecomesReady(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	east := w.register("one", "east")
	reconcile(t, c, east)
	w.want(t, east, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	w.want(t, east, v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonPending)
	if w.connections[east].Server != "https://east.example:6443" {
		t.Fatalf("the fleet calls %q", w.connections[east].Server)
	}
	clock.Step(time.Minute)
	w.answer(east, "cluster", 1)
	reconcile(t, c, east)
	ready := w.want(t, east, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if !ready.LastTransitionTime.Time.Equal(clock.Now().Truncate(time.Second)) || ready.ObservedGeneration != 1 {
		t.Errorf("unexpected condition: %+v", ready)
	}
	observation, _ := c.Observation(east)
	if len(observation.Conditions) != 5 || !observation.CapacityCounted {
		t.Errorf("unexpected observation: %+v", observation)
	}
	before := len(w.patches)
	for range 10 {
		clock.Step(time.Minute)
		reconcile(t, c, east)
	}
	if len(w.patches) != before {
		t.Errorf("%d statuses were written although nothing changed", len(w.patches)-before)
	}
}

func TestRestartWritesNothing(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	east := w.register("one", "east")
	reconcile(t, c, east)
	w.answer(east, "cluster", 1)
	reconcile(t, c, east)
	before := len(w.patches)
	restarted := New(Config{Registrations: w, Secrets: secretsOf{w}, Fleet: w, Leader: w, Status: w, Clock: clock})
	clock.Step(time.Hour)
	reconcile(t, restarted, east)
	if len(w.patches) != before {
		t.Errorf("a restart wrote %v", w.patches[before:])
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil     func(w *world, key workspace.Key)
		condition string
		reason    string
	}{
		"no Secret":  {func(w *world, _ workspace.Key) { clear(w.secrets) }, v1alpha1.ConditionCredentialsValid, v1alpha1.ReasonSecretNotFound},
		"empty key":  {func(w *world, k workspace.Key) { w.secret(k, "") }, v1alpha1.ConditionCredentialsValid, v1alpha1.ReasonSecretKeyMissing},
		"no YAML":    {func(w *world, k workspace.Key) { w.secret(k, "{"+planted) }, v1alpha1.ConditionCredentialsValid, v1alpha1.ReasonInvalidKubeconfig},
		"exec":       {func(w *world, k workspace.Key) { w.secret(k, kubeconfig("x", "exec: {command: "+planted+"}")) }, v1alpha1.ConditionCredentialsValid, v1alpha1.ReasonForbiddenField},
		"both forms": {func(w *world, k workspace.Key) { w.registrations[k].Spec.Endpoint = &v1alpha1.ClusterEndpoint{} }, v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidSpec},
		"neither":    {func(w *world, k workspace.Key) { w.registrations[k].Spec = v1alpha1.ClusterRegistrationSpec{} }, v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidSpec},
		"http endpoint": {func(w *world, k workspace.Key) {
			w.registrations[k].Spec = v1alpha1.ClusterRegistrationSpec{Endpoint: &v1alpha1.ClusterEndpoint{
				Server: "http://x", CredentialsSecretRef: v1alpha1.SecretReference{Namespace: "default", Name: k.Name},
			}}
		}, v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidSpec},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c, _ := newWorld()
			key := w.register("one", "east")
			reconcile(t, c, key) // was observed before it was spoiled
			w.answer(key, "cluster", 1)
			tc.spoil(w, key)
			w.registrations[key].Generation++
			reconcile(t, c, key)
			w.want(t, key, tc.condition, metav1.ConditionFalse, tc.reason)
			w.want(t, key, v1alpha1.ConditionReady, metav1.ConditionFalse, tc.reason)
			w.want(t, key, v1alpha1.ConditionReachable, metav1.ConditionUnknown, v1alpha1.ReasonNotTried)
			if _, running := w.connections[key]; running {
				t.Error("the member is still called")
			}
			if observation, _ := c.Observation(key); !observation.CapacityCounted ||
				meta.FindStatusCondition(observation.Conditions, v1alpha1.ConditionCapacityKnown).Reason != v1alpha1.ReasonStale {
				t.Errorf("the last figures are not kept as stale: %+v", observation)
			}
			if strings.Contains(strings.Join(w.patches, ""), planted) {
				t.Error("SEC-21: a credential is in a status")
			}
		})
	}
}

func TestAddressPolicyRefuses(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	c.config.Check = func(memberconfig.Connection) *memberconfig.Problem {
		return &memberconfig.Problem{Condition: v1alpha1.ConditionAccepted, Reason: v1alpha1.ReasonAddressNotAllowed}
	}
	reconcile(t, c, key)
	w.want(t, key, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonAddressNotAllowed)
	if len(w.connections) != 0 {
		t.Error("the member is called")
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		workspace string
		root      byte
		refused   bool
	}{
		"same workspace, other root":    {"one", 2, true},
		"other workspace, same root":    {"secret-tenant", 1, true},
		"other workspace, other root":   {"secret-tenant", 2, false},
		"other workspace, unknown root": {"secret-tenant", 0, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c, _ := newWorld()
			older, younger := w.register(tc.workspace, "first"), w.register("one", "second")
			reconcile(t, c, younger)
			w.answer(younger, "cluster", 1)
			reconcile(t, c, younger)
			reconcile(t, c, older) // the younger one was there first
			w.answer(older, "cluster", tc.root)
			reconcile(t, c, older)
			reconcile(t, c, younger)
			w.want(t, older, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			if !tc.refused {
				w.want(t, younger, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
				return
			}
			accepted := w.want(t, younger, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonDuplicateMember)
			if strings.Contains(accepted.Message, "secret-tenant") || (tc.workspace != "one" && strings.Contains(accepted.Message, "first")) {
				t.Errorf("the message tells too much: %s", accepted.Message)
			}
			if _, running := w.connections[younger]; running {
				t.Error("the refused member is still called")
			}
			delete(w.registrations, older)
			reconcile(t, c, older)
			if c.engine.Len() == 0 {
				t.Error("the refused registration is not looked at again")
			}
			reconcile(t, c, younger)
			w.want(t, younger, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			if _, running := w.connections[younger]; !running {
				t.Error("the member is not called")
			}
		})
	}
}

func TestRefusedDuplicateThatLeadsElsewhereIsTriedAgain(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	first, second := w.register("one", "first"), w.register("one", "second")
	for _, key := range []workspace.Key{first, second} {
		reconcile(t, c, key)
		w.answer(key, "cluster", 1)
		reconcile(t, c, key)
	}
	w.want(t, second, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonDuplicateMember)
	w.secret(second, kubeconfig("elsewhere", "token: other"))
	reconcile(t, c, second)
	w.want(t, second, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if w.connections[second].Server != "https://elsewhere.example:6443" {
		t.Errorf("the fleet calls %q", w.connections[second].Server)
	}
}

func TestOnlyTheLeaderWrites(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	w.follower = true
	reconcile(t, c, key)
	if len(w.patches) != 0 || w.connections[key].Server == "" {
		t.Errorf("a follower wrote %v, or does not observe", w.patches)
	}
	w.follower = false
	c.EnqueueAll()
	if c.engine.Len() != 1 {
		t.Errorf("%d registrations wait, want 1", c.engine.Len())
	}
	reconcile(t, c, key)
	if len(w.patches) != 1 {
		t.Errorf("got %d patches, want 1", len(w.patches))
	}
}

func TestWritesAreNotRepeatedUntilTheIndexCatchesUp(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	w.applyPatches = false
	key := w.register("one", "east")
	reconcile(t, c, key)
	reconcile(t, c, key)
	if len(w.patches) != 1 {
		t.Errorf("got %d patches, want 1", len(w.patches))
	}
	if !strings.Contains(w.patches[0], string(w.registrations[key].UID)) {
		t.Error("the patch does not carry the UID")
	}
}

func TestTextAloneIsWrittenSeldom(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	key := w.register("one", "east")
	reconcile(t, c, key)
	for i := range 10 {
		state := w.states[key]
		state.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionReachable, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonDialFailed, Message: fmt.Sprint("port ", i),
		}}
		w.states[key] = state
		if result := reconcile(t, c, key); i > 0 && result.After <= 0 {
			t.Error("the text is never written")
		}
	}
	if len(w.patches) != 2 {
		t.Errorf("got %d patches, want 2", len(w.patches))
	}
	clock.Step(messageInterval)
	reconcile(t, c, key)
	if len(w.patches) != 3 {
		t.Errorf("got %d patches, want 3", len(w.patches))
	}
}

func TestErrorsOfWriting(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	w.patchErr = errors.New("kcp is away")
	if _, err := c.Reconcile(t.Context(), key); !errors.Is(err, w.patchErr) {
		t.Errorf("got error %v", err)
	}
	w.patchErr = fmt.Errorf("patching: %w", notFound())
	if _, err := c.Reconcile(t.Context(), key); err != nil {
		t.Errorf("got error %v for a registration that is gone", err)
	}
}

func TestSecretsLeadToTheirRegistrations(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	w.register("two", "east")
	c.EnqueueSecret(workspace.Key{Workspace: "one", Namespace: "default", Name: "other"})
	if c.engine.Len() != 0 {
		t.Error("a Secret that nobody names leads somewhere")
	}
	c.EnqueueSecret(workspace.Key{Workspace: "one", Namespace: "default", Name: key.Name})
	if c.engine.Len() != 1 {
		t.Errorf("%d registrations wait, want 1", c.engine.Len())
	}
}

func TestRegistrationMadeAnewStartsAnew(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	reconcile(t, c, key)
	w.answer(key, "cluster", 1)
	reconcile(t, c, key)
	w.register("one", "east")
	reconcile(t, c, key)
	if observation, _ := c.Observation(key); observation.CapacityCounted {
		t.Error("the old member's figures are shown for the new one")
	}
	delete(w.registrations, key)
	reconcile(t, c, key)
	if _, found := c.Observation(key); found || len(c.members) != 0 || len(c.byUID) != 0 || len(w.connections) != 0 {
		t.Error("the member is not forgotten")
	}
	if w.changes[key] == 0 {
		t.Error("nobody was told")
	}
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	_, c, _ := newWorld()
	ctx, cancel := context.WithCancel(t.Context())
	c.Enqueue(workspace.Key{Workspace: "one", Name: "nothing"})
	cancel()
	c.Run(ctx)
}
