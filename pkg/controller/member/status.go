// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// messageInterval is how often a status is written at most when nothing but the text of a message differs.
const messageInterval = 30 * time.Second

// seededFor is how long a status that an earlier leader wrote may stand before the member has been judged.
const seededFor = time.Minute

// written is the last status that was written, and on top of which version. Until that write comes back through the
// index the stored status is older than what was written.
type written struct {
	version    string
	conditions []metav1.Condition
	at         time.Time
}

// seed takes over the conditions that an earlier leader wrote, for their times of transition.
func seed(registration *tmcv1alpha1.ClusterRegistration) []metav1.Condition {
	var out []metav1.Condition
	for _, conditionType := range conditionTypes() {
		if found := meta.FindStatusCondition(registration.Status.Conditions, conditionType); found != nil {
			out = append(out, *found)
		}
	}
	return out
}

// rank keeps conditions in one order, or every restart would write them anew.
func rank(condition metav1.Condition) int { return slices.Index(conditionTypes(), condition.Type) }

func conditionTypes() []string {
	return []string{
		tmcv1alpha1.ConditionReady, tmcv1alpha1.ConditionAccepted, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ConditionReachable,
	}
}

// report computes the conditions and the observation, and says whether others would see a difference.
func (c *Controller) report(m *member, key workspace.Key, registration *tmcv1alpha1.ClusterRegistration, problem *memberconfig.Problem) bool {
	state, running := c.config.Fleet.State(key)
	verdicts := c.verdicts(key, state.Conditions, problem)
	now := metav1.NewTime(c.config.Clock.Now()).Rfc3339Copy() // what is stored has whole seconds
	conditions := slices.Clone(m.conditions)
	for _, verdict := range append(verdicts, summary(verdicts)) {
		verdict.LastTransitionTime, verdict.ObservedGeneration = now, registration.Generation
		meta.SetStatusCondition(&conditions, verdict)
	}
	slices.SortFunc(conditions, func(a, b metav1.Condition) int { return rank(a) - rank(b) })
	sameConditions := equality.Semantic.DeepEqual(m.conditions, conditions)
	m.conditions = conditions

	c.mu.Lock()
	defer c.mu.Unlock()
	before := m.observation
	if running {
		m.observation = state
	}
	m.observation.Conditions = withCapacity(conditions, &m.observation, running, now)
	sameConditions = sameConditions && equality.Semantic.DeepEqual(before.Conditions, m.observation.Conditions) // the first ones may be those of before
	return !sameConditions || before.Generation != m.observation.Generation || before.ConfirmedAt != m.observation.ConfirmedAt
}

// withCapacity adds what is known about the figures to the conditions. Figures of a member that is not observed are
// the last known ones.
func withCapacity(conditions []metav1.Condition, observed *view.Observation, running bool, now metav1.Time) []metav1.Condition {
	out := slices.Clone(conditions)
	counted := meta.FindStatusCondition(observed.Conditions, tmcv1alpha1.ConditionCapacityKnown)
	switch {
	case counted == nil || (!running && !observed.CapacityCounted):
		return out
	case !running && counted.Reason != tmcv1alpha1.ReasonStale:
		return append(out, metav1.Condition{
			Type: tmcv1alpha1.ConditionCapacityKnown, Status: metav1.ConditionFalse, Reason: tmcv1alpha1.ReasonStale, LastTransitionTime: now,
		})
	default:
		return append(out, *counted)
	}
}

// verdicts returns Accepted, CredentialsValid and Reachable.
func (c *Controller) verdicts(key workspace.Key, observed []metav1.Condition, problem *memberconfig.Problem) []metav1.Condition {
	accepted := metav1.Condition{
		Type: tmcv1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: tmcv1alpha1.ReasonAccepted,
		Message: "Nothing speaks against the registration",
	}
	credentials := pending(tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonPending, "The credentials have not been tried yet")
	reachable := pending(tmcv1alpha1.ConditionReachable, tmcv1alpha1.ReasonPending, "The member has not been called yet")
	if problem == nil {
		problem = c.duplicate(key)
	}
	if problem != nil && problem.Reason == tmcv1alpha1.ReasonPending {
		credentials.Message = problem.Message
		problem = nil
	}
	if problem != nil {
		reachable = pending(tmcv1alpha1.ConditionReachable, tmcv1alpha1.ReasonNotTried, "The member is not called while another condition forbids it")
		refuse(problem, &accepted, &credentials)
		return []metav1.Condition{accepted, credentials, reachable}
	}
	for _, condition := range []*metav1.Condition{&accepted, &credentials, &reachable} {
		if found := meta.FindStatusCondition(observed, condition.Type); found != nil {
			*condition = *found
		}
	}
	return []metav1.Condition{accepted, credentials, reachable}
}

