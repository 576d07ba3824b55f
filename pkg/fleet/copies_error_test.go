// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

func TestCallErrors(t *testing.T) {
	t.Parallel()
	immutable := &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: metav1.CauseTypeFieldValueInvalid, Message: "field is immutable"}}}
	details := func(cause metav1.CauseType) *metav1.StatusDetails {
		return &metav1.StatusDetails{Name: "web", Causes: []metav1.StatusCause{{Type: cause}}}
	}
	tests := map[string]struct {
		code   int
		status metav1.Status
		want   string
	}{
		"token":        {401, metav1.Status{Message: "Unauthorized"}, tmcv1alpha1.ReasonMemberForbidden},
		"right":        {403, metav1.Status{Message: `deployments.apps "web" is forbidden: User "u" cannot patch resource "deployments" in API group "apps" in the namespace "a"`}, tmcv1alpha1.ReasonMemberForbidden},
		"no message":   {403, metav1.Status{}, tmcv1alpha1.ReasonMemberForbidden},
		"quota":        {403, metav1.Status{Message: `deployments.apps "web" is forbidden: exceeded quota: q, requested: cpu=1`}, tmcv1alpha1.ReasonMemberDenied},
		"pod security": {403, metav1.Status{Message: `pods "web" is forbidden: violates PodSecurity "baseline:latest": host namespaces`}, tmcv1alpha1.ReasonMemberDenied},
		"webhook 403":  {403, metav1.Status{Message: `admission webhook "w.example.com" denied the request: user cannot use resource x`}, tmcv1alpha1.ReasonMemberDenied},
		"webhook 400":  {400, metav1.Status{Message: `admission webhook "w.example.com" denied the request: no`}, tmcv1alpha1.ReasonMemberDenied},
		"webhook 418":  {418, metav1.Status{Message: `admission webhook "w.example.com" denied the request: no`}, tmcv1alpha1.ReasonMemberDenied},
		"policy":       {422, metav1.Status{Message: `deployments.apps "web" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`}, tmcv1alpha1.ReasonMemberDenied},
		"terminating":  {403, metav1.Status{Message: "unable to create new content in namespace a because it is being terminated", Details: details("NamespaceTerminating")}, tmcv1alpha1.ReasonApplyFailed},
		"no namespace": {404, metav1.Status{Reason: metav1.StatusReasonNotFound, Message: `namespaces "a" not found`, Details: &metav1.StatusDetails{Name: "a", Kind: "namespaces"}}, tmcv1alpha1.ReasonApplyFailed},
		"no API":       {404, metav1.Status{Reason: metav1.StatusReasonNotFound, Message: "the server could not find the requested resource"}, tmcv1alpha1.ReasonAPIMissing},
		"no verb":      {405, metav1.Status{Reason: metav1.StatusReasonMethodNotAllowed}, tmcv1alpha1.ReasonAPIMissing},
		"other owner":  {409, metav1.Status{Reason: metav1.StatusReasonConflict, Message: "Apply failed with 1 conflict", Details: details(metav1.CauseTypeFieldManagerConflict)}, tmcv1alpha1.ReasonCollision},
		"race":         {409, metav1.Status{Reason: metav1.StatusReasonConflict, Message: "Operation cannot be fulfilled on resourcequotas \"q\": the object has been modified"}, tmcv1alpha1.ReasonApplyFailed},
		"too large":    {413, metav1.Status{Message: "Request entity too large: limit is 3145728"}, tmcv1alpha1.ReasonTooLarge},
		"etcd's limit": {500, metav1.Status{Message: "etcdserver: request is too large"}, tmcv1alpha1.ReasonTooLarge},
		"annotations":  {422, metav1.Status{Message: "metadata.annotations: Too long: may not be more than 262144 bytes", Details: details("FieldValueTooLong")}, tmcv1alpha1.ReasonTooLarge},
		"long name":    {422, metav1.Status{Message: "metadata.name: Too long: must be no more than 63 bytes", Details: details("FieldValueTooLong")}, tmcv1alpha1.ReasonInvalidOnMember},
		"invalid":      {422, metav1.Status{Reason: metav1.StatusReasonInvalid, Message: "spec.replicas: Invalid value: -1", Details: details(metav1.CauseTypeFieldValueInvalid)}, tmcv1alpha1.ReasonInvalidOnMember},
		"bad":          {400, metav1.Status{Message: "cannot unmarshal"}, tmcv1alpha1.ReasonInvalidOnMember},
		"unknown":      {500, metav1.Status{Message: "failed to create typed patch object: .spec.new: field not declared in schema"}, tmcv1alpha1.ReasonInvalidOnMember},
		"immutable":    {422, metav1.Status{Reason: metav1.StatusReasonInvalid, Message: "spec.selector: Invalid value: x: field is immutable", Details: immutable}, tmcv1alpha1.ReasonImmutableField},
		"not required": {422, metav1.Status{Message: "the text says field is immutable", Details: details(metav1.CauseTypeFieldValueRequired)}, tmcv1alpha1.ReasonInvalidOnMember},
		"stateful":     {422, metav1.Status{Message: "spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden", Details: details(metav1.CauseTypeForbidden)}, tmcv1alpha1.ReasonImmutableField},
		"throttled":    {429, metav1.Status{Message: "too many requests"}, tmcv1alpha1.ReasonApplyFailed},
		"webhook down": {500, metav1.Status{Message: `Internal error occurred: failed calling webhook "w": denied the request by admission webhook "w"`}, tmcv1alpha1.ReasonApplyFailed},
		"redirect":     {302, metav1.Status{}, tmcv1alpha1.ReasonApplyFailed},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			member := newFakeMember(t)
			h := runCopies(t, fast(), deployments)
			h.Ensure(east, member.connection())
			h.waitSynced(deployments)
			member.answer(onlyWrites(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.Header().Set("Location", "https://127.0.0.1:1/")
				answerStatus(w, tc.code, tc.status)
			}))
			_, err := h.Apply(t.Context(), east, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true)
			refused := checkCallError(t, err, tc.want, tc.status.Message)
			if refused.Code != tc.code || refused.RetryAfter != 7*time.Second || refused.NotFound() != (name == "no namespace") {
				t.Errorf("error = %+v", refused)
			}
		})
	}
}

