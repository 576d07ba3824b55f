// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kcp-dev/tmc/pkg/transform"
)

// benchDeployment is a Deployment as informers hold it, about 7 KB: two containers with ten variables each, probes and
// resources, a status, and 2.5 KB of managed fields.
func benchDeployment(b *testing.B) *unstructured.Unstructured {
	b.Helper()
	var containers strings.Builder
	for _, name := range []string{"app", "proxy"} {
		fmt.Fprintf(&containers, "      - name: %s\n        image: registry.example/team/%s:v1.2.3\n        ports: [{name: web, containerPort: 8080, protocol: TCP}]\n", name, name)
		containers.WriteString("        resources: {requests: {cpu: 100m, memory: 256Mi}, limits: {cpu: '1', memory: 1Gi}}\n")
		containers.WriteString("        readinessProbe: {httpGet: {path: /healthz, port: web, scheme: HTTP}, periodSeconds: 10, timeoutSeconds: 1, successThreshold: 1, failureThreshold: 3}\n")
		containers.WriteString("        livenessProbe: {httpGet: {path: /healthz, port: web, scheme: HTTP}, periodSeconds: 10, timeoutSeconds: 1, successThreshold: 1, failureThreshold: 3}\n")
		containers.WriteString("        securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: {drop: [ALL]}}\n")
		containers.WriteString("        volumeMounts: [{name: files, mountPath: /etc/files, readOnly: true}, {name: cache, mountPath: /var/cache/of-the-application}]\n")
		containers.WriteString("        env:\n")
		for k := range 10 {
			fmt.Fprintf(&containers, "        - {name: SETTING_%d, value: some-value-of-usual-length}\n", k)
		}
	}
	obj := upstream(b, "apps/v1", "Deployment", `
metadata:
  name: web
  resourceVersion: "4711"
  generation: 7
  creationTimestamp: "2026-01-01T00:00:00Z"
  labels: {app: web, team: a, tier: front}
  annotations: {kcp.io/cluster: 2ds0kemhl1brzp93, example.com/owner: team-a, tmc.kcp.io/placed-by: everywhere}
  finalizers: [tmc.kcp.io/sync]
spec:
  replicas: 3
  revisionHistoryLimit: 10
  progressDeadlineSeconds: 600
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, team: a}, annotations: {example.com/checksum: 0123456789abcdef}}
    spec:
      serviceAccountName: web
      terminationGracePeriodSeconds: 30
      containers:
`+containers.String()+`
      volumes: [{name: files, configMap: {name: web}}, {name: cache, emptyDir: {sizeLimit: 1Gi}}]
status:
  observedGeneration: 7
  replicas: 3
  readyReplicas: 3
  conditions: [{type: Available, status: "True", reason: MinimumReplicasAvailable, lastTransitionTime: "2026-01-01T00:00:00Z"}]
`)
	obj.Object["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{
		"manager": "kubectl", "operation": "Apply", "fieldsV1": map[string]any{"f:spec": strings.Repeat("x", 2500)},
	}}
	return obj
}

// benchLive is the copy as the member holds it: with a version, defaults and a status.
func benchLive(desired, source *unstructured.Unstructured) *unstructured.Unstructured {
	live := &unstructured.Unstructured{Object: withDefaults(desired.Object, "").(map[string]any)}
	live.SetUID("9b1b8c4e-0000-4000-8000-000000000002")
	live.SetResourceVersion("815")
	live.Object["status"] = source.DeepCopy().Object["status"]
	return live
}

// referencePlan is how the same question is usually answered: copy both objects whole, remove what does not count, encode
// and compare. It can compare with what was last applied only, which is what the live copy is taken for here.
func referencePlan(b *testing.B, source, live *unstructured.Unstructured) bool {
	b.Helper()
	encoded := func(obj *unstructured.Unstructured) []byte {
		desired := obj.DeepCopy()
		for _, field := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "finalizers"} {
			unstructured.RemoveNestedField(desired.Object, "metadata", field)
		}
		unstructured.RemoveNestedField(desired.Object, "status")
		desired.SetNamespace(prodHash)
		desired.SetLabels(with(desired.GetLabels(), "managed", "true"))
		raw, err := json.Marshal(desired.Object)
		if err != nil {
			b.Fatal(err)
		}
		return raw
	}
	return bytes.Equal(encoded(source), encoded(live))
}

const benchBatch = 10

// inTurn calls two functions by turns, in small batches, and returns the medians of how long one call takes. So time that
// other processes take counts for neither.
func inTurn(calls int, ours, reference func()) (own, other float64) {
	batch := func(f func()) float64 {
		start := time.Now()
		for range benchBatch {
			f()
		}
		return float64(time.Since(start)) / benchBatch
	}
	var a, b []float64
	for range max(calls/benchBatch, 200) { // the medians want that many
		a, b = append(a, batch(ours)), append(b, batch(reference))
	}
	slices.Sort(a)
	slices.Sort(b)
	return a[len(a)/2], b[len(b)/2]
}

// BenchmarkSyncPlan finds out whether a copy is what it should be. "changed" builds the copy, with its hash, and compares
// it with the live one, as is done when either object has changed; "noop" is all other times, when the memo of the last
// look still holds. The reference is the same for both: who remembers nothing always does everything.
func BenchmarkSyncPlan(b *testing.B) {
	source := benchDeployment(b)
	target := transform.Target{Workspace: acme, Replicas: new(int32(3))}
	desired, err := transform.Down(source, target)
	if err != nil {
		b.Fatal(err)
	}
	live := benchLive(desired, source)
	raw, err := source.MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	remembered, _ := transform.NewMemo(source, live, target)
	for name, plan := range map[string]func(){
		"changed": func() {
			desired, err := transform.Down(source, target)
			if err != nil {
				b.Fatal(err)
			}
			if transform.AppliedHash(desired) != transform.AppliedHash(live) {
				b.Fatal("the content is another")
			}
			if path, drifted := transform.Drifted(desired, live); drifted {
				b.Fatalf("the copy has drifted at %s", path)
			}
		},
		"noop": func() {
			if memo, ok := transform.NewMemo(source, live, target); !ok || memo != remembered {
				b.Fatal("the memo is another")
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			own, reference := inTurn(b.N, plan, func() { referencePlan(b, source, live) })
			b.ReportMetric(own, "ns/op")
			b.ReportMetric(testing.AllocsPerRun(100, plan), "allocs/op")
			b.ReportMetric(float64(len(raw)), "object-B")
			b.ReportMetric(reference, "reference-ns/op")
			b.ReportMetric(reference/own, "x-reference")
		})
	}
}

// BenchmarkOriginOf is what every event of a copy costs before it has a key.
func BenchmarkOriginOf(b *testing.B) {
	live := down(b, benchDeployment(b), transform.Target{})
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := transform.OriginOf(live); !ok {
			b.Fatal("there is no origin")
		}
	}
}

// BenchmarkRequests and BenchmarkDependencies are what a changed workload costs besides.
func BenchmarkRequests(b *testing.B) {
	source := benchDeployment(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, ok := transform.Requests(source); !ok {
			b.Fatal("there are no requests")
		}
	}
}

func BenchmarkDependencies(b *testing.B) {
	source := benchDeployment(b)
	b.ReportAllocs()
	for b.Loop() {
		if len(transform.Dependencies(source)) != 2 {
			b.Fatal("there are other dependencies")
		}
	}
}

func BenchmarkLiveSignature(b *testing.B) {
	source := benchDeployment(b)
	b.ReportAllocs()
	for b.Loop() {
		transform.LiveSignature(source)
	}
}
