// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// refusedWait is a time in which something that is retried eagerly would be tried several times.
const refusedWait = 6 * time.Second

// refusals is what the rows of TestMembersRefusal share: a tenant with objects that must not suffer.
type refusals struct{ *framework.PlacingTenant }

// TestMembersRefusal: what a member does not take is said, where and why; the other member and other objects do not suffer.
func TestMembersRefusal(t *testing.T) {
	t.Parallel()
	r := refusals{suite.NewPlacingTenant(t, "refused", []string{"east", "west"})}
	r.place(t, "bystander", "Deployment")
	r.Apply(t, deployment("bystander", 1))
	r.WaitForUpstream(t, "bystander", available(1))
	rows := map[string]func(*testing.T, refusals){
		"admission webhook":              byWebhook,
		"admission policy":               byPolicy,
		"quota of objects":               byQuota,
		"quota of pods":                  byPodQuota,
		"selector changed":               bySelector,
		"job changed":                    byJobTemplate,
		"selector that matches nothing":  byForeignSelector,
		"annotations beyond what fits":   byAnnotations,
		"member that does not exist":     byUnknownMember,
		"cluster selector of no member":  byEmptySelector,
		"resource selector of no object": byNothingSelected,
		"weights of no place":            byWeights,
	}
	t.Run("rows", func(t *testing.T) {
		for name, row := range rows {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				row(t, r)
			})
		}
	})
	r.WaitForPlacement(t, "bystander", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

// place places one object by a Placement of its name.
func (r refusals) place(t *testing.T, name, kind string) {
	t.Helper()
	r.Apply(t, placement(name, "{resourceSelectors: [{kind: "+kind+", name: "+name+"}]}"))
}

// refused waits until the view says that east refused, and checks that it says so everywhere, and that west is well.
func (r refusals) refused(t *testing.T, kind, name, reason, message string) {
	t.Helper()
	r.WaitForView(t, name, "that east refused it", func(view *tmcv1alpha1.PlacementStatus) error {
		east, err := copyOf(view, r.Members["east"], kind, name)
		if err != nil {
			return err
		}
		if east.Synced != metav1.ConditionFalse || east.Reason != reason || !strings.Contains(east.Message, message) {
			return fmt.Errorf("the row is %+v, want %s with %q", east, reason, message)
		}
		return nil
	})
	framework.Eventually(t, "the condition to say the same", framework.MemberTimeout, func(ctx context.Context) error {
		placed, err := r.Placement(ctx, name)
		if err != nil {
			return err
		}
		if err := framework.WantCondition(placed.Status.Conditions, tmcv1alpha1.ConditionSynchronized, metav1.ConditionFalse, reason); err != nil {
			return err
		}
		// Of several members that refused, the first is named.
		c := meta.FindStatusCondition(placed.Status.Conditions, tmcv1alpha1.ConditionSynchronized)
		if !strings.Contains(c.Message, message) || !strings.Contains(c.Message, r.Members["east"]) {
			return fmt.Errorf("it says %q", c.Message)
		}
		return nil
	})
	r.WaitForWarning(t, name, reason, message)
	r.unaffected(t)
}

// unaffected checks the objects that have nothing to do with it.
func (r refusals) unaffected(t *testing.T) {
	t.Helper()
	r.WaitForView(t, "bystander", "nothing of it to suffer", func(view *tmcv1alpha1.PlacementStatus) error {
		if sum := view.Status.Workloads; sum.Failed > 0 || sum.Desired != 2 || sum.Ready != 2 {
			return fmt.Errorf("it is %+v", view.Status)
		}
		return nil
	})
}

func byWebhook(t *testing.T, r refusals) {
	t.Helper()
	const name = "hooked"
	var asked atomic.Int32
	var open atomic.Bool
	suite.Admit(t, "east", r.Namespace(metav1.NamespaceDefault), "deployments.apps", func(request *admissionv1.AdmissionRequest) framework.Verdict {
		if request.Name != name || open.Load() {
			return framework.Verdict{}
		}
		asked.Add(1)
		return framework.Verdict{Refusal: "images must come from\nour\u202eown registry"}
	})
	r.place(t, name, "Deployment")
	r.Apply(t, deployment(name, 1))
	r.refused(t, "Deployment", name, tmcv1alpha1.ReasonMemberDenied, "images must come from")
	suite.WaitForDeployment(t, r.PlacingTenant, "west", name, available(1))
	// What a member refuses for good is tried rarely.
	before := asked.Load()
	framework.Never(t, "the member is asked again and again", refusedWait, func(context.Context) error {
		if now := asked.Load(); now > before+1 {
			return fmt.Errorf("it was asked %d times, then %d times", before, now)
		}
		return nil
	})
	if before > 2 {
		t.Errorf("the member was asked %d times until the view said so", before)
	}
	// Another content is tried at once.
	open.Store(true)
	r.Kubectl.MustRun(t, "scale", "deployment/"+name, "--replicas=2")
	suite.WaitForDeployment(t, r.PlacingTenant, "east", name, available(2))
	r.WaitForPlacement(t, name, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

func byPolicy(t *testing.T, r refusals) {
	t.Helper()
	const name = "policed"
	namespace := r.Namespace(metav1.NamespaceDefault)
	client := suite.MemberClient(t, "east")
	policies := client.AdmissionregistrationV1()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-" + name + ".example.com"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
				ResourceRules:     []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: ruleForDeployments()}},
			},
			Validations: []admissionregistrationv1.Validation{{Expression: "object.metadata.name != '" + name + "'", Message: "this is what the policy is against"}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policy.Name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	if _, err := policies.ValidatingAdmissionPolicies().Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	lift := func() error {
		return policies.ValidatingAdmissionPolicies().Delete(context.WithoutCancel(t.Context()), policy.Name, metav1.DeleteOptions{})
	}
	t.Cleanup(func() { _ = lift() }) // it is gone if all went well
	if _, err := policies.ValidatingAdmissionPolicyBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	probe := documents(t, deployment(name, 1))[0]
	probe.SetNamespace(namespace)
	framework.Eventually(t, "the policy to be in force", framework.MemberTimeout, func(ctx context.Context) error {
		_, err := suite.MemberDynamic(t, "east").Resource(appsv1.SchemeGroupVersion.WithResource("deployments")).Namespace(namespace).
			Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && strings.Contains(err.Error(), "what the policy is against") {
			return nil
		}
		return errors.Join(errors.New("it lets the deployment pass"), err)
	})
	r.place(t, name, "Deployment")
	r.Apply(t, deployment(name, 1))
	r.refused(t, "Deployment", name, tmcv1alpha1.ReasonMemberDenied, "this is what the policy is against")
	suite.WaitForDeployment(t, r.PlacingTenant, "west", name, available(1))
	if err := lift(); err != nil {
		t.Fatal(err)
	}
	// Without any change in the workspace, it is tried again.
	suite.WaitForDeployment(t, r.PlacingTenant, "east", name, available(1))
	r.WaitForPlacement(t, name, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

func ruleForDeployments() admissionregistrationv1.RuleWithOperations {
	return admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
	}
}

// limit makes a quota in the namespace on east, and waits until it counts.
func (r refusals) limit(t *testing.T, name string, spec corev1.ResourceQuotaSpec) {
	t.Helper()
	quotas := suite.MemberClient(t, "east").CoreV1().ResourceQuotas(r.Namespace(metav1.NamespaceDefault))
	if _, err := quotas.Create(t.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "the quota to count", framework.MemberTimeout, func(ctx context.Context) error {
		found, err := quotas.Get(ctx, name, metav1.GetOptions{})
		if err == nil && len(found.Status.Used) == 0 {
			err = errors.New("its status is empty")
		}
		return err
	})
}

func byQuota(t *testing.T, r refusals) {
	t.Helper()
	const name = "counted"
	r.limit(t, name, corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceServices: resource.MustParse("0")}})
	r.place(t, name, "Service")
	r.Apply(t, "apiVersion: v1\nkind: Service\nmetadata: {name: "+name+", namespace: default}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n")
	r.refused(t, "Service", name, tmcv1alpha1.ReasonMemberDenied, "exceeded quota: "+name)
	framework.Eventually(t, "west to have the service", framework.MemberTimeout, func(ctx context.Context) error {
		_, err := suite.MemberClient(t, "west").CoreV1().Services(r.Namespace(metav1.NamespaceDefault)).Get(ctx, name, metav1.GetOptions{})
		return err
	})
}

func byPodQuota(t *testing.T, r refusals) {
	t.Helper()
	const name = "starved"
	r.limit(t, name, corev1.ResourceQuotaSpec{
		Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}, Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort},
	})
	r.place(t, name, "Deployment")
	r.Apply(t, strings.Replace(deployment(name, 1), ", resources: {requests: {cpu: 10m, memory: 16Mi}}", "", 1))
	// The member takes the deployment and denies its pods: that is the object's own news, in its own words.
	r.WaitForUpstream(t, name, func(d *appsv1.Deployment) error {
		for _, c := range d.Status.Conditions {
			if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue && strings.Contains(c.Message, "exceeded quota") {
				return nil
			}
		}
		return fmt.Errorf("its conditions are %+v", d.Status.Conditions)
	})
	suite.WaitForDeployment(t, r.PlacingTenant, "west", name, available(1))
	placed := r.WaitForPlacement(t, name, tmcv1alpha1.ConditionReady, metav1.ConditionFalse, tmcv1alpha1.ReasonDegraded)
	t.Logf("the placement says: %+v", placed.Status.Conditions)
	r.unaffected(t)
}
