// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kcp-dev/tmc/pkg/transform"
)

func TestDrifted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ desired, live, want string }{
		"equal":                             {desired: "{a: 1, b: [x, {y: z}], c: true, d: t, e: 1.5}", live: "{a: 1, b: [x, {y: z}], c: true, d: t, e: 1.5}"},
		"defaults":                          {desired: "{containers: [{name: a}]}", live: "{containers: [{name: a, imagePullPolicy: Always}], restartPolicy: Always}"},
		"whole numbers":                     {desired: "{a: 1.0}", live: "{a: 1}"},
		"text":                              {desired: "{image: a:1}", live: "{image: a:2}", want: "spec.image"},
		"missing":                           {desired: "{image: a:1}", live: "{}", want: "spec.image"},
		"null in its place":                 {desired: "{image: a:1}", live: "{image: null}", want: "spec.image"},
		"another type":                      {desired: "{a: {b: c}}", live: "{a: c}", want: "spec.a"},
		"another type of list":              {desired: "{a: [b]}", live: "{a: {b: c}}", want: "spec.a"},
		"another type of truth":             {desired: "{a: true}", live: "{a: 'true'}", want: "spec.a"},
		"false":                             {desired: "{a: false}", live: "{a: true}", want: "spec.a"},
		"number and text":                   {desired: "{targetPort: 80}", live: "{targetPort: '80'}", want: "spec.targetPort"},
		"text and number":                   {desired: "{targetPort: '80'}", live: "{targetPort: 80}", want: "spec.targetPort"},
		"number and truth":                  {desired: "{a: 1}", live: "{a: true}", want: "spec.a"},
		"fractions":                         {desired: "{a: 1.5}", live: "{a: 1.25}", want: "spec.a"},
		"inside lists":                      {desired: "{containers: [{name: a}, {name: b, env: [{name: X, value: y}]}]}", live: "{containers: [{name: a}, {name: b, env: [{name: X, value: z}]}]}", want: "spec.containers[1].env[0].value"},
		"a longer list":                     {desired: "{containers: [{name: a}]}", live: "{containers: [{name: a}, {name: sidecar}]}", want: "spec.containers"},
		"a shorter list":                    {desired: "{a: [1, 2]}", live: "{a: [1]}", want: "spec.a"},
		"another order":                     {desired: "{a: [1, 2]}", live: "{a: [2, 1]}", want: "spec.a[0]"},
		"nested lists":                      {desired: "{a: [[1], [2]]}", live: "{a: [[1], [3]]}", want: "spec.a[1][0]"},
		"null":                              {desired: "{a: null, b: [null]}", live: "{b: [7]}"},
		"empty map is left out":             {desired: "{securityContext: {}, a: {}}", live: "{a: {x: 1}}"},
		"empty list is left out":            {desired: "{a: [], b: []}", live: "{b: null}"},
		"empty list is filled":              {desired: "{ingress: []}", live: "{ingress: [{}]}", want: "spec.ingress"},
		"empty list has a default":          {desired: "{metrics: [], policyTypes: []}", live: "{metrics: [{type: Resource}], policyTypes: [Ingress]}"},
		"zero values are left out":          {desired: "{hostNetwork: false, minReadySeconds: 0, env: [{name: A, value: ''}]}", live: "{env: [{name: A}]}"},
		"other values are not":              {desired: "{hostNetwork: true}", live: "{}", want: "spec.hostNetwork"},
		"nor is a number":                   {desired: "{minReadySeconds: 1}", live: "{}", want: "spec.minReadySeconds"},
		"empty value of a free key":         {desired: "{selector: {matchLabels: {a: ''}}}", live: "{selector: {matchLabels: {}}}", want: "spec.selector.matchLabels.a"},
		"narrowed selector":                 {desired: "{podSelector: {}}", live: "{podSelector: {matchLabels: {a: b}}}", want: "spec.podSelector"},
		"one more key in a selector":        {desired: "{selector: {a: b}}", live: "{selector: {a: b, c: d}}", want: "spec.selector"},
		"quantities":                        {desired: "{resources: {requests: {cpu: '1', memory: 1Gi, x/y: 1}, limits: {cpu: 0.5, memory: 1073741824}}}", live: "{resources: {requests: {cpu: 1000m, memory: 1024Mi, x/y: '1'}, limits: {cpu: 500m, memory: 1Gi}}}"},
		"quantities, the other way round":   {desired: "{resources: {requests: {cpu: 1000m, x/y: '1'}}}", live: "{resources: {requests: {cpu: '1', x/y: 1}}}"},
		"other quantities":                  {desired: "{resources: {requests: {cpu: '1'}}}", live: "{resources: {requests: {cpu: 1001m}}}", want: "spec.resources.requests.cpu"},
		"not a quantity":                    {desired: "{resources: {requests: {cpu: x}}}", live: "{resources: {requests: {cpu: y}}}", want: "spec.resources.requests.cpu"},
		"a quantity and something else":     {desired: "{resources: {requests: {cpu: '1'}}}", live: "{resources: {requests: {cpu: [1]}}}", want: "spec.resources.requests.cpu"},
		"quantities of fields":              {desired: "{sizeLimit: 1Gi, divisor: 1000m, target: {value: '1', averageValue: 0.5}}", live: "{sizeLimit: 1024Mi, divisor: '1', target: {value: 1000m, averageValue: 500m}}"},
		"text that looks like one":          {desired: "{env: [{name: A, value: 1000m}], target: {type: '1'}}", live: "{env: [{name: A, value: '1'}], target: {type: '1'}}", want: "spec.env[0].value"},
		"SEC-20 quantities that take hours": {desired: "{requests: {cpu: 1e1000000000}}", live: "{requests: {cpu: 2e-1000000000}}", want: "spec.requests.cpu"},
		"SEC-20 quantities that are long":   {desired: "{requests: {cpu: '" + strings.Repeat("1", 100) + "'}}", live: "{requests: {cpu: '1'}}", want: "spec.requests.cpu"},
		"exponents":                         {desired: "{requests: {cpu: 1e3, memory: '1E+3'}}", live: "{requests: {cpu: 1k, memory: 1k}}"},
		"the first in order":                {desired: "{c: 1, b: {w: 1, x: 1}, a: {z: 1}, d: 1}", live: "{a: {z: 1}, d: 2}", want: "spec.b"},
		"the first in order, inside":        {desired: "{b: {z: 1, x: 1}}", live: "{b: {}}", want: "spec.b.x"},
		"keys that look like paths":         {desired: "{a.b/c: 1}", live: "{}", want: `spec["a.b/c"]`},
		"SEC-17 keys that are not shown":    {desired: "{\"a\\e[1m\": 1}", live: "{}", want: `spec["a\x1b[1m"]`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			desired, live := object(t, "kind: X\nspec: "+tc.desired), object(t, "kind: X\nstatus: {a: b}\nspec: "+tc.live)
			path, drifted := transform.Drifted(desired, live)
			if path != tc.want || drifted != (tc.want != "") {
				t.Errorf("Drifted() = %q, %v; want %q", path, drifted, tc.want)
			}
		})
	}
}

