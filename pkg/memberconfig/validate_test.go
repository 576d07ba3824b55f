// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberconfig_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

func TestFromEndpointServer(t *testing.T) {
	t.Parallel()
	ca, _ := validPair(t)
	tests := map[string]struct{ server, want, problem string }{
		"name":                   {server: "https://east.example", want: "https://east.example"},
		"port and path":          {server: "https://east_1.example:443/a/b-c/", want: "https://east_1.example:443/a/b-c"},
		"IPv4":                   {server: "https://192.0.2.1:6443", want: "https://192.0.2.1:6443"},
		"IPv6":                   {server: "https://[2001:db8::1]:6443", want: "https://[2001:db8::1]:6443"},
		"http":                   {server: "http://east.example", problem: "must be an https:// URL"},
		"no scheme":              {server: "east.example:6443", problem: "must be an https:// URL"},
		"unix":                   {server: "unix:///run/x.sock", problem: "must be an https:// URL"},
		"upper case is the same": {server: "HTTPS://east.example", want: "https://east.example"},
		"opaque":                 {server: "https:east.example", problem: "host name or IP address"},
		"no host":                {server: "https:///path", problem: "host name or IP address"},
		"only a port":            {server: "https://:6443", problem: "host name or IP address"},
		"user":                   {server: "https://a:secret@east.example", problem: "user or password"},
		"empty user":             {server: "https://@east.example", problem: "user or password"},
		"query":                  {server: "https://east.example/?a=b", problem: "query or fragment"},
		"empty query":            {server: "https://east.example/?", problem: "query or fragment"},
		"fragment":               {server: "https://east.example/#a", problem: "query or fragment"},
		"empty fragment":         {server: "https://east.example/#", problem: "query or fragment"},
		"zone":                   {server: "https://[fe80::1%25eth0]:6443", problem: "host name or IP address"},
		"percent in host":        {server: "https://east%2eexample", problem: "is not a URL"},
		"unicode host":           {server: "https://ⓔast.example", problem: "host name or IP address"},
		"leading hyphen":         {server: "https://-east", problem: "host name or IP address"},
		"port 0":                 {server: "https://east.example:0", problem: "port between"},
		"port 65536":             {server: "https://east.example:65536", problem: "port between"},
		"empty port":             {server: "https://east.example:", problem: "port between"},
		"dots in path":           {server: "https://east.example/a/../b", problem: "plain path"},
		"escape in path":         {server: "https://east.example/a%2fb", problem: "plain path"},
		"double slash":           {server: "https://east.example//a", problem: "plain path"},
		"space in path":          {server: "https://east.example/a b", problem: "plain path"},
		"control character":      {server: "https://east.example/\n", problem: "is not a URL"},
		"long":                   {server: "https://" + strings.Repeat("a", 3000), problem: "longer than"},
		"long host":              {server: "https://" + strings.Repeat("a", 300), problem: "host name or IP address"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problem := memberconfig.FromEndpoint(
				tmcv1alpha1.ClusterEndpoint{Server: tc.server, CertificateAuthorityData: ca}, map[string][]byte{"token": []byte("abc")}, now)
			switch {
			case tc.problem == "" && problem != nil:
				t.Errorf("problem: %v", problem)
			case tc.problem == "" && got.Server != tc.want:
				t.Errorf("server = %s, want %s", got.Server, tc.want)
			case tc.problem != "" && problem == nil:
				t.Errorf("accepted as %s", got.Server)
			case tc.problem != "" && (problem.Condition != tmcv1alpha1.ConditionAccepted || problem.Reason != tmcv1alpha1.ReasonInvalidSpec ||
				!strings.Contains(problem.Message, tc.problem) || strings.Contains(problem.Message, "secret")):
				t.Errorf("problem = %+v, want InvalidSpec with %q", problem, tc.problem)
			}
		})
	}
}

