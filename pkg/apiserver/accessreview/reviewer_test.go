// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package accessreview

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kcp-dev/logicalcluster/v3"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/kcp-dev/tmc/pkg/door"
)

// endpoints reach one workspace.
type endpoints struct{ config *rest.Config }

func (e endpoints) ConfigFor(ws logicalcluster.Name) (*rest.Config, bool) {
	if ws != "acme1" {
		return nil, false
	}
	config := rest.CopyConfig(e.config)
	config.Host += "/services/apiexport/tmc1/tmc.kcp.io/clusters/acme1"
	return config, true
}

func TestReview(t *testing.T) {
	t.Parallel()
	who := authorizationv1.SubjectAccessReviewSpec{
		User: "alice", Groups: []string{"devs"}, Extra: map[string]authorizationv1.ExtraValue{"scopes": {"a"}},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Group: "tmc.kcp.io", Resource: "clusterstatuses"},
	}
	const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
	tests := map[string]struct {
		ws      logicalcluster.Name
		spec    authorizationv1.SubjectAccessReviewSpec
		code    int
		status  authorizationv1.SubjectAccessReviewStatus
		path    string
		allowed bool
		problem string
	}{
		"allowed in a workspace": {ws: "acme1", spec: who, code: 201, status: authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: "role"},
			path: "/services/apiexport/tmc1/tmc.kcp.io/clusters/acme1" + path, allowed: true},
		"allowed in the provider workspace": {ws: door.ProviderWorkspace, spec: who, code: 201, status: authorizationv1.SubjectAccessReviewStatus{Allowed: true},
			path: "/clusters/root:tmc" + path, allowed: true},
		"not allowed":        {ws: "acme1", spec: who, code: 201},
		"allowed and denied": {ws: "acme1", spec: who, code: 201, status: authorizationv1.SubjectAccessReviewStatus{Allowed: true, Denied: true}},
		"claim rejected":     {ws: "acme1", spec: who, code: 403, problem: "reviewing access in workspace \"acme1\""},
		"unknown workspace":  {ws: "globex1", spec: who, problem: "no endpoint is known"},
		"no user":            {ws: "acme1", problem: "the user has no name"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked authorizationv1.SubjectAccessReview
			var asPath string
			kcp := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				asPath = req.URL.Path
				if err := json.NewDecoder(req.Body).Decode(&asked); err != nil {
					t.Errorf("decoding the review: %v", err)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tc.code)
				_ = json.NewEncoder(w).Encode(&authorizationv1.SubjectAccessReview{Status: tc.status})
			}))
			defer kcp.Close()
			config := &rest.Config{Host: kcp.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
			provider := rest.CopyConfig(config)
			provider.Host += "/clusters/root:tmc"
			allowed, reason, err := New(endpoints{config}, provider).Review(t.Context(), tc.ws, tc.spec)
			if allowed != tc.allowed || (err != nil) != (tc.problem != "") || err != nil && !strings.Contains(err.Error(), tc.problem) {
				t.Fatalf("got %v, %q, %v", allowed, reason, err)
			}
			if tc.path == "" {
				return
			}
			if diff := cmp.Diff(tc.spec, asked.Spec); diff != "" || asPath != tc.path || reason != tc.status.Reason {
				t.Errorf("asked at %s (-want +got):\n%s", asPath, diff)
			}
		})
	}
}
