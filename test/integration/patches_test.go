// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"github.com/kcp-dev/tmc/test/integration/framework"
)

const twoContainers = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      initContainers:
      - {name: prepare, image: "busybox:1"}
      containers:
      - name: app
        image: nginx:1
        ports:
        - {containerPort: 80, protocol: TCP}
        - {containerPort: 53, protocol: UDP}
        env:
        - {name: A, value: a}
        - {name: B, value: b}
        resources:
          limits: {cpu: "1", memory: 1Gi}
        volumeMounts:
        - {name: data, mountPath: /data}
      - {name: sidecar, image: "envoy:1", args: [x]}
      volumes:
      - {name: data, emptyDir: {}}
`

// deploymentsOf are the Deployments of a workspace, for what the test is not about: each kubectl costs a process.
func deploymentsOf(tenant *framework.Tenant) dynamic.ResourceInterface {
	return tenant.Client.Dynamic().Resource(appsv1.SchemeGroupVersion.WithResource("deployments")).Namespace(metav1.NamespaceDefault)
}

// webOf returns the Deployment, and its pod as YAML.
func webOf(t *testing.T, tenant *framework.Tenant) (*unstructured.Unstructured, string) {
	t.Helper()
	object, err := deploymentsOf(tenant).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return object, podOf(t, object.Object)
}

// makeWeb replaces the Deployment by a new one, made as kubectl create does, or with kubectl apply.
func makeWeb(t *testing.T, tenant *framework.Tenant, applied bool) {
	t.Helper()
	if err := deploymentsOf(tenant).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	if applied {
		if result := tenant.Kubectl.RunWithInput(t, twoContainers, "apply", "-f", "-"); result.ExitCode != 0 {
			t.Fatalf("kubectl apply:\n%s", result.Output())
		}
		return
	}
	web := framework.ReadManifest(t, twoContainers)[0]
	if _, err := deploymentsOf(tenant).Create(t.Context(), web, metav1.CreateOptions{FieldManager: "kubectl-create"}); err != nil {
		t.Fatal(err)
	}
}

func podOf(t *testing.T, object map[string]any) string {
	t.Helper()
	pod, _, err := unstructured.NestedMap(object, "spec", "template", "spec")
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// expected is what becomes of the Deployment when this text stands instead of that.
func expected(t *testing.T, replacements ...string) string {
	t.Helper()
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(strings.NewReplacer(replacements...).Replace(twoContainers)), &object); err != nil {
		t.Fatal(err)
	}
	return podOf(t, object)
}

// without is a manifest without the sidecar.
func without(t *testing.T) string {
	t.Helper()
	return strings.Replace(twoContainers, "      - {name: sidecar, image: \"envoy:1\", args: [x]}\n", "", 1)
}

// TestKubectlDamagesNothing types what people type. Each command does what it does on a cluster, or is refused.
func TestKubectlDamagesNothing(t *testing.T) {
	t.Parallel()
	editor := filepath.Join(t.TempDir(), "editor")
	const script = "#!/bin/sh\nsed -i 's/memory: 1Gi/memory: 3Gi/; /cpu: \"1\"/d; s/envoy:1/envoy:7/' \"$1\"\n"
	if err := os.WriteFile(editor, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "web.yaml")
	shards := suite.Env.Shards()
	tenant := suite.NewTenant(t, "patches", framework.OnShard(shards[len(shards)-1]))
	k := tenant.Kubectl
	k.Environ = []string{"KUBE_EDITOR=" + editor}
	const appImage = `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"nginx:2"}]}}}}`
	const noSidecar = `[{"op":"remove","path":"/spec/template/spec/containers/1"}]`
	image := []string{"nginx:1", "nginx:2"}
	tests := map[string]struct {
		applied bool   // the Deployment was made with kubectl apply
		file    string // what -f reads
		args    []string
		refused string
		want    string
		// effect is what else the command is for, by a JSONPath of the Deployment and what it prints. One that ends with *
		// prints more than that.
		path, effect string
	}{
		"apply": {
			applied: true, file: strings.Replace(twoContainers, "nginx:1", "nginx:2", 1), args: []string{"apply", "-f", file}, want: expected(t, image...),
		},
		"apply after create": {
			file: strings.Replace(twoContainers, "nginx:1", "nginx:2", 1), args: []string{"apply", "-f", file}, want: expected(t, image...),
		},
		"apply removes a container": {
			applied: true, file: without(t), args: []string{"apply", "-f", file}, want: expected(t, "      - {name: sidecar, image: \"envoy:1\", args: [x]}\n", ""),
		},
		"apply --server-side": {
			file: strings.Replace(twoContainers, "nginx:1", "nginx:2", 1),
			args: []string{"apply", "--server-side", "--force-conflicts", "-f", file}, want: expected(t, image...),
		},
		"set image":        {args: []string{"set", "image", "deployment/web", "app=nginx:2"}, want: expected(t, image...)},
		"set image of all": {args: []string{"set", "image", "deployment/web", "app=nginx:2", "sidecar=envoy:2"}, want: expected(t, "nginx:1", "nginx:2", "envoy:1", "envoy:2")},
		"set env": {
			args: []string{"set", "env", "deployment/web", "-c", "app", "B-", "C=c"}, want: expected(t, "{name: B, value: b}", "{name: C, value: c}"),
		},
		"set resources": {
			args: []string{"set", "resources", "deployment/web", "-c", "app", "--limits=cpu=2"}, want: expected(t, `cpu: "1"`, `cpu: "2"`),
		},
		"edit":            {args: []string{"edit", "deployment", "web"}, want: expected(t, "{cpu: \"1\", memory: 1Gi}", "{memory: 3Gi}", "envoy:1", "envoy:7")},
		"scale":           {args: []string{"scale", "deployment", "web", "--replicas=3"}, want: expected(t), path: "{.spec.replicas}", effect: "3"},
		"rollout restart": {args: []string{"rollout", "restart", "deployment/web"}, want: expected(t), path: `{.spec.template.metadata.annotations.kubectl\.kubernetes\.io/restartedAt}`, effect: "20*"},
		"label":           {args: []string{"label", "deployment", "web", "tier=front"}, want: expected(t), path: "{.metadata.labels.tier}", effect: "front"},
		"annotate":        {args: []string{"annotate", "deployment", "web", "owner=me"}, want: expected(t), path: "{.metadata.annotations.owner}", effect: "me"},
		"replace":         {file: without(t), args: []string{"replace", "-f", file}, want: expected(t, "      - {name: sidecar, image: \"envoy:1\", args: [x]}\n", "")},
		"patch": {
			args: []string{"patch", "deployment", "web", "-p", appImage}, refused: "--field-manager=tmc-strategic", want: expected(t),
		},
		"patch, declared": {
			args: []string{"patch", "deployment", "web", "-p", appImage, "--field-manager=tmc-strategic"}, want: expected(t, image...),
		},
		"patch outside of lists": {args: []string{"patch", "deployment", "web", "-p", `{"spec":{"paused":true}}`}, want: expected(t), path: "{.spec.paused}", effect: "true"},
		"patch --type=json": {
			args: []string{"patch", "deployment", "web", "--type=json", "-p", `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"nginx:2"}]`},
			want: expected(t, image...),
		},
		"patch --type=json removes": {
			args: []string{"patch", "deployment", "web", "--type=json", "-p", noSidecar}, refused: "--field-manager=tmc-exact", want: expected(t),
		},
		"patch --type=json removes, declared": {
			args: []string{"patch", "deployment", "web", "--type=json", "-p", noSidecar, "--field-manager=tmc-exact"},
			want: expected(t, "      - {name: sidecar, image: \"envoy:1\", args: [x]}\n", ""),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			makeWeb(t, tenant, test.applied)
			if err := os.WriteFile(file, []byte(test.file), 0o600); err != nil {
				t.Fatal(err)
			}
			result := k.Run(t, test.args...)
			if refused := result.ExitCode != 0; refused != (test.refused != "") || !strings.Contains(result.Output(), test.refused) {
				t.Errorf("kubectl %v ended with %d:\n%s", test.args, result.ExitCode, result.Output())
			}
			web, pod := webOf(t, tenant)
			if diff := cmp.Diff(test.want, pod); diff != "" {
				t.Errorf("kubectl %v (-want +got):\n%s", test.args, diff)
			}
			if test.effect == "" {
				return
			}
			got := at(t, web, test.path)
			if start, open := strings.CutSuffix(test.effect, "*"); got != test.effect && (!open || !strings.HasPrefix(got, start)) {
				t.Errorf("after kubectl %v, %s is %q, want %q", test.args, test.path, got, test.effect)
			}
		})
	}
}

// at returns what a JSONPath of an object prints.
func at(t *testing.T, object *unstructured.Unstructured, path string) string {
	t.Helper()
	parser := jsonpath.New("effect")
	var out strings.Builder
	if err := errors.Join(parser.Parse(path), parser.Execute(&out, object.Object)); err != nil {
		t.Errorf("reading %s: %v", path, err)
	}
	return out.String()
}

// What the server must be asked about is refused while it is away, and everything else goes on. It disturbs every other
// test, so it runs before them.
func TestPatchesWhileTheServerIsAway(t *testing.T) {
	tenant := suite.NewTenant(t, "patchless")
	k := tenant.Kubectl
	makeWeb(t, tenant, false)
	suite.Kill(t, "tmc-apiserver")
	defer func() {
		suite.Restart(t, "tmc-apiserver")
		framework.Eventually(t, "updates are reviewed again", time.Minute, func(context.Context) error {
			if result := k.Run(t, "set", "image", "deployment/web", "app=nginx:9"); result.ExitCode != 0 {
				return errors.New(result.Output())
			}
			if _, got := webOf(t, tenant); !strings.Contains(got, "nginx:9") || !strings.Contains(got, "envoy") {
				return fmt.Errorf("the Deployment has %s", got)
			}
			return nil
		})
	}()
	if result := k.Run(t, "set", "image", "deployment/web", "app=nginx:2"); result.ExitCode == 0 || !strings.Contains(result.Output(), "patchguard.tmc.kcp.io") {
		t.Errorf("set image ended with %d:\n%s", result.ExitCode, result.Output())
	}
	for _, args := range [][]string{
		{"get", "deployment", "web"},
		{"scale", "deployment", "web", "--replicas=3"},
		{"label", "deployment", "web", "tier=front"},
		{"rollout", "restart", "deployment/web"},
		{"patch", "deployment", "web", "-p", `{"spec":{"paused":true}}`},
		{"create", "deployment", "other", "--image=nginx:1"},
		{"delete", "deployment", "other"},
	} {
		if result := k.Run(t, args...); result.ExitCode != 0 {
			t.Errorf("kubectl %v ended with %d:\n%s", args, result.ExitCode, result.Output())
		}
	}
	if result := k.RunWithInput(t, strings.Replace(twoContainers, "nginx:1", "nginx:3", 1), "apply", "--server-side", "--force-conflicts", "-f", "-"); result.ExitCode != 0 {
		t.Errorf("applying by the server ended with %d:\n%s", result.ExitCode, result.Output())
	}
	_, pod := webOf(t, tenant)
	if diff := cmp.Diff(expected(t, "nginx:1", "nginx:3"), pod); diff != "" {
		t.Errorf("the Deployment (-want +got):\n%s", diff)
	}
}
