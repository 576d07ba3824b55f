// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"sync"

	"github.com/kcp-dev/logicalcluster/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serializerjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/versioning"
	"k8s.io/apimachinery/pkg/watch"
)

// codec cuts encoded objects into parts and recognizes the encoders whose output the parts make up.
type codec struct {
	gvk      schema.GroupVersionKind
	scheme   *runtime.Scheme
	assemble func(metav1.ObjectMeta, any) runtime.Object
	json     runtime.Encoder
	// opening is what an object without metadata begins with, up to the end of the metadata.
	opening []byte
	// listOpening is what a list begins with, up to its resourceVersion.
	listOpening []byte
	// plain identifies the encoder of ordinary JSON answers.
	plain runtime.Identifier
	// frames identify the encoders of ordinary JSON watch events, by event type, with what such an event begins with.
	frames  map[runtime.Identifier][]byte
	buffers sync.Pool
}

// head is the metadata of an entry, encoded around the place of the resourceVersion.
type head struct {
	entry  Entry
	meta   metav1.ObjectMeta
	before []byte
	after  []byte
}

// content is the body of all objects of a source.
type content struct {
	value any
	// tail is what follows the metadata, up to and with the closing brace and the newline.
	tail []byte
}

func newCodec(o *Options) (*codec, error) {
	c := &codec{gvk: o.GVK, scheme: o.Scheme, assemble: o.Assemble}
	c.buffers.New = func() any { return new([]byte) }
	encoder := serializerjson.NewSerializerWithOptions(serializerjson.DefaultMetaFactory, o.Scheme, o.Scheme, serializerjson.SerializerOptions{})
	c.json = encoder
	c.plain = versioning.NewDefaultingCodecForScheme(o.Scheme, encoder, nil, o.GVK.GroupVersion(), nil).Identifier()
	c.frames = make(map[runtime.Identifier][]byte, 3)
	for _, eventType := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted} {
		id, err := frameIdentifier(c.plain, eventType)
		if err != nil {
			return nil, err
		}
		c.frames[id] = []byte(`{"type":"` + string(eventType) + `","object":`)
	}
	partial, err := c.encodeMeta(metav1.ObjectMeta{})
	if err != nil {
		return nil, err
	}
	c.opening = partial
	c.listOpening = fmt.Appendf(nil, `"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"`, o.GVK.Kind+"List", o.GVK.GroupVersion().String())
	if _, err := c.newContent(nil); err != nil {
		return nil, err
	}
	return c, nil
}

// frameIdentifier names the encoder of a watch event exactly as k8s.io/apiserver does. Were it to change there,
// events would be encoded by the slower way, and the test that compares the bytes would still pass.
func frameIdentifier(plain runtime.Identifier, eventType watch.EventType) (runtime.Identifier, error) {
	id, err := json.Marshal(struct {
		Name            string `json:"name,omitempty"`
		EmbeddedEncoder string `json:"embeddedEncoder,omitempty"`
		Encoder         string `json:"encoder,omitempty"`
		EventType       string `json:"eventType,omitempty"`
	}{Name: "watch", EmbeddedEncoder: string(plain), Encoder: string(plain), EventType: string(eventType)})
	if err != nil {
		return "", fmt.Errorf("naming the encoder of watch events: %w", err)
	}
	return runtime.Identifier(id), nil
}

