// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"io"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// List is the answer to one list request. Its items carry their kind, as kcp's own lists of bound resources do.
type List struct {
	metav1.ListMeta

	// Items are in the order of workspace, namespace and name.
	Items []*Object

	codec *codec
}

var _ runtime.CacheableObject = (*List)(nil)

// CacheEncode writes the list as the encoder with the given identifier would. For plain JSON it joins the bytes of
// the items; other encodings are made anew, for a list is answered once.
func (l *List) CacheEncode(id runtime.Identifier, encode func(runtime.Object, io.Writer) error, w io.Writer) error {
	if id == l.codec.plain {
		return l.join(w)
	}
	list, err := l.codec.typedList(l.ListMeta, l.Items)
	if err != nil {
		return err
	}
	return encode(list, w)
}

// join begins with a write of one byte: that tells the handler's writer that more follows, so that it measures the
// whole answer when it decides on compression.
func (l *List) join(w io.Writer) error {
	buffer, _ := l.codec.buffers.Get().(*[]byte)
	defer l.codec.buffers.Put(buffer)
	*buffer = l.appendOpening(append((*buffer)[:0], '{'))
	if _, err := w.Write((*buffer)[:1]); err != nil {
		return err
	}
	if _, err := w.Write((*buffer)[1:]); err != nil {
		return err
	}
	for i, item := range l.Items {
		block := item.block
		if i == 0 {
			block = block[1:]
		}
		if _, err := w.Write(block); err != nil {
			return err
		}
		if _, err := w.Write(item.content.tail[:len(item.content.tail)-1]); err != nil {
			return err
		}
	}
	*buffer = append((*buffer)[:0], "]}\n"...)
	_, err := w.Write(*buffer)
	return err
}

func (l *List) appendOpening(buffer []byte) []byte {
	buffer = append(append(append(buffer, l.codec.listOpening...), l.ResourceVersion...), '"')
	if l.Continue != "" {
		// A token is base64 for URLs, which JSON does not escape.
		buffer = append(append(append(buffer, `,"continue":"`...), l.Continue...), '"')
	}
	if l.RemainingItemCount != nil {
		buffer = strconv.AppendInt(append(buffer, `,"remainingItemCount":`...), *l.RemainingItemCount, 10)
	}
	return append(buffer, `},"items":[`...)
}

// GetObject returns the list in its Go type, or a Status should that be impossible. The caller owns it.
func (l *List) GetObject() runtime.Object {
	list, err := l.codec.typedList(l.ListMeta, l.Items)
	if err != nil {
		return &metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
	}
	return list
}

// DeepCopyObject returns the list in its Go type. The caller owns it.
func (l *List) DeepCopyObject() runtime.Object { return l.GetObject() }

// GetObjectKind returns the list's kind, which cannot be set.
func (l *List) GetObjectKind() schema.ObjectKind {
	return fixedKind(l.codec.gvk.GroupVersion().WithKind(l.codec.gvk.Kind + "List"))
}
