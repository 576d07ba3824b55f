// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What kubectl's commands do to a Deployment is what they do on a cluster.
func TestKubectlCommandsDoWhatTheyDoOnACluster(t *testing.T) {
	t.Parallel()
	addSidecar := func(o map[string]any) {
		podSpec(o)["containers"] = append(podSpec(o)["containers"].([]any), map[string]any{"name": "log", "image": "fluent:1"})
	}
	tests := map[string]struct {
		manager string
		change  func(map[string]any)
	}{
		"set image":         {"kubectl-set", func(o map[string]any) { container(o, 0)["image"] = "nginx:2" }},
		"set image of both": {"kubectl-set", func(o map[string]any) { container(o, 0)["image"] = "n:2"; container(o, 1)["image"] = "e:2" }},
		"set env adds": {"kubectl-set", func(o map[string]any) {
			container(o, 0)["env"] = append(container(o, 0)["env"].([]any), map[string]any{"name": "C", "value": "c"})
		}},
		"set env removes": {"kubectl-set", func(o map[string]any) { container(o, 0)["env"] = container(o, 0)["env"].([]any)[:1] }},
		"set resources": {"kubectl-set", func(o map[string]any) {
			container(o, 0)["resources"].(map[string]any)["limits"].(map[string]any)["cpu"] = "3"
		}},
		"set serviceaccount":  {"kubectl-set", func(o map[string]any) { podSpec(o)["serviceAccountName"] = "web" }},
		"edit removes fields": {"kubectl-edit", func(o map[string]any) { delete(container(o, 0), "resources"); delete(container(o, 1), "args") }},
		"edit removes a limit": {"kubectl-edit", func(o map[string]any) {
			delete(container(o, 0)["resources"].(map[string]any)["limits"].(map[string]any), "memory")
		}},
		"edit removes a container": {"kubectl-edit", func(o map[string]any) { podSpec(o)["containers"] = podSpec(o)["containers"].([]any)[:1] }},
		"edit adds a container":    {"kubectl-edit", addSidecar},
		"edit renames a container": {"kubectl-edit", func(o map[string]any) { container(o, 1)["name"] = "proxy" }},
		"edit changes the kind of a volume": {"kubectl-edit", func(o map[string]any) {
			podSpec(o)["volumes"].([]any)[1] = map[string]any{"name": "config", "secret": map[string]any{"secretName": "s"}}
		}},
		"edit reorders init containers": {"kubectl-edit", func(o map[string]any) {
			list := podSpec(o)["initContainers"].([]any)
			list[0], list[1] = list[1], list[0]
		}},
		"edit removes all volumes": {"kubectl-edit", func(o map[string]any) {
			delete(podSpec(o), "volumes")
			delete(container(o, 0), "volumeMounts")
		}},
		"edit changes tolerations": {"kubectl-edit", func(o map[string]any) { podSpec(o)["tolerations"] = []any{map[string]any{"key": "x"}} }},
		"edit puts an env variable in front": {"kubectl-edit", func(o map[string]any) {
			container(o, 0)["env"] = append([]any{map[string]any{"name": "Z", "value": "z"}}, container(o, 0)["env"].([]any)...)
		}},
		"rollout restart": {"kubectl-rollout", func(o map[string]any) {
			_ = unstructured.SetNestedField(o, "now", "spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
		}},
		"label":       {"kubectl-label", func(o map[string]any) { _ = unstructured.SetNestedField(o, "b", "metadata", "labels", "a") }},
		"helm":        {"helm", func(o map[string]any) { container(o, 0)["image"] = "nginx:2" }},
		"declared":    {"tmc-strategic-robot", func(o map[string]any) { container(o, 0)["image"] = "nginx:2" }},
		"by a delete": {"a program", func(o map[string]any) { podSpec(o)["containers"] = podSpec(o)["containers"].([]any)[:1] }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := parse(t, deployment)
			patch := twoWay(t, old, with(old, test.change))
			got := inKCP(t, old, patch)
			verdict := review(t, test.manager, old, got)
			if verdict.Outcome == Refused {
				t.Fatalf("refused: %s", verdict.Message)
			}
			if verdict.Outcome == Mended {
				got = verdict.Object.Object
				delete(got["metadata"].(map[string]any), "managedFields")
			}
			if diff := cmp.Diff(sorted(onCluster(t, old, patch)), sorted(got)); diff != "" {
				t.Errorf("patch %s by %s (-on a cluster +here):\n%s", patch, test.manager, diff)
			}
		})
	}
}

