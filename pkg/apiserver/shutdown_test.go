// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// slowView answers get when it is told to.
type slowView struct {
	*fakeView
	arrived, release chan struct{}
}

func (v *slowView) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	close(v.arrived)
	<-v.release
	return v.fakeView.Get(ctx, name, o)
}

// What a request in flight needs, such as the clients that reviews go through, outlives it.
func TestComponentsOutliveRequestsInFlight(t *testing.T) {
	t.Parallel()
	view := &slowView{arrived: make(chan struct{}), release: make(chan struct{})}
	stopped := make(chan struct{})
	r := newRig(t, func(r *rig) {
		view.fakeView = r.view
		r.config.Backend.Storage["clusterstatuses"] = view
		r.config.Backend.Components = []Component{{Name: "worker", Run: func(ctx context.Context) error {
			<-ctx.Done()
			close(stopped)
			return nil
		}}}
	}).start()
	answered := make(chan answer, 1)
	go func() { answered <- r.do(&r.frontProxy, http.MethodGet, acme+views+"/east", asShard()) }()
	<-view.arrived
	r.stop()
	r.eventually("the port is closed", func() bool { return r.do(nil, http.MethodGet, "/livez", nil).code == 0 })
	select {
	case <-stopped:
		t.Error("the component stopped before the request in flight was answered")
	case <-time.After(200 * time.Millisecond):
	}
	close(view.release)
	if got := <-answered; got.code != http.StatusOK {
		t.Errorf("the request in flight: status %d: %s", got.code, got.body)
	}
	if err := <-r.done; err != nil {
		t.Errorf("serving ended with %v", err)
	}
	r.done <- nil
	<-stopped
}

// An ordinary end has a cause, too, such as the signal that signal.NotifyContext names. It is no error.
func TestEndOnRequestIsNoError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, stop := context.WithCancelCause(t.Context())
	go func() { r.done <- r.server.Run(ctx) }()
	r.eventually("the server is ready", func() bool { return r.do(nil, "GET", "/readyz", nil).code == http.StatusOK })
	stop(errors.New("terminated signal received"))
	if err := <-r.done; err != nil {
		t.Errorf("serving ended with %v", err)
	}
}
