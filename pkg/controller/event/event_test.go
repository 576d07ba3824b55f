// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestWarning(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for namespace, want := range map[string]string{"shop": "shop", "": "default"} {
		about := corev1.ObjectReference{Kind: "Deployment", Namespace: namespace, Name: "web", UID: "u"}
		e := Warning(about, "web.1", "Refused", "member east:\nno\u202e"+strings.Repeat("x", 2000), now)
		if e.Namespace != want || e.Name != "web.1" || e.InvolvedObject != about || e.Reason != "Refused" || e.Type != corev1.EventTypeWarning || e.Count != 1 {
			t.Errorf("got %+v", e)
		}
		if len(e.Message) > longestMessage || strings.ContainsAny(e.Message, "\n\u202e") || !e.LastTimestamp.Time.Equal(now) {
			t.Errorf("SEC-17: the message is %q of %s", e.Message, e.LastTimestamp)
		}
	}
}
