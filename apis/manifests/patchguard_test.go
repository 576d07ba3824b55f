// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// guard returns the webhook of an installation, nil if it has none.
func guard(t *testing.T, params Parameters) map[string]any {
	t.Helper()
	objects, err := Provider(params)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.GetKind() == "MutatingWebhookConfiguration" {
			hooks, _, _ := unstructured.NestedSlice(object.Object, "webhooks")
			return hooks[0].(map[string]any)
		}
	}
	return nil
}

func TestWebhookIsThereOnDemand(t *testing.T) {
	t.Parallel()
	if hook := guard(t, parameters()); hook != nil {
		t.Errorf("without a URL there is %v", hook)
	}
	params := parameters()
	params.WebhookURL = "https://tmc.example.com:6443"
	want := map[string]any{"url": "https://tmc.example.com:6443/admission/patchguard"}
	if diff := cmp.Diff(want, guard(t, params)["clientConfig"]); diff != "" {
		t.Errorf("client configuration (-want +got):\n%s", diff)
	}
	params.WebhookCA = []byte("certificates")
	want["caBundle"] = "Y2VydGlmaWNhdGVz"
	if diff := cmp.Diff(want, guard(t, params)["clientConfig"]); diff != "" {
		t.Errorf("client configuration (-want +got):\n%s", diff)
	}
}

// Every kind of the export is guarded: a kind that is added later must not be forgotten.
func TestWebhookGuardsEveryOfferedKind(t *testing.T) {
	t.Parallel()
	params := parameters()
	params.WebhookURL = "https://tmc.example.com:6443"
	hook := guard(t, params)
	groups, _, _ := unstructured.NestedStringSlice(hook["rules"].([]any)[0].(map[string]any), "apiGroups")
	resources, _, _ := unstructured.NestedStringSlice(hook["rules"].([]any)[0].(map[string]any), "resources")
	offered, _, _ := unstructured.NestedSlice(find(t, "APIExport", KubernetesExportName).Object, "spec", "resources")
	for _, resource := range offered {
		fields := resource.(map[string]any)
		if !slices.Contains(groups, fields["group"].(string)) || !slices.Contains(resources, fields["name"].(string)) {
			t.Errorf("%s of group %q is not guarded", fields["name"], fields["group"])
		}
	}
	if len(resources) != len(offered) {
		t.Errorf("%d resources are guarded, %d offered", len(resources), len(offered))
	}
}
