// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
)

func TestSEC11Syncable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		resource string
		cluster  bool
		want     string // part of the message; empty if it is synced
	}{
		"deployments":       {resource: "deployments.apps"},
		"jobs":              {resource: "jobs.batch"},
		"services":          {resource: "services"},
		"secrets":           {resource: "secrets"},
		"ingresses":         {resource: "ingresses.networking.k8s.io"},
		"network policies":  {resource: "networkpolicies.networking.k8s.io"},
		"autoscalers":       {resource: "horizontalpodautoscalers.autoscaling"},
		"custom kinds":      {resource: "rings.example.com"},
		"a similar domain":  {resource: "rings.notkcp.io"},
		"cluster-scoped":    {resource: "things.example.com", cluster: true, want: "belong to no namespace"},
		"ClusterRoles":      {resource: "clusterroles.rbac.authorization.k8s.io", cluster: true, want: "belong to no namespace"},
		"Roles":             {resource: "roles.rbac.authorization.k8s.io", want: "give rights"},
		"RoleBindings":      {resource: "rolebindings.rbac.authorization.k8s.io", want: "give rights"},
		"reviews":           {resource: "localsubjectaccessreviews.authorization.k8s.io", want: "give rights"},
		"webhooks":          {resource: "mutatingwebhookconfigurations.admissionregistration.k8s.io", want: "give rights"},
		"webhooks, cluster": {resource: "validatingwebhookconfigurations.admissionregistration.k8s.io", cluster: true, want: "no namespace"},
		"CRDs":              {resource: "customresourcedefinitions.apiextensions.k8s.io", want: "give rights"},
		"APIServices":       {resource: "apiservices.apiregistration.k8s.io", want: "give rights"},
		"PriorityClasses":   {resource: "priorityclasses.scheduling.k8s.io", want: "give rights"},
		"CSRs":              {resource: "certificatesigningrequests.certificates.k8s.io", want: "give rights"},
		"placements":        {resource: "placements.tmc.kcp.io", want: "give rights"},
		"bindings of kcp":   {resource: "apibindings.apis.kcp.io", want: "give rights"},
		"kcp":               {resource: "things.kcp.io", want: "give rights"},
		"nodes":             {resource: "nodes", want: "made by the controllers"},
		"namespaces":        {resource: "namespaces", want: "made by the controllers"},
		"pods":              {resource: "pods", want: "made by the controllers"},
		"events":            {resource: "events", want: "made by the controllers"},
		"new events":        {resource: "events.events.k8s.io", want: "made by the controllers"},
		"leases":            {resource: "leases.coordination.k8s.io", want: "made by the controllers"},
		"endpoints":         {resource: "endpoints", want: "made by the controllers"},
		"endpoint slices":   {resource: "endpointslices.discovery.k8s.io", want: "made by the controllers"},
		"replica sets":      {resource: "replicasets.apps", want: "made by the controllers"},
		"revisions":         {resource: "controllerrevisions.apps", want: "made by the controllers"},
		"subresources":      {resource: "pods/exec", want: "no resource"},
		"SEC-12 no path":    {resource: "../secrets", want: "no resource"},
		"nothing":           {want: "no resource"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reason, message, ok := transform.Syncable(schema.ParseGroupResource(tc.resource), !tc.cluster, nil)
			checkSyncable(t, reason, message, ok, tc.want)
		})
	}
}

