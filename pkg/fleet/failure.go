// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/health"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

// maxRetryAfter bounds how long a member can make us wait.
const maxRetryAfter = 2 * time.Minute

// failure is why a call to a member did not succeed, in words that are ours.
type failure struct {
	reason     string
	message    string
	retryAfter time.Duration
	expired    bool // the resource version or continue token is too old
}

// Error returns the message, which holds no credential and no text of the member.
func (f *failure) Error() string { return f.message }

func (f *failure) outcome() health.Outcome {
	return health.Outcome{Reason: f.reason, Message: f.message}
}

// denied says whether the credentials are at fault.
func (f *failure) denied() bool {
	switch f.reason {
	case tmcv1alpha1.ReasonUnauthorized, tmcv1alpha1.ReasonForbidden, tmcv1alpha1.ReasonCertificateExpired, tmcv1alpha1.ReasonInvalidCredentials:
		return true
	default:
		return false
	}
}

func invalidResponse(format string, args ...any) *failure {
	return &failure{reason: tmcv1alpha1.ReasonInvalidResponse, message: fmt.Sprintf(format, args...)}
}

// failureOf finds out what a failed call means. Causes are put into our own words: many quote what the member sent,
// or name resolvers and addresses that are nobody's business.
func failureOf(err error) *failure {
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	if denied := (*memberconfig.DeniedError)(nil); errors.As(err, &denied) {
		return &failure{reason: tmcv1alpha1.ReasonAddressNotAllowed, message: memberconfig.AddressDeniedMessage}
	}
	if message, ok := tlsMessage(err); ok {
		return &failure{reason: tmcv1alpha1.ReasonTLSFailed, message: message}
	}
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return &failure{reason: tmcv1alpha1.ReasonDialFailed, message: "the host name of the server cannot be resolved"}
	}
	if timeout := net.Error(nil); errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		return &failure{reason: tmcv1alpha1.ReasonTimedOut, message: "the member did not answer in time"}
	}
	if operation := (*net.OpError)(nil); errors.As(err, &operation) && operation.Op == "dial" {
		return &failure{reason: tmcv1alpha1.ReasonDialFailed, message: "the member refuses connections, or no route leads to it"}
	}
	if isMalformed(err) {
		return invalidResponse("the answer is not HTTP, or its header is too large")
	}
	return &failure{reason: tmcv1alpha1.ReasonDialFailed, message: "the connection to the member broke"}
}

// isMalformed knows errors of net/http that have no type of their own.
func isMalformed(err error) bool {
	text := err.Error()
	for _, part := range []string{"malformed", "response headers exceed", "too many 1xx", "header list", "PROTOCOL_ERROR", "ENHANCE_YOUR_CALM", "FRAME_SIZE_ERROR", "COMPRESSION_ERROR"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// tlsMessage says what is wrong with the member's certificate, or with its TLS.
func tlsMessage(err error) (string, bool) {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &authority):
		return "the member's certificate is not signed by the given certificate authority; give the one that signed it", true
	case errors.As(err, &host):
		return "the member's certificate is not valid for the host of the server; use a host that the certificate names", true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the member's certificate is expired or not valid yet; renew it", true
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "the member's certificate cannot be verified", true
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the server does not speak TLS", true
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"), strings.Contains(err.Error(), "tls: "):
		return "the TLS handshake with the member failed, or it refused the client certificate", true
	default:
		return "", false
	}
}

// checkStatus turns an answer that is not 200 into a failure. The body is never looked at.
func checkStatus(response *http.Response, what string) *failure {
	code := response.StatusCode
	switch {
	case code == http.StatusOK:
		return nil
	case code == http.StatusUnauthorized:
		return &failure{
			reason:  tmcv1alpha1.ReasonUnauthorized,
			message: "the member does not accept the token or client certificate (401 to " + what + "); give a new one",
		}
	case code == http.StatusForbidden:
		return &failure{
			reason:  tmcv1alpha1.ReasonForbidden,
			message: "the member does not permit to " + what + " (403); grant this right to the identity of the credentials",
		}
	case code == http.StatusGone:
		return &failure{reason: tmcv1alpha1.ReasonServerError, message: "the resource version is too old", expired: true}
	case code >= 300 && code < 400:
		return invalidResponse("the member answered with a redirect (%d to %s), which is not followed; give the server's final address", code, what)
	case code == http.StatusTooManyRequests || code >= 500:
		return &failure{
			reason:     tmcv1alpha1.ReasonServerError,
			message:    fmt.Sprintf("the member answered %d to %s", code, what),
			retryAfter: retryAfter(response.Header.Get("Retry-After")),
		}
	default:
		return invalidResponse("the member answered %d to %s, which a Kubernetes API server does not", code, what)
	}
}

// retryAfter reads a header in seconds, which is what Kubernetes sends.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds <= 0 {
		return 0
	}
	return min(time.Duration(min(seconds, 1<<20))*time.Second, maxRetryAfter)
}
