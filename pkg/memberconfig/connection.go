// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberconfig

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Connection is all that is needed to call a member. It holds credentials and therefore prints, marshals and logs as
// its server alone.
type Connection struct {
	// Server is the https URL of the member's API server, without user, query, fragment and trailing slash.
	Server string
	// CAData is the PEM bundle that the member's serving certificate must verify against; no other root counts.
	CAData []byte
	// BearerToken authenticates us, unless the client certificate does.
	BearerToken string
	// ClientCertData and ClientKeyData are the PEM client certificate and key that authenticate us, unless the token does.
	ClientCertData []byte
	ClientKeyData  []byte
	// CertificateNotAfter is when the client certificate ends; it is zero with a token.
	CertificateNotAfter time.Time
}

// Problem is why input was refused, as the condition to report.
type Problem struct { //nolint:errname // it is a condition first, and an error only on its way there
	// Condition is v1alpha1.ConditionAccepted or v1alpha1.ConditionCredentialsValid.
	Condition string
	// Reason is one of that condition's reasons.
	Reason string
	// Message names the field and the remedy, and never holds a credential.
	Message string
	// Until is when the same input may be judged differently; zero is never.
	Until time.Time
}

// Error makes a Problem usable as an error.
func (p *Problem) Error() string { return p.Message }

// Fingerprint identifies the connection: it differs if and only if anything in it differs.
func (c Connection) Fingerprint() [sha256.Size]byte {
	hash := sha256.New()
	var size [8]byte
	for _, part := range [][]byte{[]byte(c.Server), c.CAData, []byte(c.BearerToken), c.ClientCertData, c.ClientKeyData} {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		hash.Write(size[:])
		hash.Write(part)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// String names the server and the kind of credential.
func (c Connection) String() string {
	return fmt.Sprintf("%s (%s, redacted)", c.Server, c.credentialKind())
}

// GoString is String: %#v shows no credential either.
func (c Connection) GoString() string { return c.String() }

// Format is String for every verb, since verbs such as %d would otherwise print the fields.
func (c Connection) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, c.String()) // fmt.State never fails
}

// MarshalJSON writes String.
func (c Connection) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// MarshalText writes String.
func (c Connection) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// MarshalLog makes logr log String.
func (c Connection) MarshalLog() any { return c.String() }

// LogValue makes slog log String.
func (c Connection) LogValue() slog.Value { return slog.StringValue(c.String()) }

func (c Connection) credentialKind() string {
	if c.BearerToken != "" {
		return "token"
	}
	return "client certificate"
}
