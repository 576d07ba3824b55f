// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

const (
	everydayDir = "testdata/everyday"
	// autoscalerFile comes after the others: no member measures pods, and an autoscaler that cannot measure is degraded.
	autoscalerFile = "autoscaler.yaml"
	// settleTimeout bounds how long some forty objects take on a busy machine.
	settleTimeout = 3 * time.Minute
)

// everydayEdits are the manifests, and what is changed in each of them before it is applied again.
func everydayEdits() map[string][2]string {
	return map[string][2]string{
		"01-web.yaml":        {"image: nginx:1.27", "image: nginx:1.28"},
		"02-database.yaml":   {"image: postgres:16", "image: postgres:17"},
		"03-claim.yaml":      {"tier: storage", "tier: archive"},
		"04-cron.yaml":       {`"0 3 * * *"`, `"0 4 * * *"`},
		"05-job.yaml":        {"activeDeadlineSeconds: 600", "activeDeadlineSeconds: 900"},
		"06-daemons.yaml":    {"image: fluentd:v1.16", "image: fluentd:v1.17"},
		"07-budget.yaml":     {"replicas: 3", "replicas: 4"},
		"08-network.yaml":    {"port: 80", "port: 8080"},
		"09-config.yaml":     {"player.maximum-lives=5", "player.maximum-lives=9"},
		"10-init.yaml":       {"busybox:1.36", "busybox:1.37"},
		"11-probes.yaml":     {"failureThreshold: 30", "failureThreshold: 60"},
		"12-sidecar.yaml":    {"image: alpine:3.18", "image: alpine:3.20"},
		"13-downward.yaml":   {"build: two", "build: three"},
		"14-volumes.yaml":    {"sizeLimit: 64Mi", "sizeLimit: 128Mi"},
		"15-lifecycle.yaml":  {"memory: 0.25Gi", "memory: 0.5Gi"},
		"16-spread.yaml":     {"tolerationSeconds: 30", "tolerationSeconds: 60"},
		"17-ports.yaml":      {"port: 9153\n    protocol: TCP", "port: 9154\n    protocol: TCP"},
		"18-guestbook.yaml":  {"gb-frontend:v5", "gb-frontend:v6"},
		"19-restricted.yaml": {"runAsUser: 1000", "runAsUser: 1001"},
		"20-registry.yaml":   {"tty: true", "tty: false"},
		autoscalerFile:       {"hpa-example:1", "hpa-example:2"},
	}
}

// TestEverydayManifests applies what people apply, unchanged, by the two ways of kubectl apply, and edits it by the same.
func TestEverydayManifests(t *testing.T) {
	t.Parallel()
	ways := map[string]struct {
		member string
		apply  []string
	}{
		"serverside": {"east", []string{"apply", "--server-side", "-f"}},
		"clientside": {"west", []string{"apply", "-f"}},
	}
	for way, test := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			e := &everyday{tenant: suite.NewPlacingTenant(t, "everyday-"+way, []string{test.member}), member: test.member, apply: test.apply}
			e.cloud = newCloud(t, test.member, e.tenant.Namespace(metav1.NamespaceDefault))
			e.tenant.Apply(t, placement("everything", "{}"))
			e.run(t)
		})
	}
}

// everyday is the test of one way of applying.
type everyday struct {
	tenant *framework.PlacingTenant
	member string
	apply  []string
	cloud  *cloud
}

func (e *everyday) run(t *testing.T) {
	t.Helper()
	edits := everydayEdits()
	unchanged := map[string][2]string{}
	for _, name := range manifestFiles(t) {
		if _, ok := edits[name]; !ok {
			t.Fatalf("it is not said what to change in %s", name)
		}
		unchanged[name] = [2]string{}
	}
	e.settle(t, e.applyFiles(t, unchanged))
	second := map[string][2]string{}
	for name := range unchanged {
		second[name] = edits[name]
	}
	objects := e.applyFiles(t, second)
	e.settle(t, objects)
	e.rollouts(t, objects)
	e.addresses(t)
	e.autoscaler(t, edits[autoscalerFile])
}

