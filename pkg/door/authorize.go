// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"context"
	"errors"
	"strings"

	"github.com/kcp-dev/logicalcluster/v3"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	"github.com/kcp-dev/tmc/pkg/logkey"
)

// Reviewer asks kcp whether a user may do something in a workspace.
type Reviewer interface {
	Review(ctx context.Context, ws logicalcluster.Name, spec authorizationv1.SubjectAccessReviewSpec) (allowed bool, reason string, err error)
}

// Resources are the resources that this server offers and the verbs that each of them has.
type Resources map[schema.GroupResource]sets.Set[string]

// ProviderWorkspace stands, towards a Reviewer, for the workspace that holds the export. What belongs to the server
// and not to a tenant, such as its metrics, is authorized there.
const ProviderWorkspace = logicalcluster.Name("")

// Keys of audit annotations. The first two are kcp's own, so that one search finds a request in both logs.
const (
	auditWorkspace = "kcp.io/cluster"
	auditPath      = "kcp.io/path"
	auditDoor      = "tmc.kcp.io/door"
	auditTrust     = "tmc.kcp.io/trust"
)

// Reasons that a client is told. They name nothing that the client does not know.
const (
	reasonNoIdentity  = "the request has no identity of this server's making"
	reasonNoWorkspace = "the request path names no workspace; use <prefix>/clusters/<workspace>"
	reasonNotServed   = "this server does not serve that in a workspace"
	reasonReadOnly    = "views are computed and can only be read"
	reasonWildcard    = "only kcp may read all workspaces at once"
	// reasonRefused is one for three, so that nobody finds out which workspaces of others exist and use the export.
	reasonRefused  = "there is no such workspace, or it has no active binding to this API, or it does not allow the request"
	reasonProvider = "the workspace that holds the API's export does not allow it"
)

// errUndecided is all that a client learns of a failed review; the cause goes to the log.
var errUndecided = errors.New("whether the request is allowed could not be found out; try again")

// Authorizer decides what a request may do, by its trust.
type Authorizer struct {
	resources  Resources
	workspaces Workspaces
	reviewer   Reviewer
}

var _ authorizer.Authorizer = (*Authorizer)(nil)

// NewAuthorizer returns an authorizer for the given resources.
func NewAuthorizer(resources Resources, workspaces Workspaces, reviewer Reviewer) *Authorizer {
	return &Authorizer{resources: resources, workspaces: workspaces, reviewer: reviewer}
}

// Authorize allows or denies; it never leaves the decision to another authorizer.
func (a *Authorizer) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	identity, ok := attrs.GetUser().(*Identity)
	if !ok {
		return authorizer.DecisionDeny, reasonNoIdentity, nil
	}
	target, inWorkspace := TargetFrom(ctx)
	a.annotate(ctx, identity, target)
	if !inWorkspace {
		return a.outside(ctx, identity, attrs)
	}
	if reason := a.refuse(attrs); reason != "" {
		return authorizer.DecisionDeny, reason, nil
	}
	switch identity.Trust() {
	case TrustShard:
		return shard(target)
	case TrustUser:
		return a.user(ctx, identity, target, attrs)
	default:
		return authorizer.DecisionDeny, reasonNoIdentity, nil
	}
}

// outside decides on what belongs to the server and to no workspace.
func (a *Authorizer) outside(ctx context.Context, identity *Identity, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	switch {
	case attrs.IsResourceRequest():
		return authorizer.DecisionDeny, reasonNoWorkspace, nil
	case attrs.GetVerb() == "get" && IsHealthPath(attrs.GetPath()):
		return authorizer.DecisionAllow, "health is public", nil
	case identity.Trust() != TrustUser:
		return authorizer.DecisionDeny, reasonNoWorkspace, nil
	}
	return a.review(ctx, identity, ProviderWorkspace, attrs, reasonProvider)
}

