// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Client reads and writes the kinds of tmc.kcp.io in one workspace, as one user.
type Client struct{ dynamic dynamic.Interface }

// NewClient returns a client for the workspace that the configuration's host names.
func NewClient(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = -1, -1 // tests measure the server, not their own limiter
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("creating a client for %s: %w", config.Host, err)
	}
	return &Client{dynamic: d}, nil
}

// Statuses is the view clusterstatuses.
func (c *Client) Statuses() dynamic.ResourceInterface {
	return c.dynamic.Resource(tmcv1alpha1.SchemeGroupVersion().WithResource("clusterstatuses"))
}

// Registrations are the stored clusterregistrations.
func (c *Client) Registrations() dynamic.ResourceInterface {
	return c.dynamic.Resource(tmcv1alpha1.SchemeGroupVersion().WithResource("clusterregistrations"))
}

// Grants are the stored clustergrants.
func (c *Client) Grants() dynamic.ResourceInterface {
	return c.dynamic.Resource(tmcv1alpha1.SchemeGroupVersion().WithResource("clustergrants"))
}

// Status reads one row of the view.
func (c *Client) Status(ctx context.Context, name string) (*tmcv1alpha1.ClusterStatus, error) {
	obj, err := c.Statuses().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("getting clusterstatus %s: %w", name, err)
	}
	status := &tmcv1alpha1.ClusterStatus{}
	return status, Decode(obj, status)
}

// StatusNames lists the names of the rows, in the order of the list.
func (c *Client) StatusNames(ctx context.Context) ([]string, error) {
	list, err := c.Statuses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing clusterstatuses: %w", err)
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].GetName())
	}
	return names, nil
}

// Decode turns an unstructured object into a typed one.
func Decode(obj *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, into); err != nil {
		return fmt.Errorf("decoding %s %s: %w", obj.GetKind(), obj.GetName(), err)
	}
	return nil
}

// Conditions reads the conditions of any object.
func Conditions(obj *unstructured.Unstructured) ([]metav1.Condition, error) {
	var holder struct {
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	err := Decode(obj, &holder)
	return holder.Status.Conditions, err
}

// WantCondition tells how the conditions differ from what is wanted; an empty reason matches any.
func WantCondition(conditions []metav1.Condition, conditionType string, status metav1.ConditionStatus, reason string) error {
	condition := meta.FindStatusCondition(conditions, conditionType)
	switch {
	case condition == nil:
		return fmt.Errorf("there is no condition %s among %v", conditionType, conditions)
	case condition.Status != status, reason != "" && condition.Reason != reason:
		return fmt.Errorf("condition %s is %s/%s (%s), want %s/%s",
			conditionType, condition.Status, condition.Reason, condition.Message, status, reason)
	default:
		return nil
	}
}

// awaitReady waits until rows are Ready; it is for the start, when there is no test yet.
func (c *Client) awaitReady(ctx context.Context, names []string) error {
	var last error
	ctx, cancel := context.WithTimeout(ctx, MemberTimeout)
	defer cancel()
	err := poll(ctx, func(ctx context.Context) (bool, error) {
		last = c.allReady(ctx, names)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %v to be ready: %w: %w", names, err, last)
	}
	return nil
}

func (c *Client) allReady(ctx context.Context, names []string) error {
	for _, name := range names {
		row, err := c.Status(ctx, name)
		if err != nil {
			return err
		}
		if err := WantCondition(row.Status.Conditions, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, ""); err != nil {
			return err
		}
	}
	return nil
}

// WaitForStatus waits until a row of the view has a condition.
func (c *Client) WaitForStatus(t testing.TB, name, conditionType string, status metav1.ConditionStatus) *tmcv1alpha1.ClusterStatus {
	t.Helper()
	var row *tmcv1alpha1.ClusterStatus
	Eventually(t, fmt.Sprintf("clusterstatus %s to have %s=%s", name, conditionType, status), MemberTimeout, func(ctx context.Context) error {
		var err error
		if row, err = c.Status(ctx, name); err != nil {
			return err
		}
		return WantCondition(row.Status.Conditions, conditionType, status, "")
	})
	return row
}

// WaitForRegistration waits until a registration has a condition, and returns the condition's message.
func (c *Client) WaitForRegistration(t testing.TB, name, conditionType string, status metav1.ConditionStatus, reason string) string {
	t.Helper()
	var message string
	Eventually(t, fmt.Sprintf("clusterregistration %s to have %s=%s/%s", name, conditionType, status, reason), MemberTimeout,
		func(ctx context.Context) error {
			obj, err := c.Registrations().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("getting clusterregistration %s: %w", name, err)
			}
			conditions, err := Conditions(obj)
			if err != nil {
				return err
			}
			if found := meta.FindStatusCondition(conditions, conditionType); found != nil {
				message = found.Message
			}
			return WantCondition(conditions, conditionType, status, reason)
		})
	return message
}
