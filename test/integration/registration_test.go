// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// secretManifest makes a Secret that the server may see.
func secretManifest(name string, data map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: default\n  labels: {%s: %s}\ndata:\n",
		name, tmcv1alpha1.CredentialsLabel, tmcv1alpha1.CredentialsLabelValue)
	for key, value := range data {
		fmt.Fprintf(&b, "  %s: %s\n", key, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	return b.String()
}

func registrationManifest(name string) string {
	return fmt.Sprintf("apiVersion: tmc.kcp.io/v1alpha1\nkind: ClusterRegistration\nmetadata: {name: %s}\n"+
		"spec: {kubeconfigSecretRef: {namespace: default, name: %s}}\n", name, name)
}

// TestBadRegistrationsAreExplained gives the server every kind of bad input of SEC-15 through the real API, and looks
// at condition and message. Meanwhile other members must not notice anything.
func TestSEC15BadRegistrationsAreExplained(t *testing.T) {
	t.Parallel()
	tenant := suite.NewTenant(t, "careless")
	canary := filepath.Join(t.TempDir(), "canary")
	good := suite.MemberKubeconfig(t, "east")
	ca := framework.KubeconfigCA(t, good)
	config := func(cluster, user string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"+
			"clusters: [{name: c, cluster: {%s}}]\nusers: [{name: u, user: {%s}}]\n", cluster, user)
	}
	reachable := "server: " + framework.KubeconfigServer(t, good) + ", certificate-authority-data: " + ca
	garbage := newGarbageServer(t)

	tests := map[string]struct {
		data      map[string]string
		condition string
		reason    string
		// says must stand in the message.
		says string
	}{
		"empty-secret":   {map[string]string{}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonSecretKeyMissing, "kubeconfig"},
		"empty-key":      {map[string]string{"kubeconfig": ""}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonSecretKeyMissing, "kubeconfig"},
		"no-kubeconfig":  {map[string]string{"kubeconfig": "hello"}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonInvalidKubeconfig, ""},
		"exec":           {map[string]string{"kubeconfig": config(reachable, "exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: ["+canary+"], interactiveMode: Never}")}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonForbiddenField, "exec"},
		"auth-provider":  {map[string]string{"kubeconfig": config(reachable, "auth-provider: {name: gcp}")}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonForbiddenField, "auth-provider"},
		"token-file":     {map[string]string{"kubeconfig": config(reachable, "tokenFile: /etc/passwd")}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonForbiddenField, "tokenFile"},
		"ca-file":        {map[string]string{"kubeconfig": config("server: https://127.0.0.1:1, certificate-authority: /etc/passwd", "token: abc")}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonForbiddenField, "certificate-authority"},
		"insecure":       {map[string]string{"kubeconfig": config(reachable+", insecure-skip-tls-verify: true", "token: abc")}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonForbiddenField, "insecure-skip-tls-verify"},
		"proxy":          {map[string]string{"kubeconfig": config(reachable+", proxy-url: 'http://127.0.0.1:1'", "token: abc")}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonForbiddenField, "proxy-url"},
		"impersonation":  {map[string]string{"kubeconfig": config(reachable, "token: abc, as: admin")}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonForbiddenField, "as"},
		"http":           {map[string]string{"kubeconfig": config("server: 'http://127.0.0.1:1', certificate-authority-data: "+ca, "token: abc")}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonInvalidKubeconfig, "https"},
		"unreachable":    {map[string]string{"kubeconfig": config("server: 'https://127.0.0.1:1', certificate-authority-data: "+ca, "token: abc")}, tmcv1alpha1.ConditionReachable, tmcv1alpha1.ReasonDialFailed, ""},
		"metadata":       {map[string]string{"kubeconfig": config("server: 'https://169.254.169.254', certificate-authority-data: "+ca, "token: abc")}, "", tmcv1alpha1.ReasonAddressNotAllowed, ""},
		"wrong-ca":       {map[string]string{"kubeconfig": config("server: "+framework.KubeconfigServer(t, good)+", certificate-authority-data: "+garbage.ca, "token: abc")}, tmcv1alpha1.ConditionReachable, tmcv1alpha1.ReasonTLSFailed, ""},
		"bad-token":      {map[string]string{"kubeconfig": config(reachable, "token: planted-secret-0123456789")}, tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonUnauthorized, ""},
		"garbage-server": {map[string]string{"kubeconfig": config("server: '"+garbage.URL+"', certificate-authority-data: "+garbage.ca, "token: abc")}, tmcv1alpha1.ConditionReachable, tmcv1alpha1.ReasonInvalidResponse, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant.Apply(t, secretManifest(name, tc.data))
			tenant.Apply(t, registrationManifest(name))
			message := tenant.WaitForBadRegistration(t, name, tc.condition, tc.reason)
			t.Logf("says: %s", message)
			if tc.says != "" && !strings.Contains(message, tc.says) {
				t.Errorf("the message does not name %q: %s", tc.says, message)
			}
			if strings.Contains(message, "planted-secret") {
				t.Errorf("the message tells a credential: %s", message)
			}
		})
	}
	t.Run("missing-secret", func(t *testing.T) {
		t.Parallel()
		tenant.Apply(t, registrationManifest("missing-secret"))
		tenant.WaitForBadRegistration(t, "missing-secret", tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonSecretNotFound)
		// The Secret arrives later: nobody has to touch the registration.
		tenant.Apply(t, secretManifest("missing-secret", map[string]string{"kubeconfig": "hello"}))
		tenant.WaitForBadRegistration(t, "missing-secret", tmcv1alpha1.ConditionCredentialsValid, tmcv1alpha1.ReasonInvalidKubeconfig)
	})
	t.Cleanup(func() {
		if _, err := os.Stat(canary); err == nil {
			t.Error("the kubeconfig's command was executed")
		}
	})
}

