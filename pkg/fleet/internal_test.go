// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	testingclock "k8s.io/utils/clock/testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"": 0, "x": 0, "-5": 0, "0": 0, "3": 3 * time.Second, "999999999999": maxRetryAfter, "99999999999999999999999": 0, "1000": maxRetryAfter,
	} {
		if got := retryAfter(header); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", header, got, want)
		}
	}
}

func TestFailureOf(t *testing.T) {
	t.Parallel()
	own := &failure{reason: "Own", message: "own"}
	tests := map[string]struct {
		err  error
		want string
	}{
		"own":              {fmt.Errorf("wrapped: %w", own), "Own"},
		"deadline":         {context.DeadlineExceeded, tmcv1alpha1.ReasonTimedOut},
		"name resolution":  {&net.DNSError{Err: "no such host", Name: "x", Server: "10.0.0.53:53"}, tmcv1alpha1.ReasonDialFailed},
		"resolver timeout": {&net.DNSError{IsTimeout: true}, tmcv1alpha1.ReasonDialFailed},
		"dial":             {&net.OpError{Op: "dial", Err: errors.New("refused")}, tmcv1alpha1.ReasonDialFailed},
		"broken":           {errors.New("unexpected EOF"), tmcv1alpha1.ReasonDialFailed},
		"HTTP/2":           {errors.New("stream error: PROTOCOL_ERROR"), tmcv1alpha1.ReasonInvalidResponse},
		"denied":           {&net.OpError{Op: "dial", Err: &memberconfig.DeniedError{}}, tmcv1alpha1.ReasonAddressNotAllowed},
		"remote alert":     {errors.New("remote error: tls: bad certificate"), tmcv1alpha1.ReasonTLSFailed},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := failureOf(tc.err); got.reason != tc.want || got.Error() == "" {
				t.Errorf("failureOf() = %+v, want %s", got, tc.want)
			}
		})
	}
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	t.Parallel()
	b := &backoff{least: time.Second, most: 10 * time.Second}
	for i, seconds := range []int{1, 2, 4, 8, 10, 10} {
		most := time.Duration(seconds) * time.Second
		if got := b.next(); got > most || got < most/2 {
			t.Errorf("pause %d = %s, want between %s and its half", i, got, most)
		}
	}
	b.reset()
	if got := b.next(); got > time.Second {
		t.Errorf("after reset: %s", got)
	}
}