func TestFromEndpointCredentials(t *testing.T) {
	t.Parallel()
	ca, _ := validPair(t)
	cert, key := validPair(t)
	_, otherKey := validPair(t)
	expired, expiredKey := newPair(t, now.Add(-2*time.Hour), now.Add(-time.Hour))
	early, earlyKey := newPair(t, now.Add(time.Hour), now.Add(2*time.Hour))
	skewed, skewedKey := newPair(t, now.Add(5*time.Minute), now.Add(time.Hour))
	tests := map[string]struct {
		secret  map[string][]byte
		reason  string
		message string
	}{
		"token":                         {secret: map[string][]byte{"token": []byte("abc\n"), "ca.crt": ca, "namespace": []byte("x")}},
		"certificate":                   {secret: map[string][]byte{"tls.crt": cert, "tls.key": key}},
		"FLT-12 begins within the skew": {secret: map[string][]byte{"tls.crt": skewed, "tls.key": skewedKey}},
		"nothing":                       {reason: tmcv1alpha1.ReasonSecretKeyMissing, message: "token, or tls.crt and tls.key"},
		"blank token":                   {secret: map[string][]byte{"token": []byte(" \n")}, reason: tmcv1alpha1.ReasonSecretKeyMissing, message: "token"},
		"certificate without key":       {secret: map[string][]byte{"tls.crt": cert}, reason: tmcv1alpha1.ReasonSecretKeyMissing, message: "tls.key"},
		"key without certificate":       {secret: map[string][]byte{"tls.key": key}, reason: tmcv1alpha1.ReasonSecretKeyMissing, message: "tls.crt"},
		"both":                          {secret: map[string][]byte{"token": []byte("abc"), "tls.crt": cert, "tls.key": key}, reason: tmcv1alpha1.ReasonInvalidCredentials, message: "both set"},
		"token with a line break":       {secret: map[string][]byte{"token": []byte("abc\r\nX-Evil: 1")}, reason: tmcv1alpha1.ReasonInvalidCredentials, message: "characters"},
		"token not ASCII":               {secret: map[string][]byte{"token": []byte("äbc")}, reason: tmcv1alpha1.ReasonInvalidCredentials, message: "characters"},
		"huge token":                    {secret: map[string][]byte{"token": bytes.Repeat([]byte("a"), 100_000)}, reason: tmcv1alpha1.ReasonInvalidCredentials, message: "larger"},
		"huge key":                      {secret: map[string][]byte{"tls.crt": cert, "tls.key": bytes.Repeat([]byte("a"), 100_000)}, reason: tmcv1alpha1.ReasonInvalidCredentials, message: "too large"},
		"certificate not PEM":           {secret: map[string][]byte{"tls.crt": []byte("x"), "tls.key": key}, reason: tmcv1alpha1.ReasonInvalidCredentials, message: "no PEM certificate"},
		"key of another":                {secret: map[string][]byte{"tls.crt": cert, "tls.key": otherKey}, reason: tmcv1alpha1.ReasonInvalidCredentials, message: "do not belong together"},
		"FLT-13 expired":                {secret: map[string][]byte{"tls.crt": expired, "tls.key": expiredKey}, reason: tmcv1alpha1.ReasonCertificateExpired, message: "expired at 2026-11-23T11:00:00Z; renew it"},
		"not valid yet":                 {secret: map[string][]byte{"tls.crt": early, "tls.key": earlyKey}, reason: tmcv1alpha1.ReasonCertificateExpired, message: "not valid before"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problem := memberconfig.FromEndpoint(tmcv1alpha1.ClusterEndpoint{Server: "https://east.example", CertificateAuthorityData: ca}, tc.secret, now)
			switch {
			case tc.reason == "" && problem != nil:
				t.Errorf("problem: %v", problem)
			case tc.reason != "" && (problem == nil || problem.Condition != tmcv1alpha1.ConditionCredentialsValid ||
				problem.Reason != tc.reason || !strings.Contains(problem.Message, tc.message)):
				t.Errorf("problem = %+v, want %s with %q", problem, tc.reason, tc.message)
			}
		})
	}
}

func TestFromEndpointCA(t *testing.T) {
	t.Parallel()
	ca, key := validPair(t)
	tests := map[string]struct {
		ca      []byte
		problem string
	}{
		"one":               {ca: ca},
		"two with comments": {ca: []byte("# first\n" + string(ca) + "# second\n" + string(ca))},
		"none":              {problem: "is not set"},
		"text":              {ca: []byte("hello"), problem: "no PEM certificate"},
		"a private key":     {ca: append(bytes.Clone(ca), key...), problem: "other than certificates"},
		"broken":            {ca: []byte("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"), problem: "cannot be parsed"},
		"huge":              {ca: bytes.Repeat([]byte("a"), 600<<10), problem: "larger than"},
		"many":              {ca: bytes.Repeat(ca, 300), problem: "more than 256"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problem := memberconfig.FromEndpoint(
				tmcv1alpha1.ClusterEndpoint{Server: "https://east.example", CertificateAuthorityData: tc.ca}, map[string][]byte{"token": []byte("abc")}, now)
			switch {
			case tc.problem == "" && problem != nil:
				t.Errorf("problem: %v", problem)
			case tc.problem != "" && (problem == nil || problem.Reason != tmcv1alpha1.ReasonInvalidSpec || !strings.Contains(problem.Error(), tc.problem)):
				t.Errorf("problem = %+v, want InvalidSpec with %q", problem, tc.problem)
			}
		})
	}
}
