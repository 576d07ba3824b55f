// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/controller/leader"
	"github.com/kcp-dev/tmc/test/env"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// seen is what a watcher has been told, by name and resource version.
type seen struct {
	mu   sync.Mutex
	rows map[string]string
}

func (s *seen) set(obj any) {
	if row, ok := obj.(*unstructured.Unstructured); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rows[row.GetName()] = row.GetResourceVersion()
	}
}

func (s *seen) remove(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if row, ok := obj.(*unstructured.Unstructured); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.rows, row.GetName())
	}
}

func (s *seen) differs(list *unstructured.UnstructuredList) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := map[string]string{}
	for i := range list.Items {
		want[list.Items[i].GetName()] = list.Items[i].GetResourceVersion()
	}
	if fmt.Sprint(want) != fmt.Sprint(s.rows) {
		return fmt.Errorf("the watcher has %v, the list %v", s.rows, want)
	}
	return nil
}

// TestFLT11And32ServerKilledAndBack kills the server hard. It disturbs every other test, so it runs before them.
func TestFLT11And32ServerKilledAndBack(t *testing.T) {
	tenant := suite.Acme
	watcher := &seen{rows: map[string]string{}}
	informer := tenant.Client.Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: watcher.set, UpdateFunc: func(_, obj any) { watcher.set(obj) }, DeleteFunc: watcher.remove,
	}); err != nil {
		t.Fatalf("adding a handler: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go informer.RunWithContext(ctx)
	agree := func(what string) {
		t.Helper()
		took := framework.Eventually(t, "the watcher to agree with a list "+what, framework.MemberTimeout, func(ctx context.Context) error {
			list, err := tenant.Client.Statuses().List(ctx, metav1.ListOptions{})
			if err != nil {
				return fmt.Errorf("listing: %w", err)
			}
			if len(list.Items) != len(sharedMembers) {
				return fmt.Errorf("the list has %d rows", len(list.Items))
			}
			return watcher.differs(list)
		})
		t.Logf("the watcher agreed %s after %s", what, took.Round(time.Millisecond))
	}
	agree("at first")

	holder := leaseHolder(t)
	suite.Kill(t, "tmc-apiserver")
	otherAPIsWork(t, tenant)
	suite.Restart(t, "tmc-apiserver")
	agree("after the restart")
	if successor := leaseHolder(t); successor != holder {
		t.Errorf("the lease was held by %s, and is held by %s: the server waited for the end of its own lease", holder, successor)
	}
	for _, member := range sharedMembers {
		tenant.Client.WaitForStatus(t, member, tmcv1alpha1.ConditionReady, metav1.ConditionTrue)
	}
	agree("after all members were followed again")
	oldVersionsAreGone(t, tenant)
}

// leaseHolder returns the identity of the leader once its lease has been renewed.
func leaseHolder(t *testing.T) string {
	t.Helper()
	leases := suite.Admin(t, env.ProviderWorkspace).Resource(coordinationv1.SchemeGroupVersion.WithResource("leases")).Namespace(leader.DefaultNamespace)
	asked := time.Now()
	var holder string
	framework.Eventually(t, "the lease to be renewed", framework.MemberTimeout, func(ctx context.Context) error {
		lease, err := leases.Get(ctx, leader.DefaultName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		renewed, _, _ := unstructured.NestedString(lease.Object, "spec", "renewTime")
		holder, _, _ = unstructured.NestedString(lease.Object, "spec", "holderIdentity")
		if at, err := time.Parse(time.RFC3339Nano, renewed); err != nil || at.Before(asked) {
			return fmt.Errorf("it was last renewed at %q by %q", renewed, holder)
		}
		return nil
	})
	return holder
}

func otherAPIsWork(t *testing.T, tenant *framework.Tenant) {
	t.Helper()
	tenant.Kubectl.MustRun(t, "get", "configmaps", "-A")
	tenant.Kubectl.MustRun(t, "get", "clusterregistrations")
	tenant.Kubectl.MustRun(t, "create", "configmap", "made-while-down")
	tenant.Kubectl.MustRun(t, "delete", "configmap", "made-while-down")
	result := tenant.Kubectl.Run(t, "api-resources")
	if result.ExitCode != 0 || !strings.Contains(result.Stdout, "clusterregistrations") {
		t.Errorf("api-resources while the server is down: %s", result.Output())
	}
}

// oldVersionsAreGone: a resource version of another process must be answered with 410, not with something wrong.
func oldVersionsAreGone(t *testing.T, tenant *framework.Tenant) {
	t.Helper()
	list, err := tenant.Client.Statuses().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	before := list.GetResourceVersion()
	suite.Kill(t, "tmc-apiserver")
	suite.Restart(t, "tmc-apiserver")
	framework.Eventually(t, "an old resource version to be answered with 410", framework.MemberTimeout, func(context.Context) error {
		result := tenant.Kubectl.Run(t, "get", "--raw", tenant.Path("/apis/tmc.kcp.io/v1alpha1/clusterstatuses?watch=true&timeoutSeconds=1&resourceVersion="+before))
		if !strings.Contains(result.Output(), "410") && !strings.Contains(result.Output(), "Expired") {
			return fmt.Errorf("it was answered with %s", result.Output())
		}
		return nil
	})
}
