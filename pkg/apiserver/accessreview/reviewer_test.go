// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package accessreview

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
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
		"allowed in a workspace": {
			ws: "acme1", spec: who, code: 201, status: authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: "role"},
			path: "/services/apiexport/tmc1/tmc.kcp.io/clusters/acme1" + path, allowed: true,
		},
		"allowed in the provider workspace": {
			ws: door.ProviderWorkspace, spec: who, code: 201, status: authorizationv1.SubjectAccessReviewStatus{Allowed: true},
			path: "/clusters/root:tmc" + path, allowed: true,
		},
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
			allowed, reason, err := New(endpoints{config}, provider, kcp.Client()).Review(t.Context(), tc.ws, tc.spec)
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

// A client for each review would leave its connection behind wherever transports cannot be shared, as with a proxy-url.
func TestReviewsShareConnections(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	kcp := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(&authorizationv1.SubjectAccessReview{})
	}))
	kcp.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	kcp.StartTLS()
	defer kcp.Close()
	config := &rest.Config{
		Host: kcp.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, ContentConfig: rest.ContentConfig{ContentType: "application/json"},
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	reviewer := New(endpoints{config}, config, client)
	for _, ws := range []logicalcluster.Name{"acme1", door.ProviderWorkspace, "acme1", "acme1"} {
		if _, _, err := reviewer.Review(t.Context(), ws, authorizationv1.SubjectAccessReviewSpec{User: "alice"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := opened.Load(); got != 1 {
		t.Errorf("%d connections for 4 reviews, one after the other; want 1", got)
	}
}