func TestSEC11SyncableObjects(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		resource, manifest, want string
	}{
		"config map":                    {resource: "configmaps", manifest: "kind: ConfigMap\nmetadata: {name: a}"},
		"the cluster's certificates":    {resource: "configmaps", manifest: "kind: ConfigMap\nmetadata: {name: kube-root-ca.crt}", want: "of its own"},
		"an object that lies":           {resource: "configmaps", manifest: "kind: Other\nmetadata: {name: kube-root-ca.crt}", want: "of its own"},
		"service account":               {resource: "serviceaccounts", manifest: "kind: ServiceAccount\nmetadata: {name: robot}"},
		"the default service account":   {resource: "serviceaccounts", manifest: "kind: ServiceAccount\nmetadata: {name: default}", want: "of its own"},
		"service":                       {resource: "services", manifest: "kind: Service\nmetadata: {name: kubernetes, namespace: prod}"},
		"the cluster's service":         {resource: "services", manifest: "kind: Service\nmetadata: {name: kubernetes, namespace: default}", want: "of its own"},
		"a service that takes traffic":  {resource: "services", manifest: "kind: Service\nmetadata: {name: a, namespace: prod}\nspec: {externalIPs: [8.8.8.8]}", want: "spec.externalIPs"},
		"secret":                        {resource: "secrets", manifest: "kind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/tls"},
		"secret without type":           {resource: "secrets", manifest: "kind: Secret\nmetadata: {name: a}"},
		"secret of wrong types":         {resource: "secrets", manifest: "kind: Secret\nmetadata: {name: a, labels: 7}\ntype: [x]"},
		"the token of an account":       {resource: "secrets", manifest: "kind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/service-account-token", want: "token"},
		"the token of a machine":        {resource: "secrets", manifest: "kind: Secret\nmetadata: {name: a}\ntype: bootstrap.kubernetes.io/token", want: "never synced"},
		"the credentials of a member":   {resource: "secrets", manifest: "kind: Secret\nmetadata: {name: a, labels: {tmc.kcp.io/credentials: member}}", want: "credentials"},
		"those of another value":        {resource: "secrets", manifest: "kind: Secret\nmetadata: {name: a, labels: {tmc.kcp.io/credentials: ''}}", want: "credentials"},
		"deployment":                    {resource: "deployments.apps", manifest: "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: default}"},
		"SEC-12 a name that goes up":    {resource: "deployments.apps", manifest: "kind: Deployment\nmetadata: {name: '..'}", want: "name"},
		"SEC-12 a name with a slash":    {resource: "deployments.apps", manifest: "kind: Deployment\nmetadata: {name: a/status}", want: "name"},
		"SEC-12 a name with an escape":  {resource: "deployments.apps", manifest: "kind: Deployment\nmetadata: {name: 'a%2fb'}", want: "name"},
		"SEC-12 no name":                {resource: "deployments.apps", manifest: "kind: Deployment", want: "name"},
		"SEC-12 a name of another type": {resource: "deployments.apps", manifest: "kind: Deployment\nmetadata: {name: 7}", want: "name"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reason, message, ok := transform.Syncable(schema.ParseGroupResource(tc.resource), true, object(t, tc.manifest))
			checkSyncable(t, reason, message, ok, tc.want)
		})
	}
	if _, _, ok := transform.Syncable(schema.ParseGroupResource("secrets"), true, &unstructured.Unstructured{}); ok {
		t.Error("an empty object is synced")
	}
}

func checkSyncable(t *testing.T, reason, message string, ok bool, want string) {
	t.Helper()
	if want == "" {
		if !ok || reason != "" || message != "" {
			t.Errorf("Syncable() = %q, %q, %v; want that it is", reason, message, ok)
		}
		return
	}
	if ok || reason != tmcv1alpha1.ReasonNotSyncable || !strings.Contains(message, want) {
		t.Errorf("Syncable() = %q, %q, %v; want a message with %q", reason, message, ok, want)
	}
}

func TestClass(t *testing.T) {
	t.Parallel()
	order := [][]string{
		{"namespaces"},
		{"configmaps", "secrets", "serviceaccounts", "persistentvolumeclaims", "resourcequotas", "limitranges"},
		{"services", "networkpolicies.networking.k8s.io", "poddisruptionbudgets.policy"},
		{"deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch", "replicationcontrollers", "rings.example.com"},
		{"ingresses.networking.k8s.io", "horizontalpodautoscalers.autoscaling", "httproutes.gateway.networking.k8s.io"},
	}
	if len(order) != transform.Classes {
		t.Errorf("there are %d classes, want %d", transform.Classes, len(order))
	}
	for want, resources := range order {
		for _, resource := range resources {
			if got := transform.Class(schema.ParseGroupResource(resource)); got != want {
				t.Errorf("Class(%s) = %d, want %d", resource, got, want)
			}
		}
	}
}

func TestIsWorkload(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]bool{
		"deployments.apps": true, "statefulsets.apps": true, "daemonsets.apps": true, "jobs.batch": true, "cronjobs.batch": true,
		"replicationcontrollers": true, "services": false, "controllerrevisions.apps": false, "things.batch": false, "deployments.example.com": false,
	} {
		if got := transform.IsWorkload(schema.ParseGroupResource(resource)); got != want {
			t.Errorf("IsWorkload(%s) = %v, want %v", resource, got, want)
		}
	}
}

