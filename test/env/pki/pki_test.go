// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package pki_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kcp-dev/tmc/test/env/pki"
)

func parse(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatal("there is no PEM block")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestAuthorityIssues(t *testing.T) {
	t.Parallel()
	now := time.Now()
	authority, err := pki.NewAuthority("some-ca", now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := pki.NewAuthority("some-ca", now)
	if err != nil {
		t.Fatal(err)
	}
	client, err := authority.IssueClient(pki.Client{CommonName: "alice", Organizations: []string{"tenants"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.IssueServer(pki.Server{CommonName: "api", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}, now)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		cert      []byte
		authority *pki.Authority
		usage     x509.ExtKeyUsage
		at        time.Time
		valid     bool
	}{
		"a client certificate authenticates clients":         {client.Certificate, authority, x509.ExtKeyUsageClientAuth, now, true},
		"a client certificate serves nothing":                {client.Certificate, authority, x509.ExtKeyUsageServerAuth, now, false},
		"a serving certificate serves":                       {server.Certificate, authority, x509.ExtKeyUsageServerAuth, now, true},
		"a serving certificate authenticates no client":      {server.Certificate, authority, x509.ExtKeyUsageClientAuth, now, false},
		"an authority of the same name verifies nothing":     {client.Certificate, other, x509.ExtKeyUsageClientAuth, now, false},
		"a clock that is a little late accepts":              {client.Certificate, authority, x509.ExtKeyUsageClientAuth, now.Add(-30 * time.Minute), true},
		"after its lifetime a certificate is not valid more": {client.Certificate, authority, x509.ExtKeyUsageClientAuth, now.Add(pki.Lifetime + time.Minute), false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(tc.authority.CertificatePEM())
			_, err := parse(t, tc.cert).Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{tc.usage}, CurrentTime: tc.at})
			if (err == nil) != tc.valid {
				t.Errorf("valid is %t, want %t: %v", err == nil, tc.valid, err)
			}
		})
	}
	if diff := cmp.Diff([]string{"tenants"}, parse(t, client.Certificate).Subject.Organization); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestIssueRefusesWhatNamesNobody(t *testing.T) {
	t.Parallel()
	authority, err := pki.NewAuthority("ca", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authority.IssueClient(pki.Client{}, time.Now()); err == nil {
		t.Error("a client certificate without a user was issued")
	}
	if _, err := authority.IssueServer(pki.Server{CommonName: "x"}, time.Now()); err == nil {
		t.Error("a serving certificate without a name was issued")
	}
}

func TestFilesAreTheirOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority, err := pki.NewAuthority("ca", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		authority.Write(dir, "ca"), pki.WriteSigningKey(dir, "sa"),
		pki.WriteBundle(filepath.Join(dir, "bundle.crt"), authority, authority),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s %o", entry.Name(), info.Mode().Perm()))
	}
	if diff := cmp.Diff([]string{"bundle.crt 600", "ca.crt 600", "ca.key 600", "sa.key 600", "sa.pub 600"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	loaded, err := pki.LoadAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loaded.IssueClient(pki.Client{CommonName: "later"}, time.Now()); err != nil {
		t.Errorf("a loaded authority cannot issue: %v", err)
	}
	if _, err := pki.LoadAuthority(dir, "none"); err == nil {
		t.Error("an authority that is not there was loaded")
	}
}

func TestPairNeverPrintsItsKey(t *testing.T) {
	t.Parallel()
	pair := pki.Pair{Certificate: []byte("public"), Key: []byte("hidden")}
	if out := fmt.Sprintf("%v %+v %#v %s", pair, pair, pair, pair); strings.Contains(out, "hidden") {
		t.Errorf("the key was printed: %s", out)
	}
}
