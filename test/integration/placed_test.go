// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kcp-dev/tmc/test/integration/framework"
)

const (
	// placedVariable is how many ConfigMaps are placed, and ten times as many as Deployments.
	placedVariable = "TMC_PLACED"
	placedDefault  = 200
	// placedTimeout is for a busy machine: kcp and the member's own controllers take most of it.
	placedTimeout = 10 * time.Minute
	creators      = 8
)

// TestRestartWithNothingChangedWritesNothing places many workloads, kills the server, and counts what the next one
// writes: by its own counters, and by the versions of all objects. It disturbs every other test, so it runs before them.
func TestRestartWithNothingChangedWritesNothing(t *testing.T) {
	count := placedDefault
	if text := os.Getenv(placedVariable); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil || count < 10 {
			t.Fatalf("%s=%q is no number of workloads from 10 on", placedVariable, text)
		}
	}
	scraper := suite.NewScraper(t, "scraper")
	tenant := suite.NewPlacingTenant(t, "placed", []string{"east"})
	p := &placed{tenant: tenant, scraper: scraper, oracle: newOracle(t, tenant), maps: count, deployments: count / 10}
	before := suite.ServerRSS(t)
	p.create(t)
	began := time.Now()
	if _, err := tenant.Placements(metav1.NamespaceDefault).Create(t.Context(), framework.NewPlacement("all", map[string]any{
		"clusterNames": []any{tenant.Members["east"]},
	}), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "all copies to be made", placedTimeout, p.copied)
	onMember := time.Since(began)
	framework.Eventually(t, "all statuses to be back", placedTimeout, p.reported)
	back := time.Since(began)
	framework.Eventually(t, "everything to be right", placedTimeout, p.oracle.check)
	p.quiet(t)
	after := suite.ServerRSS(t)
	t.Logf("%d ConfigMaps and %d Deployments: on the member after %s, all statuses back after %s; the server had %d MiB before and %d MiB after, %d KiB for each",
		p.maps, p.deployments, onMember.Round(10*time.Millisecond), back.Round(10*time.Millisecond), before>>20, after>>20, (after-before)>>10/int64(p.maps+p.deployments))

	versions := p.versions(t)
	suite.Kill(t, "tmc-apiserver")
	leaders := p.leaders(t)
	began = time.Now()
	suite.Restart(t, "tmc-apiserver")
	framework.Eventually(t, "the view to say that all is synced", placedTimeout, p.reported)
	synced := time.Since(began)
	framework.Eventually(t, "the server to lead", framework.MemberTimeout, func(context.Context) error {
		if p.leaders(t) == leaders {
			return errors.New("it does not lead")
		}
		return nil
	})
	leads := time.Since(began)
	framework.Never(t, "the server writes something", holdTime, func(context.Context) error { return p.wroteNothing(t) })
	t.Logf("after the restart all is synced in %s, and the server leads after %s; it has %d MiB", synced.Round(10*time.Millisecond), leads.Round(10*time.Millisecond), suite.ServerRSS(t)>>20)
	if diff := cmp.Diff(versions, p.versions(t)); diff != "" {
		t.Errorf("objects were written (-before +after):\n%s", diff)
	}
	p.oneEdit(t)
}

// placed is a workspace with many workloads on one member.
type placed struct {
	tenant            *framework.PlacingTenant
	scraper           *framework.Scraper
	oracle            *oracle
	maps, deployments int
}

func (p *placed) create(t *testing.T) {
	t.Helper()
	work := make(chan func(context.Context) error)
	failures := make(chan error, creators)
	up, create := p.tenant.Upstream, metav1.CreateOptions{}
	for range creators {
		go func() {
			for do := range work {
				if err := do(t.Context()); there(err) != nil {
					failures <- err
					return
				}
			}
			failures <- nil
		}()
	}
	go func() {
		defer close(work)
		for i := range p.maps {
			work <- func(ctx context.Context) error {
				object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("map-%d", i)}, Data: map[string]string{"number": strconv.Itoa(i)}}
				_, err := up.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(ctx, object, create)
				return err
			}
		}
		for i := range p.deployments {
			work <- func(ctx context.Context) error {
				object := crashDeployment()
				object.Name, object.Spec.Replicas = fmt.Sprintf("web-%d", i), new(int32(1))
				object.Spec.Template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name = fmt.Sprintf("map-%d", i)
				_, err := up.AppsV1().Deployments(metav1.NamespaceDefault).Create(ctx, object, create)
				return err
			}
		}
	}()
	for range creators {
		if err := <-failures; err != nil {
			t.Fatalf("creating workloads: %v", err)
		}
	}
}

// copied asks the member alone.
func (p *placed) copied(ctx context.Context) error {
	member := p.oracle.members[p.tenant.Members["east"]]
	for resource, want := range map[schema.GroupVersionResource]int{configMapResource: p.maps, deploymentResource: p.deployments} {
		list, err := member.Resource(resource).Namespace(p.tenant.Namespace(metav1.NamespaceDefault)).List(ctx, metav1.ListOptions{LabelSelector: managed})
		if err != nil {
			return err
		}
		if len(list.Items) != want {
			return fmt.Errorf("the member has %d %s, want %d", len(list.Items), resource.Resource, want)
		}
	}
	return nil
}

