// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan

import (
	"errors"
	"fmt"
)

// Wire types of protocol buffers.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireStart   = 3
	wireEnd     = 4
	wireFixed32 = 5
)

const (
	maxField  = 1<<29 - 1
	maxVarint = 10
)

// maxIdentifier bounds names, UIDs and resource versions: the longest name that Kubernetes allows has 253 bytes.
const maxIdentifier = 253

var (
	errTruncated = errors.New("the message ends in the middle of a field")
	errVarint    = errors.New("a number is longer than 10 bytes")
	errTag       = errors.New("a field has no valid number")
	errWire      = errors.New("a field has no valid wire type")
	errGroup     = errors.New("a group ends that did not begin")
)

// reader walks the fields of one message. It never copies and never recurses; after the first error next returns false
// and err says why. The work is linear in the length of the message. Places are kept as numbers, not as slices, because
// every store of a pointer costs a write barrier while the garbage collector runs.
type reader struct {
	data  []byte
	err   error
	pos   int
	start int    // of the value of a length-delimited field, which ends at pos
	num   uint64 // value of a varint field
	field int32
	wire  uint8
}

// next moves to the next field of the set want, which has a bit for each number. Most fields of an object are not wanted
// and have a tag and a length, or a number, of one or two bytes: those are passed over right here, and step does all that
// is unusual.
func (r *reader) next(want uint64) bool { //nolint:gocyclo // in one piece, for speed
	data, pos := r.data, uint(r.pos)
	for pos+2 < uint(len(data)) {
		tag, length, end := uint(data[pos]), uint(data[pos+1]), pos+2
		usual := true
		if tag >= 0x80 {
			usual = length < 0x80
			tag, length = tag&0x7f|length<<7, uint(data[end])
			end++
		}
		if tag&7 == wireBytes {
			if length >= 0x80 {
				if end >= uint(len(data)) || data[end] >= 0x80 {
					usual, end = false, pos
				} else {
					length = length&0x7f | uint(data[end])<<7
					end++
				}
			}
			if usual && tag >= 1<<3 && length <= uint(len(data))-end {
				if want>>(tag>>3)&1 == 0 {
					pos = end + length
					continue
				}
				r.field, r.wire, r.start, r.pos = int32(tag>>3), wireBytes, int(end), int(end+length)
				return true
			}
		} else if tag&7 == wireVarint && usual && length < 0x80 && tag >= 1<<3 && want>>(tag>>3)&1 == 0 {
			pos = end
			continue
		}
		r.pos = int(pos)
		if !r.step() {
			return false
		}
		if want>>uint(r.field)&1 != 0 {
			return true
		}
		pos = uint(r.pos)
	}
	r.pos = int(pos)
	for r.step() {
		if want>>uint(r.field)&1 != 0 {
			return true
		}
	}
	return false
}

// step moves to the next field, whatever it is, skipping groups, which Kubernetes does not use.
func (r *reader) step() bool {
	for r.pos < len(r.data) {
		tag := r.uvarint()
		r.field, r.wire = int32(tag>>3), uint8(tag&7)
		if tag>>3 == 0 || tag>>3 > maxField {
			r.setErr(errTag)
			return false
		}
		switch r.wire {
		case wireBytes:
			n := r.uvarint()
			if n > uint64(len(r.data)-r.pos) {
				r.setErr(errTruncated)
				return false
			}
			r.start = r.pos
			r.pos += int(n)
		case wireVarint:
			r.num = r.uvarint()
		case wireFixed64:
			r.drop(8)
		case wireFixed32:
			r.drop(4)
		case wireStart:
			r.skipGroup()
			continue
		case wireEnd:
			r.setErr(errGroup)
		default:
			r.setErr(errWire)
		}
		return r.err == nil
	}
	return false
}

// uvarint reads a varint. Tags and most lengths have one byte, so that case comes first.
func (r *reader) uvarint() uint64 {
	if r.pos < len(r.data) && r.data[r.pos] < 0x80 {
		r.pos++
		return uint64(r.data[r.pos-1])
	}
	return r.longUvarint()
}

func (r *reader) longUvarint() uint64 {
	var v uint64
	for i := range maxVarint {
		if r.pos >= len(r.data) {
			r.setErr(errTruncated)
			return 0
		}
		b := r.data[r.pos]
		r.pos++
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v
		}
	}
	r.setErr(errVarint)
	return 0
}

func (r *reader) drop(n int) {
	if n > len(r.data)-r.pos {
		r.setErr(errTruncated)
		return
	}
	r.pos += n
}

// skipGroup skips to the end of the group that has just begun. Nested groups are counted, not followed.
func (r *reader) skipGroup() {
	for depth := 1; depth > 0 && r.err == nil; {
		switch tag := r.uvarint(); tag & 7 {
		case wireVarint:
			r.uvarint()
		case wireFixed64:
			r.drop(8)
		case wireFixed32:
			r.drop(4)
		case wireBytes:
			n := r.uvarint()
			if n > uint64(len(r.data)-r.pos) {
				r.setErr(errTruncated)
				return
			}
			r.pos += int(n)
		case wireStart:
			depth++
		case wireEnd:
			depth--
		default:
			r.setErr(errWire)
		}
	}
}

// bytes returns the value of a length-delimited field.
func (r *reader) bytes() []byte {
	if r.wire != wireBytes {
		r.fail("is not text or a message")
		return nil
	}
	return r.data[r.start:r.pos:r.pos]
}

// varint returns the value of a number.
func (r *reader) varint() uint64 {
	if r.wire != wireVarint {
		r.fail("is not a number")
		return 0
	}
	return r.num
}

// identifier returns the value of a field that holds a short text.
func (r *reader) identifier() []byte {
	v := r.bytes()
	if len(v) > maxIdentifier {
		r.fail("is longer than 253 bytes")
		return nil
	}
	return v
}

// mapEntry returns the key and the value of a field that is an entry of a map.
func (r *reader) mapEntry() (key, value []byte) {
	entry := reader{data: r.bytes()}
	for entry.next(1<<1 | 1<<2) {
		switch entry.field {
		case 1:
			key = entry.bytes()
		case 2:
			value = entry.bytes()
		}
	}
	r.adopt(&entry)
	return key, value
}

// adopt takes over the error of a reader of a message inside this one.
func (r *reader) adopt(inner *reader) {
	if inner.err != nil {
		r.adoptErr(inner.err)
	}
}

// adoptErr is apart from adopt so that the usual case costs no call.
func (r *reader) adoptErr(err error) { r.setErr(fmt.Errorf("field %d: %w", r.field, err)) }

func (r *reader) fail(problem string) { r.setErr(fmt.Errorf("field %d: %s", r.field, problem)) }

func (r *reader) setErr(err error) {
	if r.err == nil {
		r.err = err
	}
	r.pos = len(r.data)
}
