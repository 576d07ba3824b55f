// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"context"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

const (
	// copyConnections is how many connections there may be with HTTP/1.1, where each watch takes one.
	copyConnections = 128
	// copyLists is how many resources of one member are listed at a time. Members share the slots for lists.
	copyLists = 2
	// copiesPerSecond and copyBurst bound the work that the copies of one member can make.
	copiesPerSecond = 5_000
	copyBurst       = 20_000
	// maxAPIs bounds the answer that says which APIs a group has.
	maxAPIs = 1 << 20
	// restPart is which part of DiscoveryInterval passes at least between two discoveries.
	restPart = 12
)

// copySession is the work with the copies of a member over one connection. The connection is not that of the probes,
// so that no amount of copies makes a member look as if it were away.
type copySession struct {
	*session

	copies  *copies
	meeting chan struct{} // one makes a connection at a time, the others use it
	listing chan struct{}
	limiter *rate.Limiter
	refresh chan struct{} // holds an item when APIs are to be discovered soon
}

// runCopies follows the copies until the context ends, and lets them be written meanwhile.
func (s *session) runCopies(ctx context.Context, connection memberconfig.Connection) {
	calls, err := newCaller(connection, s.config)
	if err != nil {
		return // the session has reported it
	}
	defer calls.close()
	calls.transport.MaxConnsPerHost = copyConnections
	work := &copySession{
		// The identity counts as known: the gate opens only after the other connection told it, so here another one is
		// always a reason to begin anew.
		session: &session{member: s.member, config: s.config, slots: s.member.copies.lists, caller: calls, gate: s.gate, end: s.end, known: true},
		copies:  s.member.copies,
		meeting: make(chan struct{}, 1),
		listing: make(chan struct{}, copyLists),
		limiter: rate.NewLimiter(copiesPerSecond, copyBurst),
		refresh: make(chan struct{}, 1),
	}
	work.copies.attach(work)
	defer work.copies.attach(nil)
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { work.discoverLoop(ctx) })
	work.superviseLoop(ctx)
}

// superviseLoop runs a follower for each store.
func (s *copySession) superviseLoop(ctx context.Context) {
	var followers sync.WaitGroup
	defer followers.Wait()
	running := map[*copyStore]context.CancelFunc{}
	for {
		opening := s.gate.nextOpening()
		stores, restored := s.copies.present()
		for store, cancel := range running {
			if stores[store.resource] != store {
				cancel()
				delete(running, store)
			}
		}
		for _, store := range stores {
			if _, found := running[store]; found {
				continue
			}
			following, cancel := context.WithCancel(ctx)
			running[store] = cancel
			followers.Go(func() {
				defer cancel()
				newCopyFollower(s, store).run(following)
			})
		}
		select {
		case <-restored:
		case <-opening: // what could not be written may be tried again
			s.copies.notify()
		case <-ctx.Done():
			return // which ends all followers
		}
	}
}

