// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kcp-dev/tmc/pkg/viewstore"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// copying is a writer that keeps what it gets, as a connection's buffer does.
type copying struct{ buffer []byte }

func (c *copying) Write(p []byte) (int, error) {
	c.buffer = append(c.buffer, p...)
	return len(p), nil
}

// measure returns how long one call of f takes.
func measure(f func()) float64 {
	f()
	n, start := 0, time.Now()
	for time.Since(start) < 300*time.Millisecond {
		f()
		n++
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

func reportRatio(b *testing.B, reference float64) {
	b.Helper()
	own := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	b.ReportMetric(reference, "reference-ns/op")
	b.ReportMetric(reference/own, "x-reference")
}

// BenchmarkViewGet reads one of 1,000 objects. The reference encodes it with every read.
func BenchmarkViewGet(b *testing.B) {
	store := newStore(b)
	fill(store, acme, 1000)
	encoder := encoderOf(b, runtime.ContentTypeJSON)
	key := workspace.Key{Workspace: acme, Name: "member-0500"}
	obj, _ := store.Get(key)
	typed, into := obj.GetObject(), &copying{buffer: make([]byte, 0, 1<<16)}
	reference := measure(func() {
		into.buffer = into.buffer[:0]
		if err := encoder.Encode(typed, into); err != nil {
			b.Fatal(err)
		}
	})
	plain := encoder.Identifier()
	unknown := func(runtime.Object, io.Writer) error { return errors.New("the encoder was not recognized") }
	b.ReportAllocs()
	for b.Loop() {
		into.buffer = into.buffer[:0]
		obj, ok := store.Get(key)
		if !ok || obj.CacheEncode(plain, unknown, into) != nil {
			b.Fatal("the object cannot be read")
		}
	}
	b.SetBytes(int64(len(into.buffer)))
	reportRatio(b, reference)
}

// BenchmarkViewList1000 reads 1,000 objects. The reference encodes the list with every read.
func BenchmarkViewList1000(b *testing.B) {
	store := newStore(b)
	fill(store, acme, 1000)
	encoder := encoderOf(b, runtime.ContentTypeJSON)
	list, err := store.List(everything(acme), viewstore.ListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	typed, into := list.GetObject(), &copying{buffer: make([]byte, 0, 4<<20)}
	for name, w := range map[string]io.Writer{"copied": into, "handed over": io.Discard} {
		b.Run(name, func(b *testing.B) {
			reference := measure(func() {
				into.buffer = into.buffer[:0]
				if err := encoder.Encode(typed, w); err != nil {
					b.Fatal(err)
				}
			})
			b.ReportAllocs()
			for b.Loop() {
				into.buffer = into.buffer[:0]
				list, err := store.List(everything(acme), viewstore.ListOptions{})
				if err != nil || encoder.Encode(list, w) != nil {
					b.Fatal("the list cannot be read")
				}
			}
			reportRatio(b, reference)
		})
	}
}

// fanout is one source event at a time to many watchers that encode it, as handlers do. One in a hundred may be slow.
type fanout struct {
	watchers int
	slow     bool
}

func (f fanout) isSlow(i int) bool { return f.slow && i%100 == 99 }

// warmUp is how many events come before those that are measured.
const warmUp = 5

// run makes events and returns how long each took to reach every watcher that is not slow, one by one.
func (f fanout) run(b *testing.B, events int, open func(i int) watch.Interface, publish func(round int), encode func(watch.Event)) (latencies []time.Duration, total time.Duration) {
	b.Helper()
	var wg sync.WaitGroup
	var began atomic.Int64
	quick := 0
	arrived := make(chan []time.Duration, f.watchers)
	watches := make([]watch.Interface, f.watchers)
	round := make(chan struct{}, f.watchers)
	for i := range f.watchers {
		watches[i] = open(i)
		if f.isSlow(i) {
			continue // never reads
		}
		quick++
		wg.Go(func() {
			seen := make([]time.Duration, 0, events)
			for range events {
				event, ok := <-watches[i].ResultChan()
				if !ok {
					break
				}
				encode(event)
				seen = append(seen, time.Duration(time.Now().UnixNano()-began.Load()))
				round <- struct{}{}
			}
			arrived <- seen
		})
	}
	for n := range events {
		start := time.Now()
		began.Store(start.UnixNano())
		publish(n)
		for range quick {
			<-round
		}
		if n >= warmUp {
			total += time.Since(start)
		}
	}
	for range quick {
		latencies = append(latencies, (<-arrived)[warmUp:]...)
	}
	for _, w := range watches {
		w.Stop()
	}
	wg.Wait()
	slices.Sort(latencies)
	return latencies, total
}

// own measures the store.
func (f fanout) own(b *testing.B, events int) (p99, perSecond float64) {
	b.Helper()
	store := newStore(b)
	fill(store, acme, 1)
	encoder := encoderOf(b, runtime.ContentTypeJSON)
	frame, err := frameIdentifier(encoder)
	if err != nil {
		b.Fatal(err)
	}
	missed := func(runtime.Object, io.Writer) error { return errors.New("the frame was not recognized") }
	open := func(int) watch.Interface {
		no := false
		w, err := store.Watch(context.Background(), everything(acme), viewstore.WatchOptions{SendInitialEvents: &no})
		if err != nil {
			b.Fatal(err)
		}
		return w
	}
	latencies, total := f.run(b, events, open,
		func(round int) { store.SetContent(source("member-0000"), status(int64(round+100))) },
		func(event watch.Event) {
			obj, _ := event.Object.(*viewstore.Object)
			if err := obj.CacheEncode(frame, missed, io.Discard); err != nil {
				b.Error(err)
			}
		})
	return quantile(latencies, 0.99), float64(len(latencies)) / total.Seconds()
}

// reference measures the broadcaster of apimachinery, whose watchers each encode what they get.
func (f fanout) reference(b *testing.B, events int) (p99, perSecond float64) {
	b.Helper()
	broadcaster := watch.NewBroadcaster(events+1, watch.WaitIfChannelFull)
	defer broadcaster.Shutdown()
	store := newStore(b)
	fill(store, acme, 1)
	obj, _ := store.Get(workspace.Key{Workspace: acme, Name: "member-0000"})
	typed := obj.GetObject()
	encoder := encoderOf(b, runtime.ContentTypeJSON)
	open := func(int) watch.Interface {
		w, err := broadcaster.Watch()
		if err != nil {
			b.Fatal(err)
		}
		return w
	}
	latencies, total := f.run(b, events, open,
		func(int) {
			if err := broadcaster.Action(watch.Modified, typed); err != nil {
				b.Error(err)
			}
		},
		func(event watch.Event) {
			if err := encoder.Encode(event.Object, io.Discard); err != nil {
				b.Error(err)
			}
		})
	return quantile(latencies, 0.99), float64(len(latencies)) / total.Seconds()
}

func quantile(sorted []time.Duration, q float64) float64 {
	return float64(sorted[int(float64(len(sorted)-1)*q)].Nanoseconds())
}

// BenchmarkFanout delivers one event to all watchers of a workspace, encoded; one watcher in a hundred never reads.
// The reference is apimachinery's Broadcaster with an encoding per watcher, with room for the slow ones to lag.
func BenchmarkFanout(b *testing.B) {
	for _, watchers := range []int{1000, 10000} {
		b.Run(fmt.Sprint(watchers), func(b *testing.B) {
			const events = 25
			var with, without, rate, theirs, theirRate float64
			rounds := 0.0
			for b.Loop() {
				quiet, _ := fanout{watchers: watchers}.own(b, events)
				p99, perSecond := fanout{watchers: watchers, slow: true}.own(b, events)
				other, otherRate := fanout{watchers: watchers, slow: true}.reference(b, events)
				with, without, rate, theirs, theirRate, rounds = with+p99, without+quiet, rate+perSecond, theirs+other, theirRate+otherRate, rounds+1
			}
			b.ReportMetric(rate/rounds, "deliveries/s")
			b.ReportMetric(theirRate/rounds, "reference-deliveries/s")
			b.ReportMetric(rate/theirRate, "x-reference")
			b.ReportMetric(with/rounds/1e6, "p99-ms")
			b.ReportMetric(without/rounds/1e6, "p99-ms-without-slow")
			b.ReportMetric(theirs/rounds/1e6, "reference-p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func frameIdentifier(encoder runtime.Encoder) (runtime.Identifier, error) {
	return viewstore.FrameIdentifier(encoder.Identifier(), watch.Modified)
}
