// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kcp-dev/tmc/pkg/crashpoint"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

const (
	// crashRounds names how often every point is gone through (make test-faults ROUNDS=n).
	crashRounds = "TMC_CRASH_ROUNDS"
	// lastWords is how long a server may take to get from what it wrote to the point after it.
	lastWords  = 5 * time.Second
	crashPause = 20 * time.Millisecond
	// namespaceDeletion is the deletion that removes the namespace on a member: after two copies of each of three objects.
	namespaceDeletion = 7
)

// crash is one death: at which hit of which point, while which script runs. The first steps before it are another server's.
type crash struct {
	point  crashpoint.Point
	hit    int
	steps  func(*crashScript) []step
	before int
}

func (c crash) String() string { return fmt.Sprintf("%s:%d", c.point, c.hit) }

// crashes are the deaths of a round. Every point is among them. Other rounds die at later hits, and two of every four while
// a workload moves from one member to another, in turn with and without a lease on each shard.
func crashes(round int) []crash {
	var all []crash
	moves := (round/2+round/4)%2 == 1
	for _, point := range crashpoint.Points() {
		switch point {
		case crashpoint.BeforeDetach, crashpoint.AfterDetach: // when the finalizer is put on, and when it is taken off
			all = append(all, crash{point, 1, (*crashScript).detaching, 0}, crash{point, 2, (*crashScript).detaching, 0})
		case crashpoint.BeforeDelete, crashpoint.AfterDelete:
			all = append(all, crash{point, namespaceDeletion, (*crashScript).placing, 0}, placingOrMoving(point, 1+round%3, moves))
		case crashpoint.BeforeCreate, crashpoint.AfterCreate:
			all = append(all, placingOrMoving(point, 1+round%3, moves))
		case crashpoint.BeforeDecision, crashpoint.AfterDecision:
			all = append(all, placingOrMoving(point, 1+round%2, moves))
		default:
			all = append(all, crash{point, 1 + round%2, (*crashScript).placing, 0})
		}
	}
	return all
}

// placingOrMoving is a death while a workload is placed, or while it moves: then it is placed by another server, since which
// hit belongs to the move depends on how often the first one told of its progress.
func placingOrMoving(point crashpoint.Point, hit int, moves bool) crash {
	if moves {
		return crash{point, hit, (*crashScript).moving, 1}
	}
	return crash{point, hit, (*crashScript).placing, 0}
}

// TestFLT14KilledAtEveryStep kills the server before and after each of its writes, and looks what the next one makes of
// what it finds. It disturbs every other test, so it runs before them.
func TestFLT14KilledAtEveryStep(t *testing.T) {
	rounds := 1
	if text := os.Getenv(crashRounds); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil || rounds < 1 {
			t.Fatalf("%s=%q is no number of rounds", crashRounds, text)
		}
	}
	suite.StartMember(t, spareMember)
	tenants := []*framework.PlacingTenant{newCrashTenant(t, "root"), newCrashTenant(t, "shard-1")}
	t.Cleanup(func() { suite.RestoreServer(t) })
	suite.Kill(t, "tmc-apiserver")
	for round := range rounds {
		began := time.Now()
		tenant := tenants[(round+1)/2%2] // every second round runs with a lease: each shard has rounds of both kinds
		for i, c := range crashes(round) {
			name := fmt.Sprintf("%d/%s", round+1, c)
			if !t.Run(name, func(t *testing.T) {
				s := &crashScript{tenant: tenant, oracle: newOracle(t, tenant), namespace: fmt.Sprintf("crash-%d-%d", round, i), round: round}
				s.run(t, c)
			}) {
				return // what follows would start from a state that nobody knows
			}
		}
		t.Logf("round %d, in %s, took %s", round+1, tenant.Workspace, time.Since(began).Round(100*time.Millisecond))
	}
}

func newCrashTenant(t *testing.T, shard string) *framework.PlacingTenant {
	t.Helper()
	tenant := suite.NewPlacingTenant(t, "crash-"+shard, []string{"east", "west"}, framework.OnShard(shard))
	tenant.Members[spareMember] = spareMember
	t.Cleanup(func() { // only a test that failed leaves it
		tenant.Kubectl.Run(t, "delete", "clusterregistration", spareMember, "--ignore-not-found")
	})
	return tenant
}

