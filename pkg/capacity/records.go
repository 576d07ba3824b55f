// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity

import "encoding/binary"

const (
	// inlineOthers is how many resources besides cpu and memory a record holds itself: ephemeral storage and two more.
	inlineOthers = 3
	chunkSize    = 1024

	pendingNode = int32(-1) // the pod waits for a node
	unknownNode = int32(-2) // the pod is bound to a node for which there was no room
)

// slotAmount is an amount of the resource of a slot.
type slotAmount struct {
	value int64
	slot  slot
}

// podKey is the UID of a pod in binary. The few UIDs that are not in the usual form have no podKey.
type podKey [16]byte

// podRecord is all that is kept of a pod. It has no pointers, so that the garbage collector never looks into the chunks.
type podRecord struct {
	key    podKey
	cpu    int64
	memory int64
	other  [inlineOthers]int64
	slots  [inlineOthers]slot // 0 where there is no other amount
	flags  uint8
	node   int32
	epoch  uint32 // of the list or event that confirmed it
}

const (
	flagLive  = 1 << iota // the record is in use
	flagOdd               // its UID is in records.oddUID instead of key
	flagSpill             // it has more amounts in records.spill
)

// records holds the pods of a cluster in chunks that never move.
type records struct {
	chunks [][]podRecord
	free   []uint32
	end    uint32
	live   int

	byKey map[podKey]uint32

	byOddUID map[string]uint32
	oddUID   map[uint32]string
	spill    map[uint32][]slotAmount
}

func newRecords() records {
	return records{
		byKey:    map[podKey]uint32{},
		byOddUID: map[string]uint32{},
		oddUID:   map[uint32]string{},
		spill:    map[uint32][]slotAmount{},
	}
}

func (r *records) at(i uint32) *podRecord { return &r.chunks[i/chunkSize][i%chunkSize] }

// find returns the record of a UID, and the key that the UID has, if it has one.
func (r *records) find(uid []byte) (i uint32, key podKey, found bool) {
	key, ok := parseUID(uid)
	if ok {
		i, found = r.byKey[key]
		return i, key, found
	}
	i, found = r.byOddUID[string(uid)]
	return i, key, found
}

// insert takes a free record for a UID that is new, with the key that find has returned.
func (r *records) insert(uid []byte, key podKey) uint32 {
	i := r.end
	if n := len(r.free); n > 0 {
		i = r.free[n-1]
		r.free = r.free[:n-1]
	} else {
		if i%chunkSize == 0 {
			r.chunks = append(r.chunks, make([]podRecord, chunkSize))
		}
		r.end++
	}
	record := r.at(i)
	*record = podRecord{flags: flagLive}
	if key != (podKey{}) {
		record.key = key
		r.byKey[key] = i
	} else {
		record.flags |= flagOdd
		odd := string(uid)
		r.byOddUID[odd] = i
		r.oddUID[i] = odd
	}
	r.live++
	return i
}

// remove frees a record, whose amounts must have been taken away before.
func (r *records) remove(i uint32) {
	record := r.at(i)
	if record.flags&flagOdd != 0 {
		delete(r.byOddUID, r.oddUID[i])
		delete(r.oddUID, i)
	} else {
		delete(r.byKey, record.key)
	}
	delete(r.spill, i)
	*record = podRecord{}
	r.free = append(r.free, i)
	r.live--
}

// compact gives memory back after most pods have gone: neither maps nor chunks shrink by themselves.
func (r *records) compact() {
	if len(r.chunks) < 2 || r.live > int(r.end)/4 {
		return
	}
	next := newRecords()
	for i := range r.end {
		record := r.at(i)
		if record.flags&flagLive == 0 {
			continue
		}
		if next.end%chunkSize == 0 {
			next.chunks = append(next.chunks, make([]podRecord, chunkSize))
		}
		to := next.end
		next.end++
		next.live++
		*next.at(to) = *record
		if record.flags&flagOdd != 0 {
			next.byOddUID[r.oddUID[i]] = to
			next.oddUID[to] = r.oddUID[i]
		} else {
			next.byKey[record.key] = to
		}
		if record.flags&flagSpill != 0 {
			next.spill[to] = r.spill[i]
		}
	}
	*r = next
}

// parseUID reads a UUID in its usual form. Any other text, upper case included, is not one, because two texts must
// never have the same key; nor is the UUID of zeros, whose key means none.
func parseUID(uid []byte) (key podKey, ok bool) {
	if len(uid) != 36 || uid[8] != '-' || uid[13] != '-' || uid[18] != '-' || uid[23] != '-' {
		return podKey{}, false
	}
	le := binary.LittleEndian
	a, okA := parseHex(le.Uint64(uid[0:8]))
	b, okB := parseHex(uint64(le.Uint32(uid[9:13])) | uint64(le.Uint32(uid[14:18]))<<32)
	c, okC := parseHex(uint64(le.Uint32(uid[19:23])) | uint64(le.Uint32(uid[24:28]))<<32)
	d, okD := parseHex(le.Uint64(uid[28:36]))
	if !okA || !okB || !okC || !okD || a|b|c|d == 0 {
		return podKey{}, false
	}
	le.PutUint32(key[0:4], a)
	le.PutUint32(key[4:8], b)
	le.PutUint32(key[8:12], c)
	le.PutUint32(key[12:16], d)
	return key, true
}

// parseHex reads eight lower-case hexadecimal digits at once, the first in the lowest byte: a UID is read with each event
// of a pod.
func parseHex(digits uint64) (uint32, bool) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	if digits&high != 0 {
		return 0, false
	}
	// A byte of less than 0x80 and a constant of at most 0x80 never carry into the next byte; the top bit of a byte says
	// whether the sum reached 0x80.
	fromZero := (digits + (0x80-'0')*ones) & high
	pastNine := (digits + (0x80-'9'-1)*ones) & high
	fromA := (digits + (0x80-'a')*ones) & high
	pastF := (digits + (0x80-'f'-1)*ones) & high
	if fromZero&^pastNine|fromA&^pastF != high {
		return 0, false
	}
	// Letters have the bit 0x40: to their low four bits belongs a 9 more.
	v := digits&(0x0f*ones) + (digits>>6)&ones*9
	// Pairs of digits to bytes, then the bytes together.
	v = (v<<4 | v>>8) & 0x00ff00ff00ff00ff
	v = (v | v>>8) & 0x0000ffff0000ffff
	return uint32(v | v>>16), true
}
