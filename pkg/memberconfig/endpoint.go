// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberconfig

import (
	"bytes"
	"fmt"
	"time"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// FromEndpoint joins an inline endpoint with the Secret of its credentials. Keys of the Secret other than token,
// tls.crt and tls.key are ignored, since the well-known types of Secrets carry more. It returns a zero Connection
// with a Problem.
func FromEndpoint(endpoint tmcv1alpha1.ClusterEndpoint, secret map[string][]byte, now time.Time) (Connection, *Problem) {
	server, err := parseServer(endpoint.Server)
	if err != nil {
		return Connection{}, invalidSpec("spec.endpoint.server %s", err)
	}
	if err := checkCA(endpoint.CertificateAuthorityData); err != nil {
		return Connection{}, invalidSpec("spec.endpoint.certificateAuthorityData %s", err)
	}
	names := fieldNames{
		token: "key " + tmcv1alpha1.SecretKeyToken + " of the Secret",
		cert:  "key " + tmcv1alpha1.SecretKeyClientCertificate + " of the Secret",
		key:   "key " + tmcv1alpha1.SecretKeyClientKey + " of the Secret",
	}
	connection := Connection{
		Server:         server,
		CAData:         bytes.Clone(endpoint.CertificateAuthorityData),
		BearerToken:    string(secret[tmcv1alpha1.SecretKeyToken]),
		ClientCertData: bytes.Clone(secret[tmcv1alpha1.SecretKeyClientCertificate]),
		ClientKeyData:  bytes.Clone(secret[tmcv1alpha1.SecretKeyClientKey]),
	}
	if problem := missingKey(connection); problem != nil {
		return Connection{}, problem
	}
	return withCredentials(connection, now, names)
}

// missingKey reports the keys that the Secret lacks.
func missingKey(c Connection) *Problem {
	hasCert, hasKey := len(c.ClientCertData) > 0, len(c.ClientKeyData) > 0
	var missing string
	switch {
	case hasCert && !hasKey:
		missing = tmcv1alpha1.SecretKeyClientKey
	case hasKey && !hasCert:
		missing = tmcv1alpha1.SecretKeyClientCertificate
	case !hasCert && len(bytes.TrimSpace([]byte(c.BearerToken))) == 0:
		missing = fmt.Sprintf("%s, or %s and %s", tmcv1alpha1.SecretKeyToken, tmcv1alpha1.SecretKeyClientCertificate, tmcv1alpha1.SecretKeyClientKey)
	default:
		return nil
	}
	return credentials(tmcv1alpha1.ReasonSecretKeyMissing, "the Secret lacks %s", missing)
}

func invalidSpec(format string, args ...any) *Problem {
	return &Problem{Condition: tmcv1alpha1.ConditionAccepted, Reason: tmcv1alpha1.ReasonInvalidSpec, Message: fmt.Sprintf(format, args...)}
}