// manifestFiles are the manifests but for the autoscaler's.
func manifestFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(everydayDir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() != autoscalerFile {
			names = append(names, entry.Name())
		}
	}
	if len(names) < 20 {
		t.Fatalf("there are %d manifests", len(names))
	}
	return names
}

// applyFiles applies manifests by one kubectl, as of a folder, each with one change if there is one, and returns their
// objects in the order of the files.
func (e *everyday) applyFiles(t *testing.T, edits map[string][2]string) []*unstructured.Unstructured {
	t.Helper()
	folder := t.TempDir()
	var objects []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(edits)) {
		data, err := os.ReadFile(filepath.Join(everydayDir, name))
		if err != nil {
			t.Fatal(err)
		}
		manifest := string(data)
		if edit := edits[name]; edit[0] != "" {
			changed := strings.Replace(manifest, edit[0], edit[1], 1)
			if changed == manifest {
				t.Fatalf("%s does not say %q", name, edit[0])
			}
			manifest = changed
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(manifest), 0o600); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, documents(t, manifest)...)
	}
	result := e.tenant.Kubectl.Run(t, append(slices.Clone(e.apply), folder)...)
	if result.ExitCode != 0 || strings.Contains(result.Output(), "Warning") {
		t.Errorf("kubectl %s ended with %d:\n%s", strings.Join(e.apply, " "), result.ExitCode, result.Output())
	}
	return objects
}

// settle waits until every object is on the member as the manifests have it, and everything runs.
func (e *everyday) settle(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	took := framework.Eventually(t, "the manifests to be on "+e.member, settleTimeout, func(ctx context.Context) error {
		return errors.Join(e.cloud.tend(ctx), e.compare(ctx, e.cloud.client, e.cloud.namespace, objects))
	})
	if err := e.compare(t.Context(), e.tenant.Client.Dynamic(), metav1.NamespaceDefault, objects); err != nil {
		t.Errorf("the workspace: %v", err)
	}
	all := framework.Eventually(t, "everything to run", settleTimeout, func(ctx context.Context) error {
		if err := e.cloud.tend(ctx); err != nil {
			return err
		}
		return e.ready(ctx)
	})
	t.Logf("%d objects were on %s after %s, and ran after %s more", len(objects), e.member, took.Round(time.Millisecond), all.Round(time.Millisecond))
}

// compare says which object is not there, or not as its manifest has it.
func (e *everyday) compare(ctx context.Context, client dynamic.Interface, namespace string, objects []*unstructured.Unstructured) error {
	for _, want := range objects {
		gvr, known := resources()[want.GetKind()]
		if !known {
			return fmt.Errorf("the kind %s is not known", want.GetKind())
		}
		got, err := client.Resource(gvr).Namespace(namespace).Get(ctx, want.GetName(), metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("getting %s %s: %w; %s", want.GetKind(), want.GetName(), err, e.tenant.Explain(ctx))
		}
		if namespace != metav1.NamespaceDefault {
			want = e.asOnMember(want)
		}
		if err := lacks(want.Object, got.Object, want.GetKind()+" "+want.GetName()); err != nil {
			return err
		}
	}
	return nil
}

// asOnMember is what a manifest looks like on a member, where a policy's selector of namespaces means those of the
// workspace, or the member's own.
func (e *everyday) asOnMember(manifest *unstructured.Unstructured) *unstructured.Unstructured {
	rules, found, err := unstructured.NestedSlice(manifest.Object, "spec", "ingress")
	if manifest.GetKind() != "NetworkPolicy" || !found || err != nil {
		return manifest
	}
	for _, item := range rules {
		rule := item.(map[string]any)
		var peers []any
		for _, peer := range rule["from"].([]any) {
			labels, selects, err := unstructured.NestedMap(peer.(map[string]any), "namespaceSelector", "matchLabels")
			if !selects || err != nil {
				peers = append(peers, peer)
				continue
			}
			own := map[string]any{"matchLabels": maps.Clone(labels), "matchExpressions": []any{map[string]any{"key": "tmc.kcp.io/workspace", "operator": "DoesNotExist"}}}
			labels["tmc.kcp.io/workspace"] = e.tenant.Cluster
			peers = append(peers, map[string]any{"namespaceSelector": map[string]any{"matchLabels": labels}}, map[string]any{"namespaceSelector": own})
		}
		rule["from"] = peers
	}
	out := manifest.DeepCopy()
	_ = unstructured.SetNestedSlice(out.Object, rules, "spec", "ingress") // it is a map
	return out
}

