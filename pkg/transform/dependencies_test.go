// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/transform"
)

func configMap(name string) transform.Reference {
	return transform.Reference{Kind: "ConfigMap", Resource: "configmaps", Name: name}
}

func secret(name string) transform.Reference {
	return transform.Reference{Kind: "Secret", Resource: "secrets", Name: name}
}

func account(name string) transform.Reference {
	return transform.Reference{Kind: "ServiceAccount", Resource: "serviceaccounts", Name: name}
}

func claim(name string) transform.Reference {
	return transform.Reference{Kind: "PersistentVolumeClaim", Resource: "persistentvolumeclaims", Name: name}
}

func optional(r transform.Reference) transform.Reference {
	r.Optional = true
	return r
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	const everything = `
  serviceAccountName: robot
  imagePullSecrets: [{name: pull}, {name: pull}]
  initContainers: [{name: i, env: [{name: A, valueFrom: {configMapKeyRef: {name: init-env, key: k}}}]}]
  containers:
  - name: a
    env:
    - {name: A, value: b}
    - {name: B, valueFrom: {configMapKeyRef: {name: env, key: k, optional: true}}}
    - {name: C, valueFrom: {secretKeyRef: {name: env, key: k}}}
    envFrom: [{configMapRef: {name: env}}, {secretRef: {name: env-from, optional: true}}]
  ephemeralContainers: [{name: e, envFrom: [{secretRef: {name: debug}}]}]
  volumes:
  - {name: a, configMap: {name: files}}
  - {name: b, secret: {secretName: files, optional: true}}
  - {name: c, projected: {sources: [{configMap: {name: projected}}, {secret: {name: projected}}, {serviceAccountToken: {path: x}}]}}
  - {name: d, persistentVolumeClaim: {claimName: data}}
  - {name: e, csi: {nodePublishSecretRef: {name: csi}}}
  - {name: f, azureFile: {secretName: azure}}
  - {name: g, rbd: {secretRef: {name: rbd}}}
  - {name: h, emptyDir: {}}
  - {name: i, ephemeral: {volumeClaimTemplate: {spec: {dataSource: {kind: PersistentVolumeClaim, name: image}}}}}
`
	all := []transform.Reference{
		configMap("env"), configMap("files"), configMap("init-env"), configMap("projected"), claim("data"), claim("image"), secret("azure"),
		secret("csi"), secret("debug"), secret("env"), optional(secret("env-from")), optional(secret("files")), secret("projected"),
		secret("pull"), secret("rbd"), account("robot"),
	}
	indent := func(depth int) string { return strings.ReplaceAll(everything, "\n", "\n"+strings.Repeat("  ", depth)) }
	tests := map[string]struct {
		manifest string
		want     []transform.Reference
	}{
		"deployment":    {manifest: "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:" + indent(2), want: all},
		"daemon set":    {manifest: "apiVersion: apps/v1\nkind: DaemonSet\nspec:\n  template:\n    spec:" + indent(2), want: all},
		"stateful set":  {manifest: "apiVersion: apps/v1\nkind: StatefulSet\nspec:\n  volumeClaimTemplates: [{spec: {dataSourceRef: {kind: PersistentVolumeClaim, name: image}}}]\n  template:\n    spec:" + indent(2), want: all},
		"job":           {manifest: "apiVersion: batch/v1\nkind: Job\nspec:\n  template:\n    spec:" + indent(2), want: all},
		"cron job":      {manifest: "apiVersion: batch/v1\nkind: CronJob\nspec:\n  jobTemplate:\n    spec:\n      template:\n        spec:" + indent(4), want: all},
		"pod":           {manifest: "apiVersion: v1\nkind: Pod\nspec:" + everything, want: all},
		"pod template":  {manifest: "apiVersion: v1\nkind: PodTemplate\ntemplate:\n  spec:" + indent(1), want: all},
		"custom":        {manifest: "apiVersion: example.com/v1\nkind: Ring\nspec:\n  template:\n    spec:" + indent(2), want: all},
		"custom, deep":  {manifest: "apiVersion: example.com/v1\nkind: Ring\nspec:\n  groups:\n  - name: a\n    template:\n      spec:" + indent(3), want: all},
		"custom, other": {manifest: "apiVersion: example.com/v1\nkind: Ring\nspec: {template: {spec: {serviceAccountName: robot}}}"},
		"service account": {
			manifest: "apiVersion: v1\nkind: ServiceAccount\nsecrets: [{name: token}]\nimagePullSecrets: [{name: pull}]",
			want:     []transform.Reference{secret("pull")},
		},
		"ingress": {
			manifest: "apiVersion: networking.k8s.io/v1\nkind: Ingress\nspec: {tls: [{secretName: b}, {hosts: [x]}, {secretName: a}]}",
			want:     []transform.Reference{secret("a"), secret("b")},
		},
		"claim that is a clone":    {manifest: "apiVersion: v1\nkind: PersistentVolumeClaim\nspec: {dataSource: {kind: PersistentVolumeClaim, name: old}}", want: []transform.Reference{claim("old")}},
		"claim of a snapshot":      {manifest: "apiVersion: v1\nkind: PersistentVolumeClaim\nspec: {dataSource: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: old}}"},
		"the default account":      {manifest: "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {serviceAccountName: default}}}"},
		"the account's former key": {manifest: "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {serviceAccount: robot}}}", want: []transform.Reference{account("robot")}},
		"no pods":                  {manifest: "apiVersion: v1\nkind: ConfigMap"},
		"wrong types":              {manifest: "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: {a: b}, volumes: [7, {configMap: x, secret: [y], projected: {sources: 7}}], imagePullSecrets: [x, {name: 7}], initContainers: [{env: {x: y}, envFrom: [[1]]}]}}}"},
		"SEC-12 names": {
			manifest: "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {serviceAccountName: ../x, imagePullSecrets: [{name: a/b}, {name: ''}, {name: '..'}, {name: A}, {name: ok}]}}}",
			want:     []transform.Reference{secret("ok")},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, transform.Dependencies(object(t, tc.manifest))); diff != "" {
				t.Errorf("dependencies (-want +got):\n%s", diff)
			}
		})
	}
	if transform.Dependencies(nil) != nil {
		t.Error("nothing depends on something")
	}
	if gr := configMap("a").GroupResource(); gr != (schema.GroupResource{Resource: "configmaps"}) {
		t.Errorf("GroupResource() = %v", gr)
	}
}

