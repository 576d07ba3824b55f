// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberconfig_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

func TestFromKubeconfigTakesTokenOrClientCertificate(t *testing.T) {
	t.Parallel()
	ca, _ := validPair(t)
	cert, key := validPair(t)
	cluster := "server: https://east.example:6443/k8s/\ncertificate-authority-data: " + b64(ca)
	tests := map[string]struct {
		data []byte
		want memberconfig.Connection
	}{
		"token": {
			data: kubeconfig(cluster, "token: "+plantedToken),
			want: memberconfig.Connection{Server: "https://east.example:6443/k8s", CAData: ca, BearerToken: plantedToken},
		},
		"token with the newline that echo leaves": {
			data: kubeconfig(cluster, `token: "`+plantedToken+`\n"`),
			want: memberconfig.Connection{Server: "https://east.example:6443/k8s", CAData: ca, BearerToken: plantedToken},
		},
		"client certificate": {
			data: kubeconfig(cluster, "client-certificate-data: "+b64(cert)+"\nclient-key-data: "+b64(key)),
			want: memberconfig.Connection{
				Server: "https://east.example:6443/k8s", CAData: ca, ClientCertData: cert, ClientKeyData: key,
				CertificateNotAfter: now.Add(time.Hour),
			},
		},
		"fields that change nothing, and fields that are unset": {
			data: kubeconfig(cluster+"\ndisable-compression: true\nextensions:\n- name: x\n  extension: {a: [1, 2]}\ninsecure-skip-tls-verify: false\nproxy-url: ''",
				"token: "+plantedToken+"\nexec: null\nas-groups: []\nauth-provider: {}"),
			want: memberconfig.Connection{Server: "https://east.example:6443/k8s", CAData: ca, BearerToken: plantedToken},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problem := memberconfig.FromKubeconfig(tc.data, now)
			if problem != nil {
				t.Fatalf("problem: %v", problem)
			}
			// The redaction also hides differences from cmp, so compare without methods.
			type bare memberconfig.Connection
			if diff := cmp.Diff(bare(tc.want), bare(got)); diff != "" {
				t.Errorf("connection (-want +got):\n%s", diff)
			}
		})
	}
}

// forbiddenFields are refused in the current context and ignored elsewhere. Each would change what runs, what is
// read, whom we talk to, or as whom.
func forbiddenFields(canary string) map[string]struct{ cluster, user, path string } {
	return map[string]struct{ cluster, user, path string }{
		"exec": {
			user: "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  command: /bin/sh\n  args: [-c, 'touch " + canary + "']\n  interactiveMode: Never",
			path: "users[admin].user.exec",
		},
		"auth-provider":           {user: "auth-provider:\n  name: gcp\n  config: {cmd-path: /bin/touch, cmd-args: " + canary + "}", path: "users[admin].user.auth-provider"},
		"tokenFile":               {user: "tokenFile: " + canary, path: "users[admin].user.tokenFile"},
		"client-certificate path": {user: "client-certificate: " + canary, path: "users[admin].user.client-certificate"},
		"client-key path":         {user: "client-key: " + canary, path: "users[admin].user.client-key"},
		"username":                {user: "username: a", path: "users[admin].user.username"},
		"password":                {user: "password: b", path: "users[admin].user.password"},
		"as":                      {user: "as: system:admin", path: "users[admin].user.as"},
		"as-uid":                  {user: "as-uid: '1'", path: "users[admin].user.as-uid"},
		"as-groups":               {user: "as-groups: [system:masters]", path: "users[admin].user.as-groups"},
		"as-user-extra":           {user: "as-user-extra: {a: [b]}", path: "users[admin].user.as-user-extra"},
		"merge key":               {user: "<<: {exec: {command: /bin/sh}}", path: "users[admin].user.<<"},
		"unknown user field":      {user: "Exec: {command: /bin/sh}", path: "users[admin].user.Exec"},
		"CA path":                 {cluster: "certificate-authority: " + canary, path: "clusters[east].cluster.certificate-authority"},
		"skipped verification":    {cluster: "insecure-skip-tls-verify: true", path: "clusters[east].cluster.insecure-skip-tls-verify"},
		"proxy":                   {cluster: "proxy-url: http://evil.example", path: "clusters[east].cluster.proxy-url"},
		"TLS server name":         {cluster: "tls-server-name: other.example", path: "clusters[east].cluster.tls-server-name"},
	}
}