// crashScript is what a tenant does in one namespace.
type crashScript struct {
	tenant    *framework.PlacingTenant
	oracle    *oracle
	namespace string
	round     int
}

// step is one thing that a tenant does. What it does may be done twice.
type step struct {
	name string
	do   func(ctx context.Context) error
}

// arguments say how the server runs: alone, but in every other round as one of several, with the lease that it has by
// default. The next server in its place takes that back at once, or the round would last longer than the test.
func (s *crashScript) arguments() []string {
	if s.round%2 == 0 {
		return []string{"--leader-elect=false"}
	}
	return nil
}

func (s *crashScript) run(t *testing.T, c crash) {
	t.Helper()
	began := time.Now()
	steps := c.steps(s)
	done := s.prepare(t, steps[:c.before])
	err := suite.StartServer(t, framework.ServerOptions{
		Args: s.arguments(), Env: []string{crashpoint.Variable + "=" + c.String()},
	})
	if err != nil && !errors.Is(err, framework.ErrDied) {
		t.Fatal(err)
	}
	started := time.Since(began)
	for done < len(steps) && suite.ServerRunning() {
		s.do(t, steps[done])
		done++
		s.settle(t, steps[done-1].name)
	}
	if !s.dies(t) {
		t.Fatalf("the script ended, and the server did not come to %s", c)
	}
	if log := suite.ReadLog(t, "tmc-apiserver"); !strings.HasSuffix(strings.TrimSpace(log), "Killed at the crash point "+string(c.point)) {
		t.Fatalf("the server died of something else:\n%s", log[max(0, len(log)-2000):])
	}
	died := time.Since(began)
	where := steps[max(done-1, 0)].name
	if s.round%2 == 1 { // the tenant goes on without waiting for the server
		for ; done < len(steps); done++ {
			s.do(t, steps[done])
		}
	}
	if err := suite.StartServer(t, framework.ServerOptions{Args: s.arguments()}); err != nil {
		t.Fatal(err)
	}
	back := time.Since(began)
	framework.Eventually(t, "everything to be as it should be after a death at "+c.String()+" during "+where, framework.MemberTimeout, s.oracle.check)
	healed := time.Since(began)
	for ; done < len(steps); done++ {
		s.do(t, steps[done])
	}
	framework.Eventually(t, "the end of the script", framework.MemberTimeout, s.oracle.check)
	suite.Kill(t, "tmc-apiserver")
	t.Logf("started in %s, died during %s after %s, ready again %s later, healed %s after that, done after %s", started.Round(time.Millisecond), where,
		(died - started).Round(time.Millisecond), (back - died).Round(time.Millisecond), (healed - back).Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// prepare does the first steps with a server that does not die of itself, and returns how many these were.
func (s *crashScript) prepare(t *testing.T, steps []step) int {
	t.Helper()
	if len(steps) == 0 {
		return 0
	}
	if err := suite.StartServer(t, framework.ServerOptions{Args: s.arguments()}); err != nil {
		t.Fatal(err)
	}
	for _, next := range steps {
		s.do(t, next)
		s.settle(t, next.name)
	}
	suite.Kill(t, "tmc-apiserver")
	return len(steps)
}

// do does one step. A server that dies may fail it for a moment, such as by a webhook that is not answered.
func (s *crashScript) do(t *testing.T, next step) {
	t.Helper()
	framework.Eventually(t, "the tenant to "+next.name, framework.MemberTimeout, next.do)
}

// settle waits until the server has done its work, or died.
func (s *crashScript) settle(t *testing.T, name string) {
	t.Helper()
	framework.Eventually(t, "the server to "+name, framework.MemberTimeout, func(ctx context.Context) error {
		if !suite.ServerRunning() {
			return nil
		}
		return s.oracle.check(ctx)
	})
}

func (s *crashScript) dies(t *testing.T) bool {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), crashPause, lastWords, true, func(context.Context) (bool, error) { return !suite.ServerRunning(), nil })
	return err == nil
}

