// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificate authorities, certificates and keys of one environment.
//
// Everything is ECDSA P-256, and every private key is written for its owner alone. An authority signs either server or
// client certificates per call, never both in one certificate. It is no certificate management for production: nothing
// is renewed, and authorities keep their keys beside them.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	// Lifetime of everything issued: longer than any environment lives.
	Lifetime = 365 * 24 * time.Hour
	// clockSkew is how far back validity begins, so that a clock that is a little late accepts the certificate.
	clockSkew = time.Hour

	blockCertificate = "CERTIFICATE"
	blockECKey       = "EC PRIVATE KEY"
	blockPublicKey   = "PUBLIC KEY"
	serialBits       = 120
)

// Pair is a certificate with its private key, both in PEM.
type Pair struct {
	Certificate []byte
	Key         []byte
}

// String hides the key, should a pair ever reach a log.
func (Pair) String() string { return "[certificate and private key]" }

// GoString hides the key as String does.
func (p Pair) GoString() string { return p.String() }

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pair Pair
}

// Client asks for a client certificate: Kubernetes reads CommonName as the user and Organizations as its groups.
type Client struct {
	CommonName    string
	Organizations []string
}

// Server asks for a serving certificate.
type Server struct {
	CommonName string
	DNSNames   []string
	IPs        []net.IP
}

// NewAuthority makes a self-signed authority that is valid from now.
func NewAuthority(name string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating key of authority %s: %w", name, err)
	}
	template, err := newTemplate(pkix.Name{CommonName: name}, now)
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	return sign(template, template, key, key)
}

// LoadAuthority reads an authority that Write wrote.
func LoadAuthority(dir, name string) (*Authority, error) {
	pair, err := LoadPair(dir, name)
	if err != nil {
		return nil, err
	}
	certBlock, _ := pem.Decode(pair.Certificate)
	keyBlock, _ := pem.Decode(pair.Key)
	if certBlock == nil || keyBlock == nil {
		return nil, fmt.Errorf("reading authority %s in %s: no PEM block found", name, dir)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parsing certificate of authority %s: %w", name, err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parsing key of authority %s: %w", name, err)
	}
	return &Authority{cert: cert, key: key, pair: pair}, nil
}

// CertificatePEM is the authority's own certificate, what others verify with.
func (a *Authority) CertificatePEM() []byte { return a.pair.Certificate }

// Write stores the authority as <dir>/<name>.crt and .key.
func (a *Authority) Write(dir, name string) error { return a.pair.Write(dir, name) }

// IssueClient signs a client certificate.
func (a *Authority) IssueClient(c Client, now time.Time) (Pair, error) {
	if c.CommonName == "" {
		return Pair{}, errors.New("issuing a client certificate: it needs a common name")
	}
	return a.issue(pkix.Name{CommonName: c.CommonName, Organization: c.Organizations}, now, func(t *x509.Certificate) {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
}

// IssueServer signs a serving certificate.
func (a *Authority) IssueServer(s Server, now time.Time) (Pair, error) {
	if len(s.DNSNames)+len(s.IPs) == 0 {
		return Pair{}, fmt.Errorf("issuing a serving certificate for %s: it needs a DNS name or an IP address", s.CommonName)
	}
	return a.issue(pkix.Name{CommonName: s.CommonName}, now, func(t *x509.Certificate) {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		t.DNSNames, t.IPAddresses = s.DNSNames, s.IPs
	})
}

func (a *Authority) issue(subject pkix.Name, now time.Time, edit func(*x509.Certificate)) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("generating key of %s: %w", subject.CommonName, err)
	}
	template, err := newTemplate(subject, now)
	if err != nil {
		return Pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	edit(template)
	issued, err := sign(template, a.cert, key, a.key)
	if err != nil {
		return Pair{}, err
	}
	return issued.pair, nil
}

func newTemplate(subject pkix.Name, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("drawing the serial number for %s: %w", subject.CommonName, err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject,
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(Lifetime),
	}, nil
}

func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (*Authority, error) {
	name := template.Subject.CommonName
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("signing certificate of %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing the signed certificate of %s: %w", name, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: der})
	return &Authority{cert: cert, key: key, pair: Pair{Certificate: certPEM, Key: keyPEM}}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockECKey, Bytes: der}), nil
}

// Write stores the pair as <dir>/<name>.crt and .key.
func (p Pair) Write(dir, name string) error {
	return errors.Join(
		WriteSecret(filepath.Join(dir, name+".crt"), p.Certificate),
		WriteSecret(filepath.Join(dir, name+".key"), p.Key),
	)
}

// LoadPair reads what Write wrote.
func LoadPair(dir, name string) (Pair, error) {
	cert, err := os.ReadFile(filepath.Join(dir, name+".crt"))
	if err != nil {
		return Pair{}, fmt.Errorf("reading certificate %s: %w", name, err)
	}
	key, err := os.ReadFile(filepath.Join(dir, name+".key"))
	if err != nil {
		return Pair{}, fmt.Errorf("reading key %s: %w", name, err)
	}
	return Pair{Certificate: cert, Key: key}, nil
}

// WriteSigningKey writes a key for service account tokens as <dir>/<name>.key and <name>.pub.
func WriteSigningKey(dir, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generating signing key %s: %w", name, err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("encoding public key %s: %w", name, err)
	}
	return errors.Join(
		WriteSecret(filepath.Join(dir, name+".key"), private),
		WriteSecret(filepath.Join(dir, name+".pub"), pem.EncodeToMemory(&pem.Block{Type: blockPublicKey, Bytes: public})),
	)
}

// WriteBundle writes the certificates of several authorities into one file: whoever reads it trusts all of them.
func WriteBundle(path string, authorities ...*Authority) error {
	var bundle []byte
	for _, a := range authorities {
		bundle = append(bundle, a.pair.Certificate...)
	}
	return WriteSecret(path, bundle)
}

// WriteSecret writes a file that only its owner may read, whole or not at all.
func WriteSecret(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("creating a file for %s: %w", path, err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(file.Name()))
	}
	return nil
}
