// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package doortest makes certificate authorities and certificates for tests of servers that verify their clients.
// It is of no use outside of tests: keys are kept in memory and handed to anybody.
package doortest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority.
type CA struct {
	Certificate *x509.Certificate
	PEM         []byte
	key         *ecdsa.PrivateKey
}

// Leaf is a certificate with its key.
type Leaf struct {
	TLS  tls.Certificate
	Cert []byte
	Key  []byte
}

// NewCA makes an authority that is good for an hour.
func NewCA(t testing.TB, name string) *CA {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return (&CA{Certificate: template, key: key}).issue(t, template, key)
}

func (ca *CA) issue(t testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey) *CA {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, key.Public(), ca.key)
	if err != nil {
		t.Fatalf("creating authority %s: %v", template.Subject.CommonName, err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("parsing authority %s: %v", template.Subject.CommonName, err)
	}
	return &CA{Certificate: parsed, PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key: key}
}

// Pool returns a pool with this authority alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	return pool
}

// VerifyOptions is what a door asks for.
func (ca *CA) VerifyOptions() (x509.VerifyOptions, bool) {
	return x509.VerifyOptions{Roots: ca.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true
}

// Client makes a client certificate.
func (ca *CA) Client(t testing.TB, name string, organizations ...string) Leaf {
	t.Helper()
	return ca.Sign(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: name, Organization: organizations},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// Intermediate makes an authority that this one vouches for.
func (ca *CA) Intermediate(t testing.TB, name string) *CA {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return ca.issue(t, template, key)
}

// Server makes a serving certificate for the loopback address.
func (ca *CA) Server(t testing.TB) Leaf {
	t.Helper()
	return ca.Sign(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "server"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	})
}

// Sign completes a template and signs it. Validity is an hour unless the template says otherwise.
func (ca *CA) Sign(t testing.TB, template *x509.Certificate) Leaf {
	t.Helper()
	key := newKey(t)
	template.SerialNumber = serial(t)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, key.Public(), ca.key)
	if err != nil {
		t.Fatalf("signing certificate %s: %v", template.Subject.CommonName, err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatalf("encoding the key of %s: %v", template.Subject.CommonName, err)
	}
	leaf := Leaf{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}),
	}
	if leaf.TLS, err = tls.X509KeyPair(leaf.Cert, leaf.Key); err != nil {
		t.Fatalf("pairing certificate %s: %v", template.Subject.CommonName, err)
	}
	return leaf
}

// Peer returns the certificate as a server sees it.
func (l Leaf) Peer() []*x509.Certificate { return []*x509.Certificate{l.TLS.Leaf} }

// WriteFile writes a file for the test, replacing it as a whole, and returns its path.
func WriteFile(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatalf("writing %s: %v", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatalf("replacing %s: %v", path, err)
	}
	return path
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatalf("choosing a serial number: %v", err)
	}
	return number
}