// placing is the life of a workload.
func (s *crashScript) placing() []step {
	up := s.tenant.Upstream
	east, west := s.tenant.Members["east"], s.tenant.Members["west"]
	return []step{
		{"place", func(ctx context.Context) error { return s.place(ctx, east, west) }},
		{"edit", func(ctx context.Context) error {
			// By server-side apply, which kcp takes also while the server that guards other patches is dead.
			image := []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"template":{"spec":{"containers":[{"name":"web","image":"registry.example.com/web:2"}]}}}}`)
			_, err := up.AppsV1().Deployments(s.namespace).Patch(ctx, "web", types.ApplyPatchType, image, metav1.PatchOptions{FieldManager: "crash", Force: new(true)})
			_, mapErr := up.CoreV1().ConfigMaps(s.namespace).Patch(ctx, "settings", types.MergePatchType, []byte(`{"data":{"color":"green","size":null}}`), metav1.PatchOptions{})
			return errors.Join(err, mapErr)
		}},
		{"scale", func(ctx context.Context) error {
			_, err := up.AppsV1().Deployments(s.namespace).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{})
			return err
		}},
		{"delete one", func(ctx context.Context) error {
			return gone(up.CoreV1().Services(s.namespace).Delete(ctx, "web", metav1.DeleteOptions{}))
		}},
		{"withdraw", s.withdraw},
		{"clean up", s.cleanUp},
	}
}

// moving is the life of a workload that leaves a member for another one.
func (s *crashScript) moving() []step {
	east, west := s.tenant.Members["east"], s.tenant.Members["west"]
	return []step{
		{"place", func(ctx context.Context) error { return s.place(ctx, east) }},
		{"move", func(ctx context.Context) error {
			patch := fmt.Sprintf(`{"spec":{"clusterNames":[%q]}}`, west)
			_, err := s.tenant.Placements(s.namespace).Patch(ctx, "all", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
			return err
		}},
		{"withdraw", s.withdraw},
		{"clean up", s.cleanUp},
	}
}

// detaching is the life of a member of the tenant's own.
func (s *crashScript) detaching() []step {
	registrations := s.tenant.Client.Registrations()
	return []step{
		{"register", func(ctx context.Context) error {
			return suite.Env.RegisterMember(ctx, s.tenant.Workspace, spareMember, nil)
		}},
		{"place", func(ctx context.Context) error { return s.place(ctx, spareMember) }},
		{"withdraw", s.withdraw},
		{"unregister", func(ctx context.Context) error {
			return gone(registrations.Delete(ctx, spareMember, metav1.DeleteOptions{}))
		}},
		{"clean up", s.cleanUp},
	}
}

func (s *crashScript) place(ctx context.Context, members ...string) error {
	names := make([]any, 0, len(members))
	for _, member := range members {
		names = append(names, member)
	}
	up, create := s.tenant.Upstream, metav1.CreateOptions{}
	if _, err := up.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, create); there(err) != nil {
		return err
	}
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"color": "blue", "size": "1"}}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "web"},
		Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080), Protocol: corev1.ProtocolTCP}},
	}}
	_, mapErr := up.CoreV1().ConfigMaps(s.namespace).Create(ctx, settings, create)
	_, serviceErr := up.CoreV1().Services(s.namespace).Create(ctx, service, create)
	_, deploymentErr := up.AppsV1().Deployments(s.namespace).Create(ctx, crashDeployment(), create)
	_, placementErr := s.tenant.Placements(s.namespace).Create(ctx, framework.NewPlacement("all", map[string]any{"clusterNames": names}), create)
	return errors.Join(there(mapErr), there(serviceErr), there(deploymentErr), there(placementErr))
}

func crashDeployment() *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{
		Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "web", Image: "registry.example.com/web:1", Env: []corev1.EnvVar{{Name: "MODE", Value: "test"}},
			EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}},
		}}}},
	}}
}

func (s *crashScript) withdraw(ctx context.Context) error {
	return gone(s.tenant.Placements(s.namespace).Delete(ctx, "all", metav1.DeleteOptions{}))
}

func (s *crashScript) cleanUp(ctx context.Context) error {
	up, remove := s.tenant.Upstream, metav1.DeleteOptions{}
	return errors.Join(
		gone(up.AppsV1().Deployments(s.namespace).Delete(ctx, "web", remove)), gone(up.CoreV1().Services(s.namespace).Delete(ctx, "web", remove)),
		gone(up.CoreV1().ConfigMaps(s.namespace).Delete(ctx, "settings", remove)),
		gone(up.CoreV1().Namespaces().Delete(ctx, s.namespace, remove)), // those on members stay as long as it does
	)
}

// there and gone pass over what was done before.
func there(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
