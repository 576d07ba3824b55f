// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

// Dynamic is the client for any resource of the workspace.
func (c *Client) Dynamic() dynamic.Interface { return c.dynamic }

// MemberDynamic is an administrator's client of a member for any resource.
func (s *Suite) MemberDynamic(t testing.TB, name string) dynamic.Interface {
	t.Helper()
	config, err := s.member(t, name).Config()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatalf("creating a client of member %s: %v", name, err)
	}
	return client
}

// Moment is when a watcher first saw that something holds.
type Moment struct {
	what string
	at   chan time.Time
}

// When watches a resource of a namespace until an object of that name is as holds wants it.
func When(t testing.TB, what string, client dynamic.Interface, gvr schema.GroupVersionResource, namespace, name string, holds func(*unstructured.Unstructured) bool) *Moment {
	t.Helper()
	m := &Moment{what: what, at: make(chan time.Time, 1)}
	see := func(obj any) {
		if found, ok := obj.(*unstructured.Unstructured); ok && found.GetName() == name && holds(found) {
			select {
			case m.at <- time.Now():
			default: // it was seen before
			}
		}
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(client, gvr, namespace, 0, cache.Indexers{}, nil).Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, obj any) { see(obj) }}); err != nil {
		t.Fatalf("adding a handler: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	go informer.RunWithContext(ctx)
	Eventually(t, what+" to be watched", MemberTimeout, func(context.Context) error {
		if !informer.HasSynced() {
			return fmt.Errorf("the list of %s is not there", gvr.Resource)
		}
		return nil
	})
	return m
}

// Wait waits for the moment and returns it.
func (m *Moment) Wait(t testing.TB) time.Time {
	t.Helper()
	timeout := time.NewTimer(MemberTimeout)
	defer timeout.Stop()
	select {
	case at := <-m.at:
		return at
	case <-timeout.C:
		t.Fatalf("waiting %s for: %s", MemberTimeout, m.what)
		return time.Time{}
	}
}
