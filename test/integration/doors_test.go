// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kcp-dev/tmc/test/integration/framework"
)

const statusesPath = "/apis/tmc.kcp.io/v1alpha1/clusterstatuses"

// TestSideDoorCarriesTheUser reads through the public front-proxy's mapping with the user's own certificate.
func TestSideDoorCarriesTheUser(t *testing.T) {
	t.Parallel()
	stranger := suite.NewTenant(t, "side-stranger")
	acme := suite.Acme
	tests := map[string]struct {
		user *framework.Tenant
		path string
		want int
	}{
		"own workspace by name":       {acme, "/clusters/" + acme.Cluster + statusesPath, http.StatusOK},
		"own workspace by path":       {acme, "/clusters/" + acme.Workspace + statusesPath, http.StatusOK},
		"own workspace, one row":      {acme, "/clusters/" + acme.Cluster + statusesPath + "/east", http.StatusOK},
		"own workspace, discovery":    {acme, "/clusters/" + acme.Cluster + "/apis/tmc.kcp.io/v1alpha1", http.StatusOK},
		"SEC-02 another's workspace":  {stranger, "/clusters/" + acme.Cluster + statusesPath, http.StatusForbidden},
		"SEC-02 another's by path":    {stranger, "/clusters/" + acme.Workspace + statusesPath, http.StatusForbidden},
		"SEC-02 all workspaces":       {acme, "/clusters/*" + statusesPath, http.StatusForbidden},
		"SEC-04 workspace not bound":  {acme, "/clusters/root:tmc" + statusesPath, http.StatusForbidden},
		"SEC-05 delete":               {acme, "/clusters/" + acme.Cluster + statusesPath + "/east#DELETE", http.StatusForbidden},
		"no workspace":                {acme, statusesPath, http.StatusForbidden},
		"another resource":            {acme, "/clusters/" + acme.Cluster + "/api/v1/secrets", http.StatusForbidden},
		"workspace that is not there": {acme, "/clusters/root:nowhere" + statusesPath, http.StatusForbidden},
		"SEC-12 climbing out":         {acme, "/clusters/" + acme.Cluster + "/../" + stranger.Cluster + statusesPath, http.StatusForbidden},
		"SEC-12 encoded climbing out": {acme, "/clusters/" + acme.Cluster + "%2f..%2f" + stranger.Cluster + statusesPath, http.StatusForbidden},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, method, _ := strings.Cut(tc.path, "#")
			if method == "" {
				method = http.MethodGet
			}
			status, body := tc.user.Do(t, method, suite.Env.PublicURL()+"/services/tmc"+path, nil)
			// Refusals differ in who gives them: the front-proxy, our filter or our authorizer.
			refused := status == http.StatusForbidden || status == http.StatusNotFound || status == http.StatusBadRequest ||
				status == http.StatusUnauthorized || status == http.StatusMethodNotAllowed ||
				// The front-proxy cleans paths by redirecting; what it redirects to is refused by itself.
				status == http.StatusMovedPermanently || status == http.StatusTemporaryRedirect
			if (tc.want == http.StatusOK && status != http.StatusOK) || (tc.want != http.StatusOK && !refused) {
				t.Errorf("%s %s answered %d, want about %d: %.300s", method, path, status, tc.want, body)
			}
			if tc.want != http.StatusOK && strings.Contains(body, "allocatable") {
				t.Errorf("a refusal tells figures: %.300s", body)
			}
		})
	}
}

