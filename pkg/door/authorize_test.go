// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

type question struct {
	Workspace logicalcluster.Name
	Spec      authorizationv1.SubjectAccessReviewSpec
}

// fakeReviewer records what it was asked.
type fakeReviewer struct {
	allowed bool
	err     error
	asked   []question
}

func (f *fakeReviewer) Review(_ context.Context, ws logicalcluster.Name, spec authorizationv1.SubjectAccessReviewSpec) (bool, string, error) {
	f.asked = append(f.asked, question{ws, spec})
	return f.allowed, "because of a secret rule", f.err
}

func views() Resources {
	return Resources{{Group: "tmc.kcp.io", Resource: "clusterstatuses"}: sets.New("get", "list", "watch")}
}

func resource(verb string, change ...func(*authorizer.AttributesRecord)) authorizer.AttributesRecord {
	attrs := authorizer.AttributesRecord{
		Verb: verb, APIGroup: "tmc.kcp.io", APIVersion: "v1alpha1", Resource: "clusterstatuses", ResourceRequest: true,
		Path: "/apis/tmc.kcp.io/v1alpha1/clusterstatuses",
	}
	for _, c := range change {
		c(&attrs)
	}
	return attrs
}

func path(verb, p string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{Verb: verb, Path: p}
}

func identity(door string, trust Trust, name string) *Identity {
	return &Identity{DefaultInfo: user.DefaultInfo{
		Name: name, UID: "u1", Groups: []string{"devs", "system:authenticated"}, Extra: map[string][]string{"scopes": {"s"}},
	}, door: door, trust: trust}
}