func onlyWrites(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			panic(errPass)
		}
		answer(w, r)
	}
}

func TestSEC17MessagesOfMembersAreBoundedAndPrintable(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	member.answer(onlyWrites(func(w http.ResponseWriter, r *http.Request) {
		answerStatus(w, http.StatusBadRequest, metav1.Status{
			Message: "you sent " + r.Header.Get("Authorization") + "\x1b[2J\n\u202e" + strings.Repeat("é", 10_000),
		})
	}))
	_, err := h.Apply(t.Context(), east, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true)
	message := checkCallError(t, err, tmcv1alpha1.ReasonInvalidOnMember, `[redacted]\x1b[2J\n\u202e`).Message
	if strings.Contains(message, memberToken) || strings.ContainsAny(message, "\x1b\n\u202e") || utf8.RuneCountInString(message) > 600 {
		t.Errorf("message = %q", message)
	}
}

// API servers quote the value that they do not like, however large it is, and then say what is wrong with it.
func TestLongMessagesKeepTheirEnd(t *testing.T) {
	t.Parallel()
	member := newFakeMember(t)
	h := runCopies(t, fast(), deployments)
	h.Ensure(east, member.connection())
	h.waitSynced(deployments)
	member.answer(onlyWrites(func(w http.ResponseWriter, _ *http.Request) {
		answerStatus(w, http.StatusUnprocessableEntity, metav1.Status{
			Message: "Job.batch \"pi\" is invalid: spec.template: Invalid value: " + strings.Repeat("é", 10_000) + ": field is immutable",
		})
	}))
	_, err := h.Apply(t.Context(), east, keyOf(deployments, "web"), newCopy(deployments, "web", "one"), true)
	message := checkCallError(t, err, tmcv1alpha1.ReasonImmutableField, "spec.template: Invalid value: é").Message
	if !strings.HasSuffix(message, "é: field is immutable") || utf8.RuneCountInString(message) > 512 {
		t.Errorf("message = %q", message)
	}
}
