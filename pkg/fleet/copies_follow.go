// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/transform"
)

// bytesPerToken is how many bytes of an object cost as much as one object.
const bytesPerToken = 4 << 10

// copyFollower keeps the copies of one resource in step with the member.
type copyFollower struct {
	*copySession

	store    *copyStore
	what     string // deployments.apps
	version  string // up to which the copies are known; empty before the first list
	listedAt time.Time
	relist   time.Duration
	retry    backoff
}

func newCopyFollower(s *copySession, store *copyStore) *copyFollower {
	return &copyFollower{
		copySession: s, store: store,
		what:   store.resource.GroupResource().String(),
		relist: jitter(s.config.RelistInterval, 0.2),
		retry:  backoff{least: s.config.RetryMin, most: s.config.RetryMax},
	}
}

// run lists and watches until the context ends. It calls the member only while probes succeed.
func (f *copyFollower) run(ctx context.Context) {
	for f.gate.wait(ctx) {
		err := f.step(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			continue
		}
		failed := failureOf(err)
		klog.FromContext(ctx).V(4).Info("Lost copies on member", logkey.Resource, f.what, logkey.Reason, failed.reason, "message", failed.message)
		f.lost(failed)
		if failed.expired || failed.reason == tmcv1alpha1.ReasonInvalidResponse || failed.reason == tmcv1alpha1.ReasonAPIMissing {
			f.version = ""
		}
		if !f.pause(ctx, failed) {
			return
		}
	}
}

// lost notes that the copies are not followed any more, and what that says of the API.
func (f *copyFollower) lost(failed *failure) {
	f.copies.stand(f.store, func(s *standing) {
		s.synced = false
		switch failed.reason {
		case tmcv1alpha1.ReasonForbidden:
			s.refused = failed.message
		case tmcv1alpha1.ReasonAPIMissing:
			s.served, s.followed, s.missing, s.refused = false, false, failed.message, ""
		}
	})
	if failed.reason == tmcv1alpha1.ReasonAPIMissing {
		f.rediscover()
	}
}

// followed notes that the copies are known and followed.
func (f *copyFollower) followed() {
	f.copies.stand(f.store, func(s *standing) { *s = standing{synced: true, followed: true, served: true} })
	f.copies.confirm(f.config.Clock.Now())
}

// pause waits after a failure. It ends early when the member comes back or serves other APIs, unless the member itself
// asked for it.
func (f *copyFollower) pause(ctx context.Context, failed *failure) bool {
	if failed.retryAfter > 0 {
		return sleep(ctx, f.config.Clock, failed.retryAfter+jitter(f.config.RetryMin, 1))
	}
	offer := f.copies.nextOffer()
	pause := f.retry.next()
	switch failed.reason {
	case tmcv1alpha1.ReasonAPIMissing:
		pause = jitter(f.config.DiscoveryInterval, 0.5)
	case tmcv1alpha1.ReasonForbidden:
		pause = min(pause, deniedRetryMax)
		offer = nil
	default:
		offer = nil
	}
	timer := f.config.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-offer:
	case <-f.gate.nextOpening():
		f.retry.reset()
	case <-ctx.Done():
		return false
	}
	return true
}

// step lists if that is needed, and then watches until the watch ends. An end in good order is no error. Only a watch that
// was answered shows that the copies are followed: who may list may not be allowed to watch.
func (f *copyFollower) step(ctx context.Context) error {
	if f.version == "" || f.config.Clock.Since(f.listedAt) >= f.relist {
		if err := f.list(ctx); err != nil {
			return err
		}
	}
	begin := f.config.Clock.Now()
	err := f.watch(ctx)
	if f.config.Clock.Since(begin) >= steadyAfter {
		f.retry.reset()
	} else if err == nil {
		return &failure{reason: tmcv1alpha1.ReasonServerError, message: "the member ends each watch at once"}
	}
	return err
}

// list reads all copies anew, page by page. What is not there any more is forgotten at the end.
func (f *copyFollower) list(ctx context.Context) error {
	release, ok := f.turn(ctx)
	if !ok {
		return ctx.Err()
	}
	defer release()
	f.copies.begin(f.store)
	query := url.Values{"limit": {strconv.Itoa(f.config.PageSize)}}
	for range 64 + 4*f.config.MaxCopies/int64(f.config.PageSize) {
		head, err := f.page(ctx, query)
		if err != nil {
			return err
		}
		if head.meta.Continue == "" {
			if head.meta.ResourceVersion == "" || head.meta.ResourceVersion == "0" {
				return invalidResponse("the list of %s has no resource version", f.what)
			}
			f.copies.end(f.store, head.meta.ResourceVersion)
			f.version, f.listedAt = head.meta.ResourceVersion, f.config.Clock.Now()
			return nil
		}
		query.Set("continue", head.meta.Continue)
	}
	return invalidResponse("the list of %s does not end", f.what)
}

