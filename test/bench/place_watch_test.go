// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
)

// imagePrefix comes before the number of an edit.
const imagePrefix = "registry.example/app:"

// sight is when an object was seen for the first time in a state with at least this number.
type sight struct {
	number int
	at     time.Time
}

// sightings are the times at which a watch showed objects in states that are numbered upwards. A state that a newer one
// overtook counts as seen with that one: nobody waits for what is out of date.
type sightings struct {
	what string

	mu   sync.Mutex
	seen map[string][]sight
	news chan struct{} // closed and replaced with each sight
}

// observe starts to note what a watch shows. It must be started before what it is to see happens. A watch that ends is
// opened again, from the present state on: on a busy machine kcp ends them. What happened meanwhile counts as seen late.
func observe(b *testing.B, what string, open func() (watch.Interface, error), read func(runtime.Object) (name string, number int, ok bool)) *sightings {
	b.Helper()
	s := &sightings{what: what, seen: map[string][]sight{}, news: make(chan struct{})}
	first, err := open()
	if err != nil {
		b.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for w := first; w != nil; w = s.reopen(open, stop) {
			s.follow(w, stop, read)
			w.Stop()
		}
	}()
	b.Cleanup(func() {
		close(stop)
		<-done
	})
	return s
}

// follow notes what a watch shows until it ends.
func (s *sightings) follow(w watch.Interface, stop <-chan struct{}, read func(runtime.Object) (name string, number int, ok bool)) {
	for {
		select {
		case <-stop:
			return
		case event, more := <-w.ResultChan():
			at := time.Now()
			switch {
			case !more || event.Type == watch.Error:
				return
			case event.Type == watch.Added, event.Type == watch.Modified:
				if name, number, ok := read(event.Object); ok {
					s.note(name, number, at)
				}
			}
		}
	}
}

// reopen returns the next watch, or none if nobody wants one any more.
func (s *sightings) reopen(open func() (watch.Interface, error), stop <-chan struct{}) watch.Interface {
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(pollInterval):
		}
		if w, err := open(); err == nil {
			return w
		}
	}
}

func (s *sightings) note(name string, number int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.seen[name]
	if len(all) > 0 && all[len(all)-1].number >= number {
		return
	}
	s.seen[name] = append(all, sight{number, at})
	close(s.news)
	s.news = make(chan struct{})
}

// find returns when an object was seen with at least that number.
func (s *sightings) find(name string, number int) (at time.Time, found bool, news <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.seen[name], func(seen sight) bool { return seen.number >= number })
	if i < 0 {
		return time.Time{}, false, s.news
	}
	return s.seen[name][i].at, true, nil
}

// await returns when an object was seen with at least that number.
func (s *sightings) await(b *testing.B, name string, number int) time.Time {
	b.Helper()
	timeout := time.NewTimer(placeTimeout)
	defer timeout.Stop()
	for {
		at, found, news := s.find(name, number)
		if found {
			return at
		}
		select {
		case <-news:
		case <-timeout.C:
			b.Fatalf("waited %s to see %d of %s in %s", placeTimeout, number, name, s.what)
		}
	}
}

// observeMembers watches the copies on every member. The number is that of the image; without one it is 1.
func observeMembers(b *testing.B) []*sightings {
	b.Helper()
	all := make([]*sightings, 0, memberCount)
	for _, m := range stage.env.Members() {
		all = append(all, observe(b, m.Name, copiesOf(b, m.Name), func(object runtime.Object) (string, int, bool) {
			d, ok := object.(*appsv1.Deployment)
			if !ok || len(d.Spec.Template.Spec.Containers) == 0 {
				return "", 0, false
			}
			return d.Namespace + "/" + d.Name, imageNumber(d.Spec.Template.Spec.Containers[0].Image), true
		}))
	}
	return all
}

// copiesOf opens watches of a member's Deployments that are copies.
func copiesOf(b *testing.B, name string) func() (watch.Interface, error) {
	b.Helper()
	all := memberClient(b, name).AppsV1().Deployments(metav1.NamespaceAll)
	ours := labels.Set{transform.ManagedLabel: transform.ManagedLabelValue}.String()
	return func() (watch.Interface, error) {
		return all.Watch(b.Context(), metav1.ListOptions{LabelSelector: ours})
	}
}

// memberClient speaks protobuf, so that the test takes as little as can be of the machine that it measures.
func memberClient(b *testing.B, name string) kubernetes.Interface {
	b.Helper()
	m, err := stage.env.Member(name)
	if err != nil {
		b.Fatal(err)
	}
	config, err := m.Config()
	if err != nil {
		b.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1
	config.ContentType = runtime.ContentTypeProtobuf
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// imageNumber is the number of the edit that an image comes from.
func imageNumber(image string) int {
	number, err := strconv.Atoi(strings.TrimPrefix(image, imagePrefix))
	if err != nil {
		return 0
	}
	return number
}

// observeWorkspace watches a resource in all namespaces of the tenant's workspace. Read is given what is there already,
// too.
func observeWorkspace(b *testing.B, gvr schema.GroupVersionResource, what string, read func(*unstructured.Unstructured) (number int, ok bool)) *sightings {
	b.Helper()
	d := tenantDynamic(b)
	open := func() (watch.Interface, error) { return d.Resource(gvr).Watch(b.Context(), metav1.ListOptions{}) }
	return observe(b, fmt.Sprintf("%s of %s", what, gvr.Resource), open, func(object runtime.Object) (string, int, bool) {
		u, ok := object.(*unstructured.Unstructured)
		if !ok {
			return "", 0, false
		}
		number, ok := read(u)
		return u.GetNamespace() + "/" + u.GetName(), number, ok
	})
}

// observeStatuses watches the workspace's Deployments. The number is that of the image, once the status is that of the
// present generation.
func observeStatuses(b *testing.B) *sightings {
	b.Helper()
	return observeWorkspace(b, deployments(), "statuses", func(u *unstructured.Unstructured) (int, bool) {
		observed, found, err := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
		return imageOf(u), found && err == nil && observed == u.GetGeneration()
	})
}

func imageOf(u *unstructured.Unstructured) int {
	containers, _, err := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) == 0 {
		return 0
	}
	first, ok := containers[0].(map[string]any)
	if !ok {
		return 0
	}
	image, ok := first["image"].(string)
	if !ok {
		return 0
	}
	return imageNumber(image)
}

// observeDecisions watches the workspace's Placements. The number is how many members are chosen.
func observeDecisions(b *testing.B) *sightings {
	b.Helper()
	return observeWorkspace(b, placements(), "decisions", func(u *unstructured.Unstructured) (int, bool) {
		decisions, found, err := unstructured.NestedSlice(u.Object, "status", "decisions")
		return len(decisions), found && err == nil && len(decisions) > 0
	})
}

func deployments() schema.GroupVersionResource {
	return appsv1.SchemeGroupVersion.WithResource("deployments")
}

func placements() schema.GroupVersionResource {
	return tmcv1alpha1.SchemeGroupVersion().WithResource("placements")
}
