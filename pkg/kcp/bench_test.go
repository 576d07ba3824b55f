// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// answering answers every request without a network.
type answering struct{}

func (answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{"apiVersion":"v1","kind":"X","metadata":{"name":"x"}}`)),
	}, nil
}

// BenchmarkPatch is what a write costs before it is on the wire: with a client per endpoint, as here, and with a dynamic
// client that is built for the workspace each time, as is usual.
func BenchmarkPatch(b *testing.B) {
	w, err := NewWorkloads(Config{ProviderConfig: &rest.Config{Host: "https://kcp.example/clusters/root:tmc"}, ExportName: workloadExport})
	if err != nil {
		b.Fatal(err)
	}
	w.http = &http.Client{Transport: answering{}}
	w.workspaces.bound["one"] = boundWorkspace{endpoint: "https://kcp.example/services/apiexport/x/kubernetes"}
	gvr := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	key := workspace.Key{Workspace: "one", Namespace: "shop", Name: "web"}
	patch := []byte(`{"metadata":{"finalizers":["tmc.kcp.io/sync"]}}`)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := w.patch(b.Context(), gvr, key, patch, verbPatchMetadata); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("reference", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			config, _ := w.ConfigFor("one")
			client, err := dynamic.NewForConfigAndClient(config, w.http)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := client.Resource(gvr).Namespace(key.Namespace).Patch(b.Context(), key.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkInNamespace finds 10 objects of one namespace among 1,000 of its workspace and 100,000 of all.
func BenchmarkInNamespace(b *testing.B) {
	index := newIndex[*unstructured.Unstructured](func(logicalcluster.Name) bool { return true })
	for ws := range 100 {
		for n := range 1000 {
			index.upsert("a", &unstructured.Unstructured{Object: deployment(fmt.Sprint("ws", ws), fmt.Sprint("ns", n%100), fmt.Sprint("web", n))})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := len(index.InNamespace("ws7", "ns3")); got != 10 {
			b.Fatalf("got %d objects", got)
		}
	}
}
