// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sync keeps copies of placed objects on members, and brings their status back.
//
// One key is one object of a workspace; what happens to it and what happens to its copies meets in the same reconcile.
// A pass compares the object with its copies as informers know them, hands what differs to the lane of each member, and
// writes the summed status. In steady state an edit costs one write per member, and a change of status one write up.
//
// Lanes keep members apart: one that is slow or away holds up nobody else. Every step can be killed and repeated: names
// are deterministic, what is where is read from the members, deletions carry the UID of what they delete.
//
// Invariants: nothing is written to a member that is not known to be free or ours; a copy is removed only when it is
// certain that it should not be there; what a member says reaches only the object that the member was given.
package sync
