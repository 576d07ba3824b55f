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

	"golang.org/x/time/rate"
	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/protoscan"
)

const (
	acceptProtobuf      = "application/vnd.kubernetes.protobuf"
	acceptProtobufWatch = "application/vnd.kubernetes.protobuf;stream=watch"

	// steadyAfter is how long a watch must have lived for its end to be no failure.
	steadyAfter = 10 * time.Second
	// The API server is asked to end a watch after a time between these.
	watchSecondsMin = 300
	watchSecondsMax = 600
	// eventsPerSecond and eventBurst bound the work that one member can make.
	eventsPerSecond = 20_000
	eventBurst      = 40_000
	// checkEvery is after how many objects their total is checked.
	checkEvery = 2048
	// deniedRetryMax bounds the pause after a denial: rights are often granted a moment later.
	deniedRetryMax = 15 * time.Second
)

// follower keeps the figures of one resource in step with the member.
type follower struct {
	*session
	kind     kind
	cluster  *capacity.Cluster // where the figures are kept
	version  string            // up to which the objects are known; empty before the first list
	listedAt time.Time
	relist   time.Duration // after which to list again
	objects  int           // seen since their total was last checked
	told     uint64        // the generation of the figures that was told of
	retry    backoff
	limiter  *rate.Limiter
	buffers  buffers
}

func newFollower(s *session, k kind) *follower {
	return &follower{
		session: s, kind: k,
		relist:  jitter(s.config.RelistInterval, 0.2),
		retry:   backoff{least: s.config.RetryMin, most: s.config.RetryMax},
		limiter: rate.NewLimiter(eventsPerSecond, eventBurst),
	}
}

// run lists and watches until the context ends. It calls the member only while probes succeed.
func (f *follower) run(ctx context.Context) {
	for f.gate.wait(ctx) {
		err := f.step(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			continue
		}
		failed := failureOf(err)
		klog.FromContext(ctx).V(4).Info("Lost objects of member", logkey.Resource, f.kind.resource, logkey.Reason, failed.reason, "message", failed.message)
		f.member.judged(f.kind.resource, failed)
		f.member.lost(f.kind.resource, failed)
		if failed.expired || failed.reason == tmcv1alpha1.ReasonInvalidResponse {
			f.version = ""
		}
		if !f.pause(ctx, failed) {
			return
		}
	}
}

// pause waits after a failure. When the member comes back in the meantime, the pause ends at once, unless the member
// itself asked for it.
func (f *follower) pause(ctx context.Context, failed *failure) bool {
	if failed.retryAfter > 0 {
		return sleep(ctx, f.config.Clock, failed.retryAfter+jitter(f.config.RetryMin, 1))
	}
	pause := f.retry.next()
	if failed.denied() {
		pause = min(pause, deniedRetryMax)
	}
	timer := f.config.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-f.gate.nextOpening():
		f.retry.reset()
	case <-ctx.Done():
		return false
	}
	return true
}

// step lists if that is needed, and then watches until the watch ends. An end in good order is no error.
func (f *follower) step(ctx context.Context) error {
	if f.version == "" || f.cluster != f.member.figuresOf() || f.config.Clock.Since(f.listedAt) >= f.relist {
		f.member.started()
		err := f.list(ctx)
		f.config.Metrics.lists.WithLabelValues(f.kind.resource, resultOf(err)).Inc()
		if err != nil {
			return err
		}
		f.member.judged(f.kind.resource, nil)
		f.member.followed(f.kind.resource, f.cluster)
	}
	begin := f.config.Clock.Now()
	err := f.watch(ctx)
	f.config.Metrics.watches.WithLabelValues(f.kind.resource, resultOf(err)).Inc()
	if f.config.Clock.Since(begin) >= steadyAfter {
		f.retry.reset()
	} else if err == nil {
		return &failure{reason: tmcv1alpha1.ReasonServerError, message: "the member ends each watch at once"}
	}
	return err
}