// ready says why not everything runs.
func (e *everyday) ready(ctx context.Context) error {
	placed, err := e.tenant.Placement(ctx, "everything")
	if err != nil {
		return err
	}
	if err := framework.WantCondition(placed.Status.Conditions, tmcv1alpha1.ConditionReady, metav1.ConditionTrue, ""); err != nil {
		return fmt.Errorf("%w; not well are: %s", err, e.unwell(ctx))
	}
	view, err := e.tenant.PlacementStatus(ctx, "everything")
	if err != nil {
		return err
	}
	sum := view.Status.Workloads
	if sum.Failed > 0 || sum.Drifted > 0 || sum.Ready != sum.Desired || sum.Synced != sum.Desired || len(view.Status.NotPlaced) > 0 {
		return fmt.Errorf("the view counts %+v, and as not placed %+v; not well are: %s", sum, view.Status.NotPlaced, e.unwell(ctx))
	}
	return nil
}

func (e *everyday) unwell(ctx context.Context) string {
	view, err := e.tenant.PlacementStatus(ctx, "everything")
	if err != nil {
		return err.Error()
	}
	var found []string
	for _, member := range view.Status.Clusters {
		for i := range member.Objects {
			o := &member.Objects[i]
			if o.Synced != metav1.ConditionTrue || o.Health != tmcv1alpha1.HealthHealthy || o.Drifted {
				found = append(found, fmt.Sprintf("%s %s: synced %s, %s, drifted %v, %s: %s", o.Kind, o.Name, o.Synced, o.Health, o.Drifted, o.Reason, o.Message))
			}
		}
	}
	return strings.Join(found, "; ")
}

// rollouts asks kubectl, in the workspace, whether everything is done.
func (e *everyday) rollouts(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	patience := framework.MemberTimeout.String()
	for _, object := range objects {
		switch kind := strings.ToLower(object.GetKind()); kind {
		case "deployment", "statefulset", "daemonset":
			e.tenant.Kubectl.MustRun(t, "rollout", "status", kind+"/"+object.GetName(), "--timeout="+patience)
		case "job":
			e.tenant.Kubectl.MustRun(t, "wait", "--for=condition=complete", kind+"/"+object.GetName(), "--timeout="+patience)
		case "persistentvolumeclaim":
			e.tenant.Kubectl.MustRun(t, "wait", "--for=jsonpath={.status.phase}=Bound", "pvc/"+object.GetName(), "--timeout="+patience)
		}
	}
	framework.Eventually(t, "budget, daemons and job to be told in the workspace", framework.MemberTimeout, func(ctx context.Context) error {
		return e.tallied(ctx, len(suite.NodeNames(t, e.member)))
	})
}

// tallied says that what the members' controllers count is in the workspace.
func (e *everyday) tallied(ctx context.Context, nodes int) error {
	quorum, err := e.tenant.Upstream.PolicyV1().PodDisruptionBudgets(metav1.NamespaceDefault).Get(ctx, "quorum", metav1.GetOptions{})
	if err != nil || quorum.Status.CurrentHealthy != 4 || quorum.Status.DisruptionsAllowed != 2 {
		return fmt.Errorf("the budget in the workspace is %+v (%w), want 4 healthy pods and 2 disruptions", quorum.Status, err)
	}
	agents, err := e.tenant.Upstream.AppsV1().DaemonSets(metav1.NamespaceDefault).Get(ctx, "log-agent", metav1.GetOptions{})
	if err != nil || agents.Status.DesiredNumberScheduled == 0 || int(agents.Status.DesiredNumberScheduled) > nodes {
		return fmt.Errorf("the daemons in the workspace are %+v (%w), of %d nodes", agents.Status, err, nodes)
	}
	job, err := e.tenant.Upstream.BatchV1().Jobs(metav1.NamespaceDefault).Get(ctx, "pi", metav1.GetOptions{})
	if err != nil || job.Status.Succeeded != 1 || job.Status.Failed != 0 || job.Status.CompletionTime == nil {
		return fmt.Errorf("the job in the workspace is %+v (%w), want it to have succeeded once", job.Status, err)
	}
	return nil
}

