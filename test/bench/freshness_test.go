// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

const (
	freshnessSamples = 200
	// coalesceWindow is the server's default of --coalesce-window.
	coalesceWindow = 100 * time.Millisecond
	// pause is the longest pause between two pods. It varies, so that the samples meet the window at any point.
	pause         = 2 * coalesceWindow
	podMilliCPU   = 10
	namespace     = "default"
	sampleTimeout = 30 * time.Second
)

// moment is when an event arrived, and how much was allocated then.
type moment struct {
	at    time.Time
	pod   string
	milli int64
}

// BenchmarkFreshness is the time from the event of a pod's binding, which the test sees on its own watch of the member,
// to the event of the view with the new sum, on a watch of the tenant through kcp. Both events are stamped by the same
// monotonic clock when client-go delivers them. The real scheduler binds the pods, one at a time.
func BenchmarkFreshness(b *testing.B) {
	core := memberCore(b)
	bindings, rows := watchBindings(b, core), watchRow(b)
	f := newFigures(b)
	var times samples
	expected := (<-rows).milli
	for b.Loop() {
		for len(times) < freshnessSamples {
			linger(b, rand.N(pause))
			name := createPod(b, core)
			expected += podMilliCPU
			at := await(b, bindings, "the binding of "+name, func(m moment) bool { return m.pod == name })
			seen := await(b, rows, fmt.Sprintf("the view to have %dm allocated", expected), func(m moment) bool { return m.milli == expected })
			times = append(times, seen.Sub(at))
		}
	}
	f.latency("bound-to-view", "member's watch event > tenant's watch event through kcp", times)
	f.report(fmt.Sprintf("pod bound to view changed, one pod at a time, coalescing window %s", coalesceWindow))
}

// await returns when the event that fits arrived.
func await(b *testing.B, events <-chan moment, what string, fits func(moment) bool) time.Time {
	b.Helper()
	timeout := time.NewTimer(sampleTimeout)
	defer timeout.Stop()
	for {
		select {
		case m, ok := <-events:
			if !ok {
				b.Fatalf("the watch ended while waiting for %s", what)
			}
			if fits(m) {
				return m.at
			}
		case <-timeout.C:
			b.Fatalf("waited %s for %s", sampleTimeout, what)
		}
	}
}

// linger lets time pass, which is part of the load: a pod every now and then.
func linger(b *testing.B, d time.Duration) {
	b.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.Context().Done():
	}
}

func memberCore(b *testing.B) kubernetes.Interface {
	b.Helper()
	m, err := stage.env.Member(member)
	if err != nil {
		b.Fatal(err)
	}
	config, err := m.Config()
	if err != nil {
		b.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func createPod(b *testing.B, core kubernetes.Interface) string {
	b.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "main", Image: "registry.example/app:1",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(podMilliCPU, resource.DecimalSI)}},
		}}},
	}
	made, err := core.CoreV1().Pods(namespace).Create(b.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return made.Name
}

// watchBindings stamps the first event of each pod that names a node.
func watchBindings(b *testing.B, core kubernetes.Interface) <-chan moment {
	b.Helper()
	w, err := core.CoreV1().Pods(namespace).Watch(b.Context(), metav1.ListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	bound := map[string]bool{}
	return stamp(b, w, func(event watch.Event) (moment, bool) {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok || pod.Spec.NodeName == "" || bound[pod.Name] {
			return moment{}, false
		}
		bound[pod.Name] = true
		return moment{pod: pod.Name}, true
	})
}

// watchRow stamps each event of the member's row; the first is the row as it is.
func watchRow(b *testing.B) <-chan moment {
	b.Helper()
	var w watch.Interface
	eventually(b, "the view to be watched", func(context.Context) error {
		var err error
		w, err = tenantDynamic(b).Resource(statuses()).Watch(b.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + member})
		return err
	})
	return stamp(b, w, func(event watch.Event) (moment, bool) {
		row, ok := event.Object.(*unstructured.Unstructured)
		if !ok || event.Type == watch.Bookmark {
			return moment{}, false
		}
		text, found, err := unstructured.NestedString(row.Object, "status", "allocated", "cpu")
		if err != nil || !found {
			return moment{}, true // nothing is allocated
		}
		cpu, err := resource.ParseQuantity(text)
		return moment{milli: cpu.MilliValue()}, err == nil
	})
}

// stamp passes on what read makes of the events, with the time at which they came.
func stamp(b *testing.B, w watch.Interface, read func(watch.Event) (moment, bool)) <-chan moment {
	b.Helper()
	out := make(chan moment, 4*freshnessSamples) // never makes the watch wait
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(out)
		for event := range w.ResultChan() {
			at := time.Now()
			if m, ok := read(event); ok {
				m.at = at
				out <- m
			}
		}
	}()
	b.Cleanup(func() {
		w.Stop()
		for range out { // drained, lest the goroutine waits
		}
		<-done
	})
	return out
}

func statuses() schema.GroupVersionResource {
	return tmcv1alpha1.SchemeGroupVersion().WithResource("clusterstatuses")
}
