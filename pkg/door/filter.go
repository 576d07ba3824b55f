// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"

	"github.com/kcp-dev/tmc/pkg/logkey"
)

const (
	// maxQueryLength is room for the longest continue token and for selectors beyond what anybody types.
	maxQueryLength = 16 << 10
	// maxHeaderLength bounds the headers that are left when credentials and identity are gone.
	maxHeaderLength = 32 << 10
)

// retryAfterSeconds is what a client that was refused for load is asked to wait.
const retryAfterSeconds = 1

// FilterConfig is what the filter needs.
type FilterConfig struct {
	Paths       *PathParser
	Doors       *Doors
	Limits      Limits
	RequestInfo genericapirequest.RequestInfoResolver
	// LongRunning tells watches from other requests.
	LongRunning genericapirequest.LongRunningRequestCheck
	Metrics     *Metrics
}

// filter stands before the handler chain. What it lets through has one meaning only: a plain path, at most one
// identity, and no credential that is not this server's business.
type filter struct {
	FilterConfig
	limiter *limiter
	next    http.Handler
}

// NewFilter puts the filter before a handler chain, which must use Authenticator and an Authorizer of this package.
func NewFilter(next http.Handler, config FilterConfig) (http.Handler, error) {
	if config.Paths == nil || config.Doors == nil || config.RequestInfo == nil || config.LongRunning == nil {
		return nil, errors.New("the filter needs paths, doors, a request info resolver and a long-running check")
	}
	if err := config.Limits.Validate(); err != nil {
		return nil, err
	}
	return &filter{FilterConfig: config, limiter: newLimiter(config.Limits), next: next}, nil
}

func (f *filter) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	dropCredentials(req.Header)
	if impersonates(req.Header) {
		f.refuse(w, "impersonation", forbidden("impersonation is not possible here: remove every Impersonate- header"))
		return
	}
	target, rest, inWorkspace, err := f.Paths.Parse(req.URL)
	if err != nil {
		f.refuse(w, "path", apierrors.NewBadRequest(err.Error()))
		return
	}
	ctx := req.Context()
	if inWorkspace {
		ctx = withTarget(ctx, target)
	}
	identity, err := f.Doors.Identify(req)
	dropIdentity(req.Header, f.Doors.headerDoors)
	if problem := oversized(req); problem != nil {
		f.refuse(w, "size", problem)
		return
	}
	switch {
	case err == nil:
		ctx = withIdentity(ctx, identity)
	case !inWorkspace && IsHealthPath(rest):
		identity = anonymous()
		ctx = withIdentity(ctx, identity)
	default:
		// The chain answers with 401, and writes the audit event.
		klog.FromContext(ctx).V(3).Info("Found no identity for request", logkey.Reason, err.Error(), "remote", req.RemoteAddr)
		f.Metrics.refusal("unauthenticated")
	}
	stripped := req.WithContext(ctx)
	stripped.URL = withPath(req.URL, rest)
	if identity == nil {
		f.next.ServeHTTP(w, stripped)
		return
	}
	f.Metrics.request(identity)
	f.serveLimited(w, stripped, identity, target)
}

// serveLimited charges the request to its tenant. Requests for all workspaces and for the server itself are charged to
// nobody; the server's own limit holds for them.
func (f *filter) serveLimited(w http.ResponseWriter, req *http.Request, identity *Identity, target Target) {
	watch, err := f.isLongRunning(req)
	if err != nil {
		f.refuse(w, "path", apierrors.NewBadRequest("the request cannot be understood: "+err.Error()))
		return
	}
	unlimited := identity.Trust() == TrustNone || identity.Trust() == TrustShard && (target.Requested == "" || target.Wildcard())
	if unlimited && !watch {
		f.next.ServeHTTP(w, req)
		return
	}
	release, reason := f.limiter.acquire(tenantOf(identity, target), watch)
	if release == nil {
		f.refuse(w, "load", apierrors.NewTooManyRequests(reason, retryAfterSeconds))
		return
	}
	defer release()
	f.next.ServeHTTP(w, req)
}

func (f *filter) isLongRunning(req *http.Request) (bool, error) {
	info, err := f.RequestInfo.NewRequestInfo(req)
	if err != nil {
		return false, err
	}
	return f.LongRunning(req, info), nil
}

// withPath copies a URL. RawPath goes: the path has only one reading now.
func withPath(u *url.URL, path string) *url.URL {
	stripped := *u
	stripped.Path, stripped.RawPath = path, ""
	return &stripped
}

// oversized refuses what would be kept for as long as a watch is open: its query, with selectors made of it that each
// publication consults, and the headers that the request holds.
func oversized(req *http.Request) *apierrors.StatusError {
	if len(req.URL.RawQuery) > maxQueryLength {
		return failure(http.StatusRequestURITooLong, metav1.StatusReasonBadRequest,
			fmt.Sprintf("the request's query is longer than %d bytes: use shorter selectors", maxQueryLength))
	}
	length := 0
	for name, list := range req.Header {
		for _, value := range list {
			length += len(name) + len(value)
		}
	}
	if length > maxHeaderLength {
		return failure(http.StatusRequestHeaderFieldsTooLarge, metav1.StatusReasonBadRequest,
			fmt.Sprintf("the request's headers are longer than %d bytes together", maxHeaderLength))
	}
	return nil
}

func forbidden(message string) *apierrors.StatusError {
	return failure(http.StatusForbidden, metav1.StatusReasonForbidden, message)
}

func failure(code int32, reason metav1.StatusReason, message string) *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}}
}

func (f *filter) refuse(w http.ResponseWriter, reason string, problem *apierrors.StatusError) {
	f.Metrics.refusal(reason)
	status := problem.Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	body, err := json.Marshal(status)
	if err != nil {
		http.Error(w, status.Message, int(status.Code))
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache, private")
	if status.Code == http.StatusTooManyRequests {
		header.Set("Retry-After", "1")
	}
	w.WriteHeader(int(status.Code))
	// A client that went away is no problem of this server.
	_, _ = w.Write(body)
}
