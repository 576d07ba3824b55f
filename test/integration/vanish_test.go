// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/kcp-dev/tmc/test/integration/framework"
)

const (
	// vanishTimeout is how long a deletion may take on a busy machine. Members answer, so nothing is waited for.
	vanishTimeout = 2 * framework.MemberTimeout
	// firstCopies are there when things are deleted; others are being made and edited.
	firstCopies = 3
	churnPause  = 100 * time.Millisecond
	churnMost   = 40
	churnPlace  = "shop"
)

// TestFLT21DeletionsDuringSync deletes what sync depends on while a tenant goes on making and editing objects. Nothing may
// be left on members, and nothing may hang.
func TestFLT21DeletionsDuringSync(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(*testing.T, *vanishing){
		"workspace": vanishingWorkspace, "namespace": vanishingNamespace, "binding": vanishingBinding,
		"registration": vanishingRegistration, "grant": vanishingGrant, "placement": vanishingPlacement,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := suite.NewPlacingTenant(t, "flt21-"+name, []string{"east", "west"})
			if name == "registration" {
				takeSpare(t, map[*framework.Tenant][]string{tenant.Tenant: {spareMember}})
				suite.Register(t, tenant.Tenant, spareMember)
				tenant.Client.WaitForStatus(t, spareMember, "Ready", metav1.ConditionTrue)
				tenant.Members[spareMember] = spareMember
			}
			v := &vanishing{tenant: tenant, oracle: newOracle(t, tenant)}
			v.start(t)
			began := time.Now()
			run(t, v)
			t.Logf("nothing was left and nothing hung after %s", time.Since(began).Round(100*time.Millisecond))
		})
	}
}

// vanishing is a tenant who works while something that it needs is deleted.
type vanishing struct {
	tenant *framework.PlacingTenant
	oracle *oracle
	// stop ends the tenant's work, and returns when it has ended.
	stop func()
}

func (v *vanishing) start(t *testing.T) {
	t.Helper()
	if _, err := v.tenant.Upstream.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: churnPlace}}, metav1.CreateOptions{}); there(err) != nil {
		t.Fatal(err)
	}
	var names []any
	for _, known := range v.tenant.Members {
		names = append(names, known)
	}
	if _, err := v.tenant.Placements(churnPlace).Create(t.Context(), framework.NewPlacement("all", map[string]any{"clusterNames": names}), metav1.CreateOptions{}); there(err) != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var work sync.WaitGroup
	work.Go(func() { v.churn(ctx) })
	v.stop = func() {
		cancel()
		work.Wait()
	}
	t.Cleanup(v.stop)
	framework.Eventually(t, "the first copies", framework.MemberTimeout, func(ctx context.Context) error {
		copies, _, err := v.oracle.inventory(ctx, placedResources())
		if err == nil && len(copies) < firstCopies*len(v.tenant.Members) {
			err = fmt.Errorf("there are %d", len(copies))
		}
		return err
	})
}

// churn makes and edits objects. What fails is no concern of its: what it needs is being deleted.
func (v *vanishing) churn(ctx context.Context) {
	up, i := v.tenant.Upstream, 0
	_ = wait.PollUntilContextCancel(ctx, churnPause, true, func(ctx context.Context) (bool, error) { // it ends with the context
		object := crashDeployment()
		object.Name = fmt.Sprintf("web-%d", i)
		settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("settings-%d", i)}, Data: map[string]string{"number": "0"}}
		object.Spec.Template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name = settings.Name
		_, _ = up.CoreV1().ConfigMaps(churnPlace).Create(ctx, settings, metav1.CreateOptions{})
		_, _ = up.AppsV1().Deployments(churnPlace).Create(ctx, object, metav1.CreateOptions{})
		edit := fmt.Appendf(nil, `{"data":{"number":"%d"}}`, i)
		_, _ = up.CoreV1().ConfigMaps(churnPlace).Patch(ctx, fmt.Sprintf("settings-%d", i/2), types.MergePatchType, edit, metav1.PatchOptions{})
		scale := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, i%3)
		_, _ = up.AppsV1().Deployments(churnPlace).Patch(ctx, fmt.Sprintf("web-%d", i/2), types.MergePatchType, scale, metav1.PatchOptions{})
		i++
		return i >= churnMost, nil
	})
}

