// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberconfig

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// Bounds of what is parsed, so that nothing expensive is done with nonsense.
const (
	maxServerBytes   = 2048
	maxCABytes       = 512 << 10
	maxCACerts       = 256
	maxTokenBytes    = 64 << 10
	maxCertBytes     = 64 << 10
	maxKeyBytes      = 16 << 10
	maxNameInMessage = 64

	// clockMargin is how far a client certificate's beginning may lie ahead: clocks differ.
	clockMargin = 10 * time.Minute
)

// fieldNames are the names that messages use for the parts of a connection.
type fieldNames struct {
	server, ca, token, cert, key string
}

// validated checks the parts of a connection whose credentials came from a kubeconfig or Secret.
func validated(c Connection, now time.Time, names fieldNames) (Connection, *Problem) {
	server, err := parseServer(c.Server)
	if err != nil {
		return Connection{}, invalid("%s %s", names.server, err)
	}
	c.Server = server
	if err := checkCA(c.CAData); err != nil {
		return Connection{}, invalid("%s %s", names.ca, err)
	}
	return withCredentials(c, now, names)
}

// withCredentials checks that there is a token or a client certificate, and that it is well-formed.
func withCredentials(c Connection, now time.Time, names fieldNames) (Connection, *Problem) {
	c.BearerToken = strings.TrimSpace(c.BearerToken)
	hasCert := len(c.ClientCertData) > 0 || len(c.ClientKeyData) > 0
	var problem *Problem
	switch {
	case c.BearerToken != "" && hasCert:
		problem = credentials(tmcv1alpha1.ReasonInvalidCredentials, "%s and %s are both set; give one of them", names.token, names.cert)
	case c.BearerToken != "":
		problem = checkToken(c.BearerToken, names)
	case len(c.ClientCertData) > 0 && len(c.ClientKeyData) > 0:
		c.CertificateNotAfter, problem = checkClientCertificate(c, now, names)
	case hasCert:
		problem = credentials(tmcv1alpha1.ReasonInvalidCredentials, "only one of %s and %s is set; give both", names.cert, names.key)
	default:
		problem = credentials(tmcv1alpha1.ReasonInvalidCredentials, "neither %s nor %s is set; give one of them", names.token, names.cert)
	}
	if problem != nil {
		return Connection{}, problem
	}
	return c, nil
}

// parseServer returns the URL in the form that a Connection holds.
func parseServer(raw string) (string, error) {
	if len(raw) > maxServerBytes {
		return "", fmt.Errorf("is longer than %d characters", maxServerBytes)
	}
	server, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("is not a URL") // the cause would quote a password in it
	}
	switch {
	case server.Scheme != "https":
		return "", errors.New("must be an https:// URL")
	case server.User != nil:
		return "", errors.New("must not hold a user or password")
	case server.RawQuery != "" || server.ForceQuery || strings.Contains(raw, "#"):
		return "", errors.New("must not hold a query or fragment")
	case server.Opaque != "" || !validHost(server.Hostname()):
		return "", errors.New("must have a host name or IP address as its host")
	case !validPort(server):
		return "", errors.New("must have a port between 1 and 65535, or none")
	case !validPath(server):
		return "", errors.New("must have a plain path, without dots or escapes, or none")
	}
	return "https://" + server.Host + strings.TrimRight(server.Path, "/"), nil
}

// validHost admits IP addresses without zone, and names of letters, digits, dots, hyphens and underscores.
func validHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	if host == "" || len(host) > 253 || host[0] == '-' || host[0] == '.' {
		return false
	}
	return !strings.ContainsFunc(host, func(r rune) bool { return !isLetterOrDigit(r) && !strings.ContainsRune(".-_", r) })
}

func isLetterOrDigit(r rune) bool {
	return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
}

func validPort(server *url.URL) bool {
	if server.Port() == "" {
		return !strings.HasSuffix(server.Host, ":")
	}
	port, err := strconv.Atoi(server.Port())
	return err == nil && port >= 1 && port <= 65535
}

func validPath(server *url.URL) bool {
	trimmed := strings.TrimRight(server.Path, "/")
	if trimmed == "" {
		return true
	}
	return server.RawPath == "" && path.Clean(trimmed) == trimmed &&
		!strings.ContainsFunc(trimmed, func(r rune) bool { return !isLetterOrDigit(r) && !strings.ContainsRune("/.-_~:", r) })
}

// checkCA says what is wrong with a bundle of certificate authorities.
func checkCA(data []byte) error {
	switch {
	case len(data) == 0:
		return errors.New("is not set; it is what the member is verified with")
	case len(data) > maxCABytes:
		return fmt.Errorf("is larger than %d bytes", maxCABytes)
	}
	count := 0
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return errors.New("holds PEM blocks other than certificates; remove them")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return errors.New("holds a certificate that cannot be parsed")
		}
		if count++; count > maxCACerts {
			return fmt.Errorf("holds more than %d certificates", maxCACerts)
		}
	}
	if count == 0 {
		return errors.New("holds no PEM certificate")
	}
	return nil
}

// checkToken admits what can stand in an Authorization header.
func checkToken(token string, names fieldNames) *Problem {
	if len(token) > maxTokenBytes {
		return credentials(tmcv1alpha1.ReasonInvalidCredentials, "%s is larger than %d bytes", names.token, maxTokenBytes)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return credentials(tmcv1alpha1.ReasonInvalidCredentials, "%s holds characters that a token cannot have", names.token)
	}
	return nil
}

// checkClientCertificate returns when the client certificate ends.
func checkClientCertificate(c Connection, now time.Time, names fieldNames) (time.Time, *Problem) {
	if len(c.ClientCertData) > maxCertBytes || len(c.ClientKeyData) > maxKeyBytes {
		return time.Time{}, credentials(tmcv1alpha1.ReasonInvalidCredentials, "%s or %s is too large", names.cert, names.key)
	}
	if !bytes.Contains(c.ClientCertData, []byte("-----BEGIN CERTIFICATE")) {
		return time.Time{}, credentials(tmcv1alpha1.ReasonInvalidCredentials, "%s holds no PEM certificate", names.cert)
	}
	pair, err := tls.X509KeyPair(c.ClientCertData, c.ClientKeyData)
	if err != nil { // the cause is left out: it is about a private key
		return time.Time{}, credentials(tmcv1alpha1.ReasonInvalidCredentials, "%s and %s cannot be parsed, or do not belong together", names.cert, names.key)
	}
	leaf := pair.Leaf
	if now.After(leaf.NotAfter) {
		return time.Time{}, credentials(tmcv1alpha1.ReasonCertificateExpired, "%s expired at %s; renew it", names.cert, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if now.Add(clockMargin).Before(leaf.NotBefore) {
		problem := credentials(tmcv1alpha1.ReasonCertificateExpired, "%s is not valid before %s", names.cert, leaf.NotBefore.UTC().Format(time.RFC3339))
		problem.Until = leaf.NotBefore.Add(-clockMargin)
		return time.Time{}, problem
	}
	return leaf.NotAfter, nil
}

func credentials(reason, format string, args ...any) *Problem {
	return &Problem{Condition: tmcv1alpha1.ConditionCredentialsValid, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Printable makes text of foreign origin fit for messages: control, format and non-graphic characters become
// question marks, and the text is cut at a number of characters.
func Printable(text string, limit int) string {
	var out strings.Builder
	count := 0
	for _, r := range text {
		if count == limit {
			out.WriteString("...")
			break
		}
		if !unicode.IsGraphic(r) || r == unicode.ReplacementChar {
			r = '?'
		}
		out.WriteRune(r)
		count++
	}
	return out.String()
}