func TestDriftedMetadata(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*unstructured.Unstructured)
		want   string
	}{
		"as applied":         {change: func(*unstructured.Unstructured) {}},
		"of another version": {change: func(o *unstructured.Unstructured) { o.SetAPIVersion("apps/v2") }},
		"server's fields":    {change: func(o *unstructured.Unstructured) { o.SetResourceVersion("1"); o.SetUID("u") }},
		"one more label":     {change: func(o *unstructured.Unstructured) { o.SetLabels(with(o.GetLabels(), "x", "y")) }},
		"another hash":       {change: func(o *unstructured.Unstructured) { setAnnotation(o, transform.AppliedHashAnnotation, "x") }},
		"SEC-19 mark":        {change: func(o *unstructured.Unstructured) { setAnnotation(o, transform.UIDAnnotation, "x") }, want: `metadata.annotations["tmc.kcp.io/uid"]`},
		"SEC-19 label":       {change: func(o *unstructured.Unstructured) { o.SetLabels(nil) }, want: "metadata.labels"},
		"another name":       {change: func(o *unstructured.Unstructured) { o.SetName("other") }, want: "metadata.name"},
		"no metadata":        {change: func(o *unstructured.Unstructured) { delete(o.Object, "metadata") }, want: "metadata"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			desired := down(t, upstream(t, "apps/v1", "Deployment", "spec: {replicas: 1}"), transform.Target{})
			live := desired.DeepCopy()
			tc.change(live)
			path, drifted := transform.Drifted(desired, live)
			if path != tc.want || drifted != (tc.want != "") {
				t.Errorf("Drifted() = %q, %v; want %q", path, drifted, tc.want)
			}
		})
	}
	if _, drifted := transform.Drifted(nil, nil); drifted {
		t.Error("nothing has drifted")
	}
	if path, drifted := transform.Drifted(&unstructured.Unstructured{}, nil); !drifted || path != "metadata" {
		t.Error("a copy that is not there has not drifted")
	}
	if path, _ := transform.Drifted(object(t, "kind: X\n"+strings.Repeat("x", 1000)+": 1"), &unstructured.Unstructured{}); len(path) != 256 {
		t.Errorf("a path has %d characters, want 256", len(path))
	}
	noJSON := &unstructured.Unstructured{Object: map[string]any{"spec": struct{}{}}}
	if _, drifted := transform.Drifted(noJSON, noJSON); !drifted {
		t.Error("what is not JSON is equal")
	}
}

func with(m map[string]string, key, value string) map[string]string {
	m[key] = value
	return m
}