func TestSEC15ForbiddenFieldsAreNamedAndNeverUsed(t *testing.T) {
	t.Parallel()
	ca, _ := validPair(t)
	canary := filepath.Join(t.TempDir(), "canary")
	for name, tc := range forbiddenFields(canary) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := kubeconfig("server: https://east.example\ncertificate-authority-data: "+b64(ca)+"\n"+tc.cluster, "token: "+plantedToken+"\n"+tc.user)
			got, problem := memberconfig.FromKubeconfig(data, now)
			if problem == nil {
				t.Fatalf("accepted as %v", got)
			}
			if problem.Condition != tmcv1alpha1.ConditionCredentialsValid || problem.Reason != tmcv1alpha1.ReasonForbiddenField {
				t.Errorf("condition %s, reason %s", problem.Condition, problem.Reason)
			}
			if !strings.HasPrefix(problem.Message, tc.path+" is not accepted") || strings.Contains(problem.Message, plantedToken) {
				t.Errorf("message %q does not begin with %s, or tells the token", problem.Message, tc.path)
			}
			if got.BearerToken != "" || got.Server != "" {
				t.Error("a refused kubeconfig gave a connection")
			}
			if _, err := os.Stat(canary); err == nil {
				t.Error("the canary was touched")
			}
		})
	}
}

func TestSEC15FileContentsNeverReachTheConnection(t *testing.T) {
	t.Parallel()
	canary := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(canary, []byte("canary-content"), 0o000); err != nil {
		t.Fatal(err)
	}
	ca, _ := validPair(t)
	data := kubeconfig("server: https://east.example\ncertificate-authority-data: "+b64(ca), "tokenFile: "+canary)
	if _, problem := memberconfig.FromKubeconfig(data, now); problem == nil || problem.Reason != tmcv1alpha1.ReasonForbiddenField {
		t.Errorf("problem = %v, want the field refused", problem)
	}
}

func TestSEC15OtherContextsDoNotMatter(t *testing.T) {
	t.Parallel()
	ca, _ := validPair(t)
	data := string(kubeconfig("server: https://east.example\ncertificate-authority-data: "+b64(ca), "token: "+plantedToken))
	data = strings.Replace(data, "users:\n", "users:\n- name: other\n  user: {exec: {command: /bin/sh}, tokenFile: /dev/zero}\n- 7\n- name: [x]\n- name: broken\n  user: 3\n", 1)
	data = strings.Replace(data, "clusters:\n", "clusters:\n- name: other\n  cluster: {server: 'http://x', insecure-skip-tls-verify: true}\n", 1)
	if _, problem := memberconfig.FromKubeconfig([]byte(data), now); problem != nil {
		t.Errorf("problem: %v", problem)
	}
}

