// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestWebhookIsInstalled(t *testing.T) {
	t.Parallel()
	k := newFakeKCP(t)
	if report := mustRun(t, k, options()); !strings.Contains(report, "Without a webhook") {
		t.Errorf("the report does not warn:\n%s", report)
	}
	o := options()
	o.WebhookURL, o.WebhookCA, o.WithoutWebhook = "https://tmc.example.com:6443/", k.ca, false
	report := mustRun(t, k, o)
	wantLine(t, report, "created mutatingwebhookconfigurations.admissionregistration.k8s.io/tmc-patchguard")
	if strings.Contains(report, "Without a webhook") {
		t.Errorf("the report warns for nothing:\n%s", report)
	}
	hooks, _, _ := unstructured.NestedSlice(k.object("/mutatingwebhookconfigurations/tmc-patchguard").Object, "webhooks")
	call, _ := hooks[0].(map[string]any)["clientConfig"].(map[string]any)
	if call["url"] != "https://tmc.example.com:6443/admission/patchguard" || call["caBundle"] != base64.StdEncoding.EncodeToString(k.ca) {
		t.Errorf("the webhook is called at %v", call)
	}
	wantLine(t, mustRun(t, k, o), "Workspace root:tmc is up to date: nothing to change.")
}

func TestCommandRefusesBadWebhooks(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(garbage, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args []string
		want string
	}{
		"none":                  {nil, "--webhook-url is required"},
		"one and none":          {[]string{"--webhook-url=https://tmc.example.com", "--without-webhook"}, "exclude each other"},
		"plain HTTP":            {[]string{"--webhook-url=http://tmc.example.com"}, "is not a plain address"},
		"no host":               {[]string{"--webhook-url=https://:6443"}, "is not a plain address"},
		"credentials":           {[]string{"--webhook-url=https://a:b@tmc.example.com"}, "is not a plain address"},
		"a query":               {[]string{"--webhook-url=https://tmc.example.com?a=b"}, "is not a plain address"},
		"no URL":                {[]string{"--webhook-url=https://%zz"}, "is not a plain address"},
		"a CA without a URL":    {[]string{"--webhook-ca-file=" + garbage}, "without --webhook-url"},
		"a CA that is none":     {[]string{"--webhook-url=https://tmc.example.com", "--webhook-ca-file=" + garbage}, "reading --webhook-ca-file"},
		"a file that is absent": {[]string{"--webhook-url=https://tmc.example.com", "--webhook-ca-file=" + garbage + "x"}, "reading --webhook-ca-file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := NewCommand(&bytes.Buffer{})
			cmd.SetArgs(append(test.args, "--kubeconfig=x"))
			if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}
