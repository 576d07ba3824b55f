// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
)

const (
	// maxSaid is how many characters of a member's own message are passed on.
	maxSaid = 384
	// maxEnd is how many of them are its end, if it is longer: before that, API servers quote the whole value that they
	// do not like, and at the end they say what is wrong with it.
	maxEnd   = 128
	ellipsis = "..."
	// tooLong is the cause that validation names, for which apimachinery has no constant of this type.
	tooLong metav1.CauseType = "FieldValueTooLong"
)

// CallError is why a read or write of a copy did not succeed.
type CallError struct {
	// Reason is one of the reasons of the condition Synchronized.
	Reason string
	// Message is in our words. If the member gave a reason, it ends with that, bounded and printable.
	Message string
	// RetryAfter is how long the member asks us to wait.
	RetryAfter time.Duration
	// Code is that of the member's answer; 0 if there was none.
	Code int

	missing bool
	cause   error
}

// Error returns the message.
func (e *CallError) Error() string { return e.Message }

// Unwrap returns the error of the caller's context, if that ended.
func (e *CallError) Unwrap() error { return e.cause }

// NotFound says whether the object does not exist on the member, or the namespace into which it was to be written.
func (e *CallError) NotFound() bool { return e.missing }

// refusedHere is an error of a call that was not made.
func refusedHere(reason, message string) *CallError {
	return &CallError{Reason: reason, Message: message}
}

// unreachable is an error of a call that got no answer, or none that can be used. It does not say whether the call
// had an effect.
func unreachable(ctx context.Context, failed *failure) *CallError {
	result := &CallError{Reason: tmcv1alpha1.ReasonMemberUnreachable, Message: failed.message, RetryAfter: failed.retryAfter}
	if err := ctx.Err(); err != nil {
		result.cause = err
	}
	return result
}

// asCallError turns any error of a call into a CallError.
func asCallError(ctx context.Context, err error) *CallError {
	var refused *CallError
	if errors.As(err, &refused) {
		return refused
	}
	failed := failureOf(err)
	result := unreachable(ctx, failed)
	switch failed.reason {
	case tmcv1alpha1.ReasonInvalidResponse:
		result.Reason = tmcv1alpha1.ReasonApplyFailed
	case tmcv1alpha1.ReasonUnauthorized, tmcv1alpha1.ReasonForbidden:
		result.Reason = tmcv1alpha1.ReasonMemberForbidden
	}
	return result
}

// memberStatus is the part of a Status that says why.
type memberStatus struct {
	Kind    string              `json:"kind"`
	Message string              `json:"message"`
	Reason  metav1.StatusReason `json:"reason"`
	Details struct {
		Name   string        `json:"name"`
		Kind   string        `json:"kind"`
		Causes []statusCause `json:"causes"`
	} `json:"details"`
}

type statusCause struct {
	Reason  metav1.CauseType `json:"reason"`
	Message string           `json:"message"`
}

// says tells whether the message has one of the parts.
func (s *memberStatus) says(parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s.Message, part) })
}

// caused tells whether there is a cause of one of the types.
func (s *memberStatus) caused(types ...metav1.CauseType) bool {
	return slices.ContainsFunc(s.Details.Causes, func(cause statusCause) bool { return slices.Contains(types, cause.Reason) })
}

// refusal says what an answer means that is no success. The token is struck out of what the member said.
func refusal(c *call, response *http.Response, body []byte, token string) *CallError {
	var status memberStatus
	if err := json.Unmarshal(body, &status); err != nil || status.Kind != "Status" {
		status = memberStatus{}
	}
	code := response.StatusCode
	result := &CallError{
		Reason:     reasonOf(c, code, &status),
		Code:       code,
		RetryAfter: retryAfter(response.Header.Get("Retry-After")),
		missing:    status.absent(code),
	}
	result.Message = fmt.Sprintf("the member answered %d to %s%s", code, c.what(), adviceOn(result.Reason, code))
	if status.Message != "" {
		said := status.Message
		if token != "" {
			said = strings.ReplaceAll(said, token, "[redacted]")
		}
		result.Message += ": " + transform.PrintableMessage(withoutMiddle(said), maxSaid)
	}
	return result
}

