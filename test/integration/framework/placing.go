// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kcp-dev/logicalcluster/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
)

// PlacingTenant is a tenant that members are lent to, and that places workloads on them.
type PlacingTenant struct {
	*Tenant

	// Members are the names by which the tenant knows the members, by the members' own names.
	Members map[string]string
	// Upstream is the user's typed client in the workspace.
	Upstream kubernetes.Interface
}

// NewPlacingTenant makes a tenant and lends it members of the tenant acme.
func (s *Suite) NewPlacingTenant(t testing.TB, name string, members []string, options ...TenantOption) *PlacingTenant {
	t.Helper()
	p := &PlacingTenant{Tenant: s.NewTenant(t, name, options...), Members: map[string]string{}}
	s.Lend(t, p, name, members...)
	p.Upstream = p.core(t)
	Eventually(t, "deployments to be served to "+name, MemberTimeout, func(ctx context.Context) error {
		_, err := p.Upstream.AppsV1().Deployments(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		return err
	})
	return p
}

// Lend lends members of the tenant acme by a grant, and waits until they are seen.
func (s *Suite) Lend(t testing.TB, p *PlacingTenant, grant string, members ...string) {
	t.Helper()
	if len(members) == 0 {
		return
	}
	s.Acme.Apply(t, fmt.Sprintf("apiVersion: tmc.kcp.io/v1alpha1\nkind: ClusterGrant\nmetadata: {name: %s}\nspec: {clusterNames: [%s], workspaces: [{path: %s}]}\n",
		grant, strings.Join(members, ", "), p.Workspace))
	for _, member := range members {
		p.Members[member] = member + "." + grant
	}
	Eventually(t, "the members to be seen by "+p.Name, MemberTimeout, func(ctx context.Context) error {
		for _, name := range p.Members {
			status, err := p.Client.Status(ctx, name)
			if err != nil {
				return err
			}
			if err := WantCondition(status.Status.Conditions, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// Namespace is the namespace on members that stands for one of the workspace.
func (p *PlacingTenant) Namespace(namespace string) string {
	return transform.NamespaceName(logicalcluster.Name(p.Cluster), namespace)
}

// WaitForDeployment waits until a Deployment on a member, in the namespace that stands for the workspace's default, is as
// check wants it.
func (s *Suite) WaitForDeployment(t testing.TB, p *PlacingTenant, member, name string, check func(*appsv1.Deployment) error) *appsv1.Deployment {
	t.Helper()
	var found *appsv1.Deployment
	client := s.MemberClient(t, member)
	Eventually(t, fmt.Sprintf("deployment %s of %s on %s", name, p.Name, member), MemberTimeout, func(ctx context.Context) error {
		var err error
		if found, err = client.AppsV1().Deployments(p.Namespace(metav1.NamespaceDefault)).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return fmt.Errorf("%w; %s", err, p.Explain(ctx))
		}
		if check == nil {
			return nil
		}
		return check(found)
	})
	return found
}

// WaitForNoDeployment waits until a Deployment is not on a member.
func (s *Suite) WaitForNoDeployment(t testing.TB, p *PlacingTenant, member, name string) {
	t.Helper()
	client := s.MemberClient(t, member)
	Eventually(t, fmt.Sprintf("deployment %s of %s to leave %s", name, p.Name, member), MemberTimeout, func(ctx context.Context) error {
		_, err := client.AppsV1().Deployments(p.Namespace(metav1.NamespaceDefault)).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is there: "+p.Explain(ctx)), err)
	})
}

// WaitForUpstream waits until the workspace's own Deployment is as check wants it.
func (p *PlacingTenant) WaitForUpstream(t testing.TB, name string, check func(*appsv1.Deployment) error) *appsv1.Deployment {
	t.Helper()
	var found *appsv1.Deployment
	Eventually(t, fmt.Sprintf("deployment %s in the workspace of %s", name, p.Name), MemberTimeout, func(ctx context.Context) error {
		var err error
		if found, err = p.Upstream.AppsV1().Deployments(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		if err := check(found); err != nil {
			return fmt.Errorf("%w; %s", err, p.Explain(ctx))
		}
		return nil
	})
	return found
}

// Placement reads a Placement of the namespace default.
func (p *PlacingTenant) Placement(ctx context.Context, name string) (*tmcv1alpha1.Placement, error) {
	return typed[tmcv1alpha1.Placement](ctx, p, "placements", name)
}

// PlacementStatus reads the view of a Placement of the namespace default.
func (p *PlacingTenant) PlacementStatus(ctx context.Context, name string) (*tmcv1alpha1.PlacementStatus, error) {
	return typed[tmcv1alpha1.PlacementStatus](ctx, p, "placementstatuses", name)
}

func typed[T any](ctx context.Context, p *PlacingTenant, resource, name string) (*T, error) {
	gvr := tmcv1alpha1.SchemeGroupVersion().WithResource(resource)
	object, err := p.Client.dynamic.Resource(gvr).Namespace(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("getting %s %s: %w", resource, name, err)
	}
	out := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, out); err != nil {
		return nil, fmt.Errorf("decoding %s %s: %w", resource, name, err)
	}
	return out, nil
}

// WaitForPlacement waits until a condition of a Placement is as wanted; an empty reason is any.
func (p *PlacingTenant) WaitForPlacement(t testing.TB, name, condition string, status metav1.ConditionStatus, reason string) *tmcv1alpha1.Placement {
	t.Helper()
	var found *tmcv1alpha1.Placement
	Eventually(t, fmt.Sprintf("placement %s of %s to be %s=%s/%s", name, p.Name, condition, status, reason), MemberTimeout, func(ctx context.Context) error {
		var err error
		if found, err = p.Placement(ctx, name); err != nil {
			return err
		}
		if err := WantCondition(found.Status.Conditions, condition, status, reason); err != nil {
			return fmt.Errorf("%w; %s", err, p.Explain(ctx))
		}
		return nil
	})
	return found
}

// WaitForView waits until the PlacementStatus of a Placement of the namespace default passes a check.
func (p *PlacingTenant) WaitForView(t testing.TB, name, what string, check func(*tmcv1alpha1.PlacementStatus) error) {
	t.Helper()
	Eventually(t, "the view of "+name+" to say "+what, MemberTimeout, func(ctx context.Context) error {
		view, err := p.PlacementStatus(ctx, name)
		if err != nil {
			return err
		}
		return check(view)
	})
}

// WaitForWarning waits for an event of the namespace default that warns about an object.
func (p *PlacingTenant) WaitForWarning(t testing.TB, name, reason, message string) {
	t.Helper()
	Eventually(t, "an event that warns about "+name, MemberTimeout, func(ctx context.Context) error {
		events, err := p.Upstream.CoreV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
		if err != nil {
			return err
		}
		for i := range events.Items {
			if e := &events.Items[i]; e.Type == corev1.EventTypeWarning && e.Reason == reason && strings.Contains(e.Message, message) {
				return nil
			}
		}
		return fmt.Errorf("there are %d events", len(events.Items))
	})
}

// Explain says what the view tells about every Placement of the namespace default, for messages.
func (p *PlacingTenant) Explain(ctx context.Context) string {
	gvr := tmcv1alpha1.SchemeGroupVersion().WithResource("placementstatuses")
	list, err := p.Client.dynamic.Resource(gvr).Namespace(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "the view cannot be read: " + err.Error()
	}
	parts := make([]string, 0, len(list.Items))
	for i := range list.Items {
		status, _, _ := unstructured.NestedMap(list.Items[i].Object, "status") // only shown
		parts = append(parts, fmt.Sprintf("%s: %v", list.Items[i].GetName(), status))
	}
	return "the view says: " + strings.Join(parts, "; ")
}