// list counts all objects anew, page by page. What is not there any more is removed at the end, so the figures stay
// right until then, and also if the list breaks off.
func (f *follower) list(ctx context.Context) error {
	release, ok := f.slots.acquire(ctx)
	if !ok {
		return ctx.Err()
	}
	defer release()
	f.cluster = f.member.figuresOf()
	f.kind.begin(f.cluster)
	query := url.Values{"limit": {strconv.Itoa(f.config.PageSize)}}
	for range f.maxPages() {
		meta, err := f.page(ctx, query)
		if err != nil {
			return err
		}
		if meta.Continue == "" {
			if meta.ResourceVersion == "" || meta.ResourceVersion == "0" {
				return invalidResponse("the list of %s has no resource version", f.kind.resource)
			}
			f.kind.end(f.cluster)
			f.version, f.listedAt = meta.ResourceVersion, f.config.Clock.Now()
			return nil
		}
		query.Set("continue", meta.Continue)
	}
	return invalidResponse("the list of %s does not end", f.kind.resource)
}

// maxPages is how many pages a list may have. Some may be small or empty, since API servers page before they select.
func (f *follower) maxPages() int64 {
	return 64 + 4*max(f.config.MaxPods, f.config.MaxNodes)/int64(f.config.PageSize)
}

// page reads one page of a list into the figures.
func (f *follower) page(ctx context.Context, query url.Values) (protoscan.ListMeta, error) {
	ctx, cancel := context.WithTimeout(ctx, f.config.RequestTimeout)
	defer cancel()
	response, err := f.open(ctx, query, acceptProtobuf, "list "+f.kind.resource)
	if err != nil {
		return protoscan.ListMeta{}, err
	}
	defer response.Body.Close()
	body := &boundedReader{in: response.Body, left: f.config.MaxPageBytes}
	return newWireReader(body, f.config.MaxObjectBytes).list(f.kind.object+"List", func(raw []byte) error {
		return f.apply(ctx, f.kind.upsert, raw)
	})
}

// open sends the request and makes sure that the answer comes from the cluster whose figures are kept.
func (f *follower) open(ctx context.Context, query url.Values, accept, what string) (*http.Response, error) {
	if f.kind.selector != "" {
		query.Set("fieldSelector", f.kind.selector)
	}
	response, err := f.caller.get(ctx, "/api/v1/"+f.kind.resource+"?"+query.Encode(), accept, what)
	if err != nil {
		return nil, err
	}
	if err := f.identify(ctx); err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

// watch follows the objects from the known version on, until the watch ends.
func (f *follower) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The timer bounds first the time to the answer, then the silence between frames. A member that sends bytes but
	// never a whole frame is silent as well.
	silence := f.config.Clock.AfterFunc(f.config.RequestTimeout, func() { cancel(errSilent) })
	defer silence.Stop()
	query := url.Values{
		"watch": {"true"}, "allowWatchBookmarks": {"true"}, "resourceVersion": {f.version},
		"timeoutSeconds": {strconv.Itoa(watchSecondsMin + rand.IntN(watchSecondsMax-watchSecondsMin))}, //nolint:gosec // spreading load
	}
	response, err := f.open(ctx, query, acceptProtobufWatch, "watch "+f.kind.resource)
	if err != nil {
		return silentOr(ctx, err)
	}
	defer response.Body.Close()
	f.member.judged(f.kind.resource, nil)
	f.member.followed(f.kind.resource, f.cluster)
	frames := newWireReader(response.Body, f.config.MaxObjectBytes)
	for {
		silence.Reset(f.config.WatchSilence)
		frame, err := frames.frame()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return silentOr(ctx, err)
		}
		if err := f.event(ctx, frame); err != nil {
			return err
		}
	}
}

var errSilent = errors.New("the member is silent")