func TestSEC02Authorize(t *testing.T) {
	t.Parallel()
	shardID, alice := identity(Front, TrustShard, "kcp-shard-root"), identity(Side, TrustUser, "alice")
	acme, wildcard, unknown := &Target{"acme1", "acme1"}, &Target{"*", "*"}, &Target{"root:nobody", ""}
	unbound := &Target{"other1", "other1"}
	status := resource("get", func(a *authorizer.AttributesRecord) { a.Subresource = "status"; a.Name = "east" })
	secrets := authorizer.AttributesRecord{Verb: "list", APIVersion: "v1", Resource: "secrets", ResourceRequest: true}
	tests := map[string]struct {
		user    user.Info
		target  *Target
		attrs   authorizer.AttributesRecord
		reviews bool // the review allows
		allowed bool
		asked   bool
	}{
		"shard lists a workspace":               {user: shardID, target: acme, attrs: resource("list"), allowed: true},
		"shard watches all workspaces":          {user: shardID, target: wildcard, attrs: resource("watch"), allowed: true},
		"shard discovers":                       {user: shardID, target: wildcard, attrs: path("get", "/apis/tmc.kcp.io/v1alpha1"), allowed: true},
		"shard in a workspace not yet known":    {user: shardID, target: unbound, attrs: resource("get"), allowed: true},
		"shard at an unknown path":              {user: shardID, target: unknown, attrs: resource("get")},
		"shard without a workspace":             {user: shardID, attrs: resource("list")},
		"shard reads metrics":                   {user: shardID, attrs: path("get", "/metrics")},
		"shard reads metrics below a workspace": {user: shardID, target: acme, attrs: path("get", "/metrics")},
		"SEC-05 shard creates":                  {user: shardID, target: acme, attrs: resource("create")},
		"SEC-05 shard deletes a collection":     {user: shardID, target: acme, attrs: resource("deletecollection")},
		"SEC-05 shard impersonates":             {user: shardID, target: acme, attrs: resource("impersonate")},
		"SEC-13 shard proxies":                  {user: shardID, target: acme, attrs: resource("proxy")},
		"shard reads a subresource":             {user: shardID, target: acme, attrs: status},
		"shard reads another resource":          {user: shardID, target: acme, attrs: secrets},
		"shard posts to discovery":              {user: shardID, target: acme, attrs: path("post", "/apis")},

		"user lists":                              {user: alice, target: acme, attrs: resource("list"), reviews: true, allowed: true, asked: true},
		"user is denied by the workspace":         {user: alice, target: acme, attrs: resource("list"), asked: true},
		"user discovers":                          {user: alice, target: acme, attrs: path("get", "/apis"), reviews: true, allowed: true, asked: true},
		"user explains":                           {user: alice, target: acme, attrs: path("get", "/openapi/v3/apis/tmc.kcp.io/v1alpha1"), reviews: true, allowed: true, asked: true},
		"SEC-02 user reads all workspaces":        {user: alice, target: wildcard, attrs: resource("list"), reviews: true},
		"SEC-02 user discovers in all workspaces": {user: alice, target: wildcard, attrs: path("get", "/apis"), reviews: true},
		"SEC-04 user without a binding":           {user: alice, target: unbound, attrs: resource("list"), reviews: true},
		"SEC-04 user at an unknown path":          {user: alice, target: unknown, attrs: resource("list"), reviews: true},
		"SEC-05 user creates":                     {user: alice, target: acme, attrs: resource("create"), reviews: true},
		"user reads a subresource":                {user: alice, target: acme, attrs: status, reviews: true},
		"user reads metrics":                      {user: alice, attrs: path("get", "/metrics"), reviews: true, allowed: true, asked: true},
		"user may not read metrics":               {user: alice, attrs: path("get", "/metrics"), asked: true},
		"user reads metrics below a workspace":    {user: alice, target: acme, attrs: path("get", "/metrics"), reviews: true},
		"user reads health below a workspace":     {user: alice, target: acme, attrs: path("get", "/healthz"), reviews: true},
		"user reads profiles below a workspace":   {user: alice, target: acme, attrs: path("get", "/debug/pprof/heap"), reviews: true},
		"user lists without a workspace":          {user: alice, attrs: resource("list"), reviews: true},

		"anonymous reads health":                   {user: anonymous(), attrs: path("get", "/readyz"), allowed: true},
		"anonymous posts to health":                {user: anonymous(), attrs: path("post", "/readyz")},
		"anonymous reads a single check":           {user: anonymous(), attrs: path("get", "/readyz/ping"), reviews: true},
		"anonymous reads metrics":                  {user: anonymous(), attrs: path("get", "/metrics"), reviews: true},
		"anonymous reads health below a workspace": {user: anonymous(), target: acme, attrs: path("get", "/healthz"), reviews: true},
		"anonymous discovers":                      {user: anonymous(), target: acme, attrs: path("get", "/apis"), reviews: true},
		"a user that is not of the doors' making":  {user: &user.DefaultInfo{Name: "kcp-shard-root", Groups: []string{"system:masters"}}, target: acme, attrs: resource("get"), reviews: true},
		"no user":                 {target: acme, attrs: resource("get"), reviews: true},
		"trust that nobody knows": {user: identity(Front, "", "x"), target: acme, attrs: resource("get"), reviews: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if tc.target != nil {
				ctx = withTarget(ctx, *tc.target)
			}
			tc.attrs.User = tc.user
			reviewer := &fakeReviewer{allowed: tc.reviews}
			decision, reason, err := NewAuthorizer(views(), tenants(), reviewer).Authorize(ctx, tc.attrs)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]authorizer.Decision{true: authorizer.DecisionAllow, false: authorizer.DecisionDeny}[tc.allowed]; decision != want {
				t.Errorf("decision %v (%s), want %v", decision, reason, want)
			}
			if asked := len(reviewer.asked) > 0; asked != tc.asked {
				t.Errorf("asked for a review: %v, want %v", asked, tc.asked)
			}
			if strings.Contains(reason, "secret") {
				t.Errorf("the reason tells of kcp's rules: %s", reason)
			}
		})
	}
}