// TestSEC01ForgedIdentities talks to the server's own port, past every proxy, as an intruder would who has a
// certificate of some authority, or knows the secret header names, but not both.
func TestSEC01ForgedIdentities(t *testing.T) {
	t.Parallel()
	front, side := suite.Env.Headers()
	user := suite.NewTenant(t, "intruder").Certificate(t)
	target := suite.Env.TMCURL() + "/services/tmc/clusters/" + suite.Acme.Cluster + statusesPath
	forge := func(prefix string) http.Header {
		return http.Header{prefix + "User": {"kcp-shard-root"}, prefix + "Group": {"system:masters"}}
	}
	tests := map[string]struct {
		certificates []tls.Certificate
		headers      http.Header
	}{
		"anonymous":                                   {nil, nil},
		"anonymous, front door headers":               {nil, forge(front)},
		"anonymous, side door headers":                {nil, forge(side)},
		"anonymous, standard headers":                 {nil, forge("X-Remote-")},
		"anonymous, bearer token":                     {nil, http.Header{"Authorization": {"Bearer abc"}}},
		"another tenant's certificate, front headers": {[]tls.Certificate{user}, forge(front)},
		"another tenant's certificate, side headers":  {[]tls.Certificate{user}, forge(side)},
		"another tenant's certificate, impersonation": {[]tls.Certificate{user}, http.Header{"Impersonate-User": {"kcp-shard-root"}}},
		"own authority":                               {[]tls.Certificate{framework.SelfSignedClient(t, "kcp-front-proxy-tmc")}, forge(front)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, body := suite.DoRaw(t, http.MethodGet, target, tc.headers, tc.certificates...)
			if status != http.StatusUnauthorized && status != http.StatusForbidden && status != 0 {
				t.Errorf("the request was answered with %d: %.300s", status, body)
			}
		})
	}
}

// TestSEC01FrontProxyHeaders sends forged headers through the public front-proxy; kcp 0.31.2 passes them on.
func TestSEC01ForgedHeadersThroughTheFrontProxy(t *testing.T) {
	t.Parallel()
	stranger := suite.NewTenant(t, "forger")
	target := suite.Env.PublicURL() + "/services/tmc/clusters/" + suite.Acme.Cluster + statusesPath
	for _, prefix := range []string{"X-Remote-", "X_Remote_", "x-remote-"} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			headers := http.Header{prefix + "User": {suite.Acme.User}, prefix + "Group": {"system:masters"}, "Connection": {prefix + "User"}}
			if status, body := stranger.Do(t, http.MethodGet, target, headers); status == http.StatusOK {
				t.Errorf("a forged identity was believed: %.300s", body)
			}
			if status, body := suite.DoRaw(t, http.MethodGet, target, headers); status == http.StatusOK {
				t.Errorf("a forged identity without a certificate was believed: %.300s", body)
			}
		})
	}
}

// TestSEC02ImpersonationIsRefused also through the shard's own port, which adds the caller as Impersonate-User.
func TestSEC02ImpersonationIsRefused(t *testing.T) {
	t.Parallel()
	target := suite.Env.PublicURL() + "/services/tmc/clusters/" + suite.Acme.Cluster + statusesPath
	status, body := suite.Acme.Do(t, http.MethodGet, target, http.Header{"Impersonate-User": {"somebody"}})
	if status != http.StatusForbidden {
		t.Errorf("impersonation was answered with %d: %.300s", status, body)
	}
	shard := suite.ShardURL(t, "root") + "/services/tmc/clusters/" + suite.Acme.Cluster + statusesPath
	if status, body := suite.Acme.Do(t, http.MethodGet, shard, nil); status == http.StatusOK {
		t.Errorf("the shard's own port lets a user in as the shard: %.300s", body)
	}
}

// TestSEC06NothingIsOpen asks for the usual paths without an identity.
func TestSEC06NothingIsOpen(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/apis", "/metrics", "/openapi/v3", "/debug/pprof/", "/version", "/services/tmc", "/logs"} {
		if status, body := suite.DoRaw(t, http.MethodGet, suite.Env.TMCURL()+path, nil); status != http.StatusUnauthorized && status != http.StatusForbidden {
			t.Errorf("%s was answered with %d: %.200s", path, status, body)
		}
	}
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		if status, body := suite.DoRaw(t, http.MethodGet, suite.Env.TMCURL()+path, nil); status != http.StatusOK {
			t.Errorf("%s was answered with %d: %.200s", path, status, body)
		}
	}
}

// TestSEC21NoCredentialInAnyLog reads every log of the environment for the credentials that it holds.
func TestSEC21NoCredentialInServerLogs(t *testing.T) {
	log := suite.ReadLog(t, "tmc-apiserver")
	front, side := suite.Env.Headers()
	secrets := map[string]string{"front header prefix": front, "side header prefix": side}
	for i, token := range suite.Tokens(t) {
		secrets[fmt.Sprintf("token %d", i)] = token
	}
	for what, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("the server's log has the %s", what)
		}
	}
	if strings.Contains(log, "Bearer ") {
		t.Error("the server's log has a bearer token")
	}
}
