// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kcp-dev/tmc/pkg/patchguard"
)

// kcp's shards call webhooks without a certificate. SEC-06: that path, and no other below it, needs no identity.
func TestSEC06ThePatchGuardNeedsNoIdentity(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	const creation = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE"}}`
	for path, want := range map[string]int{
		patchguard.Path:           http.StatusOK,
		patchguard.Path + "/":     http.StatusUnauthorized,
		patchguard.Path + "/x":    http.StatusUnauthorized,
		"/x/.." + patchguard.Path: http.StatusBadRequest,
		"/admission":              http.StatusUnauthorized,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+r.server.Address()+path, strings.NewReader(creation))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		response, err := r.client(nil).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != want {
			t.Errorf("%s: status %d, want %d: %s %v", path, response.StatusCode, want, body, err)
		}
		if want == http.StatusOK && !strings.Contains(string(body), `"allowed":true`) {
			t.Errorf("the answer is %s", body)
		}
	}
}
