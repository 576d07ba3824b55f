// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package accessreview asks kcp what a user may do in a workspace.
//
// Every review goes through the endpoint of the workspace's own shard, with this server's own identity and the
// permission claim that lets it create SubjectAccessReviews. The package caches nothing and decides nothing.
package accessreview

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/kcp-dev/logicalcluster/v3"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/kcp-dev/tmc/pkg/door"
)

// Endpoints tells how to reach a workspace.
type Endpoints interface {
	// ConfigFor returns the configuration of a client for one workspace, and false if no shard is known to hold it.
	ConfigFor(ws logicalcluster.Name) (*rest.Config, bool)
}

// Reviewer creates SubjectAccessReviews.
type Reviewer struct {
	endpoints Endpoints
	provider  *rest.Config
	client    *http.Client
}

var _ door.Reviewer = (*Reviewer)(nil)

// New returns a reviewer. Provider is the configuration of the workspace that holds the export. All reviews share the
// client, which authenticates this server.
func New(endpoints Endpoints, provider *rest.Config, client *http.Client) *Reviewer {
	return &Reviewer{endpoints: endpoints, provider: provider, client: client}
}

// Review asks once.
func (r *Reviewer) Review(ctx context.Context, ws logicalcluster.Name, spec authorizationv1.SubjectAccessReviewSpec) (bool, string, error) {
	config := r.provider
	if ws != door.ProviderWorkspace {
		found, ok := r.endpoints.ConfigFor(ws)
		if !ok {
			// This passes: the endpoint of a workspace is known shortly after its binding.
			return false, "", fmt.Errorf("reviewing access in workspace %q: no endpoint is known", ws)
		}
		config = found
	}
	if spec.User == "" {
		return false, "", errors.New("reviewing access: the user has no name")
	}
	// The server's own limits hold for reviews, so the client does not add another.
	config = rest.CopyConfig(config)
	config.QPS, config.RateLimiter = -1, nil
	reviews, err := authorizationclient.NewForConfigAndClient(config, r.client)
	if err != nil {
		return false, "", fmt.Errorf("creating a client to review access in workspace %q: %w", ws, err)
	}
	review, err := reviews.SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return false, "", fmt.Errorf("reviewing access in workspace %q: %w", ws, err)
	}
	// An evaluation error with an answer is still an answer: kcp gives one when a part of its rules is missing.
	return review.Status.Allowed && !review.Status.Denied, review.Status.Reason, nil
}