func refuse(problem *memberconfig.Problem, accepted, credentials *metav1.Condition) {
	refused := credentials
	if problem.Condition == tmcv1alpha1.ConditionAccepted {
		refused = accepted
	}
	refused.Status, refused.Reason, refused.Message = metav1.ConditionFalse, problem.Reason, problem.Message
}

func pending(conditionType, reason, message string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: metav1.ConditionUnknown, Reason: reason, Message: message}
}

// duplicate reports an older registration of the same cluster. One of another workspace is not named.
func (c *Controller) duplicate(key workspace.Key) *memberconfig.Problem {
	rival, refused := c.rival(key)
	if !refused {
		return nil
	}
	problem := &memberconfig.Problem{
		Condition: tmcv1alpha1.ConditionAccepted, Reason: tmcv1alpha1.ReasonDuplicateMember,
		Message: "This cluster is registered already; delete this registration, or have the other one deleted",
	}
	if rival.Workspace == key.Workspace {
		problem.Message = fmt.Sprintf("This cluster is registered already as %s; delete one of the two registrations", rival.Name)
	}
	return problem
}

// summary returns Ready: the first condition that is not True decides.
func summary(verdicts []metav1.Condition) metav1.Condition {
	for _, status := range []metav1.ConditionStatus{metav1.ConditionFalse, metav1.ConditionUnknown} {
		for _, verdict := range verdicts {
			if verdict.Status == status {
				verdict.Type = tmcv1alpha1.ConditionReady
				return verdict
			}
		}
	}
	return metav1.Condition{
		Type: tmcv1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: tmcv1alpha1.ReasonReady,
		Message: "The member is accepted, reachable and observed",
	}
}

// writeStatus writes the conditions if this replica leads and they differ from what is stored. It returns when to
// look again. Times of transition alone are no difference: replicas notice one transition at different times.
func (c *Controller) writeStatus(ctx context.Context, m *member, registration *tmcv1alpha1.ClusterRegistration) (time.Duration, error) {
	stored := registration.Status.Conditions
	if m.written.version == registration.ResourceVersion {
		stored = m.written.conditions
	}
	wait := c.untilJudged(m)
	desired := onto(stored, m.conditions)
	if wait > 0 || !c.config.Leader.IsLeader() || equality.Semantic.DeepEqual(stored, desired) {
		return wait, nil
	}
	now := c.config.Clock.Now()
	if wait := messageInterval - now.Sub(m.written.at); wait > 0 && sameButText(stored, desired) {
		return wait, nil
	}
	patch, err := statusPatch(registration.UID, desired)
	if err != nil {
		return 0, err
	}
	key := keyOf(registration)
	if err := c.config.Status.PatchStatus(ctx, key, patch); err != nil {
		return 0, ignoreGone(err)
	}
	m.written = written{version: registration.ResourceVersion, conditions: desired, at: now}
	klog.FromContext(ctx).V(2).Info("Wrote status of registration", logkey.Member, key)
	return 0, nil
}

// onto returns the conditions with the times of transition of the stored ones where those have the same status.
func onto(stored, conditions []metav1.Condition) []metav1.Condition {
	out := slices.Clone(conditions)
	for i := range out {
		if before := meta.FindStatusCondition(stored, out[i].Type); before != nil && before.Status == out[i].Status {
			out[i].LastTransitionTime = before.LastTransitionTime
		}
	}
	return out
}

// untilJudged returns how long what an earlier leader wrote stands: until this process has judged the member, but not
// for long. Otherwise each restart would take back for a moment what is known of every member.
func (c *Controller) untilJudged(m *member) time.Duration {
	if m.seeded.IsZero() {
		return 0
	}
	wait := seededFor - c.config.Clock.Now().Sub(m.seeded)
	credentials := meta.FindStatusCondition(m.conditions, tmcv1alpha1.ConditionCredentialsValid)
	reachable := meta.FindStatusCondition(m.conditions, tmcv1alpha1.ConditionReachable)
	pendingStill := reachable.Reason == tmcv1alpha1.ReasonPending ||
		(reachable.Status == metav1.ConditionTrue && credentials.Reason == tmcv1alpha1.ReasonPending)
	if wait <= 0 || !pendingStill {
		m.seeded = time.Time{}
		return 0
	}
	return wait
}

// ignoreGone leaves out errors that the next event explains: the registration is gone, or is another one by now.
func ignoreGone(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) && (apierrors.IsNotFound(err) || apierrors.IsConflict(err)) {
		return nil
	}
	return err
}

func sameButText(a, b []metav1.Condition) bool {
	return slices.EqualFunc(a, b, func(a, b metav1.Condition) bool {
		a.Message, b.Message = "", ""
		return equality.Semantic.DeepEqual(a, b)
	})
}

// statusPatch carries the UID, so that a registration that was made anew is not given the status of the old one.
func statusPatch(uid types.UID, conditions []metav1.Condition) ([]byte, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": uid},
		"status":   tmcv1alpha1.ClusterRegistrationStatus{Conditions: conditions},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the status patch: %w", err)
	}
	return patch, nil
}