// kubectl apply is exact down to the order of lists, also by programs with names of their own.
func TestClientSideApply(t *testing.T) {
	t.Parallel()
	old := parse(t, deployment)
	delete(old["metadata"].(map[string]any), "uid")
	config := clone(old)
	tests := map[string]struct {
		last   map[string]any
		config map[string]any
		live   func(map[string]any)
	}{
		"image":           {config, with(config, func(o map[string]any) { container(o, 0)["image"] = "nginx:2" }), nil},
		"first apply":     {nil, with(config, func(o map[string]any) { container(o, 1)["image"] = "envoy:2" }), nil},
		"removes a field": {config, with(config, func(o map[string]any) { delete(container(o, 0), "resources") }), nil},
		"removes an item": {config, with(config, func(o map[string]any) { podSpec(o)["containers"] = podSpec(o)["containers"].([]any)[1:] }), nil},
		"adds an init container in front": {config, with(config, func(o map[string]any) {
			podSpec(o)["initContainers"] = append([]any{map[string]any{"name": "first", "image": "f:1"}}, podSpec(o)["initContainers"].([]any)...)
		}), nil},
		"keeps what others added": {config, with(config, func(o map[string]any) { container(o, 0)["image"] = "nginx:2" }), func(o map[string]any) {
			podSpec(o)["containers"] = append(podSpec(o)["containers"].([]any), map[string]any{"name": "injected", "image": "i:1"})
		}},
		"undoes drift": {config, config, func(o map[string]any) { container(o, 0)["image"] = "other" }},
	}
	for name, test := range tests {
		for _, manager := range []string{"kubectl-client-side-apply", "argocd-controller"} {
			t.Run(name+" by "+manager, func(t *testing.T) {
				t.Parallel()
				live := clone(old)
				if test.last != nil {
					live = applied(t, live, test.last)
				}
				if test.live != nil {
					test.live(live)
				}
				_ = unstructured.SetNestedField(live, "u-1", "metadata", "uid")
				patch := threeWay(t, live, test.last, test.config)
				verdict := review(t, manager, live, inKCP(t, live, patch))
				if verdict.Outcome != Mended {
					t.Fatalf("outcome %s: %s", verdict.Outcome, verdict.Message)
				}
				delete(verdict.Object.Object["metadata"].(map[string]any), "managedFields")
				if diff := cmp.Diff(onCluster(t, live, patch), withDefaults(verdict.Object.Object)); diff != "" {
					t.Errorf("patch %s (-on a cluster +here):\n%s", patch, diff)
				}
			})
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		object  string
		manager string
		patch   string
		want    []string
	}{
		"kubectl patch": {deployment, "kubectl-patch", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"x"}]}}}}`, []string{
			`deployments.apps "web"`, "spec.template.spec.containers[sidecar]", "Nothing was changed",
			"kubectl apply --server-side", "--field-manager=tmc-strategic", "--field-manager=tmc-exact",
		}},
		"a program without a name": {deployment, "", `{"spec":{"template":{"spec":{"volumes":[{"name":"data","emptyDir":{"medium":"Memory"}}]}}}}`, []string{"volumes[config]"}},
		"a list emptied":           {deployment, "x", `{"spec":{"template":{"spec":{"volumes":[]}}}}`, []string{"volumes[config], spec.template.spec.volumes[data]"}},
		"a Service":                {service, "kubectl-patch", `{"spec":{"ports":[{"port":80,"targetPort":9090}]}}`, []string{`services "web"`, "spec.ports[53]", "spec.ports[80].name"}},
		"a protocol that was filled in": {service, "kubectl-edit", `{"spec":{"ports":[{"port":53,"targetPort":1}]}}`, []string{
			"whether spec.ports[53].protocol is to become TCP cannot be told", "kubectl replace",
		}},
		"an init container without its place": {deployment, "kubectl-edit", `{"spec":{"template":{"spec":{"initContainers":[{"name":"first","image":"f"}]}}}}`, []string{
			"adds spec.template.spec.initContainers[first]", "order",
		}},
		"no merge key": {deployment, "kubectl-edit", `{"spec":{"template":{"spec":{"containers":[{"image":"f","args":null}]}}}}`, []string{"cannot be merged"}},
		"a finalizer":  {strings.Replace(deployment, "uid: u-1", "uid: u-1, finalizers: [tmc.kcp.io/sync]", 1), "x", `{"metadata":{"finalizers":["b"]}}`, []string{"metadata.finalizers[tmc.kcp.io/sync]"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := parse(t, test.object)
			verdict := review(t, test.manager, old, inKCP(t, old, []byte(test.patch)))
			if verdict.Outcome != Refused {
				t.Fatalf("outcome %s, object %v", verdict.Outcome, verdict.Object)
			}
			for _, want := range test.want {
				if !strings.Contains(verdict.Message, want) {
					t.Errorf("the message lacks %q: %s", want, verdict.Message)
				}
			}
		})
	}
}

// Two ports of one number cannot be told apart by the merge key.
func TestTwins(t *testing.T) {
	t.Parallel()
	twins := with(parse(t, service), func(o map[string]any) {
		o["spec"].(map[string]any)["ports"].([]any)[0].(map[string]any)["port"] = int64(53)
	})
	changed := with(twins, func(o map[string]any) {
		o["spec"].(map[string]any)["ports"].([]any)[1].(map[string]any)["targetPort"] = int64(7)
	})
	if verdict := review(t, "anybody", twins, changed); verdict.Outcome != Untouched {
		t.Errorf("a change that loses nothing: %s %s", verdict.Outcome, verdict.Message)
	}
	changed["spec"].(map[string]any)["ports"] = changed["spec"].(map[string]any)["ports"].([]any)[1:]
	for _, manager := range []string{"anybody", "kubectl-edit"} {
		if verdict := review(t, manager, twins, changed); verdict.Outcome != Refused {
			t.Errorf("a change by %s that loses one: %s", manager, verdict.Outcome)
		}
	}
	delete(changed["spec"].(map[string]any)["ports"].([]any)[0].(map[string]any), "protocol")
	if verdict := review(t, "anybody", twins, changed); verdict.Outcome != Refused {
		t.Errorf("a change without a protocol: %s", verdict.Outcome)
	}
}

// entry is a line of managedFields.
func entry(manager, operation, fields string) map[string]any {
	return map[string]any{"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": map[string]any{fields: map[string]any{}}}
}

func managed(object map[string]any, list ...any) map[string]any {
	return with(object, func(o map[string]any) { o["metadata"].(map[string]any)["managedFields"] = list })
}

func TestWritesThatAreMeantAsTheyAre(t *testing.T) {
	t.Parallel()
	old := parse(t, deployment)
	fewer := with(old, func(o map[string]any) { podSpec(o)["containers"] = podSpec(o)["containers"].([]any)[:1] })
	finalized := with(old, func(o map[string]any) {
		_ = unstructured.SetNestedStringSlice(o, []string{"a", "b"}, "metadata", "finalizers")
	})
	tests := map[string]struct {
		manager    string
		old, after map[string]any
		want       Outcome
	}{
		"replace":                   {"kubectl-replace", old, fewer, Untouched},
		"declared":                  {"tmc-exact", old, fewer, Untouched},
		"declared with more":        {"tmc-exact-robot", old, fewer, Untouched},
		"a name that starts alike":  {"tmc-exactly", old, fewer, Refused},
		"from a file":               {"anybody", old, with(fewer, func(o map[string]any) { delete(o["metadata"].(map[string]any), "uid") }), Untouched},
		"nothing lost":              {"anybody", old, with(old, func(o map[string]any) { container(o, 0)["image"] = "x" }), Untouched},
		"another order":             {"anybody", old, with(old, func(o map[string]any) { l := podSpec(o)["volumes"].([]any); l[0], l[1] = l[1], l[0] }), Untouched},
		"a list removed":            {"anybody", old, with(old, func(o map[string]any) { delete(podSpec(o), "volumes") }), Untouched},
		"a list that is not merged": {"anybody", old, with(old, func(o map[string]any) { podSpec(o)["tolerations"] = []any{} }), Untouched},
		"a finalizer removed": {"anybody", finalized, with(finalized, func(o map[string]any) {
			_ = unstructured.SetNestedStringSlice(o, []string{"a"}, "metadata", "finalizers")
		}), Untouched},
		"a finalizer added": {"anybody", finalized, with(finalized, func(o map[string]any) {
			_ = unstructured.SetNestedStringSlice(o, []string{"a", "b", "c"}, "metadata", "finalizers")
		}), Untouched},
		"finalizers replaced": {"anybody", finalized, with(finalized, func(o map[string]any) {
			_ = unstructured.SetNestedStringSlice(o, []string{"c"}, "metadata", "finalizers")
		}), Refused},
		"applied by the server":      {"gitops", managed(old, entry("gitops", "Apply", "f:a")), managed(fewer, entry("gitops", "Apply", "f:b")), Untouched},
		"first applied":              {"gitops", managed(old), managed(fewer, entry("gitops", "Apply", "f:b")), Untouched},
		"updated by who applied":     {"gitops", managed(old, entry("gitops", "Apply", "f:a")), managed(fewer, entry("gitops", "Apply", "f:b"), entry("gitops", "Update", "f:c")), Refused},
		"applied by who updated":     {"gitops", managed(old, entry("gitops", "Apply", "f:a"), entry("gitops", "Update", "f:c")), managed(fewer, entry("gitops", "Apply", "f:b"), entry("gitops", "Update", "f:c")), Untouched},
		"applied by somebody else":   {"anybody", managed(old), managed(fewer, entry("gitops", "Apply", "f:b")), Refused},
		"no name, applied by nobody": {"", managed(old), managed(fewer, entry("", "Apply", "f:b")), Refused},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if verdict := review(t, test.manager, test.old, test.after); verdict.Outcome != test.want {
				t.Errorf("outcome %s, want %s: %s", verdict.Outcome, test.want, verdict.Message)
			}
		})
	}
}

func TestWhatIsNoneOfTheGuardsBusiness(t *testing.T) {
	t.Parallel()
	old := parse(t, deployment)
	fewer := with(old, func(o map[string]any) { podSpec(o)["containers"] = podSpec(o)["containers"].([]any)[:1] })
	tests := map[string]func(*admissionv1.AdmissionRequest){
		"creation":  func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Create },
		"deletion":  func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Delete },
		"status":    func(r *admissionv1.AdmissionRequest) { r.SubResource = "status" },
		"own kinds": func(r *admissionv1.AdmissionRequest) { r.Kind.Group = "tmc.kcp.io" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(t, "anybody", old, fewer)
			change(r)
			verdict, err := Review(r)
			if err != nil || verdict.Outcome != Untouched {
				t.Errorf("verdict %v, error %v", verdict, err)
			}
		})
	}
}

// Where a warning is due, it says what happened.
func TestAddedItemsComeLast(t *testing.T) {
	t.Parallel()
	old := parse(t, deployment)
	patch := `{"spec":{"template":{"spec":{"containers":[{"name":"log","image":"f"}]}}}}`
	verdict := review(t, "kubectl-edit", old, inKCP(t, old, []byte(patch)))
	if verdict.Outcome != Mended || len(verdict.Warnings) != 1 || !strings.Contains(verdict.Warnings[0], "containers[log] was put at the end") {
		t.Errorf("verdict %+v", verdict)
	}
}

// A later server-side apply removes what it should: the owner of fields that a patch did not mention is not forgotten.
func TestManagedFieldsAreThoseOfACluster(t *testing.T) {
	t.Parallel()
	old := parse(t, deployment)
	owned := map[string]any{
		"manager": "gitops", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
		"fieldsV1": parse(t, `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:name":{},"f:image":{}},"k:{\"name\":\"sidecar\"}":{".":{},"f:name":{},"f:image":{}}}}}}}`),
	}
	old = managed(old, owned)
	for name, manager := range map[string]string{"named": "kubectl-set", "found in the books": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := inKCP(t, old, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"nginx:2","args":null}]}}}}`))
			after = managed(after, entry("gitops", "Apply", "f:less"), entry("kubectl-set", "Update", "f:more"))
			verdict := review(t, manager, old, after)
			if verdict.Outcome != Mended {
				t.Fatalf("outcome %s: %s", verdict.Outcome, verdict.Message)
			}
			got := map[string]string{}
			for _, e := range verdict.Object.GetManagedFields() {
				got[e.Manager+" "+string(e.Operation)] = string(e.FieldsV1.Raw)
			}
			want := map[string]string{
				"gitops Apply":       `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:name":{}},"k:{\"name\":\"sidecar\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`,
				"kubectl-set Update": `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{"f:image":{}}}}}}}`,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("managed fields (-want +got):\n%s", diff)
			}
		})
	}
}
