// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package kcp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/component-base/metrics"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

const (
	workloadExport = "kubernetes"
	exportsPath    = provider + "/apis/apis.kcp.io/v1alpha2/apiexports"

	deployments = "/apis/apps/v1/deployments"
	jobs        = "/apis/batch/v1/jobs"
	configmaps  = "/api/v1/configmaps"
	services    = "/api/v1/services"
	namespaces  = "/api/v1/namespaces"
)

var (
	deploymentsGR = schema.GroupResource{Group: "apps", Resource: "deployments"}
	jobsGR        = schema.GroupResource{Group: "batch", Resource: "jobs"}
	configmapsGR  = schema.GroupResource{Resource: "configmaps"}
	servicesGR    = schema.GroupResource{Resource: "services"}
)

// export publishes the export with the resources that are its own.
func (f *fakeKCP) export(own ...schema.GroupResource) {
	resources := []any{}
	for _, one := range own {
		resources = append(resources, map[string]any{"group": one.Group, "name": one.Resource, "schema": "v1." + one.String()})
	}
	f.set(exportsPath, map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": map[string]any{"name": workloadExport},
		"spec": map[string]any{"resources": resources},
	})
}

// workloadEndpoints publishes the endpoint slice of the export.
func (f *fakeKCP) workloadEndpoints(shards ...string) {
	urls := []any{}
	for _, shard := range shards {
		urls = append(urls, map[string]any{"url": f.URL + "/" + shard})
	}
	f.set(slicesPath, map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExportEndpointSlice",
		"metadata": map[string]any{"name": workloadExport}, "status": map[string]any{"endpoints": urls},
	})
}

// offer makes a shard discover resources, written like "apps/v1/Deployment/deployments" or "v1/Service/services". What
// comes after a further slash are marks: "cluster" for cluster-scoped kinds, "silent" for what cannot be watched, and
// the names of subresources.
func (f *fakeKCP) offer(shard string, all ...string) {
	documents := map[string]any{}
	lists := map[schema.GroupVersion][]metav1.APIResource{{Version: "v1"}: {}}
	var order []schema.GroupVersion
	for _, one := range all {
		parts := strings.Split(one, "/")
		version := schema.GroupVersion{Version: parts[0]}
		if !strings.HasPrefix(parts[0], "v") {
			version, parts = schema.GroupVersion{Group: parts[0], Version: parts[1]}, parts[1:]
		}
		marks := parts[3:]
		resource := metav1.APIResource{Name: parts[2], Kind: parts[1], Namespaced: !slices.Contains(marks, "cluster"), Verbs: metav1.Verbs{"get", "list", "patch"}}
		if !slices.Contains(marks, "silent") {
			resource.Verbs = append(resource.Verbs, "watch")
		}
		if _, known := lists[version]; !known {
			order = append(order, version)
		}
		lists[version] = append(lists[version], resource)
		for _, subresource := range marks {
			if subresource == "status" || subresource == "scale" {
				lists[version] = append(lists[version], metav1.APIResource{Name: parts[2] + "/" + subresource, Namespaced: true, Kind: parts[1], Verbs: metav1.Verbs{"get", "patch"}})
			}
		}
	}
	groups := metav1.APIGroupList{}
	for _, version := range order {
		at := slices.IndexFunc(groups.Groups, func(group metav1.APIGroup) bool { return group.Name == version.Group })
		if at < 0 {
			at = len(groups.Groups)
			groups.Groups = append(groups.Groups, metav1.APIGroup{Name: version.Group})
		}
		groups.Groups[at].Versions = append(groups.Groups[at].Versions, metav1.GroupVersionForDiscovery{GroupVersion: version.String(), Version: version.Version})
	}
	root := "/" + shard + "/clusters/*"
	documents[root+"/apis"] = groups
	for version, resources := range lists {
		path := root + "/apis/" + version.String()
		if version.Group == "" {
			path = root + "/api/" + version.Version
		}
		documents[path] = metav1.APIResourceList{GroupVersion: version.String(), APIResources: resources}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.documents, func(path string, _ any) bool { return strings.HasPrefix(path, root) })
	maps.Copy(f.documents, documents)
}

// workloadBinding binds the export and accepts the claims, of which some are applied.
func workloadBinding(ws string, accepted, applied []string) map[string]any {
	claim := func(resource string, more map[string]any) map[string]any {
		out := map[string]any{"group": "", "resource": resource, "verbs": []any{"get"}, "selector": map[string]any{"matchAll": true}}
		maps.Copy(out, more)
		return out
	}
	answers, done := []any{}, []any{}
	for _, resource := range accepted {
		answers = append(answers, claim(resource, map[string]any{"state": "Accepted"}))
	}
	for _, resource := range applied {
		done = append(done, claim(resource, nil))
	}
	return object("apis.kcp.io/v1alpha2", "APIBinding", ws, "", "kubernetes", map[string]any{
		"spec": map[string]any{
			"reference": map[string]any{"export": map[string]any{"path": "root:tmc", "name": workloadExport}}, "permissionClaims": answers,
		},
		"status": map[string]any{"phase": "Bound", "appliedPermissionClaims": done},
	})
}

func bound(ws string) map[string]any {
	all := []string{"namespaces", "configmaps"}
	return workloadBinding(ws, all, all)
}

func deployment(ws, namespace, name string) map[string]any {
	return object("apps/v1", "Deployment", ws, namespace, name, map[string]any{"spec": map[string]any{"replicas": int64(1)}})
}

func configmap(ws, namespace, name string) map[string]any {
	return object("v1", "ConfigMap", ws, namespace, name, map[string]any{"data": map[string]any{"a": "b"}})
}

// newWorkloads is a kcp with one shard a, where the workspace one is bound and deployments and configmaps are shown.
func newWorkloads(t *testing.T) *fakeKCP {
	t.Helper()
	f := newFakeKCP(t)
	f.export(deploymentsGR, jobsGR, servicesGR)
	f.offer("a", "apps/v1/Deployment/deployments/status", "v1/ConfigMap/configmaps", "v1/Namespace/namespaces/cluster")
	f.set(at("a", bindings), bound("one"))
	f.workloadEndpoints("a")
	return f
}

// follow runs workloads until the test ends, when nothing of them may go on.
func follow(t *testing.T, f *fakeKCP, prepare func(*Workloads)) *Workloads {
	t.Helper()
	return followWith(t, f, Config{RetireGrace: 2 * time.Second}, prepare)
}

func followWith(t *testing.T, f *fakeKCP, config Config, prepare func(*Workloads)) *Workloads {
	t.Helper()
	m, err := NewMetrics(metrics.NewKubeRegistry())
	if err != nil {
		t.Fatal(err)
	}
	config.ProviderConfig, config.ExportName, config.Metrics = f.config(), workloadExport, m
	w, err := NewWorkloads(config)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(w)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		f.cut("/")
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("following workloads: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("something goes on after the end")
		}
	})
	return w
}

func in(ws, namespace, name string) workspace.Key {
	return workspace.Key{Workspace: logicalcluster.Name(ws), Namespace: namespace, Name: name}
}

func has(w *Workloads, resource schema.GroupResource, key workspace.Key) func() bool {
	return func() bool { _, found := w.Find(resource, key); return found }
}

func not(holds func() bool) func() bool { return func() bool { return !holds() } }

func namesOf(resources []Resource) string {
	var out []string
	for _, one := range resources {
		out = append(out, fmt.Sprintf("%s/%s", one.GVR.GroupResource(), one.GVR.Version))
	}
	return strings.Join(out, " ")
}