func TestScaledBy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spec string
		want transform.Reference
	}{
		"deployment":             {spec: "{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}", want: transform.Reference{Group: "apps", Kind: "Deployment", Resource: "deployments", Name: "web"}},
		"replication controller": {spec: "{scaleTargetRef: {apiVersion: v1, kind: ReplicationController, name: web}}", want: transform.Reference{Kind: "ReplicationController", Resource: "replicationcontrollers", Name: "web"}},
		"custom kind":            {spec: "{scaleTargetRef: {apiVersion: example.com/v1, kind: Proxy, name: web}}", want: transform.Reference{Group: "example.com", Kind: "Proxy", Resource: "proxies", Name: "web"}},
		"no kind":                {spec: "{scaleTargetRef: {name: web}}"},
		"SEC-12 name":            {spec: "{scaleTargetRef: {kind: Deployment, name: ../web}}"},
		"another type":           {spec: "{scaleTargetRef: [1]}"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := transform.ScaledBy(object(t, "kind: HorizontalPodAutoscaler\nspec: "+tc.spec))
			if diff := cmp.Diff(tc.want, got); diff != "" || ok != (tc.want.Kind != "") {
				t.Errorf("ScaledBy() is %v (-want +got):\n%s", ok, diff)
			}
		})
	}
	if _, ok := transform.ScaledBy(nil); ok {
		t.Error("nothing scales something")
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		manifest string
		want     int32
		none     bool
	}{
		"deployment":            {manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 3}}", want: 3},
		"the default":           {manifest: "{apiVersion: apps/v1, kind: StatefulSet, spec: {x: 1}}", want: 1},
		"none":                  {manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 0}}", want: 0},
		"negative":              {manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: -3}}", want: 0},
		"huge":                  {manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 4294967297}}", want: 2147483647},
		"another type":          {manifest: "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: many}}", want: 1},
		"custom":                {manifest: "{apiVersion: example.com/v1, kind: Ring, spec: {replicas: 3}}", want: 3},
		"custom, of its own":    {manifest: "{apiVersion: example.com/v1, kind: Ring, spec: {replicas: 1.5}}", none: true},
		"without spec":          {manifest: "{apiVersion: apps/v1, kind: Deployment}", none: true},
		"daemon set":            {manifest: "{apiVersion: apps/v1, kind: DaemonSet, spec: {x: 1}}", none: true},
		"no workload":           {manifest: "{apiVersion: v1, kind: ConfigMap}", none: true},
		"no map":                {manifest: "{apiVersion: apps/v1, kind: Deployment, spec: 7}", none: true},
		"an unknown apiVersion": {manifest: "{apiVersion: 7, kind: Deployment, spec: {x: 1}}", none: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := transform.Replicas(object(t, tc.manifest))
			if got != tc.want || ok == tc.none {
				t.Errorf("Replicas() = %d, %v; want %d, %v", got, ok, tc.want, !tc.none)
			}
		})
	}
	if _, ok := transform.Replicas(nil); ok {
		t.Error("nothing has replicas")
	}
}

func TestHandover(t *testing.T) {
	t.Parallel()
	live := object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: tmc-x, uid: u, labels: {a: b}}, spec: {replicas: 7, paused: true}, status: {replicas: 3}}")
	want := object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: tmc-x, uid: u}, spec: {replicas: 7}}")
	got, ok := transform.Handover(live)
	if !ok {
		t.Fatal("there is nothing to hand over")
	}
	if diff := cmp.Diff(want.Object, got.Object); diff != "" {
		t.Errorf("handover (-want +got):\n%s", diff)
	}
	for name, manifest := range map[string]string{
		"no replicas": "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: tmc-x}}",
		"no name":     "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: tmc-x}, spec: {replicas: 7}}",
	} {
		if _, ok := transform.Handover(object(t, manifest)); ok {
			t.Errorf("%s: there is something to hand over", name)
		}
	}
	if _, ok := transform.Handover(nil); ok {
		t.Error("nothing is handed over")
	}
}

func TestSEC17PrintableMessage(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text  string
		limit int
		want  string
	}{
		"plain":                  {text: "all is well: ünïcödé", limit: 100, want: "all is well: ünïcödé"},
		"empty":                  {limit: 10},
		"escape sequences":       {text: "\x1b[31mred\x1b[0m", limit: 100, want: `\x1b[31mred\x1b[0m`},
		"lines":                  {text: "a\nb\tc\rd", limit: 100, want: `a\nb\tc\rd`},
		"nul and delete":         {text: "a\x00\x7f", limit: 100, want: `a\x00\x7f`},
		"C1 control":             {text: "a\u009b1m", limit: 100, want: `a\u009b1m`},
		"direction of writing":   {text: "a\u202egnp.exe\u2066", limit: 100, want: `a\u202egnp.exe\u2066`},
		"zero width":             {text: "a\u200bb\ufeff", limit: 100, want: `a\u200bb\ufeff`},
		"invalid UTF-8":          {text: "a\xff\xc0b", limit: 100, want: `a\xff\xc0b`},
		"the replacement itself": {text: "a\ufffdb", limit: 100, want: "a\ufffdb"},
		"quotes stay":            {text: `a "b" 'c' \n`, limit: 100, want: `a "b" 'c' \n`},
		"as long as may be":      {text: "abcdefgh", limit: 8, want: "abcdefgh"},
		"too long":               {text: "abcdefghi", limit: 8, want: "abcde..."},
		"too long by an escape":  {text: "abcdefg\n", limit: 8, want: "abcde..."},
		"an escape is not cut":   {text: "abcd\nefghi", limit: 8, want: "abcd..."},
		"characters, not bytes":  {text: "äöüäöü", limit: 6, want: "äöüäöü"},
		"hardly any room":        {text: "abcdef", limit: 2, want: ".."},
		"no room":                {text: "abcdef", limit: 0, want: ""},
		"less than none":         {text: "abcdef", limit: -1, want: ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := transform.PrintableMessage(tc.text, tc.limit); got != tc.want {
				t.Errorf("PrintableMessage() = %q, want %q", got, tc.want)
			}
		})
	}
}
