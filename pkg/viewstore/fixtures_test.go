// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	acme   = logicalcluster.Name("2acme0000000000x")
	globex = logicalcluster.Name("3globex00000000x")
)

func scheme(tb testing.TB) *runtime.Scheme {
	tb.Helper()
	s := runtime.NewScheme()
	if err := tmcv1alpha1.AddToScheme(s); err != nil {
		tb.Fatalf("registering the kinds: %v", err)
	}
	return s
}

func options(tb testing.TB) viewstore.Options {
	tb.Helper()
	return viewstore.Options{
		Revisions: viewstore.NewRevisions(time.Unix(1_800_000_000, 0)),
		GVK:       tmcv1alpha1.SchemeGroupVersion().WithKind("ClusterStatus"),
		Resource:  tmcv1alpha1.Resource("clusterstatuses"),
		Scheme:    scheme(tb),
		Clock:     clock.RealClock{},
		Assemble: func(meta metav1.ObjectMeta, body any) runtime.Object {
			obj := &tmcv1alpha1.ClusterStatus{ObjectMeta: meta}
			if status, ok := body.(*tmcv1alpha1.ClusterStatusStatus); ok {
				obj.Status = *status
			}
			return obj
		},
	}
}

func newStore(tb testing.TB, adjust ...func(*viewstore.Options)) *viewstore.Store {
	tb.Helper()
	o := options(tb)
	for _, f := range adjust {
		f(&o)
	}
	store, err := viewstore.New(o)
	if err != nil {
		tb.Fatalf("making a store: %v", err)
	}
	tb.Cleanup(store.Shutdown)
	return store
}

func encoderOf(tb testing.TB, mediaType string) runtime.Encoder {
	tb.Helper()
	codecs := serializer.NewCodecFactory(scheme(tb), serializer.WithStreamingCollectionEncodingToJSON())
	info, ok := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), mediaType)
	if !ok {
		tb.Fatalf("no serializer for %s", mediaType)
	}
	return codecs.EncoderForVersion(info.Serializer, tmcv1alpha1.SchemeGroupVersion())
}

func source(name string) viewstore.SourceKey {
	return viewstore.SourceKey{Workspace: "1provider000000x", Name: name}
}

func entry(ws logicalcluster.Name, name string, pairs ...string) viewstore.Entry {
	e := viewstore.Entry{Key: workspace.Key{Workspace: ws, Name: name}, UID: types.UID("uid-" + name), CreationTimestamp: metav1.Unix(1_700_000_000, 0)}
	for i := 0; i+1 < len(pairs); i += 2 {
		if e.Labels == nil {
			e.Labels = map[string]string{}
		}
		e.Labels[pairs[i]] = pairs[i+1]
	}
	return e
}

func status(pods int64) *tmcv1alpha1.ClusterStatusStatus {
	list := func(cpu int64) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceCPU: *resource.NewMilliQuantity(cpu, resource.DecimalSI), corev1.ResourceMemory: *resource.NewQuantity(cpu<<20, resource.BinarySI),
			corev1.ResourcePods: *resource.NewQuantity(cpu/100, resource.DecimalSI), corev1.ResourceEphemeralStorage: *resource.NewQuantity(cpu<<30, resource.BinarySI),
		}
	}
	at := metav1.Unix(1_800_000_000, 0)
	return &tmcv1alpha1.ClusterStatusStatus{
		Conditions: []metav1.Condition{
			{Type: "Ready", Status: "True", Reason: "MemberReady", Message: "the member answers <quickly> & well", LastTransitionTime: at},
			{Type: "Reachable", Status: "True", Reason: "Answering", LastTransitionTime: at},
		},
		ObservationTime: &at, Version: "v1.36.3", Nodes: &tmcv1alpha1.NodeSummary{Total: 5, Ready: 4},
		Pods: &tmcv1alpha1.PodSummary{Bound: pods}, Capacity: list(16000), Allocatable: list(15000), Allocated: list(pods * 100), Available: list(15000 - pods*100),
		LargestFree: []tmcv1alpha1.FreeSlot{{Resource: corev1.ResourceCPU, Free: list(3000)}, {Resource: corev1.ResourceMemory, Free: list(2000)}},
	}
}

// fill shows n sources in a workspace; each workspace has sources of its own.
func fill(store *viewstore.Store, ws logicalcluster.Name, n int) {
	for i := range n {
		name := fmt.Sprintf("member-%04d", i)
		src := source(name)
		if ws != acme {
			src.Name = ws.String() + "-" + name
		}
		store.SetEntries(src, []viewstore.Entry{entry(ws, name, "region", fmt.Sprintf("r%d", i%3))})
		store.SetContent(src, status(int64(i)))
	}
}

func next(tb testing.TB, w watch.Interface) watch.Event {
	tb.Helper()
	select {
	case event, ok := <-w.ResultChan():
		if !ok {
			tb.Fatal("the watch has ended")
		}
		return event
	case <-time.After(10 * time.Second):
		tb.Fatal("no event came")
	}
	return watch.Event{}
}

func everything(ws logicalcluster.Name) viewstore.Selection {
	return viewstore.Selection{Workspace: ws}
}