// TestBadRegistrationsAreRefusedBySchema: what the schema can see is refused when it is written.
func TestBadRegistrationsAreRefusedBySchema(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"neither":       "{}",
		"both":          "{kubeconfigSecretRef: {namespace: a, name: b}, endpoint: {server: 'https://x', certificateAuthorityData: YQ==, credentialsSecretRef: {namespace: a, name: b}}}",
		"http endpoint": "{endpoint: {server: 'http://x', certificateAuthorityData: YQ==, credentialsSecretRef: {namespace: a, name: b}}}",
		"taint effect":  "{kubeconfigSecretRef: {namespace: a, name: b}, taints: [{key: k, effect: Sometimes}]}",
	}
	for name, spec := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manifest := "apiVersion: tmc.kcp.io/v1alpha1\nkind: ClusterRegistration\nmetadata: {name: bad}\nspec: " + spec + "\n"
			if result := suite.Acme.Kubectl.RunWithInput(t, manifest, "create", "-f", "-"); result.ExitCode == 0 {
				t.Errorf("the registration was accepted: %s", spec)
			}
		})
	}
}

// TestTokenRotation: a new token in the Secret is picked up without a restart, and a bad one is told.
func TestFLT13CredentialRotation(t *testing.T) {
	t.Parallel()
	tenant := suite.NewTenant(t, "rotating")
	const member = rotatedMember
	suite.Register(t, tenant, member)
	tenant.Client.WaitForStatus(t, member, tmcv1alpha1.ConditionReady, metav1.ConditionTrue)
	secret := suite.CredentialsSecret(t, tenant, member)

	broken := framework.WithToken(t, secret, "revoked-token")
	suite.UpdateCredentials(t, tenant, secret.Name, broken)
	tenant.Client.WaitForRegistration(t, member, tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionFalse, tmcv1alpha1.ReasonUnauthorized)

	suite.UpdateCredentials(t, tenant, secret.Name, framework.WithToken(t, secret, suite.NewReaderToken(t, member)))
	tenant.Client.WaitForRegistration(t, member, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, "")
	tenant.Client.WaitForStatus(t, member, tmcv1alpha1.ConditionReady, metav1.ConditionTrue)
}

// garbageServer answers every request with 100 MiB that are no answer.
type garbageServer struct {
	*httptest.Server
	ca string
}

func newGarbageServer(t *testing.T) garbageServer {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat("garbage ", 128<<10))
		for range 100 {
			if _, err := w.Write(chunk); err != nil {
				return // the client had enough, as it should
			}
		}
	}))
	t.Cleanup(server.Close)
	return garbageServer{Server: server, ca: framework.EncodePEM(server.Certificate().Raw)}
}