// reported asks the view.
func (p *placed) reported(ctx context.Context) error {
	status, err := p.tenant.PlacementStatus(ctx, "all")
	if err != nil {
		return err
	}
	want := int32(p.maps + p.deployments)
	if got := status.Status.Workloads; got.Desired != want || got.Synced != want || got.Ready != want || got.Failed != 0 || got.Drifted != 0 {
		return fmt.Errorf("the view says %+v, want %d of everything", got, want)
	}
	return framework.WantCondition(status.Status.Conditions, "Ready", metav1.ConditionTrue, "")
}

// writes are the server's own counters of what it wrote.
func (p *placed) writes(t *testing.T) map[string]float64 {
	t.Helper()
	found := p.scraper.Counters(t, "tmc_kcp_writes_total")
	for labels, count := range p.scraper.Counters(t, "tmc_member_requests_total") {
		for _, verb := range []string{"apply", "create", "delete"} {
			if strings.Contains(labels, `verb="`+verb+`"`) {
				found["member: "+labels] = count
			}
		}
	}
	return found
}

func (p *placed) wroteNothing(t *testing.T) error {
	t.Helper()
	for labels, count := range p.writes(t) {
		if count > 0 {
			return fmt.Errorf("it wrote: %s %v", labels, count)
		}
	}
	return nil
}

// quiet waits until nothing has been written for a while.
func (p *placed) quiet(t *testing.T) {
	t.Helper()
	last, since := p.writes(t), time.Now()
	framework.Eventually(t, "the server to write no more", framework.MemberTimeout, func(context.Context) error {
		now := p.writes(t)
		if !maps.Equal(last, now) {
			last, since = now, time.Now()
		}
		if still := time.Since(since); still < holdTime {
			return fmt.Errorf("it wrote %s ago", still)
		}
		return nil
	})
}

// leaders counts how often servers became the leader, by what they logged.
func (p *placed) leaders(t *testing.T) int {
	t.Helper()
	return strings.Count(suite.ReadLog(t, "tmc-apiserver"), "\"Became the leader\"")
}

// versions are those of all objects that the server could write to, in the workspaces and on the member.
func (p *placed) versions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	add := func(where string, client dynamic.Interface, resources []schema.GroupVersionResource, options metav1.ListOptions) {
		for _, resource := range resources {
			list, err := client.Resource(resource).List(t.Context(), options)
			if err != nil {
				t.Fatalf("listing %s: %v", resource.Resource, err)
			}
			for i := range list.Items {
				found[where+" "+resource.Resource+" "+list.Items[i].GetNamespace()+"/"+list.Items[i].GetName()] = list.Items[i].GetResourceVersion()
			}
		}
	}
	grants := schema.GroupVersionResource{Group: "tmc.kcp.io", Version: "v1alpha1", Resource: "clustergrants"}
	add("workspace", p.oracle.admin, append(copyResources(), placementResource, registrationResource, coreResource("events")), metav1.ListOptions{})
	add("acme", suite.Admin(t, suite.Acme.Workspace), []schema.GroupVersionResource{registrationResource, grants}, metav1.ListOptions{})
	add("member", p.oracle.members[p.tenant.Members["east"]], append(copyResources(), namespaceResource), metav1.ListOptions{LabelSelector: managed})
	if len(found) < 2*(p.maps+p.deployments) {
		t.Fatalf("only %d objects were found", len(found))
	}
	return found
}

// oneEdit proves that the counters count: one edit is one write, on the member alone. If the member takes longer than the
// status of the Placement is held back, that says Syncing for a while, which is two writes more.
func (p *placed) oneEdit(t *testing.T) {
	t.Helper()
	maps := p.tenant.Upstream.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	if _, err := maps.Patch(t.Context(), "map-0", types.MergePatchType, []byte(`{"data":{"number":"edited"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	member := p.oracle.members[p.tenant.Members["east"]].Resource(configMapResource).Namespace(p.tenant.Namespace(metav1.NamespaceDefault))
	framework.Eventually(t, "the edit to arrive", framework.MemberTimeout, func(ctx context.Context) error {
		found, err := member.Get(ctx, "map-0", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if value, _, _ := unstructured.NestedString(found.Object, "data", "number"); value != "edited" { // what is no text is not it
			return errors.New("it is " + value)
		}
		return nil
	})
	p.quiet(t)
	for labels, count := range p.writes(t) {
		if strings.Contains(labels, `verb="patch_status"`) && count == 2 {
			continue
		}
		if want := strings.Contains(labels, `verb="apply"`); count > 0 && !want || want && count != 1 {
			t.Errorf("one edit: %s %v, want one apply on the member alone", labels, count)
		}
	}
}