func TestSEC20DependenciesAreBounded(t *testing.T) {
	t.Parallel()
	obj := object(t, "apiVersion: v1\nkind: ServiceAccount")
	var list []any
	for i := range 3 * transform.MaxDependencies {
		list = append(list, map[string]any{"name": fmt.Sprintf("s%05d", i)})
	}
	obj.Object["imagePullSecrets"] = list
	got := transform.Dependencies(obj)
	if len(got) != transform.MaxDependencies || got[0] != secret("s00000") {
		t.Errorf("there are %d dependencies, want the first %d", len(got), transform.MaxDependencies)
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	const small = "{containers: [{resources: {requests: {cpu: 100m}}}]}"
	tests := map[string]struct {
		manifest string
		want     map[string]string
		replicas int32
		perNode  bool
		none     bool
	}{
		"deployment":         {manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 3, template: {spec: {containers: [{resources: {requests: {cpu: 100m, memory: 1Gi}}}, {resources: {requests: {cpu: 1}}}]}}}}", want: map[string]string{"cpu": "1100m", "memory": "1Gi"}, replicas: 3},
		"one is the default": {manifest: "{apiVersion: apps/v1, kind: StatefulSet, spec: {template: {spec: " + small + "}}}", want: map[string]string{"cpu": "100m"}, replicas: 1},
		"none is none":       {manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 0, template: {spec: " + small + "}}}", want: map[string]string{"cpu": "100m"}},
		"a daemon per node":  {manifest: "{apiVersion: apps/v1, kind: DaemonSet, spec: {template: {spec: " + small + "}}}", want: map[string]string{"cpu": "100m"}, replicas: 1, perNode: true},
		"job":                {manifest: "{apiVersion: batch/v1, kind: Job, spec: {template: {spec: " + small + "}}}", want: map[string]string{"cpu": "100m"}, replicas: 1},
		"parallel job":       {manifest: "{apiVersion: batch/v1, kind: Job, spec: {parallelism: 5, completions: 9, template: {spec: " + small + "}}}", want: map[string]string{"cpu": "100m"}, replicas: 5},
		"job of few":         {manifest: "{apiVersion: batch/v1, kind: Job, spec: {parallelism: 5, completions: 2, template: {spec: " + small + "}}}", want: map[string]string{"cpu": "100m"}, replicas: 2},
		"suspended job":      {manifest: "{apiVersion: batch/v1, kind: Job, spec: {suspend: true, template: {spec: " + small + "}}}", want: map[string]string{"cpu": "100m"}},
		"finished job":       {manifest: "{apiVersion: batch/v1, kind: Job, spec: {template: {spec: " + small + "}}, status: {conditions: [7, {type: Complete, status: 'True'}]}}", want: map[string]string{"cpu": "100m"}},
		"job not finished":   {manifest: "{apiVersion: batch/v1, kind: Job, spec: {template: {spec: " + small + "}}, status: {conditions: [{type: Failed, status: 'False'}]}}", want: map[string]string{"cpu": "100m"}, replicas: 1},
		"cron job":           {manifest: "{apiVersion: batch/v1, kind: CronJob, spec: {jobTemplate: {spec: {template: {spec: " + small + "}}}}}", want: map[string]string{"cpu": "100m"}},
		"custom":             {manifest: "{apiVersion: example.com/v1, kind: Ring, spec: {replicas: 2, template: {spec: " + small + "}}}", want: map[string]string{"cpu": "100m"}, replicas: 2},
		"several templates":  {manifest: "{apiVersion: example.com/v1, kind: Ring, spec: {pools: [{template: {spec: " + small + "}}, {template: {spec: {containers: [{resources: {requests: {cpu: 50m, memory: 1Gi}}}]}}}]}}", want: map[string]string{"cpu": "100m", "memory": "1Gi"}, replicas: 1},
		"limits are requests": {
			manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: [{resources: {limits: {cpu: 2, memory: 1Gi}, requests: {cpu: 1}}}]}}}}",
			want:     map[string]string{"cpu": "1", "memory": "1Gi"}, replicas: 1,
		},
		"init containers run one after the other, sidecars stay": {
			manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {overhead: {cpu: 10m}, initContainers: [{resources: {requests: {cpu: 2}}}, {restartPolicy: Always, resources: {requests: {cpu: 100m}}}, {resources: {requests: {cpu: 3}}}], containers: [{resources: {requests: {cpu: 1}}}]}}}}",
			want:     map[string]string{"cpu": "3110m"}, replicas: 1,
		},
		"resources of the whole pod": {
			manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {resources: {requests: {cpu: 2}, limits: {cpu: 9, memory: 2Gi}}, containers: [{resources: {requests: {cpu: 1}}}]}}}}",
			want:     map[string]string{"cpu": "2", "memory": "2Gi"}, replicas: 1,
		},
		"limits of the whole pod": {
			manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {resources: {limits: {cpu: 9}}, containers: [{resources: {requests: {cpu: 1}}}]}}}}",
			want:     map[string]string{"cpu": "1"}, replicas: 1,
		},
		"SEC-20 amounts that are none": {
			manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: -1, template: {spec: {overhead: [1], containers: [7, {resources: {requests: {cpu: -1, memory: x, a: [1], '': 1, b: 1e1000000000, c: 1}}}, {resources: 7}]}}}}",
			want:     map[string]string{"c": "1"},
		},
		"nothing requested": {manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: [{}]}}}}", want: map[string]string{}, replicas: 1},
		"no template":       {manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1}}", none: true},
		"no pods":           {manifest: "{apiVersion: v1, kind: ConfigMap}", none: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			perPod, replicas, perNode, ok := transform.Requests(object(t, tc.manifest))
			if ok == tc.none || replicas != tc.replicas || perNode != tc.perNode {
				t.Errorf("Requests() says %d replicas, per node %v, %v; want %d, %v, %v", replicas, perNode, ok, tc.replicas, tc.perNode, !tc.none)
			}
			var want corev1.ResourceList
			if !tc.none {
				want = corev1.ResourceList{}
			}
			for name, amount := range tc.want {
				want[corev1.ResourceName(name)] = resource.MustParse(amount)
			}
			if diff := cmp.Diff(want, perPod); diff != "" {
				t.Errorf("requests of a pod (-want +got):\n%s", diff)
			}
		})
	}
	if _, _, _, ok := transform.Requests(nil); ok {
		t.Error("nothing requests something")
	}
}

func TestSEC20RequestsAreBounded(t *testing.T) {
	t.Parallel()
	requests := map[string]any{"memory": "1Gi", strings.Repeat("x", 1000): "1"}
	for i := range 10_000 {
		requests[fmt.Sprintf("example.com/r%d", i)] = "1"
	}
	obj := object(t, "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: [{}]}}}}")
	containers := obj.Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)
	containers[0] = map[string]any{"resources": map[string]any{"requests": requests}}
	got, _, _, _ := transform.Requests(obj)
	if _, found := got[corev1.ResourceMemory]; len(got) != 64 || !found {
		t.Errorf("%d resources count, memory is one of them: %v; want 64 with memory", len(got), found)
	}
}
