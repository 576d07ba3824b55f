// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// controllerPatience is how long kcp's controllers may take to look at a new object.
const controllerPatience = 30 * time.Second

// exportPoll is how often an object is applied again that kcp refuses since it does not know another one yet.
const exportPoll = 250 * time.Millisecond

// bindingRefused is in what kcp says of a WorkspaceType whose exports it does not know, or not yet.
const bindingRefused = "no permission to bind to export"

// applyPatiently applies an object. A WorkspaceType names exports that may have been made a moment ago, and kcp refuses
// it until its caches show them.
func (p *planner) applyPatiently(ctx context.Context, s step) error {
	_, last := p.apply(ctx, s, false)
	if last == nil || s.desired.GetKind() != "WorkspaceType" || !strings.Contains(last.Error(), bindingRefused) {
		return last
	}
	err := wait.PollUntilContextTimeout(ctx, exportPoll, controllerPatience, false, func(ctx context.Context) (bool, error) {
		_, last = p.apply(ctx, s, false)
		return last == nil || !strings.Contains(last.Error(), bindingRefused), nil
	})
	if last == nil {
		return nil
	}
	return errors.Join(last, err)
}

// waitForAnchor waits until kcp has looked after the CachedResource. kcp serves the kind even when it cannot serve
// virtual resources; that its controllers leave the object alone is how the missing feature gate shows.
func waitForAnchor(ctx context.Context, anchor dynamic.ResourceInterface, name string) error {
	ctx, cancel := context.WithTimeout(ctx, controllerPatience)
	defer cancel()
	phase, err := waitForReady(ctx, anchor, name)
	switch {
	case err == nil:
		return nil
	case phase == "":
		return fmt.Errorf("kcp takes no notice of the CachedResource %s: start every shard with --feature-gates=CacheAPIs=true, then run init again: %w", name, err)
	default:
		return fmt.Errorf("waiting for CachedResource %s to become Ready, last seen in phase %q: %w", name, phase, err)
	}
}

// waitForReady watches one object until its phase is Ready, and returns the last phase seen.
func waitForReady(ctx context.Context, resource dynamic.ResourceInterface, name string) (string, error) {
	phase := ""
	_, err := watchtools.UntilWithSync(ctx, named(ctx, resource, name), &unstructured.Unstructured{}, nil,
		func(event watch.Event) (bool, error) {
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				return false, fmt.Errorf("the watch delivered %T", event.Object)
			}
			if event.Type == watch.Deleted {
				return false, errors.New("it was deleted meanwhile")
			}
			phase, _, _ = unstructured.NestedString(object.Object, "status", "phase")
			return phase == "Ready", nil
		})
	return phase, err
}

// named lists and watches one object.
func named(ctx context.Context, resource dynamic.ResourceInterface, name string) cache.ListerWatcher {
	selector := fields.OneTermEqualSelector("metadata.name", name).String()
	return &cache.ListWatch{
		ListWithContextFunc: func(_ context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			return resource.List(ctx, o)
		},
		WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			return resource.Watch(ctx, o)
		},
	}
}