// silentOr returns the error, unless it comes from our giving up on a silent member.
func silentOr(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return &failure{reason: tmcv1alpha1.ReasonTimedOut, message: "the member has sent nothing on a watch for too long"}
	}
	return err
}

// event takes in one frame of a watch.
func (f *follower) event(ctx context.Context, frame []byte) error {
	eventType, object, err := protoscan.WatchEvent(frame)
	if err != nil {
		return malformed()
	}
	_, kindName, raw, err := protoscan.Envelope(object)
	if err != nil {
		return malformed()
	}
	if eventType == "ERROR" {
		return watchError(raw)
	}
	if kindName != f.kind.object {
		return invalidResponse("a watch of %s sent something else", f.kind.resource)
	}
	change := f.kind.upsert
	switch eventType {
	case "ADDED", "MODIFIED":
	case "DELETED":
		change = f.kind.remove
	case "BOOKMARK":
		return f.advanceVersion(raw)
	default:
		return invalidResponse("a watch of %s sent an event of an unknown type", f.kind.resource)
	}
	f.config.Metrics.events.WithLabelValues(f.kind.resource).Inc()
	if err := f.apply(ctx, change, raw); err != nil {
		return err
	}
	if err := f.advanceVersion(raw); err != nil {
		return err
	}
	generation := f.cluster.Generation()
	f.member.sawEvent(generation != f.told)
	f.told = generation
	return nil
}

// advanceVersion notes up to which version the objects are known.
func (f *follower) advanceVersion(raw []byte) error {
	var meta protoscan.Meta
	if err := protoscan.ObjectMeta(raw, &meta); err != nil || len(meta.ResourceVersion) == 0 {
		return malformed()
	}
	if string(meta.ResourceVersion) != f.version {
		f.version = string(meta.ResourceVersion)
	}
	return nil
}

// apply brings one object into the figures, at a bounded rate and up to a bounded total.
func (f *follower) apply(ctx context.Context, change func(*buffers, *capacity.Cluster, []byte) error, raw []byte) error {
	if err := f.limiter.Wait(ctx); err != nil {
		return context.DeadlineExceeded
	}
	if err := change(&f.buffers, f.cluster, raw); err != nil {
		return err
	}
	f.objects++
	return f.checkTotal()
}

// checkTotal refuses a member that has more objects than are kept, and forgets those.
func (f *follower) checkTotal() error {
	if f.objects < checkEvery {
		return nil
	}
	f.objects = 0
	summary := f.cluster.Summary()
	if summary.Pods.Bound+summary.Pods.Pending <= f.config.MaxPods && summary.Nodes.Total <= f.config.MaxNodes {
		return nil
	}
	failed := invalidResponse("the member has more than %d pods or %d nodes, which are not counted", f.config.MaxPods, f.config.MaxNodes)
	f.member.overflowed(f.kind.resource, failed)
	f.end(errTooLarge) // the other resource was counted into the same figures
	return failed
}

// watchError reads the Status that ends a watch. Its message is not repeated.
func watchError(raw []byte) error {
	var status protoscan.StatusInfo
	if err := protoscan.Status(raw, &status); err != nil {
		return malformed()
	}
	return &failure{
		reason:     tmcv1alpha1.ReasonServerError,
		message:    "the member ended a watch with error " + strconv.Itoa(int(status.Code)),
		expired:    status.Code == http.StatusGone || status.Reason == "Expired" || status.Reason == "Gone",
		retryAfter: min(max(time.Duration(status.RetryAfterSeconds)*time.Second, 0), maxRetryAfter),
	}
}

// boundedReader ends with a failure, not with the end of the stream, when there is more than is allowed.
type boundedReader struct {
	in   io.Reader
	left int64
}

func (b *boundedReader) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, invalidResponse("the answer is too large")
	}
	n, err := b.in.Read(into[:min(int64(len(into)), b.left)])
	b.left -= int64(n)
	return n, err
}
