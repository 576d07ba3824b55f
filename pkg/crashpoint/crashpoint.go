// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crashpoint names the places between the writes of the controllers at which a process may die, for tests.
//
// In a server as it is shipped, Hit does nothing. One that is built with the tag crashpoints kills itself with SIGKILL
// at the place that the environment variable TMC_CRASH_POINT names, so that a test can prove that whatever was written
// until then is taken up by the next process. The package changes nothing else about what a process does.
package crashpoint

// Variable is the environment variable that names a point, and after a colon at which of its hits the process dies; the
// first if it says nothing.
const Variable = "TMC_CRASH_POINT"

// Point is a place in the code.
type Point string

// The points. What is before a write and what is after it are two different states to start again from.
const (
	BeforeDecision  Point = "schedule.write.before"
	AfterDecision   Point = "schedule.write.after"
	BeforeMark      Point = "sync.mark.before"
	AfterMark       Point = "sync.mark.after"
	BeforeNamespace Point = "sync.namespace.before"
	AfterNamespace  Point = "sync.namespace.after"
	BeforeCreate    Point = "sync.create.before"
	AfterCreate     Point = "sync.create.after"
	BeforeUpdate    Point = "sync.update.before"
	AfterUpdate     Point = "sync.update.after"
	BeforeDelete    Point = "sync.delete.before"
	AfterDelete     Point = "sync.delete.after"
	BeforeRelease   Point = "sync.release.before"
	AfterRelease    Point = "sync.release.after"
	BeforeStatus    Point = "sync.status.before"
	AfterStatus     Point = "sync.status.after"
	BeforeDetach    Point = "detach.patch.before"
	AfterDetach     Point = "detach.patch.after"
)

// Points returns all points, in the order of a workload's life.
func Points() []Point {
	return []Point{
		BeforeDecision, AfterDecision, BeforeMark, AfterMark, BeforeNamespace, AfterNamespace, BeforeCreate, AfterCreate,
		BeforeUpdate, AfterUpdate, BeforeDelete, AfterDelete, BeforeRelease, AfterRelease, BeforeStatus, AfterStatus,
		BeforeDetach, AfterDetach,
	}
}