// page reads one page of a list.
func (f *copyFollower) page(ctx context.Context, query url.Values) (*copyListHead, error) {
	ctx, cancel := context.WithTimeout(ctx, f.config.RequestTimeout)
	defer cancel()
	response, err := f.open(ctx, query, "list")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	version := f.store.resource.GroupVersion()
	reader := newJSONReader(response.Body, f.config.MaxObjectBytes, f.config.MaxCopyPageBytes)
	head, err := reader.list(version, func(head *copyListHead, raw []byte) error {
		if err := f.pay(ctx, raw); err != nil {
			return err
		}
		object, err := parseCopy(raw, version, head.itemKind())
		if err != nil {
			return err
		}
		return f.copies.put(f.store, object, fromList)
	})
	if err != nil {
		return nil, truncated(err)
	}
	return head, nil
}

// pay waits until another object may be taken in. What a member sends costs the more, the larger it is.
func (f *copyFollower) pay(ctx context.Context, raw []byte) error {
	if err := f.limiter.WaitN(ctx, min(1+len(raw)/bytesPerToken, copyBurst)); err != nil {
		return context.DeadlineExceeded
	}
	return nil
}

// open sends the request and makes sure that the answer comes from the cluster whose copies are kept.
func (f *copyFollower) open(ctx context.Context, query url.Values, verb string) (*http.Response, error) {
	query.Set("labelSelector", transform.ManagedLabel+"="+transform.ManagedLabelValue)
	response, err := f.ask(ctx, verb, resourcePath(f.store.resource, "")+"?"+query.Encode(), verb+" "+f.what)
	if err != nil {
		return nil, err
	}
	if err := f.identify(ctx); err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

// watch follows the copies from the known version on, until the watch ends.
func (f *copyFollower) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The timer bounds first the time to the answer, then the silence between events.
	silence := f.config.Clock.AfterFunc(f.config.RequestTimeout, func() { cancel(errSilent) })
	defer silence.Stop()
	query := url.Values{
		"watch": {"true"}, "allowWatchBookmarks": {"true"}, "resourceVersion": {f.version},
		"timeoutSeconds": {strconv.Itoa(watchSecondsMin + rand.IntN(watchSecondsMax-watchSecondsMin))}, //nolint:gosec // spreading load
	}
	response, err := f.open(ctx, query, "watch")
	if err != nil {
		return silentOr(ctx, err)
	}
	defer response.Body.Close()
	f.followed()
	events := newJSONReader(response.Body, f.config.MaxObjectBytes, -1)
	for {
		silence.Reset(f.config.WatchSilence)
		var event copyEvent
		err := events.value(&event)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return silentOr(ctx, err)
		}
		if err := f.event(ctx, &event); err != nil {
			return err
		}
	}
}

// event takes in one event of a watch.
func (f *copyFollower) event(ctx context.Context, event *copyEvent) error {
	if event.Type == "ERROR" {
		return event.failure()
	}
	if err := f.pay(ctx, event.Object); err != nil {
		return err
	}
	if event.Type == "BOOKMARK" {
		version, err := event.version()
		if err != nil {
			return err
		}
		f.copies.advance(f.store, version)
		f.progressed(version)
		return nil
	}
	object, err := parseCopy(event.Object, f.store.resource.GroupVersion(), "")
	if err != nil {
		return err
	}
	switch event.Type {
	case "ADDED", "MODIFIED":
		err = f.copies.put(f.store, object, fromWatch)
	case "DELETED":
		err = f.copies.remove(f.store, object)
	default:
		return invalidResponse("a watch of %s sent an event of an unknown type", f.what)
	}
	if err != nil {
		return err
	}
	f.progressed(object.GetResourceVersion())
	return nil
}

// progressed notes up to which version the copies are known, and that the member lives.
func (f *copyFollower) progressed(version string) {
	f.version = version
	f.copies.confirm(f.config.Clock.Now())
}
