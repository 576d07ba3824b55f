// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/kcp-dev/tmc/pkg/protoscan"
)

const (
	readBuffer = 32 << 10
	// maxBuffer is how large a buffer may be to be kept for the next object.
	maxBuffer = 1 << 20
	// maxMeta bounds the metadata of a list.
	maxMeta = 64 << 10
)

// wireReader takes apart streams of protobuf objects. It holds one object at a time, whatever lengths are announced:
// memory grows with what has arrived, up to the limit of one object.
type wireReader struct {
	in     *bufio.Reader
	buffer bytes.Buffer
	limit  int
}

func newWireReader(in io.Reader, limit int) *wireReader {
	return &wireReader{in: bufio.NewReaderSize(in, readBuffer), limit: limit}
}

// take reads exactly so many bytes, which stay valid until the next call.
func (w *wireReader) take(length uint64, limit int) ([]byte, error) {
	if length > uint64(limit) {
		return nil, invalidResponse("an object is larger than %d bytes", limit)
	}
	if w.buffer.Cap() > maxBuffer {
		w.buffer = bytes.Buffer{}
	}
	w.buffer.Reset()
	if _, err := io.CopyN(&w.buffer, w.in, int64(length)); err != nil {
		return nil, truncated(err)
	}
	return w.buffer.Bytes(), nil
}

// frame reads the next frame of a watch; io.EOF is its orderly end.
func (w *wireReader) frame() ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(w.in, header[:]); err != nil {
		return nil, err
	}
	return w.take(uint64(binary.BigEndian.Uint32(header[:])), w.limit)
}

// list reads a list in its envelope and calls item with each of its items.
func (w *wireReader) list(kind string, item func(raw []byte) error) (protoscan.ListMeta, error) {
	magic, err := w.take(4, 4)
	if err != nil {
		return protoscan.ListMeta{}, err
	}
	if string(magic) != "k8s\x00" {
		return protoscan.ListMeta{}, malformed()
	}
	for {
		field, length, _, err := w.field()
		if err != nil {
			return protoscan.ListMeta{}, truncated(err)
		}
		switch field {
		case 1: // the type, which comes first
			meta, err := w.take(length, maxMeta)
			if err != nil {
				return protoscan.ListMeta{}, err
			}
			if !bytes.Contains(meta, []byte(kind)) {
				return protoscan.ListMeta{}, invalidResponse("the answer is not a %s", kind)
			}
		case 2:
			return w.items(length, item)
		default:
			return protoscan.ListMeta{}, malformed()
		}
	}
}

// items reads the list itself. Nothing that follows it matters.
func (w *wireReader) items(left uint64, item func(raw []byte) error) (protoscan.ListMeta, error) {
	var meta protoscan.ListMeta
	for left > 0 {
		field, length, used, err := w.field()
		if err != nil {
			return meta, truncated(err)
		}
		if used > left || length > left-used {
			return meta, malformed()
		}
		left -= used + length
		if field != 2 {
			raw, err := w.take(length, maxMeta)
			if err != nil {
				return meta, err
			}
			if field == 1 {
				if meta, err = listMeta(raw); err != nil {
					return meta, err
				}
			}
			continue
		}
		raw, err := w.take(length, w.limit)
		if err != nil {
			return meta, err
		}
		if err := item(raw); err != nil {
			return meta, err
		}
	}
	return meta, nil
}

// listMeta reads a ListMeta by way of a list without items.
func listMeta(raw []byte) (protoscan.ListMeta, error) {
	list := append([]byte{1<<3 | 2}, binary.AppendUvarint(nil, uint64(len(raw)))...)
	meta, err := protoscan.List(append(list, raw...), func([]byte) error { return nil })
	if err != nil {
		return meta, malformed()
	}
	return meta, nil
}

// field reads the key and length of a field with a length, the only sort that lists have. It also returns how many
// bytes it used.
func (w *wireReader) field() (number, length, used uint64, err error) {
	key, n, err := w.uvarint()
	if err != nil {
		return 0, 0, 0, err
	}
	if key&7 != 2 || key>>3 == 0 {
		return 0, 0, 0, malformed()
	}
	length, m, err := w.uvarint()
	return key >> 3, length, n + m, err
}

func (w *wireReader) uvarint() (value, used uint64, err error) {
	for shift := uint(0); shift < 64; shift += 7 {
		b, err := w.in.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		used++
		value |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return value, used, nil
		}
	}
	return 0, 0, malformed()
}

// truncated tells a stream that ends in the midst of something from one that ends.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalidResponse("the answer ends in the midst of an object")
	}
	return err
}

func malformed() error { return invalidResponse("the answer is not Kubernetes protobuf") }
