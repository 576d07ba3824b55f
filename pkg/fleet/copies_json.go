// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// maxName is more than any name or namespace has.
const maxName = 253

// meteredReader bounds a stream of JSON values: each of them, and all together.
type meteredReader struct {
	in        io.Reader
	valueLeft int64
	left      int64 // negative is no bound
}

// Read reads what is allowed, and then ends with a failure.
func (m *meteredReader) Read(into []byte) (int, error) {
	allowed := min(int64(len(into)), m.valueLeft)
	if m.left >= 0 {
		allowed = min(allowed, m.left)
	}
	if allowed <= 0 && len(into) > 0 {
		return 0, invalidResponse("the answer is too large")
	}
	n, err := m.in.Read(into[:allowed])
	m.valueLeft -= int64(n)
	if m.left >= 0 {
		m.left -= int64(n)
	}
	return n, err
}

// jsonReader takes apart a list or a watch. It holds one object at a time.
type jsonReader struct {
	in      *meteredReader
	source  io.Reader // what the decoder reads
	decoder *json.Decoder
	limit   int
}

func newJSONReader(in io.Reader, limit int, total int64) *jsonReader {
	metered := &meteredReader{in: in, left: total}
	return &jsonReader{in: metered, source: metered, decoder: json.NewDecoder(metered), limit: limit}
}

// value reads the next value of a stream of them.
func (j *jsonReader) value(into any) error {
	begin := j.decoder.InputOffset()
	if err := j.part(into); err != nil {
		return err
	}
	if j.decoder.InputOffset()-begin > maxBuffer {
		// Otherwise one large event would cost its size for as long as the watch lives.
		j.source = io.MultiReader(j.decoder.Buffered(), j.source)
		j.decoder = json.NewDecoder(j.source)
	}
	return nil
}

// part reads the next value within a list.
func (j *jsonReader) part(into any) error {
	j.in.valueLeft = int64(j.limit)
	return jsonFailure(j.decoder.Decode(into))
}

// delim reads the next token, which must be the given one.
func (j *jsonReader) delim(want json.Delim) error {
	j.in.valueLeft = int64(j.limit)
	token, err := j.decoder.Token()
	if err != nil {
		return jsonFailure(err)
	}
	if token != want {
		return notJSON()
	}
	return nil
}

// copyListHead is what a list says of itself.
type copyListHead struct {
	apiVersion string
	kind       string
	meta       struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	}
}

// itemKind is what items are that do not say so themselves, which is how lists of built-in types come.
func (h *copyListHead) itemKind() string { return strings.TrimSuffix(h.kind, "List") }

// list reads a list and calls item with each of its items, and with what the list said of itself until then.
func (j *jsonReader) list(version schema.GroupVersion, item func(head *copyListHead, raw []byte) error) (*copyListHead, error) {
	if err := j.delim('{'); err != nil {
		return nil, err
	}
	head := &copyListHead{}
	for j.decoder.More() {
		j.in.valueLeft = int64(j.limit)
		token, err := j.decoder.Token()
		if err != nil {
			return nil, jsonFailure(err)
		}
		if err := j.field(token, head, item); err != nil {
			return nil, err
		}
	}
	if err := j.delim('}'); err != nil {
		return nil, err
	}
	if head.apiVersion != version.String() || !strings.HasSuffix(head.kind, "List") {
		return nil, invalidResponse("the answer is not a list of %s", version)
	}
	return head, nil
}

// field reads one field of a list.
func (j *jsonReader) field(name json.Token, head *copyListHead, item func(*copyListHead, []byte) error) error {
	switch name {
	case "apiVersion":
		return j.part(&head.apiVersion)
	case "kind":
		return j.part(&head.kind)
	case "metadata":
		return j.part(&head.meta)
	case "items":
		return j.items(head, item)
	default:
		var skipped json.RawMessage
		return j.part(&skipped)
	}
}

func (j *jsonReader) items(head *copyListHead, item func(*copyListHead, []byte) error) error {
	j.in.valueLeft = int64(j.limit)
	token, err := j.decoder.Token()
	if err != nil {
		return jsonFailure(err)
	}
	if token == nil { // null is how Go writes a list that is none
		return nil
	}
	if token != json.Delim('[') {
		return notJSON()
	}
	for j.decoder.More() {
		var raw json.RawMessage
		if err := j.part(&raw); err != nil {
			return err
		}
		if err := item(head, raw); err != nil {
			return err
		}
	}
	return j.delim(']')
}

// jsonFailure says what is wrong with an answer without quoting it. The end of a stream stays what it is: io.EOF between
// two values, and io.ErrUnexpectedEOF within one, which is also how a broken connection looks.
func jsonFailure(err error) error {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax), errors.As(err, &mismatch):
		return notJSON()
	default:
		return err
	}
}

func notJSON() error { return invalidResponse("the answer is not Kubernetes JSON") }

// parseCopy reads an object. Kind and version are put in if it has none. What is kept has no managed fields, which are
// often as large as the rest.
func parseCopy(raw []byte, version schema.GroupVersion, kind string) (*unstructured.Unstructured, error) {
	var content map[string]any
	if err := utiljson.Unmarshal(raw, &content); err != nil || content == nil {
		return nil, notJSON()
	}
	object := &unstructured.Unstructured{Object: content}
	if object.GetKind() == "" {
		if kind == "" {
			return nil, invalidResponse("an object does not say what it is")
		}
		object.SetKind(kind)
		object.SetAPIVersion(version.String())
	}
	if object.GetAPIVersion() != version.String() {
		return nil, invalidResponse("an object is not of %s", version)
	}
	if metadata, ok := content["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
	if !wellNamed(object.GetName()) || (object.GetNamespace() != "" && !wellNamed(object.GetNamespace())) ||
		object.GetResourceVersion() == "" || object.GetUID() == "" || len(object.GetUID()) > maxUID {
		return nil, invalidResponse("an object has no proper name, UID or resource version")
	}
	return object, nil
}

// wellNamed says whether a name can stand in a path.
func wellNamed(name string) bool {
	return name != "" && len(name) <= maxName && len(path.IsValidPathSegmentName(name)) == 0
}

// copyEvent is an event of a watch.
type copyEvent struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// version is the resource version of the object.
func (e *copyEvent) version() (string, error) {
	var object struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(e.Object, &object); err != nil || object.Metadata.ResourceVersion == "" {
		return "", notJSON()
	}
	return object.Metadata.ResourceVersion, nil
}

// failure is the Status that ends a watch. Its message is not repeated.
func (e *copyEvent) failure() *failure {
	var status struct {
		Code    int    `json:"code"`
		Reason  string `json:"reason"`
		Details struct {
			RetryAfterSeconds int `json:"retryAfterSeconds"`
		} `json:"details"`
	}
	if err := json.Unmarshal(e.Object, &status); err != nil {
		return invalidResponse("a watch ended with an error that cannot be read")
	}
	return &failure{
		reason:     tmcv1alpha1.ReasonServerError,
		message:    "the member ended a watch with error " + strconv.Itoa(status.Code),
		expired:    status.Code == http.StatusGone || status.Reason == "Expired" || status.Reason == "Gone",
		retryAfter: min(max(time.Duration(min(status.Details.RetryAfterSeconds, 1<<20))*time.Second, 0), maxRetryAfter),
	}
}
