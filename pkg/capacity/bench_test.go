// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package capacity_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	helpers "k8s.io/component-helpers/resource"

	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/protoscan"
)

const (
	benchPods  = 10_000
	benchNodes = 100
	benchBatch = 25
	benchBlock = 1_000
)

// benchPod is a running pod as a current API server sends it, about 5 KB: two containers with ten variables each, five
// conditions, statuses with the actual resources, and managed fields.
func benchPod(i int) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: fmt.Sprintf("team-%d", i%50), Name: fmt.Sprintf("web-7d4b9c6f5-%05d", i), UID: types.UID(uuid(i)),
		ResourceVersion: fmt.Sprint(100000 + i), CreationTimestamp: metav1.Unix(1_750_000_000, 0),
		Labels:        map[string]string{"app": "web", "pod-template-hash": "7d4b9c6f5", "team": "a"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: &metav1.FieldsV1{Raw: make([]byte, 2500)}}},
	}}
	requests := corev1.ResourceList{
		"cpu": *resource.NewMilliQuantity(int64(100+i%7), resource.DecimalSI), "memory": *resource.NewQuantity(int64(256+i%5)<<20, resource.BinarySI),
	}
	for _, name := range []string{"app", "proxy"} {
		c := corev1.Container{Name: name, Image: "registry.example/team/" + name + ":v1.2.3", Resources: corev1.ResourceRequirements{Requests: requests, Limits: requests}}
		for k := range 10 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", k), Value: "some-value-of-usual-length"})
		}
		p.Spec.Containers = append(p.Spec.Containers, c)
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: name, Ready: true, Image: c.Image, ImageID: "registry.example/team/app@sha256:0123456789abcdef0123456789abcdef",
			State:     corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Unix(1_750_000_000, 0)}},
			Resources: &corev1.ResourceRequirements{Requests: requests, Limits: requests}, AllocatedResources: requests,
		})
	}
	p.Spec.NodeName = fmt.Sprintf("node-%d", i%benchNodes)
	p.Spec.Tolerations = []corev1.Toleration{{Key: "node.kubernetes.io/not-ready", Operator: "Exists"}, {Key: "node.kubernetes.io/unreachable", Operator: "Exists"}}
	p.Status.Phase = corev1.PodRunning
	for _, kind := range []corev1.PodConditionType{"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"} {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Unix(1_750_000_000, 0)})
	}
	return p
}

func benchCluster() *capacity.Cluster {
	c := capacity.NewCluster()
	for i := range benchNodes {
		c.UpsertNode(node(fmt.Sprintf("node-%d", i), "cpu", 64000, "memory", 256*gibi, "pods", 250, "ephemeral-storage", 100*gibi))
	}
	return c
}

// benchFrame encodes a watch event as an API server does.
func benchFrame(b *testing.B, event string, p *corev1.Pod) []byte {
	b.Helper()
	raw, err := p.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	unknown, err := (&kruntime.Unknown{TypeMeta: kruntime.TypeMeta{APIVersion: "v1", Kind: "Pod"}, Raw: raw}).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	frame, err := (&metav1.WatchEvent{Type: event, Object: kruntime.RawExtension{Raw: append([]byte("k8s\x00"), unknown...)}}).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	return frame
}

// apply opens a frame and moves the sums, which is all that is done with an event.
func apply(c *capacity.Cluster, frame []byte, into *capacity.Pod) error {
	event, object, err := protoscan.WatchEvent(frame)
	if err != nil {
		return err
	}
	_, _, raw, err := protoscan.Envelope(object)
	if err != nil {
		return err
	}
	if err := protoscan.Pod(raw, into); err != nil {
		return err
	}
	if event == "DELETED" {
		c.DeletePod(into)
	} else {
		c.UpsertPod(into)
	}
	return nil
}

// BenchmarkPodEvent is one event of a pod among 10,000: opening the frame, decoding and moving the sums. The reference of
// the same run takes the same frames: it opens them and decodes the typed pod, as clients do, and does nothing with it.
//
// The method: a frame is some 5 KB, each of another pod, with 35 different sets of requests, and every event changes the
// sums. Frames are copied just before, in batches that fit into the processor's cache, as one that has just been read
// from a connection is. The two take turns by blocks of 1,000 frames, so that a busy machine is as busy for both; they
// do not take turns by frame, because then we would pay for collecting the garbage of the other. Reported are medians of
// batches: time that other processes take, and most of what the garbage costs the reference, counts for neither. What is
// copied and set up is not measured.
//
// Besides: typed_object_ns is the reference without opening the frames, and x_vs_decode_and_recompute compares with
// adding up all pods again after decoding, which is what those do that keep typed pods in a cache.
func BenchmarkPodEvent(b *testing.B) {
	for _, event := range []string{"add", "update", "delete"} {
		b.Run(event, func(b *testing.B) { benchmarkPodEvent(b, event) })
	}
}

