// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/test/integration/framework"
)

// resources are the plurals of the kinds that the manifests hold.
func resources() map[string]schema.GroupVersionResource {
	apps, batch, network := schema.GroupVersion{Group: "apps", Version: "v1"}, schema.GroupVersion{Group: "batch", Version: "v1"}, schema.GroupVersion{Group: "networking.k8s.io", Version: "v1"}
	return map[string]schema.GroupVersionResource{
		"Deployment": apps.WithResource("deployments"), "StatefulSet": apps.WithResource("statefulsets"), "DaemonSet": apps.WithResource("daemonsets"),
		"Job": batch.WithResource("jobs"), "CronJob": batch.WithResource("cronjobs"),
		"Ingress": network.WithResource("ingresses"), "NetworkPolicy": network.WithResource("networkpolicies"),
		"PodDisruptionBudget":     {Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
		"HorizontalPodAutoscaler": {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
		"Service":                 {Version: "v1", Resource: "services"}, "ConfigMap": {Version: "v1", Resource: "configmaps"},
		"Secret": {Version: "v1", Resource: "secrets"}, "ServiceAccount": {Version: "v1", Resource: "serviceaccounts"},
		"PersistentVolumeClaim": {Version: "v1", Resource: "persistentvolumeclaims"},
	}
}

// documents reads the objects of a manifest, as an API server has them.
func documents(t *testing.T, manifest string) []*unstructured.Unstructured {
	t.Helper()
	found := framework.ReadManifest(t, manifest)
	for _, object := range found {
		encodeStringData(object.Object)
	}
	return found
}

// encodeStringData does to a Secret what an API server does.
func encodeStringData(object map[string]any) {
	plain, found, err := unstructured.NestedStringMap(object, "stringData")
	if !found || err != nil {
		return
	}
	data := map[string]any{}
	for key, value := range plain {
		data[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	delete(object, "stringData")
	object["data"] = data
}

// lacks says where an object is not as a manifest has it. What servers fill in is no difference; an item more or less of
// a list is.
func lacks(want, got any, path string) error {
	switch want := want.(type) {
	case nil:
		return nil
	case bool:
		if !want && got == nil {
			return nil // servers leave it out
		}
	case map[string]any:
		fields, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %v, want %v", path, got, want)
		}
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if err := lacks(want[key], fields[key], path+"."+key); err != nil {
				return err
			}
		}
		return nil
	case []any:
		items, ok := got.([]any)
		if !ok || len(items) != len(want) {
			return fmt.Errorf("%s is %v, want %v", path, got, want)
		}
		for i := range want {
			if err := lacks(want[i], items[i], fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if fmt.Sprint(want) != fmt.Sprint(got) && !sameQuantity(want, got) {
		return fmt.Errorf("%s is %v, want %v", path, got, want)
	}
	return nil
}

func sameQuantity(want, got any) bool {
	a, err := resource.ParseQuantity(fmt.Sprint(want))
	b, err2 := resource.ParseQuantity(fmt.Sprint(got))
	return err == nil && err2 == nil && a.Cmp(b) == 0
}

func TestLacksFindsWhatIsLost(t *testing.T) {
	t.Parallel()
	const manifest = `spec: {replicas: 2, containers: [{name: a, cpu: 1000m, empty: {}}], mode: 0400, loud: true, quiet: false}`
	tests := map[string]struct {
		got  string
		want string
	}{
		"the same, and more":                    {got: `{spec: {replicas: 2, containers: [{name: a, cpu: "1", empty: {}, image: b}], mode: 256, loud: true, other: c}}`},
		"another value":                         {got: `{spec: {replicas: 3, containers: [{name: a, cpu: "1", empty: {}}], mode: 256, loud: true}}`, want: ".spec.replicas"},
		"a field is lost":                       {got: `{spec: {replicas: 2, containers: [{name: a, empty: {}}], mode: 256, loud: true}}`, want: ".spec.containers[0].cpu"},
		"an item is lost":                       {got: `{spec: {replicas: 2, containers: [], mode: 256, loud: true}}`, want: ".spec.containers"},
		"an item more":                          {got: `{spec: {replicas: 2, containers: [{name: a, cpu: "1", empty: {}}, {name: b}], mode: 256, loud: true}}`, want: ".spec.containers"},
		"an empty one is not":                   {got: `{spec: {replicas: 2, containers: [{name: a, cpu: "1"}], mode: 256, loud: true}}`, want: ".spec.containers[0].empty"},
		"true is lost, while false is left out": {got: `{spec: {replicas: 2, containers: [{name: a, cpu: "1", empty: {}}], mode: 256}}`, want: ".spec.loud"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := lacks(documents(t, manifest)[0].Object, documents(t, test.got)[0].Object, "")
			if (err == nil) != (test.want == "") || (err != nil && !strings.HasPrefix(err.Error(), test.want+" ")) {
				t.Errorf("the difference is %v, want one at %q", err, test.want)
			}
		})
	}
}
