// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
)

// Bytes that a fuzzer makes are seldom objects; these are, of any shape, with the keys that matter.
func TestSEC19DownOfRandomObjects(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	kinds := [][2]string{
		{"apps/v1", "Deployment"},
		{"apps/v1", "StatefulSet"},
		{"apps/v1", "DaemonSet"},
		{"batch/v1", "Job"},
		{"batch/v1", "CronJob"},
		{"v1", "Service"},
		{"v1", "ServiceAccount"},
		{"v1", "Secret"},
		{"v1", "ConfigMap"},
		{"v1", "PersistentVolumeClaim"},
		{"networking.k8s.io/v1", "Ingress"},
		{"example.com/v1", "Ring"},
	}
	for range 500 {
		content := map[string]any{}
		for _, key := range []string{"metadata", "spec", "status", "data", "secrets", "template"} {
			if random.IntN(4) > 0 {
				content[key] = randomValue(random, 0)
			}
		}
		kind := kinds[random.IntN(len(kinds))]
		content["apiVersion"], content["kind"] = kind[0], kind[1]
		checkDown(t, content, random.Int32N(5)-1, random.IntN(3) == 0, random.IntN(8) > 0)
		if t.Failed() {
			raw, _ := json.Marshal(content)
			t.Fatalf("%s", raw)
		}
	}
}

// randomValue is a value with keys that mean something somewhere.
func randomValue(random *rand.Rand, depth int) any {
	keys := []string{
		"metadata", "labels", "annotations", "spec", "template", "jobTemplate", "selector", "matchLabels", "replicas", "containers", "initContainers",
		"volumes", "volumeClaimTemplates", "volumeClaimTemplate", "ephemeral", "volumeName", "dataSourceRef", "namespace", "kind", "name", "ports", "nodePort", "clusterIP",
		"finalizers", "ownerReferences", "resources", "requests", "limits", "cpu", "memory", "env", "envFrom", "valueFrom", "secretKeyRef", "secretRef", "optional",
		"tmc.kcp.io/managed", "kcp.io/cluster", "TMC.kcp.io/uid", "internal.apis.kcp.io/x", "notkcp.io/x", "controller-uid", "job-name", "manualSelector",
		"kubectl.kubernetes.io/last-applied-configuration", "parallelism", "metrics", "restartPolicy", "overhead",
	}
	scalars := []any{
		"web", "", "1", "1000m", "1Gi", "None", "Always", "../x", "true", "PersistentVolumeClaim", "tmc.kcp.io/managed", "\x1b[1m",
		int64(0), int64(1), int64(-7), int64(1) << 62, 0.5, -1.0, 1e300, true, false, nil,
	}
	switch n := random.IntN(10); {
	case n < 5 && depth < 7 || depth == 0:
		m := map[string]any{}
		for range random.IntN(6) {
			m[keys[random.IntN(len(keys))]] = randomValue(random, depth+1)
		}
		return m
	case n < 7 && depth < 7:
		list := make([]any, random.IntN(3))
		for i := range list {
			list[i] = randomValue(random, depth+1)
		}
		return list
	default:
		return scalars[random.IntN(len(scalars))]
	}
}
