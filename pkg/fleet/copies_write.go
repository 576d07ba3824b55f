// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// FieldManager is the field manager of all that is written to members.
const FieldManager = "tmc-syncer"

// call is one read or write of one object.
type call struct {
	verb        string // of our metrics and messages
	method      string
	key         ObjectKey
	query       url.Values
	contentType string
	body        []byte
	collection  bool // the path is that of all objects
}

func (c *call) what() string { return c.verb + " " + c.key.Resource.GroupResource().String() }

func (c *call) path() string {
	path := resourcePath(c.key.Resource, c.key.Namespace)
	if !c.collection {
		path += "/" + url.PathEscape(c.key.Name)
	}
	if len(c.query) > 0 {
		path += "?" + c.query.Encode()
	}
	return path
}

// Apply brings an object to a member by server-side apply and returns what it is there then, without its managed
// fields. Without force, fields that others own are a Collision. Errors are of type *CallError.
func (f *Fleet) Apply(ctx context.Context, member workspace.Key, key ObjectKey, object *unstructured.Unstructured, force bool) (*unstructured.Unstructured, error) {
	return f.write(ctx, member, object, call{
		verb: "apply", method: http.MethodPatch, key: key, contentType: string(types.ApplyPatchType),
		query: url.Values{"fieldManager": {FieldManager}, "force": {strconv.FormatBool(force)}},
	})
}

// Create creates an object on a member and returns what it is there then. An object that is there already is a
// Collision. Errors are of type *CallError.
func (f *Fleet) Create(ctx context.Context, member workspace.Key, key ObjectKey, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	return f.write(ctx, member, object, call{
		verb: "create", method: http.MethodPost, key: key, contentType: acceptJSON, collection: true,
		query: url.Values{"fieldManager": {FieldManager}},
	})
}

// Get asks a member for an object. Errors are of type *CallError.
func (f *Fleet) Get(ctx context.Context, member workspace.Key, key ObjectKey) (*unstructured.Unstructured, error) {
	return f.call(ctx, member, &call{verb: "get", method: http.MethodGet, key: key})
}

// Delete deletes an object of a member, with what belongs to it, if it still has the UID and, unless that is empty,
// the resource version; if it has another one, that is a Collision. Errors are of type *CallError.
func (f *Fleet) Delete(ctx context.Context, member workspace.Key, key ObjectKey, uid types.UID, resourceVersion string) error {
	if uid == "" {
		return refusedHere(tmcv1alpha1.ReasonApplyFailed, "an object is deleted only by its UID")
	}
	// Without this policy, the pods of a Job would stay.
	options := metav1.DeleteOptions{
		TypeMeta:          metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions:     &metav1.Preconditions{UID: &uid},
		PropagationPolicy: new(metav1.DeletePropagationBackground),
	}
	if resourceVersion != "" {
		options.Preconditions.ResourceVersion = &resourceVersion
	}
	body, err := json.Marshal(options)
	if err != nil {
		return refusedHere(tmcv1alpha1.ReasonApplyFailed, "the conditions of the deletion cannot be encoded")
	}
	_, err = f.call(ctx, member, &call{verb: "delete", method: http.MethodDelete, key: key, contentType: acceptJSON, body: body})
	return err
}

// write sends an object and keeps what it is on the member then.
func (f *Fleet) write(ctx context.Context, member workspace.Key, object *unstructured.Unstructured, c call) (*unstructured.Unstructured, error) {
	if object.GetName() != c.key.Name || object.GetNamespace() != c.key.Namespace {
		return nil, refusedHere(tmcv1alpha1.ReasonApplyFailed, "the object is not the one that is to be written")
	}
	body, err := json.Marshal(object.Object)
	if err != nil {
		return nil, refusedHere(tmcv1alpha1.ReasonInvalidOnMember, "the object cannot be encoded")
	}
	if len(body) > f.config.MaxObjectBytes {
		return nil, refusedHere(tmcv1alpha1.ReasonTooLarge, "the object has more than "+strconv.Itoa(f.config.MaxObjectBytes)+" bytes")
	}
	c.body = body
	live, err := f.call(ctx, member, &c)
	if err != nil {
		return nil, err
	}
	if m, found := f.find(member); found {
		m.copies.wrote(c.key, live)
	}
	return live, nil
}

