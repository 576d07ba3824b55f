// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/klog/v2"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// FuzzDecodeObject holds that whatever the endpoint sends is either left out or found again without what is stripped.
func FuzzDecodeObject(f *testing.F) {
	f.Add([]byte(`{"metadata":{"name":"a","namespace":"b","uid":"c","annotations":{"kcp.io/cluster":"d","kubectl.kubernetes.io/last-applied-configuration":"{}"}}}`))
	f.Add([]byte(`{"metadata":{"name":"a","namespace":"b","uid":"c","annotations":{"kcp.io/cluster":1},"managedFields":"none"}}`))
	f.Add([]byte(`{"metadata":[]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var content map[string]any
		if json.Unmarshal(raw, &content) != nil || content == nil {
			t.Skip() // what is no JSON object is refused before it gets here
		}
		s := &sink[*unstructured.Unstructured]{decode: decodeObject, logger: klog.Logger{}}
		u, ok := s.decoded(&unstructured.Unstructured{Object: content})
		if !ok {
			return
		}
		if key := keyOf(u); key.Workspace == "" || key.Namespace == "" || key.Name == "" || key == (workspace.Key{}) {
			t.Errorf("an object without a full key is kept: %s", key)
		}
		if _, found := u.GetAnnotations()["kubectl.kubernetes.io/last-applied-configuration"]; found || u.GetManagedFields() != nil {
			t.Error("what is stripped is kept")
		}
	})
}
