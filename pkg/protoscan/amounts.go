// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan

import "github.com/kcp-dev/tmc/pkg/capacity"

// maxResources is how many kinds of resources are followed in one object. It fits the bits of a mask.
const maxResources = 32

// Places of the resources that nearly every object has.
const (
	placeCPU = iota
	placeMemory
	placeStorage
	firstOther
)

// amounts is a vector of amounts; what the places mean is said by names.
type amounts [maxResources]amount

// names gives the kinds of resources of one object a place each, in the order in which they are met.
type names struct {
	text      [maxResources][]byte
	count     int // places in use
	truncated bool
}

// place returns the place of a resource, or -1 when there is none left.
func (n *names) place(name []byte) int {
	switch string(name) {
	case "cpu":
		n.text[placeCPU] = name
		return placeCPU
	case "memory":
		n.text[placeMemory] = name
		return placeMemory
	case "ephemeral-storage":
		n.text[placeStorage] = name
		return placeStorage
	}
	for i := firstOther; i < n.count; i++ {
		if string(n.text[i]) == string(name) {
			return i
		}
	}
	if n.count == maxResources {
		n.truncated = true
		return -1
	}
	n.text[n.count] = name
	n.count++
	return n.count - 1
}

// set reads an entry of a ResourceList into v and returns the place that it has set, or -1.
func (n *names) set(r *reader, v *amounts) int {
	key, text, plain := plainEntry(r.bytes())
	if !plain {
		key, text = quantityEntry(r)
	}
	var a amount
	if text != nil && r.err == nil {
		var err error
		if a, err = parseQuantity(text); err != nil {
			r.fail(err.Error())
		}
	}
	if r.err != nil {
		return -1
	}
	place := n.place(key)
	if place >= 0 {
		v[place] = a
	}
	return place
}

// plainEntry takes apart an entry of a ResourceList that is encoded as everybody does: a short name, then a quantity
// that has nothing but a short text.
func plainEntry(entry []byte) (key, text []byte, ok bool) {
	if len(entry) < 2 || entry[0] != 0x0a || entry[1] >= 0x80 || len(entry) < int(entry[1])+6 {
		return nil, nil, false
	}
	key, entry = entry[2:2+entry[1]], entry[2+entry[1]:]
	if entry[0] != 0x12 || int(entry[1]) != len(entry)-2 || entry[2] != 0x0a || int(entry[3]) != len(entry)-4 || len(entry) > 0x80 {
		return nil, nil, false
	}
	return key, entry[4:], true
}

// quantityEntry takes apart any entry of a ResourceList. Without a text the quantity is 0.
func quantityEntry(r *reader) (key, text []byte) {
	key, quantity := r.mapEntry()
	inner := reader{data: quantity}
	for inner.next(1 << 1) {
		text = inner.bytes()
	}
	r.adopt(&inner)
	return key, text
}

// add, raise and clear work on the places in use, so that their cost follows the object, not the limit.

func (n *names) add(v, more *amounts) {
	for i := range n.count {
		if more[i] != (amount{}) {
			v[i] = v[i].plus(more[i])
		}
	}
}

func (n *names) raise(v, least *amounts) {
	for i := range n.count {
		if v[i].less(least[i]) {
			v[i] = least[i]
		}
	}
}

func (n *names) clear(v *amounts) {
	for i := range n.count { // a call that clears memory costs more than the few places in use
		v[i] = amount{}
	}
}

// list appends the amounts that are not zero.
func (n *names) list(v *amounts, to []capacity.Amount) []capacity.Amount {
	for i := range n.count {
		if v[i] == (amount{}) {
			continue
		}
		value := v[i].value()
		if i == placeCPU {
			value = v[i].milliValue()
		}
		to = append(to, capacity.Amount{Name: n.text[i], Value: value})
	}
	return to
}
