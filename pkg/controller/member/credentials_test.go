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
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

func notFound() error {
	return apierrors.NewNotFound(tmcv1alpha1.Resource("clusterregistrations"), "east")
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
var authority = sync.OnceValue(func() authorityData { // a constant that must be computed
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
	w.want(t, key, tmcv1alpha1.ConditionAccepted, metav1.ConditionTrue, tmcv1alpha1.ReasonAccepted)
	for range 23 {
		if result.After <= 0 || result.After > time.Hour {
			t.Fatalf("looks again after %s, want after at most an hour", result.After)
		}
		clock.Step(result.After)
		result = reconcile(t, c, key)
		w.want(t, key, tmcv1alpha1.ConditionAccepted, metav1.ConditionTrue, tmcv1alpha1.ReasonAccepted)
	}
	clock.Step(result.After + time.Second)
	reconcile(t, c, key)
	w.want(t, key, tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionFalse, tmcv1alpha1.ReasonCertificateExpired)
}

func TestCertificateThatBeginsLaterIsTriedThenWithoutAnEvent(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	clock.SetTime(time.Date(2019, 12, 31, 23, 0, 0, 0, time.UTC))
	key := w.register("one", "east")
	encode := base64.StdEncoding.EncodeToString
	w.secret(key, kubeconfig("east", "client-certificate-data: "+encode(authority().cert)+", client-key-data: "+encode(authority().key)))
	result := reconcile(t, c, key)
	w.want(t, key, tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionFalse, tmcv1alpha1.ReasonCertificateExpired)
	if result.After <= 0 || result.After > time.Hour {
		t.Fatalf("looks again after %s, want when the certificate begins", result.After)
	}
	clock.Step(result.After + time.Second)
	reconcile(t, c, key)
	w.want(t, key, tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionUnknown, tmcv1alpha1.ReasonPending)
}

// Before the Secrets of a workspace are read, one that is not found may exist.
func TestSecretIsPendingUntilSecretsAreRead(t *testing.T) {
	t.Parallel()
	w, c, _ := newWorld()
	key := w.register("one", "east")
	kept := w.secrets
	w.secrets, w.unread = nil, true
	reconcile(t, c, key)
	w.want(t, key, tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionUnknown, tmcv1alpha1.ReasonPending)
	w.want(t, key, tmcv1alpha1.ConditionReady, metav1.ConditionUnknown, tmcv1alpha1.ReasonPending)
	w.unread = false
	reconcile(t, c, key)
	w.want(t, key, tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionFalse, tmcv1alpha1.ReasonSecretNotFound)
	w.secrets = kept
	reconcile(t, c, key)
	w.answer(key, "cluster", 1)
	w.secrets, w.unread = nil, true // as when the workspace's shard gets another address
	reconcile(t, c, key)
	w.want(t, key, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, tmcv1alpha1.ReasonReady)
	if len(w.connections) != 1 {
		t.Error("the member is not called any more, although nothing speaks against it")
	}
}

func TestRefusedClaimIsNamed(t *testing.T) {
	t.Parallel()
	w, c, clock := newWorld()
	key := w.register("one", "east")
	clear(w.secrets)
	w.refusedBy = "tmc-xyz"
	reconcile(t, c, key)
	refused := w.want(t, key, tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionFalse, tmcv1alpha1.ReasonSecretNotFound)
	if !strings.Contains(refused.Message, "kubectl edit apibinding tmc-xyz") {
		t.Errorf("the message does not say what to do: %s", refused.Message)
	}
	w.refusedBy = ""
	clock.Step(messageInterval)
	reconcile(t, c, key)
	missing := w.want(t, key, tmcv1alpha1.ConditionCredentialsValid, metav1.ConditionFalse, tmcv1alpha1.ReasonSecretNotFound)
	if strings.Contains(missing.Message, "edit apibinding") || !strings.Contains(missing.Message, "default/east") {
		t.Errorf("the message names the wrong remedy: %s", missing.Message)
	}
}

// The queue keeps a key until its time has come, even if the registration is gone by then.
func TestQueueKeepsKeysForABoundedTime(t *testing.T) {
	t.Parallel()
	_, c, clock := newWorld()
	if wait := c.untilExpiry(&member{validUntil: clock.Now().Add(100 * 365 * 24 * time.Hour)}); wait > time.Hour {
		t.Errorf("the key is kept for %s", wait)
	}
}