// turn waits until another list may begin, and returns how to end it.
func (s *copySession) turn(ctx context.Context) (func(), bool) {
	select {
	case s.listing <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	release, ok := s.slots.acquire(ctx)
	if !ok {
		<-s.listing
		return nil, false
	}
	return func() {
		release()
		<-s.listing
	}, true
}

// meet makes sure that there is a connection, and that the member's own cluster is at its other end. One makes it for
// all: many would make many.
func (s *copySession) meet(ctx context.Context) error {
	select {
	case s.meeting <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.meeting }()
	if !s.caller.connected() {
		s.identity.Lock()
		s.identityDials = math.MaxUint64
		s.identity.Unlock()
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.ProbeTimeout)
	defer cancel()
	return s.identify(ctx)
}

// ask sends a GET about copies. The caller closes the body.
func (s *copySession) ask(ctx context.Context, verb, path, what string) (*http.Response, error) {
	if err := s.meet(ctx); err != nil {
		return nil, err
	}
	response, err := s.send(ctx, verb, http.MethodGet, path, http.Header{"Accept": {acceptJSON}}, nil)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusNotFound {
		_ = response.Body.Close()
		return nil, &failure{reason: tmcv1alpha1.ReasonAPIMissing, message: "the member does not know how to " + what + " (404)"}
	}
	if err := checkAnswer(response, acceptJSON, what); err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

// rediscover asks for the APIs soon.
func (s *copySession) rediscover() {
	select {
	case s.refresh <- struct{}{}:
	default: // it was asked for already
	}
}

// discoverLoop finds out which of the followed resources the member serves, until the context ends.
func (s *copySession) discoverLoop(ctx context.Context) {
	for s.gate.wait(ctx) {
		stores, restored := s.copies.present()
		s.discover(ctx, stores)
		rest := s.config.DiscoveryInterval / restPart
		if !sleep(ctx, s.config.Clock, rest) {
			return
		}
		timer := s.config.Clock.NewTimer(jitter(s.config.DiscoveryInterval-rest, 0.2))
		select {
		case <-timer.C():
		case <-s.refresh:
		case <-restored:
		case <-s.gate.nextOpening():
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// discover asks for the groups of the given stores, one after the other.
func (s *copySession) discover(ctx context.Context, stores map[schema.GroupVersionResource]*copyStore) {
	groups := map[schema.GroupVersion][]*copyStore{}
	for resource, store := range stores {
		groups[resource.GroupVersion()] = append(groups[resource.GroupVersion()], store)
	}
	versions := slices.SortedFunc(maps.Keys(groups), func(a, b schema.GroupVersion) int {
		return strings.Compare(a.String(), b.String())
	})
	for _, version := range versions {
		missing, err := s.askAPIs(ctx, version, groups[version])
		if ctx.Err() != nil {
			return
		}
		if err != nil { // the last answer stays
			klog.FromContext(ctx).V(4).Info("Did not learn the APIs of member", logkey.Resource, version.String(), logkey.Reason, failureOf(err).reason)
			continue
		}
		for _, store := range groups[version] {
			message := missing[store.resource.Resource]
			s.copies.stand(store, func(s *standing) {
				s.served, s.missing = message == "", message
				s.followed = s.followed && s.served
			})
		}
	}
}

// askAPIs returns what is missing of the resources of one group and version, by their names.
func (s *copySession) askAPIs(ctx context.Context, version schema.GroupVersion, stores []*copyStore) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.WriteTimeout)
	defer cancel()
	served, err := s.askVerbs(ctx, version)
	if err != nil && failureOf(err).reason != tmcv1alpha1.ReasonAPIMissing {
		return nil, err
	}
	missing := map[string]string{}
	for _, store := range stores {
		verbs, found := served[store.resource.Resource]
		if !found {
			missing[store.resource.Resource] = "the member does not serve " + store.resource.GroupResource().String() + " in version " + version.Version
			continue
		}
		for _, verb := range []string{"get", "list", "watch", "create", "patch", "delete"} {
			if !slices.Contains(verbs, verb) {
				missing[store.resource.Resource] = "the member does not offer to " + verb + " " + store.resource.GroupResource().String()
			}
		}
	}
	return missing, nil
}

// askVerbs returns the resources of a group and version with their verbs.
func (s *copySession) askVerbs(ctx context.Context, version schema.GroupVersion) (map[string][]string, error) {
	what := "discover " + version.String()
	response, err := s.ask(ctx, "discover", versionPath(version), what)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var list struct {
		Kind      string `json:"kind"`
		Resources []struct {
			Name  string   `json:"name"`
			Verbs []string `json:"verbs"`
		} `json:"resources"`
	}
	if err := newJSONReader(response.Body, maxAPIs, maxAPIs).value(&list); err != nil {
		return nil, truncated(err)
	}
	if list.Kind != "APIResourceList" {
		return nil, invalidResponse("the answer to %s is not that of a Kubernetes API server", what)
	}
	verbs := make(map[string][]string, len(list.Resources))
	for _, resource := range list.Resources {
		verbs[resource.Name] = resource.Verbs
	}
	return verbs, nil
}

// send sends a request and counts it.
func (s *copySession) send(ctx context.Context, verb, method, path string, header http.Header, body []byte) (*http.Response, error) {
	response, err := s.caller.send(ctx, method, path, header, bytes.NewReader(body))
	class := "error"
	if err == nil {
		class = strconv.Itoa(response.StatusCode/100) + "xx"
	}
	s.config.Metrics.requests.WithLabelValues(verb, class).Inc()
	return response, err
}

// versionPath is the path of a group and version.
func versionPath(version schema.GroupVersion) string {
	if version.Group == "" {
		return "/api/" + url.PathEscape(version.Version)
	}
	return "/apis/" + url.PathEscape(version.Group) + "/" + url.PathEscape(version.Version)
}

// resourcePath is the path of a resource, in a namespace or in all.
func resourcePath(resource schema.GroupVersionResource, namespace string) string {
	path := versionPath(resource.GroupVersion()) + "/"
	if namespace != "" {
		path += "namespaces/" + url.PathEscape(namespace) + "/"
	}
	return path + url.PathEscape(resource.Resource)
}
