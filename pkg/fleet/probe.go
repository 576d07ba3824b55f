// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/logkey"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

const (
	acceptJSON = "application/json"
	// maxVersion is how long a version may be, and maxUID how long a UID.
	maxVersion = 64
	maxUID     = 128
	// firstProbeSpread spreads the first calls to members that all become known at once, at our start.
	firstProbeSpread = 500 * time.Millisecond
)

// probe is how one probe went.
type probe struct {
	failed  *failure // the member did not answer, or wrongly
	granted bool     // the member honours the credentials as far as probes can tell
	version string
}

// probeLoop probes until the context ends, and lets conditions expire in time while a probe hangs. The graceful
// shutdown of a member is none of its business: it asks for the version, which is served until the end.
func (s *session) probeLoop(ctx context.Context) {
	results := make(chan probe, 1)
	running := false
	due := s.config.Clock.Now().Add(jitter(min(firstProbeSpread, s.config.ProbeInterval), 1))
	for {
		wait := s.untilNext(due, running)
		timer := s.config.Clock.NewTimer(wait)
		select {
		case <-timer.C():
			if !running && !s.config.Clock.Now().Before(due) {
				running = true
				go func() { results <- s.probe(ctx) }()
			}
		case result := <-results:
			running = false
			if ctx.Err() == nil {
				due = s.config.Clock.Now().Add(s.report(ctx, result))
			}
		case <-ctx.Done():
			timer.Stop()
			if running {
				<-results
			}
			return
		}
		timer.Stop()
	}
}

// untilNext returns how long nothing needs to be done: until the next probe is due or a condition expires.
func (s *session) untilNext(due time.Time, running bool) time.Duration {
	expiry, expires := s.member.advance()
	next := due
	if running {
		next = s.config.Clock.Now().Add(s.config.ProbeInterval)
	}
	if expires && expiry.Before(next) {
		next = expiry
	}
	return max(next.Sub(s.config.Clock.Now()), 0)
}

// report takes in a probe and returns after what time the next is due.
func (s *session) report(ctx context.Context, result probe) time.Duration {
	s.member.probed(result)
	s.gate.set(result.failed == nil && result.granted)
	s.config.Metrics.probes.WithLabelValues(probeLabel(result)).Inc()
	pause := s.member.nextProbe()
	if result.failed != nil {
		klog.FromContext(ctx).V(4).Info("Probed member without success", logkey.Reason, result.failed.reason, "message", result.failed.message)
		pause = max(pause, result.failed.retryAfter)
	}
	return jitter(pause, 0.1)
}

func probeLabel(result probe) string {
	if result.failed == nil {
		return "OK"
	}
	return result.failed.reason
}

// nextProbe returns after what time to probe again.
func (m *member) nextProbe() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reach.NextProbe(m.config.ProbeInterval)
}

// probe asks for the version and, over a new connection, for the identity.
func (s *session) probe(ctx context.Context) probe {
	ctx, cancel := context.WithTimeout(ctx, s.config.ProbeTimeout)
	defer cancel()
	begin := s.config.Clock.Now()
	defer func() { s.config.Metrics.probeSeconds.Observe(s.config.Clock.Since(begin).Seconds()) }()

	var result probe
	if err := s.askVersion(ctx, &result); err != nil {
		failed := failureOf(err)
		s.member.judged(rightVersion, failed)
		if !failed.denied() {
			result.failed = failed
		}
		return result
	}
	if !s.notAfter.IsZero() && begin.After(s.notAfter) {
		s.member.judged(rightVersion, &failure{
			reason:  tmcv1alpha1.ReasonCertificateExpired,
			message: "the client certificate expired at " + s.notAfter.UTC().Format(time.RFC3339) + "; renew it",
		})
		return result
	}
	s.member.judged(rightVersion, nil)
	if err := s.identify(ctx); err != nil {
		if failed := failureOf(err); !failed.denied() {
			result.failed = failed
		}
		return result
	}
	result.granted = true
	return result
}

// askVersion asks for the version.
func (s *session) askVersion(ctx context.Context, result *probe) error {
	body, _, err := s.caller.getAll(ctx, "/version", acceptJSON, "get /version", s.config.MaxAnswerBytes)
	if err != nil {
		return err
	}
	var info struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(body, &info); err != nil || !strings.HasPrefix(info.GitVersion, "v") {
		return invalidResponse("the answer to get /version is not that of a Kubernetes API server")
	}
	result.version = memberconfig.Printable(info.GitVersion, maxVersion)
	return nil
}

// rootOf returns the hash of the certificate that the member's was verified with.
func rootOf(state *tls.ConnectionState) [sha256.Size]byte {
	if state == nil || len(state.VerifiedChains) == 0 {
		return [sha256.Size]byte{}
	}
	chain := state.VerifiedChains[0]
	return sha256.Sum256(chain[len(chain)-1].Raw)
}

// identify makes sure that the cluster at the other end is the one that it was, if a connection was made since it was
// last asked. If it is another one, the session ends: all that it lists and watches belongs to the former.
func (s *session) identify(ctx context.Context) error {
	s.identity.Lock()
	defer s.identity.Unlock()
	dials := s.caller.dials.Load()
	if s.known && s.identityDials == dials {
		return nil
	}
	uid, root, err := s.askIdentity(ctx)
	if err != nil {
		s.member.judged(rightIdentity, failureOf(err))
		return err
	}
	s.member.judged(rightIdentity, nil)
	first := !s.known
	s.known, s.identityDials = true, dials
	if !s.member.identified(uid, root) {
		return nil
	}
	s.config.Metrics.clusterChanges.Inc()
	klog.FromContext(ctx).Info("Found another cluster at the address of the member, dropped its figures")
	if first {
		return nil // nothing was listed over this connection yet
	}
	s.end(errAnotherCluster)
	return errAnotherCluster
}

// askIdentity returns the UID of the cluster, and what the server that told it was verified with. One without the
// other proves nothing: a server with a root of its own can tell any UID, and many servers tell anybody their version.
func (s *session) askIdentity(ctx context.Context) (types.UID, [sha256.Size]byte, error) {
	const what = "get the namespace kube-system"
	body, state, err := s.caller.getAll(ctx, "/api/v1/namespaces/"+metav1.NamespaceSystem, acceptJSON, what, s.config.MaxAnswerBytes)
	if err != nil {
		return "", [sha256.Size]byte{}, err
	}
	var namespace metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &namespace); err != nil || namespace.Kind != "Namespace" ||
		namespace.Name != metav1.NamespaceSystem || namespace.UID == "" || len(namespace.UID) > maxUID {
		return "", [sha256.Size]byte{}, invalidResponse("the answer to %s is not that of a Kubernetes API server", what)
	}
	return types.UID(memberconfig.Printable(string(namespace.UID), maxUID)), rootOf(state), nil
}
