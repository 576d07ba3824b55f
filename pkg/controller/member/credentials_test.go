// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

func notFound() error {
	return apierrors.NewNotFound(v1alpha1.Resource("clusterregistrations"), "east")
}

func kubeconfig(host, user string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: m, user: u}}]
clusters: [{name: m, cluster: {server: "https://%s.example:6443", certificate-authority-data: %s}}]
users: [{name: u, user: {%s}}]
`, host, base64.StdEncoding.EncodeToString(authority().ca), user)
}

type authorityData struct{ ca, cert, key []byte }

// authority is made once: it is slow.
var authority = sync.OnceValue(func() authorityData { //nolint:gochecknoglobals // a constant that must be computed
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return authorityData{ca: certificate, cert: certificate, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}
})

func TestExpiryIsNoticedWithoutAnEvent(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	key := w.register("one", "east")
	encode := base64.StdEncoding.EncodeToString
	w.secret(key, kubeconfig("east", "client-certificate-data: "+encode(authority().cert)+", client-key-data: "+encode(authority().key)))
	result := reconcile(t, c, key)
	w.want(t, key, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if result.After <= 23*time.Hour || result.After > 24*time.Hour {
		t.Errorf("looks again after %s, want when the certificate ends", result.After)
	}
	clock.Step(result.After + time.Second)
	reconcile(t, c, key)
	w.want(t, key, v1alpha1.ConditionCredentialsValid, metav1.ConditionFalse, v1alpha1.ReasonCertificateExpired)
}