// encodeMeta encodes an object's kind and metadata, without the closing brace.
func (c *codec) encodeMeta(objectMeta metav1.ObjectMeta) ([]byte, error) {
	partial := &metav1.PartialObjectMetadata{ObjectMeta: objectMeta}
	partial.SetGroupVersionKind(c.gvk)
	var buffer bytes.Buffer
	if err := c.json.Encode(partial, &buffer); err != nil {
		return nil, fmt.Errorf("encoding metadata of %s %s: %w", c.gvk.Kind, objectMeta.Name, err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("}\n")), nil
}

// newHead encodes an entry's metadata.
func (c *codec) newHead(e Entry) (*head, error) {
	e.Labels, e.Annotations = maps.Clone(e.Labels), maps.Clone(e.Annotations)
	annotations := make(map[string]string, len(e.Annotations)+1)
	maps.Copy(annotations, e.Annotations)
	annotations[logicalcluster.AnnotationKey] = e.Key.Workspace.String()
	h := &head{entry: e, meta: metav1.ObjectMeta{
		Name: e.Key.Name, Namespace: e.Key.Namespace, UID: e.UID, CreationTimestamp: e.CreationTimestamp,
		Labels: e.Labels, Annotations: annotations,
	}}
	withVersion := h.meta
	withVersion.ResourceVersion = "0"
	encoded, err := c.encodeMeta(withVersion)
	if err != nil {
		return nil, err
	}
	// The first occurrence is the field itself: of what stands before it, only values are free text, and their
	// quotes are escaped.
	const field = `"resourceVersion":"`
	at := bytes.Index(encoded, []byte(field+`0"`))
	if at < 0 {
		return nil, fmt.Errorf("encoding metadata of %s %s: no resourceVersion in it", c.gvk.Kind, e.Key)
	}
	at += len(field)
	h.before, h.after = encoded[:at:at], encoded[at+1:]
	return h, nil
}

// newContent encodes a body.
func (c *codec) newContent(body any) (*content, error) {
	obj := c.assemble(metav1.ObjectMeta{}, body)
	obj.GetObjectKind().SetGroupVersionKind(c.gvk)
	var buffer bytes.Buffer
	if err := c.json.Encode(obj, &buffer); err != nil {
		return nil, fmt.Errorf("encoding the body of a %s: %w", c.gvk.Kind, err)
	}
	tail, ok := bytes.CutPrefix(buffer.Bytes(), c.opening)
	if !ok {
		return nil, fmt.Errorf("encoding the body of a %s: the kind must begin with TypeMeta and ObjectMeta", c.gvk.Kind)
	}
	return &content{value: body, tail: bytes.Clone(tail)}, nil
}

// typed makes an object that its receiver owns.
func (c *codec) typed(objectMeta *metav1.ObjectMeta, rev uint64, body any) runtime.Object {
	own := objectMeta.DeepCopy()
	own.ResourceVersion = strconv.FormatUint(rev, 10)
	obj := c.assemble(*own, body).DeepCopyObject()
	obj.GetObjectKind().SetGroupVersionKind(c.gvk)
	return obj
}

// typedList makes a list that its receiver owns.
func (c *codec) typedList(listMeta metav1.ListMeta, items []*Object) (runtime.Object, error) {
	list, err := c.scheme.New(c.gvk.GroupVersion().WithKind(c.gvk.Kind + "List"))
	if err != nil {
		return nil, fmt.Errorf("making a list of %s: %w", c.gvk.Kind, err)
	}
	objects := make([]runtime.Object, 0, len(items))
	for _, item := range items {
		objects = append(objects, item.GetObject())
	}
	if err := meta.SetList(list, objects); err != nil {
		return nil, fmt.Errorf("filling a list of %s: %w", c.gvk.Kind, err)
	}
	accessor, ok := list.(metav1.ListMetaAccessor)
	if !ok {
		return nil, errors.New("making a list: its kind has no list metadata")
	}
	into := accessor.GetListMeta()
	into.SetResourceVersion(listMeta.ResourceVersion)
	into.SetContinue(listMeta.Continue)
	into.SetRemainingItemCount(listMeta.RemainingItemCount)
	list.GetObjectKind().SetGroupVersionKind(c.gvk.GroupVersion().WithKind(c.gvk.Kind + "List"))
	return list, nil
}

// writeFrame writes a watch event in one piece: on a websocket, a piece is a message.
func (c *codec) writeFrame(opening []byte, o *Object, w io.Writer) error {
	buffer, _ := c.buffers.Get().(*[]byte)
	*buffer = append(append((*buffer)[:0], opening...), o.block[1:]...)
	*buffer = append(append(*buffer, o.content.tail[:len(o.content.tail)-1]...), '}', '\n')
	_, err := w.Write(*buffer)
	c.buffers.Put(buffer)
	return err
}
