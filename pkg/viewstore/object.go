// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// maxEncodings bounds the encodings kept with one version of an object, besides the plain one.
const maxEncodings = 8

// Object is one version of a view object. It never changes, and many requests share it; who needs a copy of its own
// calls GetObject.
type Object struct {
	codec   *codec
	head    *head
	content *content
	source  SourceKey
	rev     uint64
	// block is a comma, for lists, and the object up to the end of its metadata.
	block []byte

	mu        sync.Mutex
	encodings []*encoding
}

type encoding struct {
	id   runtime.Identifier
	once sync.Once
	raw  []byte
	err  error
}

func newObject(c *codec, source SourceKey, h *head, body *content, rev uint64) *Object {
	block := make([]byte, 0, 1+len(h.before)+20+len(h.after))
	block = append(append(block, ','), h.before...)
	block = append(strconv.AppendUint(block, rev, 10), h.after...)
	return &Object{codec: c, head: h, content: body, source: source, rev: rev, block: block}
}

// at returns the same object with another revision.
func (o *Object) at(rev uint64) *Object { return newObject(o.codec, o.source, o.head, o.content, rev) }

// Key returns the object's workspace, namespace and name.
func (o *Object) Key() workspace.Key { return o.head.entry.Key }

// Source returns what the object is computed from.
func (o *Object) Source() SourceKey { return o.source }

// Body returns the body that the object's content was set to. It is shared: the caller must not change it.
func (o *Object) Body() any { return o.content.value }

// Revision returns the object's resourceVersion as a number.
func (o *Object) Revision() uint64 { return o.rev }

// CacheEncode writes the object as the encoder with the given identifier would. For plain JSON it writes bytes that
// exist already; for other encoders it keeps what they made. Tables are not kept, because they show ages, which are
// different with every read.
func (o *Object) CacheEncode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	if id == o.codec.plain {
		if _, err := w.Write(o.block[1:]); err != nil {
			return err
		}
		_, err := w.Write(o.content.tail)
		return err
	}
	if opening, ok := o.codec.frames[id]; ok {
		return o.codec.writeFrame(opening, o, w)
	}
	kept := o.encoding(id)
	if kept == nil {
		return encode(o.encodable(id), w)
	}
	kept.once.Do(func() {
		var buffer bytes.Buffer
		kept.err = encode(o.encodable(id), &buffer)
		kept.raw = buffer.Bytes()
	})
	if kept.err != nil {
		return kept.err
	}
	if spliced, ok := w.(runtime.Splice); ok {
		spliced.Splice(kept.raw)
		return nil
	}
	_, err := w.Write(kept.raw)
	return err
}

// encodable returns what an encode function gets. Table convertors get the object itself, because they need its source.
func (o *Object) encodable(id runtime.Identifier) runtime.Object {
	if isTable(id) {
		return o
	}
	return o.GetObject()
}

func isTable(id runtime.Identifier) bool { return strings.Contains(string(id), "Kind=Table") }

// encoding returns the place of an encoding, or nil when it is not to be kept.
func (o *Object) encoding(id runtime.Identifier) *encoding {
	if isTable(id) {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, kept := range o.encodings {
		if kept.id == id {
			return kept
		}
	}
	if len(o.encodings) == maxEncodings {
		return nil
	}
	kept := &encoding{id: id}
	o.encodings = append(o.encodings, kept)
	return kept
}

// GetObject returns the object in its Go type. The caller owns it.
func (o *Object) GetObject() runtime.Object {
	return o.codec.typed(&o.head.meta, o.rev, o.content.value)
}

// DeepCopyObject returns the object in its Go type. The caller owns it.
func (o *Object) DeepCopyObject() runtime.Object { return o.GetObject() }

// GetObjectKind returns the object's kind, which cannot be set.
func (o *Object) GetObjectKind() schema.ObjectKind { return fixedKind(o.codec.gvk) }

// fixedKind is a kind that cannot be set.
type fixedKind schema.GroupVersionKind

// SetGroupVersionKind does nothing: the object is shared.
func (fixedKind) SetGroupVersionKind(schema.GroupVersionKind) {}

// GroupVersionKind returns the kind.
func (k fixedKind) GroupVersionKind() schema.GroupVersionKind { return schema.GroupVersionKind(k) }
