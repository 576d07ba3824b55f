// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/engine"
	"github.com/kcp-dev/tmc/pkg/crashpoint"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/placement"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// Reconcile decides one Placement, and writes its status if this replica leads and it differs.
func (c *Controller) Reconcile(ctx context.Context, key workspace.Key) (engine.Result, error) {
	p, found := c.config.Placements.Find(key)
	if !found || p.DeletionTimestamp != nil {
		c.forget(key)
		return engine.Result{}, nil
	}
	before := c.known(p)
	after, again := c.decideNext(p, before)
	if !c.config.Leader.IsLeader() || equality.Semantic.DeepEqual(before.stored, after.stored) {
		after.stored, after.version = before.stored, before.version
		c.keep(key, before, after)
		return engine.Result{After: again}, nil
	}
	if err := c.write(ctx, key, p, after); err != nil {
		return engine.Result{}, err
	}
	after.version = p.ResourceVersion
	c.keep(key, before, after)
	if !slices.Equal(before.stored.Decisions, after.stored.Decisions) {
		klog.FromContext(ctx).V(2).Info("Decided placement", logkey.Object, key, "members", namesOf(after.stored.Decisions))
	}
	return engine.Result{After: again}, nil
}

// decideNext decides a Placement and promises it what it needs, after all that were decided before.
func (c *Controller) decideNext(p *tmcv1alpha1.Placement, before *decided) (after *decided, again time.Duration) {
	certain := c.config.Certain(keyOf(p).Workspace) // before looking: what is not found must have been read
	selected := c.selectionOf(p, certain)
	c.deciding.Lock()
	defer c.deciding.Unlock()
	after = c.decide(p, before, selected, certain)
	again = c.promise(p, after, selected)
	if after.uncertain && (again == 0 || again > uncertainPause) {
		again = uncertainPause // nobody tells when it becomes certain
	}
	return after, again
}

// known returns what is known of a Placement: what was written last, or what is stored.
func (c *Controller) known(p *tmcv1alpha1.Placement) *decided {
	c.mu.RLock()
	defer c.mu.RUnlock()
	last, found := c.decided[keyOf(p)]
	switch {
	case !found || last.uid != p.UID:
		return &decided{uid: p.UID, stored: p.Status}
	case last.version == p.ResourceVersion:
		return last
	default:
		return &decided{uid: p.UID, stored: p.Status, outcome: last.outcome, rejected: last.rejected, lost: last.lost, unplaced: last.unplaced}
	}
}

func (c *Controller) keep(key workspace.Key, before, after *decided) {
	c.mu.Lock()
	last := c.decided[key]
	c.decided[key] = after
	tells := last == nil || !slices.Equal(before.stored.Decisions, after.stored.Decisions)
	if known, found := c.shown[key]; found && tells { // what was written shows again, and is told here
		known.decisions = after.stored.Decisions
		c.shown[key] = known
	}
	c.mu.Unlock()
	if after.missed(last) {
		c.engine.AddAfter(key, c.config.SettleInterval)
	}
	explained := sameOutcome(before, after) && equality.Semantic.DeepEqual(before.lost, after.lost)
	if tells {
		c.config.OnDecision(key)
		return
	}
	if !explained || !equality.Semantic.DeepEqual(before.stored, after.stored) {
		c.config.OnExplanation(key)
	}
}

func sameOutcome(a, b *decided) bool {
	return a.outcome.Satisfied == b.outcome.Satisfied && a.outcome.Reason == b.outcome.Reason && a.outcome.Message == b.outcome.Message &&
		slices.Equal(a.outcome.Chosen, b.outcome.Chosen) && slices.EqualFunc(a.rejected, b.rejected, sameRejection)
}

// sameRejection compares without reflection: there is one for each member that was not chosen.
func sameRejection(a, b tmcv1alpha1.ClusterRejection) bool {
	scores := (a.Score == nil) == (b.Score == nil) && (a.Score == nil || *a.Score == *b.Score)
	a.Score, b.Score = nil, nil
	return scores && a == b
}

