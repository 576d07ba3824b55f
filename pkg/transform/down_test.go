// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/kcp-dev/tmc/pkg/transform"
)

const (
	acme     = "2ds0kemhl1brzp93"
	prodHash = "tmc-iwwhgxvmots5v7yv4wii7mfaej2mm5c4"
)

// object reads a manifest; numbers have the types that they have in informers.
func object(tb testing.TB, manifest string) *unstructured.Unstructured {
	tb.Helper()
	raw, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(manifest, "\t", "  ")))
	if err != nil {
		tb.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(raw); err != nil {
		tb.Fatal(err)
	}
	return obj
}

// upstream is an object of the namespace prod.
func upstream(tb testing.TB, apiVersion, kind, rest string) *unstructured.Unstructured {
	tb.Helper()
	obj := object(tb, "apiVersion: "+apiVersion+"\nkind: "+kind+"\n"+rest)
	obj.SetNamespace("prod")
	obj.SetUID("5b1b8c4e-0000-4000-8000-000000000001")
	if obj.GetName() == "" {
		obj.SetName("web")
	}
	return obj
}

func down(tb testing.TB, obj *unstructured.Unstructured, t transform.Target) *unstructured.Unstructured {
	tb.Helper()
	t.Workspace = acme
	desired, err := transform.Down(obj, t)
	if err != nil {
		tb.Fatal(err)
	}
	return desired
}

// content is what is left without identity and our own marks.
func content(obj *unstructured.Unstructured) map[string]any {
	rest := obj.DeepCopy()
	for _, field := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"}} {
		unstructured.RemoveNestedField(rest.Object, field...)
	}
	for _, field := range []string{"labels", "annotations"} {
		marks, _, _ := unstructured.NestedStringMap(rest.Object, "metadata", field)
		unstructured.RemoveNestedField(rest.Object, "metadata", field)
		for key, value := range marks {
			if !strings.HasPrefix(key, "tmc.kcp.io/") {
				_ = unstructured.SetNestedField(rest.Object, value, "metadata", field, key)
			}
		}
	}
	if len(rest.Object["metadata"].(map[string]any)) == 0 {
		delete(rest.Object, "metadata")
	}
	return rest.Object
}

func parse(tb testing.TB, manifest string) map[string]any {
	tb.Helper()
	return object(tb, "kind: any\n"+manifest).Object
}

