// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberconfig_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

func TestSEC21ConnectionNeverPrintsCredentials(t *testing.T) {
	t.Parallel()
	connection := memberconfig.Connection{
		Server: "https://east.example", BearerToken: plantedToken, ClientKeyData: []byte("planted-key-91c2"),
		CAData: []byte("ca"), ClientCertData: []byte("cert"),
	}
	var printed []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T|%v"} {
		printed = append(printed, fmt.Sprintf(strings.Replace(verb, "%T|", "", 1), connection), fmt.Sprintf(strings.Replace(verb, "%T|", "", 1), &connection),
			fmt.Sprintf(strings.Replace(verb, "%T|", "", 1), []memberconfig.Connection{connection}))
	}
	asJSON, err := json.Marshal(map[string]any{"c": connection, "p": &connection})
	if err != nil {
		t.Fatalf("marshalling: %v", err)
	}
	asText, err := connection.MarshalText()
	if err != nil {
		t.Fatalf("marshalling: %v", err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "connection", connection)
	printed = append(printed, string(asJSON), string(asText), log.String(), fmt.Sprint(connection.MarshalLog()), connection.GoString())
	for _, text := range printed {
		lower := strings.ToLower(text)
		for _, secret := range []string{plantedToken, "planted-key", fmt.Sprintf("%x", plantedToken), "112 108"} {
			if strings.Contains(lower, secret) {
				t.Errorf("%q tells a credential", text)
			}
		}
		if !strings.Contains(text, "east.example") {
			t.Errorf("%q does not name the server", text)
		}
	}
	connection.BearerToken = ""
	if got := connection.String(); got != "https://east.example (client certificate, redacted)" {
		t.Errorf("String() = %q", got)
	}
}

func TestFingerprintDiffersIffAnythingDiffers(t *testing.T) {
	t.Parallel()
	base := memberconfig.Connection{Server: "s", CAData: []byte("c"), BearerToken: "t", ClientCertData: []byte("x"), ClientKeyData: []byte("k")}
	same := base
	same.CertificateNotAfter = time.Unix(1, 0) // follows from the certificate
	if base.Fingerprint() != same.Fingerprint() {
		t.Error("the fingerprint depends on what is derived")
	}
	seen := map[[32]byte]string{base.Fingerprint(): "base"}
	for name, change := range map[string]func(*memberconfig.Connection){
		"server":              func(c *memberconfig.Connection) { c.Server = "s2" },
		"CA":                  func(c *memberconfig.Connection) { c.CAData = []byte("c2") },
		"token":               func(c *memberconfig.Connection) { c.BearerToken = "t2" },
		"certificate":         func(c *memberconfig.Connection) { c.ClientCertData = []byte("x2") },
		"key":                 func(c *memberconfig.Connection) { c.ClientKeyData = []byte("k2") },
		"text between fields": func(c *memberconfig.Connection) { c.Server, c.CAData = "sc", nil },
	} {
		other := base
		change(&other)
		if twin, found := seen[other.Fingerprint()]; found {
			t.Errorf("%s has the fingerprint of %s", name, twin)
		}
		seen[other.Fingerprint()] = name
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want string
	}{
		"plain":     {text: "v1.36.3+k3s1", want: "v1.36.3+k3s1"},
		"control":   {text: "a\x1b[2J\nb\u202ec\xff", want: "a?[2J?b?c?"},
		"too long":  {text: strings.Repeat("ä", 40), want: strings.Repeat("ä", 20) + "..."},
		"just fits": {text: strings.Repeat("a", 20), want: strings.Repeat("a", 20)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := memberconfig.Printable(tc.text, 20); got != tc.want {
				t.Errorf("Printable() = %q, want %q", got, tc.want)
			}
		})
	}
}
