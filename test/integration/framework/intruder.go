// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/env"
)

const (
	requestTimeout = 20 * time.Second
	maxBody        = 1 << 20
)

// DoRaw sends a request with any headers and certificates. A status of 0 says that no answer came: the body is why.
func (s *Suite) DoRaw(t testing.TB, method, url string, headers http.Header, certificates ...tls.Certificate) (int, string) {
	t.Helper()
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(s.Env.PKIFile("serving-ca.crt"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("reading the serving authority: %v", err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, MinVersion: tls.VersionTLS12,
		// A client must be free to send a certificate that the server did not ask for.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(certificates) == 0 {
				return &tls.Certificate{}, nil
			}
			return &certificates[0], nil
		},
	}}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport: transport, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatalf("making a request to %s: %v", url, err)
	}
	maps.Copy(request.Header, headers) // as they stand, also when they are not canonical
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }() // nothing is written
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return response.StatusCode, err.Error()
	}
	return response.StatusCode, string(body)
}

// SelfSignedClient is a client certificate of an authority that nobody trusts.
func SelfSignedClient(t testing.TB, commonName string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: commonName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// ShardURL is a shard's own port, past every front-proxy.
func (s *Suite) ShardURL(t testing.TB, shard string) string {
	t.Helper()
	config, err := s.Env.ShardConfig(shard)
	if err != nil {
		t.Fatal(err)
	}
	return config.Host
}

// Tokens are the bearer tokens that the server was given for the members of acme.
func (s *Suite) Tokens(t testing.TB) []string {
	t.Helper()
	secrets, err := s.Acme.core(t).CoreV1().Secrets(corev1.NamespaceDefault).List(t.Context(), listCredentials())
	if err != nil {
		t.Fatalf("listing the credentials: %v", err)
	}
	var tokens []string
	for i := range secrets.Items {
		config := parseKubeconfig(t, secrets.Items[i].Data[tmcv1alpha1.SecretKeyKubeconfig])
		for _, user := range config.AuthInfos {
			tokens = append(tokens, user.Token)
		}
	}
	if len(tokens) == 0 {
		t.Fatal("there are no tokens to look for")
	}
	return tokens
}

func parseKubeconfig(t testing.TB, data []byte) *clientcmdapi.Config {
	t.Helper()
	config, err := clientcmd.Load(data)
	if err != nil {
		t.Fatalf("parsing a kubeconfig: %v", err)
	}
	return config
}

// KubeconfigServer and KubeconfigCA take a kubeconfig apart.
func KubeconfigServer(t testing.TB, data []byte) string {
	t.Helper()
	for _, cluster := range parseKubeconfig(t, data).Clusters {
		return cluster.Server
	}
	return ""
}

// KubeconfigCA is the base64 of the certificate authority data.
func KubeconfigCA(t testing.TB, data []byte) string {
	t.Helper()
	for _, cluster := range parseKubeconfig(t, data).Clusters {
		return base64.StdEncoding.EncodeToString(cluster.CertificateAuthorityData)
	}
	return ""
}

// WithToken replaces the token of a credentials Secret's kubeconfig.
func WithToken(t testing.TB, secret *corev1.Secret, token string) []byte {
	t.Helper()
	config := parseKubeconfig(t, secret.Data[tmcv1alpha1.SecretKeyKubeconfig])
	for _, user := range config.AuthInfos {
		user.Token = token
	}
	data, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatalf("encoding a kubeconfig: %v", err)
	}
	return data
}

// EncodePEM is a certificate as a kubeconfig's certificate-authority-data holds it.
func EncodePEM(der []byte) string {
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// providerKubeconfig points the tenant's kubeconfig at the provider workspace.
func (t *Tenant) providerKubeconfig(tb testing.TB) string {
	tb.Helper()
	data, err := os.ReadFile(t.Kubectl.Kubeconfig)
	if err != nil {
		tb.Fatal(err)
	}
	config := parseKubeconfig(tb, data)
	for _, cluster := range config.Clusters {
		cluster.Server = t.suite.Env.PublicURL() + "/clusters/" + env.ProviderWorkspace
	}
	path := filepath.Join(tb.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		tb.Fatal(err)
	}
	return path
}