// refuse answers with why a request is not served in any workspace, whoever sends it.
func (a *Authorizer) refuse(attrs authorizer.Attributes) string {
	if !attrs.IsResourceRequest() {
		if attrs.GetVerb() != "get" || !servedPath(attrs.GetPath()) {
			return reasonNotServed
		}
		return ""
	}
	verbs, offered := a.resources[schema.GroupResource{Group: attrs.GetAPIGroup(), Resource: attrs.GetResource()}]
	switch {
	case !offered || attrs.GetSubresource() != "":
		return reasonNotServed
	case !verbs.Has(attrs.GetVerb()):
		return reasonReadOnly
	}
	return ""
}

// shard decides for kcp, which has authorized the tenant in the workspace of the path.
func shard(target Target) (authorizer.Decision, string, error) {
	if target.Name == "" {
		return authorizer.DecisionDeny, reasonRefused, nil
	}
	return authorizer.DecisionAllow, "kcp has authorized the request in the workspace", nil
}

// user decides for a user. The binding is looked at for each request and is never cached.
func (a *Authorizer) user(ctx context.Context, identity *Identity, target Target, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if target.Wildcard() {
		return authorizer.DecisionDeny, reasonWildcard, nil
	}
	if target.Name == "" || !a.workspaces.Bound(target.Name) {
		return authorizer.DecisionDeny, reasonRefused, nil
	}
	return a.review(ctx, identity, target.Name, attrs, reasonRefused)
}

func (a *Authorizer) review(ctx context.Context, identity *Identity, ws logicalcluster.Name, attrs authorizer.Attributes, otherwise string) (authorizer.Decision, string, error) {
	allowed, _, err := a.reviewer.Review(ctx, ws, reviewSpec(identity, attrs))
	if err != nil {
		klog.FromContext(ctx).V(1).Info("Denied request because the access review failed",
			logkey.Workspace, ws, logkey.User, identity.Name, logkey.Door, identity.Door(), "err", err)
		return authorizer.DecisionDeny, "", errUndecided
	}
	if !allowed {
		return authorizer.DecisionDeny, otherwise, nil
	}
	return authorizer.DecisionAllow, "allowed by an access review in the workspace", nil
}

func reviewSpec(identity user.Info, attrs authorizer.Attributes) authorizationv1.SubjectAccessReviewSpec {
	spec := authorizationv1.SubjectAccessReviewSpec{
		User:   identity.GetName(),
		UID:    identity.GetUID(),
		Groups: identity.GetGroups(),
	}
	if extra := identity.GetExtra(); len(extra) > 0 {
		spec.Extra = make(map[string]authorizationv1.ExtraValue, len(extra))
		for key, list := range extra {
			spec.Extra[key] = list
		}
	}
	if !attrs.IsResourceRequest() {
		spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: attrs.GetPath(), Verb: attrs.GetVerb()}
		return spec
	}
	spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
		Namespace: attrs.GetNamespace(),
		Verb:      attrs.GetVerb(),
		Group:     attrs.GetAPIGroup(),
		Version:   attrs.GetAPIVersion(),
		Resource:  attrs.GetResource(),
		Name:      attrs.GetName(),
	}
	return spec
}

func (a *Authorizer) annotate(ctx context.Context, identity *Identity, target Target) {
	path := ""
	if target.Name != "" && !target.Wildcard() {
		if known, ok := a.workspaces.Path(target.Name); ok {
			path = known.String()
		}
	}
	annotations := map[string]string{
		auditDoor:      identity.Door(),
		auditTrust:     string(identity.Trust()),
		auditWorkspace: target.Name.String(),
		auditPath:      path,
	}
	for key, value := range annotations {
		if value != "" {
			audit.AddAuditAnnotation(ctx, key, value)
		}
	}
}

// IsHealthPath reports whether a path is one that anybody may read.
func IsHealthPath(path string) bool {
	switch path {
	case "/healthz", "/livez", "/readyz":
		return true
	}
	return false
}

// servedPath reports whether a path that is no resource is served below a workspace: what clients need to find and
// explain resources.
func servedPath(path string) bool {
	for _, served := range []string{"/apis", "/openapi", "/version"} {
		if path == served || strings.HasPrefix(path, served+"/") {
			return true
		}
	}
	return false
}