// decide computes the status that a Placement should have.
func (c *Controller) decide(p *tmcv1alpha1.Placement, before *decided, selected selection, certain bool) *decided {
	key := keyOf(p)
	after := &decided{uid: p.UID, lost: selected.lost}
	current := before.stored.Decisions
	progress := c.config.Copies.Progress(key)
	held := p.Spec.Suspension != nil && p.Spec.Suspension.Scheduling
	switch {
	case held:
		after.outcome = placement.Outcome{Satisfied: true, Reason: tmcv1alpha1.ReasonSuspended, Message: "suspension.scheduling keeps the decisions as they are"}
		after.stored.Decisions = current
	case len(current) > 0 && (!certain || !c.config.Certain(key.Workspace)):
		after.stay(p, before)
	case len(selected.workloads) == 0 && !selected.broken:
		after.outcome = placement.Outcome{Reason: tmcv1alpha1.ReasonNothingSelected, Message: nothingSelected(p, selected.lost)}
		after.stored.Decisions = leaving(current, nil, progress)
	default:
		snapshot, unknown := c.snapshot(key)
		after.unknown = unknown
		after.outcome = placement.Schedule(snapshot, placement.Input{
			Key: key.String(), Spec: &p.Spec, Workloads: selected.workloads, Current: current,
		})
		after.stored.Decisions = leaving(current, after.outcome.Chosen, progress)
		after.rejected = after.outcome.Rejected() // computed once: it is as much work as the decision
		after.seeks = p.Spec.NumberOfClusters == nil && slices.ContainsFunc(after.rejected, func(r tmcv1alpha1.ClusterRejection) bool {
			return r.Reason == tmcv1alpha1.ReasonInsufficientCapacity
		})
	}
	after.stored.SelectedClusters = selectedOf(after.stored.Decisions)
	if !after.uncertain && !held {
		after.unplaced = c.unplacedReplicas(p, after.stored.Decisions, selected.workloads)
	}
	after.waiting = !after.outcome.Satisfied
	after.stored.Conditions = c.conditions(p, before.stored.Conditions, after, progress)
	return after
}

// unplacedReplicas says of the first workload some of whose replicas have no place how many have none.
func (c *Controller) unplacedReplicas(p *tmcv1alpha1.Placement, decisions []tmcv1alpha1.PlacementDecision, workloads []placement.Workload) string {
	rs := p.Spec.ReplicaScheduling
	if rs == nil || rs.Type != tmcv1alpha1.ReplicasDivided || len(rs.Weights) == 0 {
		return ""
	}
	targets := c.targets(p, decisions)
	for _, workload := range workloads {
		if !placement.Divisible(workload.Resource) {
			continue
		}
		unplaced := placement.Unplaced(workload.Replicas, rs, divide(p, targets, workload.Resource, workload.Name, workload.Replicas))
		if unplaced == 0 {
			continue
		}
		message := fmt.Sprintf("%d of %d replicas of %s %s have no place: by replicaScheduling.weights every chosen member has the weight 0 or runs its maxReplicas; raise these, or choose more members",
			unplaced, workload.Replicas, workload.Kind, workload.Name)
		if unplaced == workload.Replicas {
			message += "; what runs stays as it is"
		}
		return message
	}
	return ""
}

func nothingSelected(p *tmcv1alpha1.Placement, lost []tmcv1alpha1.UnplacedObject) string {
	switch {
	case len(lost) > 0:
		return fmt.Sprintf("none of the %d selected objects can be placed: %s", len(lost), said(lost[0]))
	case len(p.Spec.ResourceSelectors) > 0:
		return "resourceSelectors match no object of the namespace; members are chosen when one appears"
	default:
		return "the namespace has no object to place yet; members are chosen when one appears"
	}
}

// leaving returns the decisions: the chosen members are active, and those that were chosen before and still have copies
// leave.
func leaving(current []tmcv1alpha1.PlacementDecision, chosen []placement.Choice, progress Progress) []tmcv1alpha1.PlacementDecision {
	out := make([]tmcv1alpha1.PlacementDecision, 0, len(chosen))
	active := map[string]bool{}
	for _, choice := range chosen {
		active[choice.Name] = true
		out = append(out, tmcv1alpha1.PlacementDecision{ClusterName: choice.Name, Phase: tmcv1alpha1.DecisionActive})
	}
	for _, decision := range current {
		if !active[decision.ClusterName] && progress.Occupied[decision.ClusterName] {
			out = append(out, tmcv1alpha1.PlacementDecision{ClusterName: decision.ClusterName, Phase: tmcv1alpha1.DecisionLeaving})
		}
	}
	slices.SortFunc(out, func(a, b tmcv1alpha1.PlacementDecision) int { return strings.Compare(a.ClusterName, b.ClusterName) })
	return out
}