// withoutMiddle shortens a message to its beginning and its end.
func withoutMiddle(said string) string {
	if len(said) <= maxSaid {
		return said
	}
	begin, end := said[:maxSaid-maxEnd-len(ellipsis)], said[len(said)-maxEnd:]
	return strings.ToValidUTF8(begin, "") + ellipsis + strings.ToValidUTF8(end, "")
}

// adviceOn says what can be done.
func adviceOn(reason string, code int) string {
	switch {
	case code == http.StatusUnauthorized:
		return ", for it does not accept the token or client certificate; give a new one"
	case code >= 300 && code < 400:
		return ", a redirect, which is not followed; give the server's final address"
	case reason == tmcv1alpha1.ReasonMemberForbidden:
		return "; grant this right to the identity of the credentials"
	case reason == tmcv1alpha1.ReasonAPIMissing:
		return ", for it does not serve this API"
	default:
		return ""
	}
}

// absent says whether the answer is that the object, or its namespace, is not there, and not its API.
func (s *memberStatus) absent(code int) bool {
	return code == http.StatusNotFound && s.Reason == metav1.StatusReasonNotFound && s.Details.Name != ""
}

// reasonOf finds the reason for an answer that is no success.
func reasonOf(c *call, code int, status *memberStatus) string {
	if status.absent(code) {
		return tmcv1alpha1.ReasonApplyFailed
	}
	switch code {
	case http.StatusUnauthorized:
		return tmcv1alpha1.ReasonMemberForbidden
	case http.StatusForbidden:
		return reasonOfForbidden(status)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return tmcv1alpha1.ReasonAPIMissing
	case http.StatusConflict:
		return reasonOfConflict(c, status)
	case http.StatusRequestEntityTooLarge:
		return tmcv1alpha1.ReasonTooLarge
	default:
		return reasonOfContent(code, status)
	}
}

// reasonOfContent finds what is wrong with the object.
func reasonOfContent(code int, status *memberStatus) string {
	switch {
	case status.says("request is too large", "trying to send message larger than max"): // of etcd
		return tmcv1alpha1.ReasonTooLarge
	case status.caused(tooLong) && status.says("may not be more than"): // all data or all annotations together
		return tmcv1alpha1.ReasonTooLarge
	case code < 500 && deniedByAdmission(status):
		return tmcv1alpha1.ReasonMemberDenied
	case code == http.StatusUnprocessableEntity && immutable(status):
		return tmcv1alpha1.ReasonImmutableField
	case code == http.StatusBadRequest, code == http.StatusUnprocessableEntity, status.says("field not declared in schema"):
		return tmcv1alpha1.ReasonInvalidOnMember
	default:
		return tmcv1alpha1.ReasonApplyFailed
	}
}

// reasonOfForbidden tells a right that is missing from an object that is not wanted: a webhook, a policy, a quota or
// Pod Security refuses with the same code.
func reasonOfForbidden(status *memberStatus) string {
	switch {
	case deniedByAdmission(status):
		return tmcv1alpha1.ReasonMemberDenied
	case status.caused("NamespaceTerminating"):
		return tmcv1alpha1.ReasonApplyFailed // it passes
	case status.Message == "", status.says(" cannot ") && status.says(" resource "):
		return tmcv1alpha1.ReasonMemberForbidden
	default:
		return tmcv1alpha1.ReasonMemberDenied
	}
}

// reasonOfConflict tells what will pass, which is said to a writer without precondition, from what will not.
func reasonOfConflict(c *call, status *memberStatus) string {
	if c.method != http.MethodDelete && status.Reason == metav1.StatusReasonConflict &&
		!status.caused(metav1.CauseTypeFieldManagerConflict) && status.says("the object has been modified") {
		return tmcv1alpha1.ReasonApplyFailed
	}
	return tmcv1alpha1.ReasonCollision
}

// deniedByAdmission knows webhooks, which choose their code, and ValidatingAdmissionPolicies, which choose theirs too.
func deniedByAdmission(status *memberStatus) bool {
	return status.says("admission webhook \"", "ValidatingAdmissionPolicy '") && status.says("denied the request", "denied request")
}

// immutable knows the ways in which API servers say that a field cannot be changed.
func immutable(status *memberStatus) bool {
	if len(status.Details.Causes) > 0 && !status.caused(metav1.CauseTypeFieldValueInvalid, metav1.CauseTypeForbidden) {
		return false
	}
	return status.says("field is immutable", "is immutable after", "are immutable", "updates to statefulset spec for fields other than",
		"may not change once set", "may not be changed")
}
