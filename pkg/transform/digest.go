// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"math"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// hashBytes are 128 bits: what differs by chance or by design differs in its hash.
const hashBytes = 16

// Hash is the hash of the content of a copy as it is to be applied: 32 hexadecimal digits that do not depend on the order
// of keys or on how a number is written. The annotation that holds the hash does not count.
func Hash(desired *unstructured.Unstructured) string {
	if desired == nil {
		return ""
	}
	content := desired.Object
	metadata := asMap(content["metadata"])
	annotations := asMap(metadata["annotations"])
	if _, found := annotations[AppliedHashAnnotation]; found {
		content, metadata = maps.Clone(content), maps.Clone(metadata)
		metadata["annotations"] = without(annotations, AppliedHashAnnotation)
		content["metadata"] = metadata
	}
	return digestOf(content)
}

// AppliedHash is the hash of what was last applied to a copy, and empty if it is not known.
func AppliedHash(live metav1.Object) string {
	if live == nil {
		return ""
	}
	_, annotation := marksOf(live)
	if annotation == nil {
		return ""
	}
	return annotation(AppliedHashAnnotation)
}

// LiveSignature is the hash of a live object without its status and without what a server or a controller notes in its
// metadata. Whoever applies a copy that still differs afterwards, because a member's admission changes it, remembers
// the signature of the result, and does not apply again while it is the same.
func LiveSignature(live *unstructured.Unstructured) string {
	if live == nil {
		return ""
	}
	content := without(live.Object, "status")
	if metadata := asMap(content["metadata"]); metadata != nil {
		metadata = without(metadata, "managedFields", "resourceVersion", "generation", "creationTimestamp", "selfLink")
		if annotations := asMap(metadata["annotations"]); annotations != nil {
			annotations = maps.Clone(annotations)
			maps.DeleteFunc(annotations, func(key string, _ any) bool { return bookkeeping(key) })
			metadata["annotations"] = annotations
		}
		content["metadata"] = metadata
	}
	return digestOf(content)
}

// digest writes values to a hash so that different values are different text: each with its type and its length.
type digest struct {
	sum  hash.Hash
	text []byte
	keys []string // of all maps from the root to the present one
}

func digestOf(content map[string]any) string {
	d := digest{sum: sha256.New(), text: make([]byte, 0, 2048), keys: make([]string, 0, 64)}
	d.writeMap(content)
	d.sum.Write(d.text)
	var sum [sha256.Size]byte
	d.sum.Sum(sum[:0])
	return hex.EncodeToString(sum[:hashBytes])
}

func (d *digest) write(value any) {
	switch v := value.(type) {
	case map[string]any:
		d.writeMap(v)
	case []any:
		d.tag('l', uint64(len(v)))
		for _, item := range v {
			d.write(item)
		}
	case string:
		d.tag('s', uint64(len(v)))
		d.append(v)
	case bool:
		if v {
			d.text = append(d.text, 't')
		} else {
			d.text = append(d.text, 'f')
		}
	case nil:
		d.text = append(d.text, 'n')
	default:
		d.writeOther(value)
	}
}

func (d *digest) writeOther(value any) {
	n, ok := numberOf(value)
	switch {
	case !ok: // no JSON; it must not be taken for anything else
		text := fmt.Sprintf("%T", value)
		d.tag('?', uint64(len(text)))
		d.append(text)
	case n.whole:
		d.tag('i', uint64(n.integer))
	default:
		d.tag('d', math.Float64bits(n.fraction))
	}
}

func (d *digest) writeMap(m map[string]any) {
	d.tag('m', uint64(len(m)))
	start := len(d.keys)
	for key := range m {
		d.keys = append(d.keys, key)
	}
	slices.SortFunc(d.keys[start:], strings.Compare)
	end := len(d.keys)
	for i := start; i < end; i++ {
		key := d.keys[i]
		d.tag('k', uint64(len(key)))
		d.append(key)
		d.write(m[key])
	}
	d.keys = d.keys[:start]
}

func (d *digest) tag(kind byte, n uint64) {
	d.text = append(d.text, kind, byte(n>>56), byte(n>>48), byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func (d *digest) append(s string) {
	if len(d.text)+len(s) > cap(d.text) {
		d.sum.Write(d.text)
		d.text = d.text[:0]
		if len(s) > cap(d.text) {
			d.sum.Write([]byte(s))
			return
		}
	}
	d.text = append(d.text, s...)
}
