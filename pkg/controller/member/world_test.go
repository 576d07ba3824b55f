// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

const planted = "planted-bearer-token-of-a-member"

// world plays kcp and the fleet.
type world struct {
	registrations map[workspace.Key]*tmcv1alpha1.ClusterRegistration
	secrets       map[workspace.Key]*corev1.Secret
	connections   map[workspace.Key]memberconfig.Connection
	states        map[workspace.Key]view.Observation
	patches       []string
	patchErr      error
	follower      bool
	changes       map[workspace.Key]int
	version       int
	applyPatches  bool
	unread        bool   // the Secrets
	refusedBy     string // the claim on Secrets
}

func (w *world) Find(key workspace.Key) (*tmcv1alpha1.ClusterRegistration, bool) {
	found, ok := w.registrations[key]
	return found, ok
}

func (w *world) List() []*tmcv1alpha1.ClusterRegistration {
	var out []*tmcv1alpha1.ClusterRegistration
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
			Status tmcv1alpha1.ClusterRegistrationStatus
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

func (s secretsOf) Read(logicalcluster.Name) bool { return !s.unread }

func (s secretsOf) Refused(logicalcluster.Name) (string, bool) { return s.refusedBy, s.refusedBy != "" }

func newWorld() (*world, *Controller, *testingclock.FakeClock) {
	w := &world{
		registrations: map[workspace.Key]*tmcv1alpha1.ClusterRegistration{}, secrets: map[workspace.Key]*corev1.Secret{},
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
	w.registrations[key] = &tmcv1alpha1.ClusterRegistration{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(fmt.Sprint("uid-", w.version)), Generation: 1, ResourceVersion: fmt.Sprint(w.version),
			Annotations:       map[string]string{logicalcluster.AnnotationKey: ws},
			CreationTimestamp: metav1.NewTime(time.Date(2025, 1, 1, 0, w.version, 0, 0, time.UTC)),
		},
		Spec: tmcv1alpha1.ClusterRegistrationSpec{KubeconfigSecretRef: &tmcv1alpha1.KubeconfigSecretReference{
			SecretReference: tmcv1alpha1.SecretReference{Namespace: "default", Name: name},
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
		{Type: tmcv1alpha1.ConditionReachable, Status: metav1.ConditionTrue, Reason: tmcv1alpha1.ReasonReachable},
		{Type: tmcv1alpha1.ConditionCredentialsValid, Status: metav1.ConditionTrue, Reason: tmcv1alpha1.ReasonCredentialsValid},
		{Type: tmcv1alpha1.ConditionCapacityKnown, Status: metav1.ConditionTrue, Reason: tmcv1alpha1.ReasonCapacityKnown},
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