func TestDownWhole(t *testing.T) {
	t.Parallel()
	source := object(t, `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: prod
  uid: 5b1b8c4e-0000-4000-8000-000000000001
  resourceVersion: "17"
  generation: 3
  creationTimestamp: "2026-01-01T00:00:00Z"
  deletionTimestamp: "2026-01-02T00:00:00Z"
  deletionGracePeriodSeconds: 0
  generateName: web-
  selfLink: /x
  finalizers: [tmc.kcp.io/sync]
  ownerReferences: [{apiVersion: v1, kind: Foo, name: foo, uid: x}]
  managedFields: [{manager: kubectl}]
  labels: {app: web, kcp.io/x: "1", tmc.kcp.io/managed: "false"}
  annotations:
    team: a
    kcp.io/cluster: 2ds0kemhl1brzp93
    claimed.internal.apis.kcp.io/abc: x
    tmc.kcp.io/placed-by: everywhere
    tmc.kcp.io/uid: forged
    kubectl.kubernetes.io/last-applied-configuration: "{}"
    deployment.kubernetes.io/revision: "4"
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {creationTimestamp: null, labels: {app: web}}
    spec: {containers: [{name: app, image: app:1}]}
status: {replicas: 3}
`)
	before := source.DeepCopy()
	want := object(t, `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: `+prodHash+`
  labels: {app: web, tmc.kcp.io/managed: "true", tmc.kcp.io/workspace: 2ds0kemhl1brzp93}
  annotations:
    team: a
    tmc.kcp.io/workspace: 2ds0kemhl1brzp93
    tmc.kcp.io/namespace: prod
    tmc.kcp.io/name: web
    tmc.kcp.io/uid: 5b1b8c4e-0000-4000-8000-000000000001
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: app:1}]}
`)
	got := down(t, source, transform.Target{})
	hash := transform.AppliedHash(got)
	if len(hash) != 32 || hash != transform.Hash(want) || hash != transform.Hash(got) {
		t.Errorf("the hash is %q, want %q of the content without it", hash, transform.Hash(want))
	}
	unstructured.RemoveNestedField(got.Object, "metadata", "annotations", transform.AppliedHashAnnotation)
	if diff := cmp.Diff(want.Object, got.Object); diff != "" {
		t.Errorf("copy (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before.Object, source.Object); diff != "" {
		t.Errorf("the source was changed:\n%s", diff)
	}
}

func TestDownKinds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		apiVersion, kind, source, want string
		target                         transform.Target
	}{
		"service gets addresses and ports on the member": {
			apiVersion: "v1", kind: "Service",
			source: "spec: {type: NodePort, clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], healthCheckNodePort: 30001, selector: {a: b}, ports: [{port: 80, targetPort: web, nodePort: 30000}]}\nstatus: {loadBalancer: {}}",
			want:   "spec: {type: NodePort, selector: {a: b}, ports: [{port: 80, targetPort: web}]}",
		},
		"service without address stays without": {
			apiVersion: "v1", kind: "Service",
			source: "spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 80}]}",
			want:   "spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 80}]}",
		},
		"service of wrong types":       {apiVersion: "v1", kind: "Service", source: "spec: {ports: [80, {port: 80}], clusterIP: 7}", want: "spec: {ports: [80, {port: 80}]}"},
		"service whose spec is a list": {apiVersion: "v1", kind: "Service", source: "spec: [1]", want: "spec: [1]"},
		"custom kind Service":          {apiVersion: "serving.knative.dev/v1", kind: "Service", source: "spec: {clusterIP: x}", want: "spec: {clusterIP: x}"},
		"deployment with the member's share": {
			apiVersion: "apps/v1", kind: "Deployment", target: transform.Target{Replicas: new(int32(2))},
			source: "spec: {replicas: 5, paused: false}", want: "spec: {replicas: 2, paused: false}",
		},
		"deployment with the share none":       {apiVersion: "apps/v1", kind: "Deployment", target: transform.Target{Replicas: new(int32(0))}, source: "spec: {x: 1}", want: "spec: {replicas: 0, x: 1}"},
		"deployment with a negative share":     {apiVersion: "apps/v1", kind: "Deployment", target: transform.Target{Replicas: new(int32(-4))}, source: "spec: {x: 1}", want: "spec: {replicas: 0, x: 1}"},
		"deployment without a share":           {apiVersion: "apps/v1", kind: "Deployment", source: "spec: {x: 1}", want: "spec: {x: 1}"},
		"deployment that an autoscaler owns":   {apiVersion: "apps/v1", kind: "Deployment", target: transform.Target{Replicas: new(int32(2)), OmitReplicas: true}, source: "spec: {replicas: 5, x: 1}", want: "spec: {x: 1}"},
		"deployment without spec":              {apiVersion: "apps/v1", kind: "Deployment", target: transform.Target{Replicas: new(int32(2))}, source: "x: 1", want: "x: 1"},
		"replication controller":               {apiVersion: "v1", kind: "ReplicationController", target: transform.Target{Replicas: new(int32(2))}, source: "spec: {x: 1}", want: "spec: {x: 1, replicas: 2}"},
		"custom kind with replicas":            {apiVersion: "example.com/v1", kind: "Ring", target: transform.Target{Replicas: new(int32(2))}, source: "spec: {replicas: 5}", want: "spec: {replicas: 2}"},
		"custom kind with replicas of its own": {apiVersion: "example.com/v1", kind: "Ring", target: transform.Target{Replicas: new(int32(2))}, source: "spec: {replicas: {a: 5}}", want: "spec: {replicas: {a: 5}}"},
		"daemon set has no share":              {apiVersion: "apps/v1", kind: "DaemonSet", target: transform.Target{Replicas: new(int32(2))}, source: "spec: {x: 1}", want: "spec: {x: 1}"},
		"job has no share":                     {apiVersion: "batch/v1", kind: "Job", target: transform.Target{Replicas: new(int32(2))}, source: "spec: {parallelism: 5}", want: "spec: {parallelism: 5}"},
		"service account without its tokens":   {apiVersion: "v1", kind: "ServiceAccount", source: "metadata: {name: robot}\nsecrets: [{name: robot-token}]\nimagePullSecrets: [{name: pull}]", want: "imagePullSecrets: [{name: pull}]"},
		"secret":                               {apiVersion: "v1", kind: "Secret", source: "type: Opaque\ndata: {tmc.kcp.io: eA==}", want: "type: Opaque\ndata: {tmc.kcp.io: eA==}"},
		"config map, binary and immutable":     {apiVersion: "v1", kind: "ConfigMap", source: "immutable: true\nbinaryData: {a: eA==}\ndata: {status: x, labels: y}", want: "immutable: true\nbinaryData: {a: eA==}\ndata: {status: x, labels: y}"},
		"disruption budget":                    {apiVersion: "policy/v1", kind: "PodDisruptionBudget", source: "spec: {maxUnavailable: 25%, selector: {matchLabels: {a: b}}}\nstatus: {x: 1}", want: "spec: {maxUnavailable: 25%, selector: {matchLabels: {a: b}}}"},
		"autoscaler":                           {apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler", source: "spec: {minReplicas: 1, maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}", want: "spec: {minReplicas: 1, maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}"},
		"network policy that lets nothing in":  {apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", source: "spec: {podSelector: {}, ingress: []}", want: "spec: {podSelector: {}, ingress: []}"},
		"fractions and whole numbers are kept": {apiVersion: "example.com/v1", kind: "Thing", source: "spec: {a: 1.5, b: 9007199254740993, c: true, d: null}", want: "spec: {a: 1.5, b: 9007199254740993, c: true, d: null}"},
		"annotations of the object's own volume": {
			apiVersion: "v1", kind: "PersistentVolumeClaim",
			source: "metadata: {name: data, annotations: {pv.kubernetes.io/bind-completed: yes, volume.kubernetes.io/selected-node: n1, a: b}}\nspec: {volumeName: pv-of-others, storageClassName: fast, dataSource: {kind: PersistentVolumeClaim, name: old}, dataSourceRef: {kind: PersistentVolumeClaim, name: old, namespace: kube-system}}\nstatus: {phase: Bound}",
			want:   "metadata: {annotations: {a: b}}\nspec: {storageClassName: fast, dataSource: {kind: PersistentVolumeClaim, name: old}, dataSourceRef: {kind: PersistentVolumeClaim, name: old}}",
		},
		"stateful set with claims": {
			apiVersion: "apps/v1", kind: "StatefulSet",
			source: "spec: {volumeClaimTemplates: [7, {metadata: {name: data, labels: {tmc.kcp.io/managed: 'true', a: b}, finalizers: [x]}, spec: {volumeName: pv, storageClassName: fast}, status: {phase: Pending}}]}",
			want:   "spec: {volumeClaimTemplates: [7, {metadata: {name: data, labels: {a: b}}, spec: {storageClassName: fast}}]}",
		},
		"claims of single pods": {
			apiVersion: "apps/v1", kind: "Deployment",
			source: "spec: {template: {spec: {volumes: [{name: a, ephemeral: {volumeClaimTemplate: {spec: {volumeName: pv, resources: {}}}}}]}}}",
			want:   "spec: {template: {spec: {volumes: [{name: a, ephemeral: {volumeClaimTemplate: {spec: {resources: {}}}}}]}}}",
		},
		"SEC-11 affinity to pods of others": {
			apiVersion: "apps/v1", kind: "Deployment",
			source: "spec: {template: {spec: {affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, namespaceSelector: {}, labelSelector: {}}]}, podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: zone, namespaces: [db], labelSelector: {matchLabels: {a: b}}}}]}}}}}",
			want: "spec: {template: {spec: {affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, namespaceSelector: {matchLabels: {tmc.kcp.io/workspace: " + acme + "}}, labelSelector: {}}]}, podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: zone, namespaces: [" +
				transform.NamespaceName(acme, "db") + "], labelSelector: {matchLabels: {a: b}}}}]}}}}}",
		},
		"job as read from a cluster": {
			apiVersion: "batch/v1", kind: "Job",
			source: "metadata: {name: web, labels: {controller-uid: u, job-name: web, a: b}}\nspec: {selector: {matchLabels: {controller-uid: u}}, template: {metadata: {labels: {controller-uid: u, batch.kubernetes.io/controller-uid: u, job-name: web, batch.kubernetes.io/job-name: web, a: b}}, spec: {}}}",
			want:   "metadata: {labels: {a: b}}\nspec: {template: {metadata: {labels: {a: b}}, spec: {}}}",
		},
		"job with a label of the user": {
			apiVersion: "batch/v1", kind: "Job",
			source: "spec: {template: {metadata: {labels: {job-name: web}}, spec: {}}}",
			want:   "spec: {template: {metadata: {labels: {job-name: web}}, spec: {}}}",
		},
		"job with a selector of the user": {
			apiVersion: "batch/v1", kind: "Job",
			source: "spec: {manualSelector: true, selector: {matchLabels: {controller-uid: u}}, template: {metadata: {labels: {controller-uid: u}}, spec: {}}}",
			want:   "spec: {manualSelector: true, selector: {matchLabels: {controller-uid: u}}, template: {metadata: {labels: {controller-uid: u}}, spec: {}}}",
		},
		"SEC-19 marks in templates of a cron job": {
			apiVersion: "batch/v1", kind: "CronJob",
			source: "spec: {jobTemplate: {metadata: {annotations: {tmc.kcp.io/workspace: x, a: b}}, spec: {template: {metadata: {labels: {tmc.kcp.io/managed: 'true', x.KCP.io/a: b, notkcp.io/a: b, kcp.io: c}, finalizers: [never/released], ownerReferences: [{}]}}}}}",
			want:   "spec: {jobTemplate: {metadata: {annotations: {a: b}}, spec: {template: {metadata: {labels: {notkcp.io/a: b, kcp.io: c}}}}}}",
		},
		"SEC-19 marks anywhere in a custom kind": {
			apiVersion: "example.com/v1", kind: "Ring",
			source: "spec: {pools: [[{inherited: {labels: {tmc.kcp.io/managed: 'true', a: {tmc.kcp.io/b: c}}}}]]}",
			want:   "spec: {pools: [[{inherited: {labels: {a: {tmc.kcp.io/b: c}}}}]]}",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := content(down(t, upstream(t, tc.apiVersion, tc.kind, tc.source), tc.target))
			want := parse(t, tc.want)
			delete(want, "kind")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("content of the copy (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDownRefuses(t *testing.T) {
	t.Parallel()
	deployment := func(change func(*unstructured.Unstructured)) *unstructured.Unstructured {
		obj := upstream(t, "apps/v1", "Deployment", "spec: {}")
		change(obj)
		return obj
	}
	deep := any("x")
	for range 200 {
		deep = []any{deep}
	}
	tests := map[string]struct {
		obj       *unstructured.Unstructured
		workspace string
		want      string
	}{
		"nothing":               {workspace: acme, want: "copying an object: there is none"},
		"no content":            {obj: &unstructured.Unstructured{}, workspace: acme, want: "copying an object: it has no kind"},
		"no workspace":          {obj: deployment(func(*unstructured.Unstructured) {}), want: "copying Deployment: its workspace has no proper name"},
		"SEC-12 workspace":      {obj: deployment(func(*unstructured.Unstructured) {}), workspace: "../x", want: "copying Deployment: its workspace has no proper name"},
		"SEC-12 name":           {obj: deployment(func(o *unstructured.Unstructured) { o.SetName("../../nodes") }), workspace: acme, want: "copying Deployment: its name is not a DNS subdomain"},
		"no namespace":          {obj: deployment(func(o *unstructured.Unstructured) { o.SetNamespace("") }), workspace: acme, want: "copying Deployment web: it has no namespace"},
		"no UID":                {obj: deployment(func(o *unstructured.Unstructured) { o.SetUID("") }), workspace: acme, want: "copying Deployment web: it has no proper UID"},
		"nested too deep":       {obj: deployment(func(o *unstructured.Unstructured) { o.Object["spec"] = deep }), workspace: acme, want: "copying Deployment web: it is nested more than 128 deep"},
		"a type outside JSON":   {obj: deployment(func(o *unstructured.Unstructured) { o.Object["spec"] = map[string]any{"x": struct{}{}} }), workspace: acme, want: "copying Deployment web: it holds a struct {}, which is not JSON"},
		"SEC-11 a token":        {obj: upstream(t, "v1", "Secret", "type: kubernetes.io/service-account-token"), workspace: acme, want: "copying Secret web: The token of a ServiceAccount is of no use on another cluster"},
		"SEC-21 the credential": {obj: upstream(t, "v1", "Secret", "metadata: {name: web, labels: {tmc.kcp.io/credentials: member}}"), workspace: acme, want: "copying Secret web: It holds the credentials of a member, which never leave the workspace"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := transform.Down(tc.obj, transform.Target{Workspace: logicalName(tc.workspace)})
			if err == nil || err.Error() != tc.want || got != nil {
				t.Errorf("Down() = %v, %v; want the error %q", got, err, tc.want)
			}
		})
	}
}

// Objects that were not decoded by a codec for unstructured objects hold numbers of other types.
func TestDownTakesEveryNumber(t *testing.T) {
	t.Parallel()
	obj := upstream(t, "example.com/v1", "Thing", "")
	obj.Object["spec"] = map[string]any{"a": 7, "b": int32(7), "c": float32(1.5), "d": json.Number("7"), "e": json.Number("1.5"), "f": 7.0}
	want := map[string]any{"spec": map[string]any{"a": int64(7), "b": int64(7), "c": 1.5, "d": int64(7), "e": 1.5, "f": 7.0}}
	if diff := cmp.Diff(want, content(down(t, obj, transform.Target{}))); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	obj.Object["spec"] = map[string]any{"a": json.Number("x")}
	if _, err := transform.Down(obj, transform.Target{Workspace: acme}); err == nil {
		t.Error("a number that is none was taken")
	}
}
