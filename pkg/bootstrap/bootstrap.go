// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/kcp-dev/tmc/apis/manifests"
)

// Run prepares or upgrades the provider workspace, and writes one line per object to out.
func Run(ctx context.Context, admin *rest.Config, o Options, out io.Writer) error {
	if err := o.Validate(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()

	provider := o.provider
	if provider == nil {
		provider = manifests.Provider
	}
	objects, err := provider(manifests.Parameters{
		ProviderWorkspace: o.ProviderWorkspace,
		ServerUser:        o.ServerUser,
		TenantGroup:       o.TenantGroup,
		WebhookURL:        strings.TrimSuffix(o.WebhookURL, "/"),
		WebhookCA:         o.WebhookCA,
	})
	if err != nil {
		return err
	}
	k, err := connect(admin)
	if err != nil {
		return err
	}
	r := &run{kcp: k, options: o, report: report{out: out, dryRun: o.DryRun}}
	if err := r.workspace(ctx); err != nil {
		return err
	}
	if err := r.objects(ctx, objects); err != nil {
		return err
	}
	if o.WebhookURL == "" {
		r.report.printf("Without a webhook, kcp does not ask tmc-apiserver about patches: strategic merge patches lose data then. One that is installed already stays.\n")
	}
	return r.report.finish(o.ProviderWorkspace)
}

// run is one execution of init.
type run struct {
	kcp     *kcp
	options Options
	report  report
	absent  bool // the workspace is not there and, in a dry run, will not be
}

// workspace makes sure that the provider workspace is there and ready.
func (r *run) workspace(ctx context.Context) error {
	path := r.options.ProviderWorkspace
	parent, _ := parentAndName(path)
	asked := parent
	if parent == "" {
		asked = path
	}
	if err := r.kcp.requireCacheAPIs(asked); err != nil {
		return err
	}
	exists, err := lookupWorkspace(ctx, r.kcp, r.options)
	if err != nil {
		return err
	}
	resource := workspaces().GroupResource().String() + "/" + path
	if exists {
		r.report.line(unchanged, resource, nil)
		if r.options.DryRun {
			return nil
		}
		return waitForWorkspace(ctx, r.kcp, path)
	}
	if r.options.DryRun {
		r.absent = true
		r.report.line(create, resource, nil)
		return nil
	}
	if err := createWorkspace(ctx, r.kcp, r.options); err != nil {
		return err
	}
	if err := waitForWorkspace(ctx, r.kcp, path); err != nil {
		return err
	}
	r.report.line(create, resource, nil)
	return nil
}

// objects brings the objects of the provider workspace up to date: first the whole plan, then the writes.
func (r *run) objects(ctx context.Context, objects []*unstructured.Unstructured) error {
	if r.absent {
		for _, object := range objects {
			s := step{desired: object}
			r.report.line(create, s.String(), nil)
		}
		return nil
	}
	client, err := r.kcp.dynamic(r.options.ProviderWorkspace)
	if err != nil {
		return err
	}
	p := &planner{client: client, workspace: r.options.ProviderWorkspace}
	steps, err := p.plan(ctx, objects)
	if err != nil {
		return fmt.Errorf("planning, nothing was written to workspace %s: %w", r.options.ProviderWorkspace, err)
	}
	for _, s := range steps {
		if s.action != unchanged && !r.options.DryRun {
			if err := p.applyPatiently(ctx, s); err != nil {
				return fmt.Errorf("stopped half-way, run init again when the cause is mended: %w", err)
			}
		}
		if s.desired.GetKind() == "CachedResource" && !r.options.DryRun {
			if err := p.waitForAnchor(ctx, s); err != nil {
				return err
			}
		}
		r.report.line(s.action, s.String(), s.changes)
	}
	return nil
}