func TestFromKubeconfigRefusesWhatIsMalformed(t *testing.T) {
	t.Parallel()
	ca, _ := validPair(t)
	cluster := "server: https://east.example\ncertificate-authority-data: " + b64(ca)
	good := string(kubeconfig(cluster, "token: abc"))
	tests := map[string]struct{ data, message string }{
		"empty":                   {"", "cannot be parsed"},
		"not YAML":                {"\x00\x01:", "cannot be parsed"},
		"HTML":                    {"<html><body>sign in</body></html>", "not a mapping"},
		"a list":                  {"[1, 2]", "not a mapping"},
		"two documents":           {good + "---\n" + good, "more than one"},
		"aliases":                 {"a: &x [1]\nb: *x\n" + good, "anchors or aliases"},
		"too deep":                {strings.Repeat("{a: ", 200) + strings.Repeat("}", 200), "too deeply"},
		"many brackets":           {strings.Repeat("[", 100_000), "too deeply"},
		"too large":               {good + "# " + strings.Repeat("x", memberconfig.MaxKubeconfigBytes), "larger than"},
		"no current context":      {strings.Replace(good, "current-context: main\n", "", 1), "current-context is not set"},
		"current context a list":  {strings.Replace(good, "current-context: main\n", "current-context: [main]\n", 1), "current-context is not a string"},
		"unknown current context": {strings.Replace(good, "current-context: main\n", "current-context: other\n", 1), "contexts[other] exists 0 times"},
		"no contexts":             {"current-context: main", "contexts[main] does not exist"},
		"context without cluster": {strings.Replace(good, "    cluster: east\n", "", 1), "contexts[main].context.cluster is not set"},
		"context without user":    {strings.Replace(good, "    user: admin\n", "", 1), "contexts[main].context.user is not set"},
		"cluster missing":         {strings.Replace(good, "- name: east", "- name: west", 1), "clusters[east] exists 0 times"},
		"user there twice":        {good + "- name: admin\n  user: {token: x}\n", "users[admin] exists 2 times"},
		"cluster a string":        {"current-context: m\ncontexts: [{name: m, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: x}]\nusers: [{name: u, user: {token: t}}]", "clusters[c].cluster is not set, or not a mapping"},
		"field there twice":       {string(kubeconfig(cluster, "token: abc\ntoken: def")), "users[admin].user.token is there twice"},
		"list there twice":        {good + "users: []\n", "users is there twice"},
		"token a mapping":         {string(kubeconfig(cluster, "token: {a: b}")), "users[admin].user.token is not a string"},
		"CA not base64":           {string(kubeconfig("server: https://e\ncertificate-authority-data: '%%'", "token: abc")), "certificate-authority-data is not base64"},
		"CA not PEM":              {string(kubeconfig("server: https://e\ncertificate-authority-data: "+b64([]byte("x")), "token: abc")), "holds no PEM certificate"},
		"no CA":                   {string(kubeconfig("server: https://e", "token: abc")), "certificate-authority-data is not set"},
		"no server":               {string(kubeconfig("certificate-authority-data: "+b64(ca), "token: abc")), "clusters[east].cluster.server is not set"},
		"http":                    {string(kubeconfig("server: http://e\ncertificate-authority-data: "+b64(ca), "token: abc")), "clusters[east].cluster.server must be an https:// URL"},
		"hostile context name":    {"current-context: \"a\\e[31m\\n" + strings.Repeat("b", 500) + "\"\ncontexts: [1]", "contexts[a?[31m?" + strings.Repeat("b", 57) + "...]"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problem := memberconfig.FromKubeconfig([]byte(tc.data), now)
			if problem == nil {
				t.Fatal("accepted")
			}
			if problem.Reason != tmcv1alpha1.ReasonInvalidKubeconfig || !strings.Contains(problem.Message, tc.message) {
				t.Errorf("reason %s, message %q; want %s and %q", problem.Reason, problem.Message, tmcv1alpha1.ReasonInvalidKubeconfig, tc.message)
			}
		})
	}
}

func TestSEC20AliasBombsAndDeepNestingCostNothing(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 400<<10)
	tests := map[string]string{
		"aliases of one long text": "a: &a " + long + "\nb: [" + strings.Repeat("*a,", 100_000) + "]",
		"open sequences":           strings.Repeat("- ", 500_000),
		"open mappings":            strings.Repeat("? ", 500_000),
		"many keys":                strings.Repeat("a: 1\n", 200_000),
		"comments":                 strings.Repeat("#\n", 500_000) + "a: 1",
		"quotes":                   "a: \"" + strings.Repeat(`\u0041`, 150_000) + "\"",
		"indented":                 indented(700),
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// That this ends at all is the proof: expanded, a bomb would take more memory than there is.
			if _, problem := memberconfig.FromKubeconfig([]byte(data), now); problem == nil {
				t.Error("accepted")
			}
		})
	}
}

func indented(levels int) string {
	var out strings.Builder
	for i := range levels {
		fmt.Fprintf(&out, "%s%d:\n", strings.Repeat(" ", i), i)
	}
	return out.String()
}

func FuzzFromKubeconfig(f *testing.F) {
	ca, _ := validPair(f)
	cert, key := validPair(f)
	cluster := "server: https://east.example:6443\ncertificate-authority-data: " + b64(ca)
	f.Add(kubeconfig(cluster, "token: "+plantedToken))
	f.Add(kubeconfig(cluster, "client-certificate-data: "+b64(cert)+"\nclient-key-data: "+b64(key)))
	for _, tc := range forbiddenFields("/nonexistent") {
		f.Add(kubeconfig(cluster+"\n"+tc.cluster, "token: a\n"+tc.user))
	}
	f.Add([]byte(`{"current-context":"m","contexts":[{"name":"m","context":{"cluster":"c","user":"u"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, problem := memberconfig.FromKubeconfig(data, now)
		if problem != nil {
			if problem.Condition == "" || problem.Reason == "" || problem.Message == "" || len(problem.Message) > 1024 {
				t.Errorf("problem %+v is incomplete or too long", problem)
			}
			if strings.Contains(problem.Message, plantedToken) {
				t.Errorf("problem %q tells the token", problem.Message)
			}
			return
		}
		if !strings.HasPrefix(got.Server, "https://") || len(got.CAData) == 0 || (got.BearerToken == "") == (len(got.ClientKeyData) == 0) {
			t.Errorf("accepted an incomplete connection to %s", got.Server)
		}
	})
}