// vanishes deletes an object, and waits until it is gone.
func vanishes(t *testing.T, client dynamic.ResourceInterface, name string) {
	t.Helper()
	if err := client.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatalf("deleting %s: %v", name, err)
	}
	framework.Eventually(t, name+" to be gone", vanishTimeout, func(ctx context.Context) error {
		found, err := client.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(found.Object, "status", "conditions") // only shown
		return fmt.Errorf("it is there, with the finalizers %v: %v", found.GetFinalizers(), conditions)
	})
}

func (v *vanishing) leavesNothing(t *testing.T) {
	t.Helper()
	framework.Eventually(t, "nothing to be left on members", vanishTimeout, v.oracle.nothing)
}

// leavesNoCopy is for what takes neither the workspace's namespace nor its members away: those on members stay, too.
func (v *vanishing) leavesNoCopy(t *testing.T) {
	t.Helper()
	framework.Eventually(t, "no copy to be left on members", vanishTimeout, v.oracle.noCopy)
}

// isRight waits until the workspace and members agree. The tenant works no more.
func (v *vanishing) isRight(t *testing.T) {
	t.Helper()
	v.stop()
	framework.Eventually(t, "everything to be as it should be", vanishTimeout, v.oracle.check)
}

func vanishingWorkspace(t *testing.T, v *vanishing) {
	t.Helper()
	workspaces := schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspaces"}
	vanishes(t, suite.Admin(t, "root").Resource(workspaces), v.tenant.Name)
	v.leavesNothing(t)
}

func vanishingNamespace(t *testing.T, v *vanishing) {
	t.Helper()
	vanishes(t, v.oracle.admin.Resource(namespaceResource), churnPlace)
	v.leavesNothing(t)
	v.isRight(t)
}

// vanishingBinding takes the Kubernetes kinds away, and with them every right to look at what they were made of.
func vanishingBinding(t *testing.T, v *vanishing) {
	t.Helper()
	bindings := v.oracle.admin.Resource(schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apibindings"})
	vanishes(t, bindings, bindingOf(t, bindings, "kubernetes").GetName())
	v.leavesNothing(t)
}

// vanishingRegistration takes one of three members away, whose copies the others have too.
func vanishingRegistration(t *testing.T, v *vanishing) {
	t.Helper()
	vanishes(t, v.tenant.Client.Registrations(), spareMember)
	left := &oracle{workspace: v.oracle.workspace, members: map[string]dynamic.Interface{spareMember: v.oracle.members[spareMember]}}
	framework.Eventually(t, "nothing to be left on the member", vanishTimeout, left.nothing)
	delete(v.oracle.members, spareMember)
	edit := fmt.Appendf(nil, `{"spec":{"clusterNames":[%q,%q]}}`, v.tenant.Members["east"], v.tenant.Members["west"])
	if _, err := v.tenant.Placements(churnPlace).Patch(t.Context(), "all", types.MergePatchType, edit, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	v.isRight(t)
}

func vanishingGrant(t *testing.T, v *vanishing) {
	t.Helper()
	vanishes(t, suite.Acme.Client.Grants(), v.tenant.Name)
	v.leavesNothing(t)
	v.stop()
	framework.Eventually(t, "no finalizer to be left", vanishTimeout, func(ctx context.Context) error {
		list, err := v.tenant.Upstream.AppsV1().Deployments(churnPlace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) == 0 {
			return errors.New("the workspace lost its objects")
		}
		for i := range list.Items {
			if found := list.Items[i].Finalizers; len(found) > 0 {
				return fmt.Errorf("%s has the finalizers %v", list.Items[i].Name, found)
			}
		}
		return nil
	})
	v.leavesNothing(t)
}

func vanishingPlacement(t *testing.T, v *vanishing) {
	t.Helper()
	vanishes(t, v.tenant.Placements(churnPlace), "all")
	v.leavesNoCopy(t)
	v.isRight(t)
	v.leavesNoCopy(t)
}
