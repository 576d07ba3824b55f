// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

// worse orders picks: by rank, and where even hashes are equal the first name is better.
func (a pick) worse(b pick) bool {
	return a.rank < b.rank || (a.rank == b.rank && a.index > b.index)
}

// up moves the last element of a heap to its place. The worst is on top.
func up(heap []pick) {
	for at := len(heap) - 1; at > 0; {
		parent := (at - 1) / 2
		if !heap[at].worse(heap[parent]) {
			return
		}
		heap[at], heap[parent] = heap[parent], heap[at]
		at = parent
	}
}

// down moves the first element of a heap to its place.
func down(heap []pick) {
	for at := 0; ; {
		child := 2*at + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && heap[child+1].worse(heap[child]) {
			child++
		}
		if !heap[child].worse(heap[at]) {
			return
		}
		heap[at], heap[child] = heap[child], heap[at]
		at = child
	}
}