// call makes a call within a bounded time, with all waiting.
func (f *Fleet) call(ctx context.Context, member workspace.Key, c *call) (*unstructured.Unstructured, error) {
	if !wellNamed(c.key.Name) || !wellNamed(c.key.Resource.Resource) || (c.key.Namespace != "" && !wellNamed(c.key.Namespace)) {
		return nil, refusedHere(tmcv1alpha1.ReasonInvalidOnMember, "no object can have this name")
	}
	m, found := f.find(member)
	if !found {
		return nil, refusedHere(tmcv1alpha1.ReasonMemberUnreachable, "there is no such member")
	}
	bounded, cancel := context.WithTimeout(ctx, f.config.WriteTimeout)
	defer cancel()
	if err := m.mayCall(); err != nil {
		return nil, err
	}
	select {
	case m.copies.writes <- struct{}{}:
		defer func() { <-m.copies.writes }()
	case <-bounded.Done():
		return nil, unreachable(ctx, &failure{message: "too many calls to the member wait for its answers"})
	}
	session, err := m.caller()
	if err != nil {
		return nil, err
	}
	live, err := session.callObject(bounded, c)
	if err != nil {
		return nil, asCallError(ctx, err)
	}
	return live, nil
}

// mayCall refuses calls to members that are known not to answer, at once: those who wait for one member would not get
// round to the others.
func (m *member) mayCall() error {
	_, err := m.caller()
	return err
}

// caller returns the connection to use.
func (m *member) caller() (*copySession, error) {
	m.copies.mu.RLock()
	session := m.copies.session
	m.copies.mu.RUnlock()
	if session != nil {
		select {
		case <-session.gate.passage():
			return session, nil
		default:
		}
	}
	m.mu.Lock()
	reach, credentials := m.reach.Condition(), m.credentials.Condition()
	m.mu.Unlock()
	if reach.Status == metav1.ConditionTrue && credentials.Status == metav1.ConditionFalse {
		return nil, refusedHere(tmcv1alpha1.ReasonMemberForbidden, credentials.Message)
	}
	return nil, refusedHere(tmcv1alpha1.ReasonMemberUnreachable, "the member cannot be reached")
}

// callObject makes a call to the member's own cluster, and reads the answer.
func (s *copySession) callObject(ctx context.Context, c *call) (*unstructured.Unstructured, error) {
	if err := s.meet(ctx); err != nil {
		return nil, err
	}
	header := http.Header{"Accept": {acceptJSON}}
	if c.contentType != "" {
		header.Set("Content-Type", c.contentType)
	}
	response, err := s.send(ctx, c.verb, c.method, c.path(), header, c.body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if err := s.identify(ctx); err != nil {
		return nil, err
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		body, err := readAtMost(response.Body, s.config.MaxAnswerBytes)
		if err != nil {
			body = nil // the code says most of it
		}
		refused := refusal(c, response, body, s.caller.token)
		if refused.Reason == tmcv1alpha1.ReasonAPIMissing {
			s.rediscover()
		}
		return nil, refused
	}
	if c.method == http.MethodDelete {
		return nil, nil // what was deleted is of no use
	}
	body, err := readAtMost(response.Body, int64(s.config.MaxObjectBytes))
	if err != nil {
		return nil, err
	}
	return parseAnswer(c, body)
}

// parseAnswer reads an object and makes sure that it is the one that was asked for.
func parseAnswer(c *call, body []byte) (*unstructured.Unstructured, error) {
	object, err := parseCopy(body, c.key.Resource.GroupVersion(), "")
	if err != nil {
		return nil, err
	}
	if object.GetName() != c.key.Name || object.GetNamespace() != c.key.Namespace {
		return nil, invalidResponse("the answer to %s is another object", c.what())
	}
	return object, nil
}

// readAtMost reads a whole body of bounded size.
func readAtMost(in io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, invalidResponse("the answer is larger than %d bytes", limit)
	}
	return body, nil
}