// promise notes what the members owe the Placement, and returns when to look again.
func (c *Controller) promise(p *tmcv1alpha1.Placement, after *decided, selected selection) time.Duration {
	key := keyOf(p)
	amounts := map[workspace.Key]corev1.ResourceList{}
	targets := c.targets(p, after.stored.Decisions)
	for i, workload := range selected.workloads {
		if workload.Replicas == 0 || len(workload.Requests) == 0 {
			continue
		}
		shares := divide(p, targets, workload.Resource, workload.Name, workload.Replicas)
		for _, target := range targets {
			member, found := c.roster.find(key.Workspace, target.Name)
			if !found || !c.Accepts(p, member) {
				continue
			}
			made, _ := c.config.Copies.Replicas(member, workload.Resource, selected.keys[i])
			missing := workload
			missing.Replicas = max(shares[target.Name]-made, 0)
			if missing.Replicas == 0 {
				continue
			}
			if amounts[member] == nil {
				amounts[member] = corev1.ResourceList{}
			}
			addTo(amounts[member], placement.Requirement([]placement.Workload{missing}))
		}
	}
	now := c.config.Clock.Now()
	changed, next := c.ledger.set(key, amounts, now, c.config.PromiseGrace)
	for _, member := range changed {
		c.roomChanged(member)
	}
	if next.IsZero() {
		return 0
	}
	return max(next.Sub(now), time.Millisecond)
}

// targets are the active members of decisions, as replicas are divided among them.
func (c *Controller) targets(p *tmcv1alpha1.Placement, decisions []tmcv1alpha1.PlacementDecision) []placement.Target {
	out := make([]placement.Target, 0, len(decisions))
	for _, decision := range decisions {
		if decision.Phase == tmcv1alpha1.DecisionLeaving {
			continue
		}
		target := placement.Target{Name: decision.ClusterName}
		if member, found := c.roster.find(logicalcluster.From(p), decision.ClusterName); found {
			// Where another one has that name by now, its labels say nothing. Shares stay until there is another decision.
			if registration, ok := c.config.Registrations.Find(member); ok && c.Accepts(p, member) {
				target.Labels = registration.Labels
			}
		}
		out = append(out, target)
	}
	return out
}

// Divide says how many replicas of a workload each active member of a Placement runs.
func (c *Controller) Divide(p *tmcv1alpha1.Placement, gr schema.GroupResource, name string, replicas int32) map[string]int32 {
	return divide(p, c.targets(p, c.Decisions(p)), gr, name, replicas)
}

// divide shares the replicas of a workload of a Placement out among targets.
func divide(p *tmcv1alpha1.Placement, targets []placement.Target, gr schema.GroupResource, name string, replicas int32) map[string]int32 {
	return placement.Divide(replicas, p.Spec.ReplicaScheduling, targets, placement.DivideKey(keyOf(p).String(), gr, name))
}

func (c *Controller) write(ctx context.Context, key workspace.Key, p *tmcv1alpha1.Placement, after *decided) error {
	decisions := after.stored.Decisions
	if decisions == nil {
		decisions = []tmcv1alpha1.PlacementDecision{} // a merge patch leaves alone what it does not name
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": p.UID},
		"status": map[string]any{
			"conditions": after.stored.Conditions, "decisions": decisions, "selectedClusters": after.stored.SelectedClusters,
		},
	})
	if err != nil {
		return fmt.Errorf("encoding the status of placement %s: %w", key, err)
	}
	crashpoint.Hit(crashpoint.BeforeDecision)
	err = c.config.Status.PatchStatus(ctx, key, patch)
	crashpoint.Hit(crashpoint.AfterDecision)
	var status apierrors.APIStatus
	if errors.As(err, &status) && (apierrors.IsNotFound(err) || apierrors.IsConflict(err)) {
		return nil // it is gone or another one by now, and the next event tells so
	}
	return err
}

func selectedOf(decisions []tmcv1alpha1.PlacementDecision) int32 {
	selected := int32(0)
	for _, decision := range decisions {
		if decision.Phase != tmcv1alpha1.DecisionLeaving {
			selected++
		}
	}
	return selected
}

func namesOf(decisions []tmcv1alpha1.PlacementDecision) []string {
	names := make([]string, 0, len(decisions))
	for _, decision := range decisions {
		names = append(names, decision.ClusterName)
	}
	return names
}
