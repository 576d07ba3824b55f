// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan

import (
	"bytes"
	"errors"
	"fmt"
)

// maxToken bounds strings that are copied out of a message whole.
const maxToken = 4096

// ListMeta is what paging and watching need of a list's metadata.
type ListMeta struct {
	ResourceVersion string
	Continue        string
}

// Meta is what is needed of the metadata of an object of which nothing else is, such as a bookmark. Its slices belong
// to the scanned bytes.
type Meta struct {
	Namespace       []byte
	Name            []byte
	UID             []byte
	ResourceVersion []byte
	// InitialEventsEnd says that a watch that began with a list has sent all of that list.
	InitialEventsEnd bool
}

// StatusInfo is what is needed of a metav1.Status.
type StatusInfo struct {
	Status            string
	Code              int32
	Reason            string
	Message           string
	RetryAfterSeconds int32
}

// Envelope opens what the Kubernetes API sends as application/vnd.kubernetes.protobuf: a magic prefix and a
// runtime.Unknown. The raw object belongs to body.
func Envelope(body []byte) (apiVersion, kind string, raw []byte, err error) {
	rest, ok := bytes.CutPrefix(body, []byte("k8s\x00"))
	if !ok {
		return "", "", nil, errors.New("reading envelope: the body does not begin with k8s\\0, so it is not Kubernetes protobuf")
	}
	r := reader{data: rest}
	for r.next(1<<1 | 1<<2 | 1<<3 | 1<<4) {
		switch r.field {
		case 1:
			apiVersion, kind = typeMeta(&r, r.bytes(), apiVersion, kind)
		case 2:
			raw = r.bytes()
		case 3:
			if encoding := r.bytes(); len(encoding) > 0 {
				r.fail("contentEncoding is set, only plain content is read")
			}
		case 4:
			if t := r.bytes(); len(t) > 0 && string(t) != "application/vnd.kubernetes.protobuf" {
				r.fail("contentType is not application/vnd.kubernetes.protobuf")
			}
		}
	}
	if r.err != nil {
		return "", "", nil, fmt.Errorf("reading envelope: %w", r.err)
	}
	return apiVersion, kind, raw, nil
}

func typeMeta(parent *reader, data []byte, apiVersion, kind string) (string, string) {
	r := reader{data: data}
	for r.next(1<<1 | 1<<2) {
		switch r.field {
		case 1:
			apiVersion = token(&r)
		case 2:
			kind = token(&r)
		}
	}
	parent.adopt(&r)
	return apiVersion, kind
}

// WatchEvent opens one frame of a watch. The object is still in its envelope and belongs to frame.
func WatchEvent(frame []byte) (eventType string, object []byte, err error) {
	r := reader{data: frame}
	for r.next(1<<1 | 1<<2) {
		switch r.field {
		case 1:
			eventType = token(&r)
		case 2:
			inner := reader{data: r.bytes()}
			for inner.next(1 << 1) {
				if inner.field == 1 {
					object = inner.bytes()
				}
			}
			r.adopt(&inner)
		}
	}
	if r.err != nil {
		return "", nil, fmt.Errorf("reading watch event: %w", r.err)
	}
	return eventType, object, nil
}

// List calls item with each item of a list, in order, and ends at the first error. The items belong to raw.
func List(raw []byte, item func(raw []byte) error) (ListMeta, error) {
	var meta ListMeta
	r := reader{data: raw}
	for r.next(1<<1 | 1<<2) {
		switch r.field {
		case 1:
			inner := reader{data: r.bytes()}
			for inner.next(1<<2 | 1<<3) {
				switch inner.field {
				case 2:
					meta.ResourceVersion = token(&inner)
				case 3:
					meta.Continue = token(&inner)
				}
			}
			r.adopt(&inner)
		case 2:
			data := r.bytes()
			if r.err != nil {
				break
			}
			if err := item(data); err != nil {
				return ListMeta{}, err
			}
		}
	}
	if r.err != nil {
		return ListMeta{}, fmt.Errorf("reading list: %w", r.err)
	}
	return meta, nil
}

// ObjectMeta reads the metadata of any object, and nothing else of it.
func ObjectMeta(raw []byte, into *Meta) error {
	*into = Meta{}
	r := reader{data: raw}
	for r.next(1 << 1) {
		if r.field != 1 {
			continue
		}
		inner := reader{data: r.bytes()}
		for inner.next(metaFields) {
			objectMetaField(&inner, into)
		}
		r.adopt(&inner)
	}
	if r.err != nil {
		return fmt.Errorf("reading object metadata: %w", r.err)
	}
	return nil
}

// metaFields are the fields of an ObjectMeta that objectMetaField reads.
const (
	metaFields      = 1<<1 | 1<<3 | 1<<5 | 1<<6 | 1<<metaAnnotations
	metaAnnotations = 12
)

func objectMetaField(r *reader, into *Meta) {
	switch r.field {
	case 1:
		into.Name = r.identifier()
	case 3:
		into.Namespace = r.identifier()
	case 5:
		into.UID = r.identifier()
	case 6:
		into.ResourceVersion = r.identifier()
	case metaAnnotations:
		key, value := r.mapEntry()
		if string(key) == "k8s.io/initial-events-end" {
			into.InitialEventsEnd = string(value) == "true"
		}
	}
}

// Status reads a metav1.Status.
func Status(raw []byte, into *StatusInfo) error {
	*into = StatusInfo{}
	r := reader{data: raw}
	for r.next(1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6) {
		switch r.field {
		case 2:
			into.Status = token(&r)
		case 3:
			into.Message = token(&r)
		case 4:
			into.Reason = token(&r)
		case 5:
			inner := reader{data: r.bytes()}
			for inner.next(1 << 5) {
				if inner.field == 5 {
					into.RetryAfterSeconds = int32(inner.varint())
				}
			}
			r.adopt(&inner)
		case 6:
			into.Code = int32(r.varint())
		}
	}
	if r.err != nil {
		return fmt.Errorf("reading status: %w", r.err)
	}
	return nil
}

// token returns the value as a string, and the usual values without an allocation.
func token(r *reader) string {
	data := r.bytes()
	switch string(data) {
	case "v1":
		return "v1"
	case "Pod":
		return "Pod"
	case "Node":
		return "Node"
	case "ADDED":
		return "ADDED"
	case "MODIFIED":
		return "MODIFIED"
	case "DELETED":
		return "DELETED"
	case "BOOKMARK":
		return "BOOKMARK"
	}
	if len(data) > maxToken {
		r.fail("a text is longer than 4096 bytes")
		return ""
	}
	return string(data)
}
