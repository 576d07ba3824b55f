// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/pkg/logkey"
)

// Path is where the handler is served.
const Path = "/admission/patchguard"

const (
	// maxBody is room for the largest object that kcp stores, twice, and for what stands around them.
	maxBody = 4 << 20
	// maxInFlight bounds the memory and the processor time that callers can take. Nobody is authenticated here.
	maxInFlight = 8
	// patience is how long a request waits for its turn, and how long its body may take to arrive.
	patience = 5 * time.Second
)

// Handler answers kcp's admission reviews.
type Handler struct {
	clock   clock.Clock
	metrics *Metrics
	slots   chan struct{}
}

// NewHandler returns a handler. Metrics may be nil.
func NewHandler(c clock.Clock, metrics *Metrics) *Handler {
	return &Handler{clock: c, metrics: metrics, slots: make(chan struct{}, maxInFlight)}
}

// ServeHTTP answers a review. Whatever goes wrong, kcp refuses the update, as the webhook's failure policy says.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	defer func() { //nolint:contextcheck // the request has it
		if problem := recover(); problem != nil {
			klog.FromContext(req.Context()).Error(fmt.Errorf("reviewing an update: %v", problem), "Recovered from a panic")
			h.fail(w, "panic", http.StatusInternalServerError, "the update could not be reviewed")
		}
	}()
	if req.Method != http.MethodPost {
		h.fail(w, "malformed", http.StatusMethodNotAllowed, "only POST is possible here")
		return
	}
	if media, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || media != "application/json" {
		h.fail(w, "malformed", http.StatusUnsupportedMediaType, "the body must be application/json")
		return
	}
	if !h.enter(req.Context()) {
		w.Header().Set("Retry-After", "1")
		h.fail(w, "busy", http.StatusTooManyRequests, "too many updates are being reviewed")
		return
	}
	defer func() { <-h.slots }()
	h.answer(w, req)
}

// enter waits for a slot.
func (h *Handler) enter(ctx context.Context) bool {
	select {
	case h.slots <- struct{}{}:
		return true
	default:
	}
	timer := h.clock.NewTimer(patience)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return true
	case <-timer.C():
	case <-ctx.Done():
	}
	return false
}

func (h *Handler) answer(w http.ResponseWriter, req *http.Request) {
	// Not every writer can set a deadline; the server's own limits hold then.
	_ = http.NewResponseController(w).SetReadDeadline(h.clock.Now().Add(patience))
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		h.fail(w, "malformed", http.StatusRequestEntityTooLarge, fmt.Sprintf("a review may have %d bytes", maxBody))
		return
	case err != nil:
		h.fail(w, "malformed", http.StatusBadRequest, "the body could not be read")
		return
	}
	review := &admissionv1.AdmissionReview{}
	if err := json.Unmarshal(body, review); err != nil {
		h.fail(w, "malformed", http.StatusBadRequest, "the body is no AdmissionReview")
		return
	}
	if review.Request == nil || review.APIVersion != admissionv1.SchemeGroupVersion.String() {
		h.fail(w, "malformed", http.StatusBadRequest, "the body is no AdmissionReview of "+admissionv1.SchemeGroupVersion.String()+" with a request")
		return
	}
	verdict, err := Review(review.Request)
	if err != nil {
		h.fail(w, "malformed", http.StatusBadRequest, err.Error())
		return
	}
	response, err := respond(review, verdict)
	if err != nil {
		h.fail(w, "malformed", http.StatusInternalServerError, "the answer could not be encoded")
		return
	}
	h.metrics.review(string(verdict.Outcome))
	klog.FromContext(req.Context()).V(4).Info("Reviewed an update", logkey.Resource, review.Request.Resource.Resource,
		logkey.Reason, verdict.Outcome)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(response) // a caller that went away is no problem of this server
}

// operation is one step of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// respond encodes the verdict as an answer to the review.
func respond(review *admissionv1.AdmissionReview, verdict *Verdict) ([]byte, error) {
	answer := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: verdict.Outcome != Refused, Warnings: verdict.Warnings}
	switch verdict.Outcome {
	case Refused:
		// Not "Invalid": kubectl shows no message for that, but asks to edit again.
		answer.Result = &metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusBadRequest, Reason: metav1.StatusReasonBadRequest, Message: verdict.Message,
		}
	case Mended:
		// "add" replaces a member that exists.
		operations := []operation{{Op: "add", Path: "/metadata", Value: verdict.Object.Object["metadata"]}}
		if spec, found := verdict.Object.Object["spec"]; found {
			operations = append(operations, operation{Op: "add", Path: "/spec", Value: spec})
		}
		patch, err := json.Marshal(operations)
		if err != nil {
			return nil, err
		}
		answer.Patch, answer.PatchType = patch, new(admissionv1.PatchTypeJSONPatch)
	case Untouched:
	}
	return json.Marshal(&admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: answer})
}

func (h *Handler) fail(w http.ResponseWriter, outcome string, code int, message string) {
	h.metrics.review(outcome)
	http.Error(w, message, code)
}