func TestReviewAsksForTheWholeRequest(t *testing.T) {
	t.Parallel()
	alice := identity(Side, TrustUser, "alice")
	reviewer := &fakeReviewer{allowed: true}
	a := NewAuthorizer(views(), tenants(), reviewer)
	named := resource("get", func(r *authorizer.AttributesRecord) { r.Name, r.User, r.Namespace = "east", alice, "ns" })
	metrics := path("get", "/metrics")
	metrics.User = alice
	for _, call := range []struct {
		ctx   context.Context // a table of calls
		attrs authorizer.Attributes
	}{{withTarget(t.Context(), Target{"root:acme", "acme1"}), named}, {t.Context(), metrics}} {
		if _, _, err := a.Authorize(call.ctx, call.attrs); err != nil {
			t.Fatal(err)
		}
	}
	who := authorizationv1.SubjectAccessReviewSpec{
		User: "alice", UID: "u1", Groups: []string{"devs", "system:authenticated"}, Extra: map[string]authorizationv1.ExtraValue{"scopes": {"s"}},
	}
	inWorkspace, ofServer := who, who
	inWorkspace.ResourceAttributes = &authorizationv1.ResourceAttributes{
		Namespace: "ns", Verb: "get", Group: "tmc.kcp.io", Version: "v1alpha1", Resource: "clusterstatuses", Name: "east",
	}
	ofServer.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"}
	want := []question{{"acme1", inWorkspace}, {ProviderWorkspace, ofServer}}
	if diff := cmp.Diff(want, reviewer.asked); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
}

func TestFailedReviewTellsNothing(t *testing.T) {
	t.Parallel()
	reviewer := &fakeReviewer{allowed: true, err: errors.New("dialing 10.0.0.1: token abc refused")}
	attrs := resource("list")
	attrs.User = identity(Side, TrustUser, "alice")
	decision, reason, err := NewAuthorizer(views(), tenants(), reviewer).Authorize(withTarget(t.Context(), Target{"acme1", "acme1"}), attrs)
	if decision != authorizer.DecisionDeny || !errors.Is(err, errUndecided) || reason != "" || strings.Contains(err.Error(), "10.0.0.1") {
		t.Errorf("got %v, %q, %v", decision, reason, err)
	}
}

// A user who may not read a workspace must not learn whether it exists or uses the export.
func TestSEC02RefusalsDoNotTellWorkspacesApart(t *testing.T) {
	t.Parallel()
	for name, attrs := range map[string]authorizer.AttributesRecord{"view": resource("list"), "discovery": path("get", "/apis")} {
		reasons := sets.New[string]()
		for _, target := range []Target{{"acme1", "acme1"}, {"root:acme", "acme1"}, {"other1", "other1"}, {"root:nobody", ""}} {
			attrs.User = identity(Side, TrustUser, "mallory")
			decision, reason, err := NewAuthorizer(views(), tenants(), &fakeReviewer{}).Authorize(withTarget(t.Context(), target), attrs)
			if decision != authorizer.DecisionDeny || reason == "" || err != nil {
				t.Errorf("%s: %+v: got %v, %q, %v", name, target, decision, reason, err)
			}
			reasons.Insert(reason)
		}
		if len(reasons) != 1 {
			t.Errorf("%s: the reasons tell workspaces apart: %q", name, sets.List(reasons))
		}
	}
}

func TestResourcesAreExact(t *testing.T) {
	t.Parallel()
	attrs := resource("list", func(a *authorizer.AttributesRecord) { a.APIGroup = "tmc.kcp.io.evil" })
	attrs.User = identity(Front, TrustShard, "kcp-shard-root")
	decision, _, _ := NewAuthorizer(views(), tenants(), &fakeReviewer{}).Authorize(withTarget(t.Context(), Target{"acme1", "acme1"}), attrs)
	if decision != authorizer.DecisionDeny {
		t.Error("another group was allowed")
	}
	if _, ok := views()[schema.GroupResource{Group: "tmc.kcp.io", Resource: "clusterstatuses"}]; !ok {
		t.Error("the view is not among the resources")
	}
}
