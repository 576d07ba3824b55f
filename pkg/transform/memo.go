// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// Memo stands for one look at an object, its copy and the target. While it stays equal there is nothing new to find out,
// so whoever found a copy in order remembers the memo instead of building the copy again. Memos are compared with ==.
type Memo struct {
	upstream, live version
	target         Target
	replicas       int32
	replicated     bool
}

// version is one state of one object; UIDs tell an object from its successor of the same name.
type version struct{ uid, resourceVersion string }

// NewMemo returns the memo of a look. It is false if one of the objects does not tell its version, or there is no copy:
// then nothing must be concluded.
func NewMemo(upstream, live *unstructured.Unstructured, t Target) (Memo, bool) {
	m := Memo{upstream: versionOf(upstream), live: versionOf(live), target: t}
	if t.Replicas != nil {
		m.replicas, m.replicated = *t.Replicas, true
	}
	m.target.Replicas = nil
	return m, m.upstream.resourceVersion != "" && m.live.resourceVersion != ""
}

func versionOf(obj *unstructured.Unstructured) version {
	if obj == nil {
		return version{}
	}
	metadata := asMap(obj.Object["metadata"])
	return version{uid: asString(metadata["uid"]), resourceVersion: asString(metadata["resourceVersion"])}
}
