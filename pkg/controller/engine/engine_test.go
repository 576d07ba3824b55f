// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// runEngine runs an engine until stop is called.
func runEngine(t *testing.T, config Config[workspace.Key], logs *bytes.Buffer) (*Engine[workspace.Key], func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	if logs != nil {
		ctx = klog.NewContext(ctx, textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(logs))))
	}
	e := New(config)
	done := make(chan struct{})
	go func() { e.Run(ctx); close(done) }()
	return e, func() { cancel(); <-done }
}

func TestPanicIsAFailureAndIsRetried(t *testing.T) {
	t.Parallel()
	registry := metrics.NewKubeRegistry()
	m, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	done := make(chan struct{})
	var logs bytes.Buffer
	e, stop := runEngine(t, Config[workspace.Key]{Name: "test", Metrics: m, Reconcile: func(context.Context, workspace.Key) (Result, error) {
		panicking := false
		once.Do(func() { panicking = true })
		if panicking {
			panic("secret value")
		}
		close(done)
		return Result{}, nil
	}}, &logs)
	e.Add(workspace.Key{Workspace: "one", Name: "x"})
	<-done
	stop()
	if strings.Contains(logs.String(), "secret value") || !strings.Contains(logs.String(), "Failed to reconcile") {
		t.Errorf("unexpected log: %s", logs.String())
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, family := range families {
		found = found || (family.GetName() == "tmc_controller_panics_total" && family.GetMetric()[0].GetCounter().GetValue() == 1)
	}
	if !found {
		t.Error("the panic is not counted")
	}
	if _, err := NewMetrics(registry); err == nil {
		t.Error("metrics can be registered twice")
	}
}

func TestKeysComeBack(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	calls := 0
	e, stop := runEngine(t, Config[workspace.Key]{Name: "test", Workers: 1, Reconcile: func(context.Context, workspace.Key) (Result, error) {
		calls++
		switch calls {
		case 1:
			return Result{}, errors.New("not yet")
		case 2:
			return Result{After: time.Millisecond}, nil
		case 3:
			close(done)
		}
		return Result{}, nil
	}}, nil)
	e.AddAfter(workspace.Key{Name: "x"}, time.Millisecond)
	<-done
	stop()
}

func TestOneKeyIsNeverWorkedOnTwiceAtOnce(t *testing.T) {
	t.Parallel()
	var busy sync.Mutex
	calls := make(chan struct{}, 1000)
	e, stop := runEngine(t, Config[workspace.Key]{Name: "test", Workers: 8, Reconcile: func(context.Context, workspace.Key) (Result, error) {
		if !busy.TryLock() {
			t.Error("one key is worked on twice at once")
			return Result{}, nil
		}
		defer busy.Unlock()
		calls <- struct{}{}
		return Result{}, nil
	}}, nil)
	for range 20 {
		for range 10 {
			e.Add(workspace.Key{Name: "x"})
		}
		if e.Len() > 1 {
			t.Error("one key waits twice")
		}
		<-calls
	}
	stop()
}

func TestWorkThatIsCutShortIsNoFailure(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	var logs bytes.Buffer
	e, stop := runEngine(t, Config[workspace.Key]{Name: "test", Reconcile: func(ctx context.Context, _ workspace.Key) (Result, error) {
		close(started)
		<-ctx.Done()
		return Result{}, ctx.Err()
	}}, &logs)
	e.Add(workspace.Key{Name: "x"})
	<-started
	stop()
	if logs.Len() != 0 {
		t.Errorf("unexpected log: %s", logs.String())
	}
}

func TestNilMetricsCountNothing(t *testing.T) {
	t.Parallel()
	var m *Metrics
	m.observe("x", time.Second, nil)
	m.panicked("x")
}