func benchmarkPodEvent(b *testing.B, event string) {
	b.Helper()
	before, frames, recount := benchEvents(b, event)
	c := benchCluster()
	var into capacity.Pod
	do := func(frame []byte) {
		if err := apply(c, frame, &into); err != nil {
			b.Fatal(err)
		}
	}
	var ours, typed, object []time.Duration
	warm := make([][]byte, benchBatch)
	done := 0
	b.ResetTimer()
	for done < max(b.N, 2*benchPods) { // the medians want that many
		i := done % benchPods
		for k := i; k < i+benchBlock; k += benchBatch {
			for _, frame := range before[k : k+benchBatch] {
				do(frame)
			}
			ours = append(ours, timeWarm(warm, frames[k:k+benchBatch], do))
		}
		for k := i; k < i+benchBlock; k += benchBatch {
			typed = append(typed, timeWarm(warm, frames[k:k+benchBatch], func(frame []byte) { decodeTyped(b, frame) }))
		}
		for k := i; k < i+benchBlock; k += benchBatch {
			object = append(object, timeWarm(warm, rawPods(b, frames[k:k+benchBatch]), func(raw []byte) { decodeObject(b, raw) }))
		}
		done += benchBlock
	}
	own, decode, bare := perFrame(ours), perFrame(typed), perFrame(object)
	b.ReportMetric(own, "ns/op")
	allocs := testing.AllocsPerRun(100, func() { do(before[0]); do(frames[0]) }) / 2
	b.ReportMetric(allocs, "allocs/op")
	if allocs == 0 {
		b.ReportMetric(0, "B/op") // -benchmem adds what the reference allocates
	}
	b.ReportMetric(decode, "typed_decode_ns")
	b.ReportMetric(bare, "typed_object_ns")
	b.ReportMetric(decode/own, "x_vs_typed_decode")
	b.ReportMetric(bare/own, "x_vs_typed_object")
	b.ReportMetric((decode+recount)/own, "x_vs_decode_and_recompute")
	if audit := c.Audit(); !audit.Clean() {
		b.Errorf("the audit found %+v", audit)
	}
}

// perFrame is the median of batches, in nanoseconds of one frame.
func perFrame(batches []time.Duration) float64 {
	slices.Sort(batches)
	return float64(batches[len(batches)/2]) / benchBatch
}

// timeWarm is how long it takes to do something with each of a batch of frames, copied to warm so that they are in the
// processor's cache.
func timeWarm(warm, frames [][]byte, do func([]byte)) time.Duration {
	for i, frame := range frames {
		warm[i] = append(warm[i][:0], frame...)
	}
	start := time.Now()
	for _, frame := range warm {
		do(frame)
	}
	return time.Since(start)
}

// decodeTyped opens a frame and decodes its pod, as a typed client does.
func decodeTyped(b *testing.B, frame []byte) {
	b.Helper()
	var event metav1.WatchEvent
	if err := event.Unmarshal(frame); err != nil {
		b.Fatal(err)
	}
	var unknown kruntime.Unknown
	if err := unknown.Unmarshal(event.Object.Raw[len("k8s\x00"):]); err != nil {
		b.Fatal(err)
	}
	decodeObject(b, unknown.Raw)
}

func decodeObject(b *testing.B, raw []byte) {
	b.Helper()
	var p corev1.Pod
	if err := p.Unmarshal(raw); err != nil {
		b.Fatal(err)
	}
}

// rawPods are the bare pods in frames.
func rawPods(b *testing.B, frames [][]byte) [][]byte {
	b.Helper()
	raws := make([][]byte, len(frames))
	for i, frame := range frames {
		_, object, err := protoscan.WatchEvent(frame)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, raws[i], err = protoscan.Envelope(object); err != nil {
			b.Fatal(err)
		}
	}
	return raws
}

