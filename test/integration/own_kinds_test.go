// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/memberrole"
	"github.com/kcp-dev/tmc/test/env"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

var widgetResource = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}

// What makes widgets a kind of every workspace, as docs/kubernetes-apis.md tells the provider, and one of a member. The
// schema is the same.
const (
	widgetSchema = `{type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}, status: {type: object, x-kubernetes-preserve-unknown-fields: true}}}`
	widgetOffer  = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v261126-1.widgets.example.com}
spec:
  group: example.com
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, subresources: {status: {}}, schema: ` + widgetSchema + `}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: widgets-maximal-permissions}
rules:
- {apiGroups: [example.com], resources: [widgets], verbs: [get, list, watch, create, update, patch, delete, deletecollection]}
- {apiGroups: [example.com], resources: [widgets/status], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: widgets-maximal-permissions}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: widgets-maximal-permissions}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "apis.kcp.io:binding:system:authenticated"}]
---
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: kubernetes}
spec:
  resources:
  - {group: example.com, name: widgets, schema: v261126-1.widgets.example.com, storage: {crd: {}}}
`
	widgetCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: ` + widgetSchema + `}}
`
)

// TestKindOfTheProvidersOwn: whoever runs TMC offers a kind that no Kubernetes release has. Workspaces have it, members that
// serve it run it, and its status comes back. It changes the export that all tenants bind while the other tests run, and
// so shows that a new kind disturbs nobody.
func TestKindOfTheProvidersOwn(t *testing.T) {
	t.Parallel()
	provider := suite.Admin(t, env.ProviderWorkspace)
	for _, object := range documents(t, widgetOffer) {
		applyAs(t, provider, "provider", object)
	}
	if report := suite.RunInit(t); !strings.Contains(report, "nothing to change") {
		t.Errorf("init does not leave the kind alone:\n%s", report)
	}
	tenant := suite.NewPlacingTenant(t, "widgets", []string{"east", "west"})
	widgets := tenant.Client.Dynamic().Resource(widgetResource).Namespace(metav1.NamespaceDefault)
	framework.Eventually(t, "widgets to be served to the workspace", framework.MemberTimeout, func(ctx context.Context) error {
		_, err := widgets.List(ctx, metav1.ListOptions{})
		return err
	})
	serveWidgets(t, "west")
	tenant.Apply(t, "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: first, namespace: default}\nspec: {size: 1}\n")
	tenant.Apply(t, placement("widgets", "{numberOfClusters: 2, resourceSelectors: [{kind: Widget}]}"))

	// A member that lacks the kind is passed over, until it serves it.
	waitForWidget(t, tenant, "west", 1)
	waitForRejection(t, tenant, "widgets", tenant.Members["east"], tmcv1alpha1.ReasonAPIMissing, "widgets")
	tenant.WaitForPlacement(t, "widgets", tmcv1alpha1.ConditionScheduled, metav1.ConditionFalse, tmcv1alpha1.ReasonTooFewClusters)
	serveWidgets(t, "east")
	waitForWidget(t, tenant, "east", 1)

	if _, err := widgets.Patch(t.Context(), "first", types.MergePatchType, []byte(`{"spec":{"size":2}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"east", "west"} {
		widget := waitForWidget(t, tenant, member, 2)
		status := fmt.Appendf(nil, `{"status":{"observedGeneration":%d,"conditions":[{"type":"Ready","status":"True","reason":"Made","message":"by its controller","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, widget.GetGeneration())
		if _, err := suite.MemberDynamic(t, member).Resource(widgetResource).Namespace(widget.GetNamespace()).Patch(t.Context(), "first", types.MergePatchType, status, metav1.PatchOptions{}, "status"); err != nil {
			t.Fatal(err)
		}
	}
	tenant.WaitForPlacement(t, "widgets", tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	framework.Eventually(t, "its status to come back", framework.MemberTimeout, func(ctx context.Context) error {
		found, err := widgets.Get(ctx, "first", metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, err := framework.Conditions(found)
		if err != nil {
			return err
		}
		return framework.WantCondition(conditions, "Ready", metav1.ConditionTrue, "")
	})
	vanishes(t, widgets, "first")
	framework.Eventually(t, "nothing to be left on members", framework.MemberTimeout, func(ctx context.Context) error {
		for _, member := range []string{"east", "west"} {
			left, err := suite.MemberDynamic(t, member).Resource(widgetResource).List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			if len(left.Items) > 0 {
				return fmt.Errorf("there are %d widgets on %s", len(left.Items), member)
			}
		}
		return nil
	})
}

// serveWidgets makes a member serve widgets, and lets TMC place them there.
func serveWidgets(t *testing.T, member string) {
	t.Helper()
	for _, object := range documents(t, widgetCRD) {
		applyAs(t, suite.MemberDynamic(t, member), "owner", object)
	}
	rules, err := memberrole.Syncer([]schema.GroupResource{widgetResource.GroupResource()})
	if err != nil {
		t.Fatal(err)
	}
	grantOn(t, member, "widgets", env.SyncerName, rules)
}

func waitForWidget(t *testing.T, tenant *framework.PlacingTenant, member string, size int64) *unstructured.Unstructured {
	t.Helper()
	var found *unstructured.Unstructured
	client := suite.MemberDynamic(t, member).Resource(widgetResource).Namespace(tenant.Namespace(metav1.NamespaceDefault))
	framework.Eventually(t, "the widget to be on "+member, framework.MemberTimeout, func(ctx context.Context) error {
		var err error
		if found, err = client.Get(ctx, "first", metav1.GetOptions{}); err != nil {
			return fmt.Errorf("%w; %s", err, tenant.Explain(ctx))
		}
		if got, _, _ := unstructured.NestedInt64(found.Object, "spec", "size"); got != size { // what is no number is not it
			return fmt.Errorf("its size is %d", got)
		}
		return nil
	})
	return found
}

// applyAs applies a cluster-scoped object by server-side apply, until what it needs is there.
func applyAs(t *testing.T, client dynamic.Interface, manager string, object *unstructured.Unstructured) {
	t.Helper()
	gvr, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	framework.Eventually(t, "to apply "+object.GetKind()+" "+object.GetName(), framework.MemberTimeout, func(ctx context.Context) error {
		_, err := client.Resource(gvr).Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: manager})
		if err != nil {
			return errors.Join(fmt.Errorf("applying it as %s", manager), err)
		}
		return nil
	})
}