func TestSlotsAreLentForATime(t *testing.T) {
	t.Parallel()
	clock := testingclock.NewFakeClock(time.Unix(0, 0))
	s := newSlots(clock, 1, time.Second)
	release, ok := s.acquire(t.Context())
	if !ok {
		t.Fatal("no slot")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := s.acquire(ctx); ok {
		t.Fatal("two slots of one")
	}
	clock.Step(time.Second)
	next, ok := s.acquire(t.Context())
	if !ok {
		t.Fatal("the loan did not end")
	}
	release()
	if len(s.free) != 0 {
		t.Error("a slot was given back twice")
	}
	next()
	if len(s.free) != 1 {
		t.Error("a slot was lost")
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	g := newGate()
	ctx, cancel := context.WithCancel(t.Context())
	next := g.nextOpening()
	g.set(true)
	g.set(true)
	select {
	case <-next:
	default:
		t.Error("nobody was told of the opening")
	}
	if !g.wait(ctx) {
		t.Error("the open gate does not let pass")
	}
	g.set(false)
	cancel()
	if g.wait(ctx) {
		t.Error("the closed gate lets pass")
	}
}

func TestAuditCountsDrift(t *testing.T) {
	t.Parallel()
	registry := metrics.NewKubeRegistry()
	m, err := NewMetrics(registry.Register)
	if err != nil {
		t.Fatalf("registering: %v", err)
	}
	if _, err := NewMetrics(registry.Register); err == nil {
		t.Error("registered twice")
	}
	clock := testingclock.NewFakeClock(time.Unix(1000, 0))
	f := New(Config{Metrics: m, Clock: clock, AuditInterval: time.Minute})
	key := workspace.Key{Workspace: "ws", Name: "east"}
	f.Ensure(key, memberconfig.Connection{Server: "https://127.0.0.1:1"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.auditLoop(ctx)
	}()
	for range 4 {
		for !clock.HasWaiters() {
			runtime.Gosched()
		}
		clock.Step(30 * time.Second)
	}
	for !clock.HasWaiters() {
		runtime.Gosched()
	}
	cancel()
	<-done
	if got, err := testutil.GetCounterMetricValue(m.audits); err != nil || got < 1 {
		t.Errorf("audits = %v, %v", got, err)
	}
	if got, err := testutil.GetCounterMetricValue(m.drifts); err != nil || got != 0 {
		t.Errorf("drifts = %v, %v", got, err)
	}
	f.reportDrift(t.Context(), f.members[key], capacity.Audit{Drift: map[corev1.ResourceName]int64{"cpu": 5, "memory": 1}})
	if got, err := testutil.GetCounterMetricValue(m.drifts); err != nil || got != 2 {
		t.Errorf("drifts = %v, %v, want 2", got, err)
	}
	if got, err := testutil.GetGaugeMetricValue(m.members.WithLabelValues("Unknown")); err != nil || got != 1 {
		t.Errorf("members = %v, %v, want 1", got, err)
	}
	f.Remove(key)
	f.Remove(key)
	if got, err := testutil.GetGaugeMetricValue(m.members.WithLabelValues("Unknown")); err != nil || got != 0 {
		t.Errorf("members after removal = %v, %v, want 0", got, err)
	}
}

func FuzzWireReaderList(f *testing.F) {
	f.Add([]byte("k8s\x00\x0a\x0d\x0a\x02v1\x12\x07PodList\x12\x08\x0a\x03\x12\x015\x12\x01x"))
	f.Add([]byte("k8s\x00\x12\x00"))
	f.Add([]byte("k8s\x00\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		_, err := newWireReader(bytes.NewReader(data), 1<<10).list("PodList", func(raw []byte) error {
			total += len(raw)
			return nil
		})
		if total > len(data) {
			t.Errorf("%d bytes of items from %d bytes (%v)", total, len(data), err)
		}
		frames := newWireReader(bytes.NewReader(data), 1<<10)
		for {
			frame, err := frames.frame()
			if err != nil {
				break
			}
			if len(frame) > 1<<10 {
				t.Errorf("a frame of %d bytes", len(frame))
			}
		}
	})
}

func TestWireReaderReadsUnknownFieldsAndMetaLast(t *testing.T) {
	t.Parallel()
	var items []string
	data := []byte("k8s\x00\x0a\x09\x12\x07PodList\x12\x0e\x12\x01a\x1a\x02zz\x0a\x03\x12\x015")
	data[4+11+1] = byte(len(data) - (4 + 11 + 2))
	meta, err := newWireReader(bytes.NewReader(data), 100).list("PodList", func(raw []byte) error {
		items = append(items, string(raw))
		return nil
	})
	if err != nil || meta.ResourceVersion != "5" || len(items) != 1 || items[0] != "a" {
		t.Errorf("meta %+v, items %v, error %v", meta, items, err)
	}
	stop := errors.New("stop")
	if _, err := newWireReader(bytes.NewReader(data), 100).list("PodList", func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error = %v, want that of the item", err)
	}
}

// A member's events must not become as many calls of OnChange.
func TestChangesAreToldAtABoundedRate(t *testing.T) {
	t.Parallel()
	var told atomic.Int32
	f := New(Config{OnChange: func(workspace.Key) { told.Add(1) }})
	key := workspace.Key{Workspace: "ws", Name: "east"}
	f.members[key] = &member{key: key}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.notifyLoop(ctx)
	}()
	begin := time.Now()
	for time.Since(begin) < 10*notifyInterval {
		f.changed(key)
	}
	most := int32(time.Since(begin)/notifyInterval) + 2
	cancel()
	<-done
	if got := told.Load(); got < 2 || got > most {
		t.Errorf("told %d times, want at least 2 and at most %d", got, most)
	}
}
