// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/kcp-dev/tmc/test/integration/framework"
)

// TestT08KindsThatAreServedAgain: a workspace gives the Kubernetes kinds up and takes them again at once. What was there
// goes, and what is made then is synced as if nothing had been.
func TestT08KindsThatAreServedAgain(t *testing.T) {
	t.Parallel()
	tenant := suite.NewPlacingTenant(t, "t08", []string{"east"})
	tenant.Apply(t, placement("web", "{}"))
	tenant.Apply(t, deployment("web", 1))
	before := suite.WaitForDeployment(t, tenant, "east", "web", available(1))

	bindings := suite.Admin(t, tenant.Workspace).Resource(schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apibindings"})
	binding := bindingOf(t, bindings, "kubernetes")
	vanishes(t, bindings, binding.GetName())
	again := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": binding.GetAPIVersion(), "kind": binding.GetKind(), "metadata": map[string]any{"name": binding.GetName()}, "spec": binding.Object["spec"],
	}}
	framework.Eventually(t, "kcp to take the binding again", framework.MemberTimeout, func(ctx context.Context) error {
		_, err := bindings.Create(ctx, again, metav1.CreateOptions{}) // kcp refuses it while it still remembers the former one
		return there(err)
	})
	framework.Eventually(t, "the kinds to be served again", framework.MemberTimeout, func(context.Context) error {
		if result := tenant.Kubectl.RunWithInput(t, deployment("web", 2), "apply", "--server-side", "-f", "-"); result.ExitCode != 0 {
			return errors.New(result.Output())
		}
		return nil
	})
	after := suite.WaitForDeployment(t, tenant, "east", "web", available(2))
	if after.UID == before.UID {
		t.Error("the copy of the former object is taken for that of the new one")
	}
	tenant.WaitForUpstream(t, "web", available(2))
}

// bindingOf returns a workspace's binding to an export.
func bindingOf(t *testing.T, bindings dynamic.ResourceInterface, export string) *unstructured.Unstructured {
	t.Helper()
	list, err := bindings.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if name, _, _ := unstructured.NestedString(list.Items[i].Object, "spec", "reference", "export", "name"); name == export { // what is no text is not it
			return &list.Items[i]
		}
	}
	t.Fatalf("there is no binding to the export %s", export)
	return nil
}