// benchEvents makes the frames of all pods, those that set the stage for them, and says how many nanoseconds it takes to
// add up all pods.
func benchEvents(b *testing.B, event string) (before, frames [][]byte, recount float64) {
	b.Helper()
	pods := make([]*corev1.Pod, benchPods)
	for i := range pods {
		p := benchPod(i)
		pods[i] = p
		switch event {
		case "add":
			before, frames = append(before, benchFrame(b, "DELETED", p)), append(frames, benchFrame(b, "ADDED", p))
		case "update": // the pod waited before, and was smaller
			waited := *p
			waited.Spec.NodeName, waited.Spec.Containers = "", p.Spec.Containers[:1]
			before, frames = append(before, benchFrame(b, "ADDED", &waited)), append(frames, benchFrame(b, "MODIFIED", p))
		case "delete":
			before, frames = append(before, benchFrame(b, "ADDED", p)), append(frames, benchFrame(b, "DELETED", p))
		}
	}
	start := time.Now()
	recompute(pods)
	return before, frames, float64(time.Since(start))
}

// recompute adds up the requests of all pods, the reference method.
func recompute(pods []*corev1.Pod) corev1.ResourceList {
	total := corev1.ResourceList{}
	for _, p := range pods {
		for name, q := range helpers.PodRequests(p, helpers.PodResourcesOptions{UseStatusResources: true}) {
			sum := total[name]
			sum.Add(q)
			total[name] = sum
		}
	}
	return total
}

// BenchmarkHeapPerPod is what a pod costs on the heap, everything included, when there are a million on 5,000 nodes.
// Reference in the same run: typed pods in a map, without managed fields, as caches with a transform keep them.
func BenchmarkHeapPerPod(b *testing.B) {
	const pods, nodes, sample = 1_000_000, 5_000, 10_000
	before := heap()
	typed := make(map[string]*corev1.Pod, sample)
	for i := range sample {
		raw, err := benchPod(i).Marshal()
		if err != nil {
			b.Fatal(err)
		}
		p := &corev1.Pod{}
		if err := p.Unmarshal(raw); err != nil {
			b.Fatal(err)
		}
		p.ManagedFields = nil
		typed[p.Namespace+"/"+p.Name] = p
	}
	reference := float64(heap()-before) / sample
	runtime.KeepAlive(typed)
	var perPod float64
	for b.Loop() {
		random := rand.New(rand.NewPCG(1, 1))
		before := heap()
		c := capacity.NewCluster()
		for i := range pods {
			uid := fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", random.Uint32(), random.Uint32()&0xffff, random.Uint32()&0xfff, random.Uint32()&0xfff, random.Uint64()&(1<<48-1))
			p := pod(uid, fmt.Sprintf("node-%d", i%nodes), "cpu", 100+i%9, "memory", gibi, "ephemeral-storage", gibi)
			if i%10 == 0 {
				p.Requests = append(p.Requests, amounts("nvidia.com/gpu", 1)...)
			}
			c.UpsertPod(p)
		}
		perPod = float64(heap()-before) / pods
		runtime.KeepAlive(c)
	}
	b.ReportMetric(perPod, "B/pod")
	b.ReportMetric(reference, "typed_B/pod")
	b.ReportMetric(reference/perPod, "x_vs_typed_map")
}

// heap is how many bytes are in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkSummary is what a publication costs after each change, by number of nodes.
func BenchmarkSummary(b *testing.B) {
	for _, nodes := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint("nodes=", nodes), func(b *testing.B) {
			c := capacity.NewCluster()
			for i := range nodes {
				c.UpsertNode(node(fmt.Sprintf("node-%d", i), "cpu", 64000, "memory", 256*gibi, "pods", 250, "ephemeral-storage", gibi, "nvidia.com/gpu", 8))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.UpsertPod(pod("1", "node-1", "cpu", 1+i%2))
				if len(c.Summary().LargestFree) == 0 {
					b.Fatal("nothing is free")
				}
			}
		})
	}
}

// BenchmarkAudit is the recount of 100,000 pods.
func BenchmarkAudit(b *testing.B) {
	c := benchCluster()
	for i := range 100_000 {
		c.UpsertPod(pod(uuid(i), fmt.Sprintf("node-%d", i%benchNodes), "cpu", 1, "memory", 1))
	}
	for b.Loop() {
		if audit := c.Audit(); !audit.Clean() {
			b.Fatalf("the audit found %+v", audit)
		}
	}
}
