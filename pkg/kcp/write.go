// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// writeTimeout bounds a write, so that a lost shard holds up no worker for long.
const writeTimeout = 10 * time.Second

// ErrNotBound is the cause when a workspace without an active binding would be written to.
var ErrNotBound = errors.New("the workspace has no active binding")

// ErrEndpointAway is the cause when a write is not even tried, since another one is finding out right now whether an
// endpoint that did not answer is back.
var ErrEndpointAway = errors.New("the endpoint of the workspace does not answer")

// ErrNotServed is the cause when an endpoint does not know a resource that it showed, as while kcp starts: it listens
// before it has read everything. It says nothing of the object.
var ErrNotServed = errors.New("the endpoint of the workspace does not serve the resource yet")

// verb is what is written, for metrics.
type verb string

const (
	verbPatchMetadata verb = "patch_metadata"
	verbPatchStatus   verb = "patch_status"
	verbCreateEvent   verb = "create_event"
)

// writers are the clients for writes, one per endpoint: a client per workspace would be built for nearly every write.
// The zero value is empty.
type writers struct {
	sent    atomic.Uint64
	clients sync.Map // endpoint -> *rest.RESTClient
}

func (s *export) writer(endpoint string) (*rest.RESTClient, error) {
	if known, found := s.writers.clients.Load(endpoint); found {
		return known.(*rest.RESTClient), nil
	}
	config := rest.CopyConfig(s.config.ProviderConfig)
	config.Host, config.APIPath = endpoint, ""
	config.ContentConfig = rest.ContentConfig{NegotiatedSerializer: scheme.Codecs.WithoutConversion()}
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, s.http)
	if err != nil {
		return nil, fmt.Errorf("building the client of endpoint %s: %w", endpoint, err)
	}
	s.writers.clients.Store(endpoint, client)
	return client, nil
}

// Requests returns how many writes have been sent to kcp.
func (s *export) Requests() uint64 { return s.writers.sent.Load() }

// patch sends a JSON merge patch to an object or to its status.
func (s *export) patch(ctx context.Context, gvr schema.GroupVersionResource, key workspace.Key, patch []byte, verb verb) error {
	segments := append(collection(gvr, key.Namespace), key.Name)
	if verb == verbPatchStatus {
		segments = append(segments, "status")
	}
	return s.write(ctx, key.Workspace, verb, http.MethodPatch, segments, string(types.MergePatchType), patch)
}

// collection returns where the objects of a namespace are, below a workspace.
func collection(gvr schema.GroupVersionResource, namespace string) []string {
	segments := []string{"apis", gvr.Group, gvr.Version}
	if gvr.Group == "" {
		segments = []string{"api", gvr.Version}
	}
	if namespace != "" {
		segments = append(segments, "namespaces", namespace)
	}
	return append(segments, gvr.Resource)
}

// write sends one request to a workspace, and counts what comes of it.
func (s *export) write(ctx context.Context, ws logicalcluster.Name, verb verb, method string, segments []string, contentType string, body []byte) error {
	err := s.send(ctx, ws, method, segments, contentType, body)
	if apierrors.IsNotFound(err) && !isOfObject(err) {
		err = fmt.Errorf("%w: %s", ErrNotServed, err.Error()) // whoever writes must not take the object for gone
	}
	s.config.Metrics.wrote(verb, outcomeOf(err))
	return err
}

func (s *export) send(ctx context.Context, ws logicalcluster.Name, method string, segments []string, contentType string, body []byte) error {
	endpoint, bound := s.workspaces.endpoint(ws)
	if !bound || ws == workspace.Wildcard {
		return ErrNotBound
	}
	segments = append([]string{clustersPath, ws.String()}, segments...)
	for _, segment := range segments[1:] {
		// What is joined to a path must not lead elsewhere.
		if problems := path.IsValidPathSegmentName(segment); segment == "" || len(problems) > 0 {
			return fmt.Errorf("building the path: %q is no part of one: %s", segment, strings.Join(problems, ", "))
		}
	}
	client, err := s.writer(endpoint)
	if err != nil {
		return err
	}
	leave, ok := s.lanes.enter(endpoint)
	if !ok {
		return ErrEndpointAway
	}
	err = ErrEndpointAway // for the lane, should the write panic
	defer func() { leave(answered(err)) }()
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	s.writers.sent.Add(1)
	err = client.Verb(method).AbsPath(segments...).SetHeader("Content-Type", contentType).Body(body).Do(ctx).Error()
	return err
}

// isOfObject says whether it is an object that was not found, and not its resource: kcp names the object then, where
// client-go does it for an answer that is no status.
func isOfObject(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Name != ""
}

// answered says whether the outcome of a write came from the other end.
func answered(err error) bool {
	var status apierrors.APIStatus
	return err == nil || errors.As(err, &status)
}

// outcomeOf names what came of a write, in few words.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrNotBound):
		return "not_bound"
	case errors.Is(err, ErrNotShown):
		return "not_shown"
	case errors.Is(err, ErrNotServed):
		return "not_served"
	case errors.Is(err, ErrEndpointAway):
		return "away"
	case !answered(err):
		return "unanswered"
	case apierrors.IsConflict(err):
		return "conflict"
	case apierrors.IsNotFound(err):
		return "not_found"
	case apierrors.IsForbidden(err):
		return "forbidden"
	default:
		return "refused"
	}
}
