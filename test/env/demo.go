// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Tenants of the demo: the first one has the members, the second one sees none until a grant.
const (
	DemoTenant      = "acme"
	DemoOtherTenant = "globex"
)

// UpAll starts everything: kcp, the members, and tmc-apiserver on a prepared provider workspace.
func UpAll(ctx context.Context, o Options, tmc TMCOptions) (*Environment, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if found, err := Load(o.Dir); err == nil && found.tmcRunning() {
		return Up(ctx, o) // which says that it is up already, or why not
	}
	if tmc.Binary != "" {
		return upAll(ctx, o, tmc)
	}
	// Built ahead of the environment that it is for: a mistake in it shows before anything is started.
	var err error
	if tmc.Binary, err = buildTMC(ctx, &o); err != nil {
		return nil, err
	}
	return upAll(ctx, o, tmc)
}

func upAll(ctx context.Context, o Options, tmc TMCOptions) (*Environment, error) {
	e, err := Up(ctx, o)
	if err != nil || e.tmcRunning() {
		return e, err
	}
	if tmc.Binary, err = e.placeTMC(tmc.Binary); err != nil {
		return nil, err
	}
	if err := e.InitTMC(ctx, tmc); err != nil {
		return nil, err
	}
	_, err = e.StartTMC(ctx, tmc)
	return e, err
}

func (e *Environment) tmcRunning() bool {
	p, err := e.table.Find(processTMC)
	return err == nil && p.Running()
}

// Demo makes the two tenants on a running environment, registers every member with the first, and waits until the
// tenant's own view shows all of them Ready.
func (e *Environment) Demo(ctx context.Context) (*Tenant, error) {
	tenant, err := e.Tenant(ctx, DemoTenant, WithTMC())
	if err != nil {
		return nil, err
	}
	e.say("tenant %s has the workspace %s", tenant.Name, tenant.Path)
	for _, m := range e.Members() {
		if err := e.RegisterMember(ctx, tenant.Path, m.Name, nil); err != nil {
			return nil, err
		}
		e.say("registered member %s", m.Name)
	}
	other, err := e.Tenant(ctx, DemoOtherTenant, WithTMC())
	if err != nil {
		return nil, err
	}
	e.say("tenant %s has the workspace %s", other.Name, other.Path)
	if err := e.AwaitMembersReady(ctx, tenant); err != nil {
		return nil, err
	}
	e.say("all members are Ready in the view of tenant %s", tenant.Name)
	return tenant, nil
}

// AwaitMembersReady waits until the tenant sees every member of the environment, Ready.
func (e *Environment) AwaitMembersReady(ctx context.Context, t *Tenant) error {
	config, err := t.Config()
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client of tenant %s: %w", t.Name, err)
	}
	views := client.Resource(tmcv1alpha1.SchemeGroupVersion().WithResource("clusterstatuses"))
	err = e.retry(ctx, func(ctx context.Context) error {
		list, err := views.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		ready := map[string]bool{}
		for i := range list.Items {
			ready[list.Items[i].GetName()] = conditionTrue(&list.Items[i], tmcv1alpha1.ConditionReady)
		}
		var errs []error
		for _, m := range e.Members() {
			if !ready[m.Name] {
				errs = append(errs, fmt.Errorf("member %s: %w", m.Name, errNotReady))
			}
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return fmt.Errorf("waiting until tenant %s sees every member Ready (tmc-apiserver's log is in %s): %w", t.Name, e.LogDir(), err)
	}
	return nil
}

func conditionTrue(object *unstructured.Unstructured, conditionType string) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions") // malformed is not true
	for _, c := range conditions {
		condition, ok := c.(map[string]any)
		if ok && condition["type"] == conditionType {
			return condition["status"] == string(metav1.ConditionTrue)
		}
	}
	return false
}

// ErrNoKubectl says that kubectl is not installed.
var ErrNoKubectl = errors.New("kubectl was not found in PATH: install it (https://kubernetes.io/docs/tasks/tools/) and run this again")

// FindKubectl finds the user's kubectl.
func FindKubectl() (string, error) {
	path, err := exec.LookPath("kubectl")
	if err != nil {
		return "", errors.Join(ErrNoKubectl, err)
	}
	return path, nil
}