// addresses are seen in the workspace where kubectl shows them.
func (e *everyday) addresses(t *testing.T) {
	t.Helper()
	framework.Eventually(t, "the addresses to be in the workspace", framework.MemberTimeout, func(context.Context) error {
		for what, want := range map[string]string{"service/frontend": cloudAddress, "ingress/nginx": cloudAddress} {
			if table := e.tenant.Kubectl.MustRun(t, "get", what); !strings.Contains(table, want) {
				return fmt.Errorf("kubectl get %s shows no %s:\n%s", what, want, table)
			}
		}
		return nil
	})
}

// autoscaler: the member's autoscaler decides how many replicas there are, and an edit of the rest does not disturb it.
func (e *everyday) autoscaler(t *testing.T, edit [2]string) {
	t.Helper()
	scaled := func(image string) func(*appsv1.Deployment) error {
		return func(d *appsv1.Deployment) error {
			if d.Spec.Replicas == nil || *d.Spec.Replicas != 2 {
				return fmt.Errorf("the member has spec.replicas %v", d.Spec.Replicas)
			}
			if got := d.Spec.Template.Spec.Containers[0].Image; got != image {
				return errors.New("the image is " + got)
			}
			return available(2)(d)
		}
	}
	e.applyFiles(t, map[string][2]string{autoscalerFile: {}})
	suite.WaitForDeployment(t, e.tenant, e.member, "php-apache", scaled("registry.example.com/hpa-example:1"))
	objects := e.applyFiles(t, map[string][2]string{autoscalerFile: edit})
	suite.WaitForDeployment(t, e.tenant, e.member, "php-apache", scaled("registry.example.com/hpa-example:2"))
	framework.Never(t, "the replicas are changed back", holdTime, func(ctx context.Context) error {
		d, err := suite.MemberClient(t, e.member).AppsV1().Deployments(e.cloud.namespace).Get(ctx, "php-apache", metav1.GetOptions{})
		if err == nil && *d.Spec.Replicas != 2 {
			err = fmt.Errorf("the member has spec.replicas %d", *d.Spec.Replicas)
		}
		return err
	})
	if err := e.compare(t.Context(), e.cloud.client, e.cloud.namespace, objects); err != nil {
		t.Errorf("the member: %v", err)
	}
	framework.Eventually(t, "the view to say that the autoscaler cannot measure, and nothing else", framework.MemberTimeout, func(ctx context.Context) error {
		view, err := e.tenant.PlacementStatus(ctx, "everything")
		if err != nil {
			return err
		}
		row, err := copyOf(view, e.tenant.Members[e.member], "HorizontalPodAutoscaler", "php-apache")
		if err != nil {
			return err
		}
		sum := view.Status.Workloads
		if row.Health != tmcv1alpha1.HealthDegraded || row.Reason != "FailedGetResourceMetric" || sum.Failed != 1 || sum.Synced != sum.Desired {
			return fmt.Errorf("the row is %+v, the sums are %+v; not well are: %s", row, sum, e.unwell(ctx))
		}
		return nil
	})
	// The workspace's object asks for one, and tools compare with that: what the autoscaler made of it is as it should be.
	e.tenant.WaitForUpstream(t, "php-apache", available(1))
	e.tenant.Kubectl.MustRun(t, "rollout", "status", "deployment/php-apache", "--timeout=20s")
}
