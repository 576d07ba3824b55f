// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// scramble changes a Deployment in a few random places: items and fields come, change and go.
func scramble(r *rand.Rand, object map[string]any) {
	for range 1 + r.IntN(3) {
		spec := podSpec(object)
		containers := spec["containers"].([]any)
		c := containers[r.IntN(len(containers))].(map[string]any)
		switch r.IntN(9) {
		case 0:
			c["image"] = fmt.Sprintf("i:%d", r.IntN(99))
		case 1:
			env, _ := c["env"].([]any)
			at := r.IntN(len(env) + 1)
			added := map[string]any{"name": fmt.Sprintf("E%d", r.IntN(9999)), "value": "x"}
			c["env"] = append(append(append([]any{}, env[:at]...), added), env[at:]...)
		case 2:
			if env, _ := c["env"].([]any); len(env) > 0 {
				at := r.IntN(len(env))
				c["env"] = append(append([]any{}, env[:at]...), env[at+1:]...)
			}
		case 3:
			delete(c, []string{"resources", "args", "ports", "volumeMounts", "env"}[r.IntN(5)])
		case 4:
			if len(containers) > 1 {
				spec["containers"] = containers[:len(containers)-1]
			}
		case 5:
			spec["containers"] = append(append([]any{}, containers...), map[string]any{"name": fmt.Sprintf("c%d", r.IntN(9999)), "image": "x"})
		case 6:
			r.Shuffle(len(containers), func(i, j int) { containers[i], containers[j] = containers[j], containers[i] })
		case 7:
			c["resources"] = map[string]any{"limits": map[string]any{"cpu": "7"}}
		case 8:
			volumes, _ := spec["volumes"].([]any)
			spec["volumes"] = append(append([]any{}, volumes...), map[string]any{"name": fmt.Sprintf("v%d", r.IntN(9999)), "emptyDir": map[string]any{}})
		}
	}
}

// An edit is refused, or it becomes what it becomes on a cluster.
func FuzzEdit(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 7))
		old := parse(t, deployment)
		modified := with(old, func(o map[string]any) { scramble(r, o) })
		patch := twoWay(t, old, modified)
		got := inKCP(t, old, patch)
		for _, manager := range []string{"kubectl-edit", "anybody"} {
			verdict := review(t, manager, old, got)
			stored := got
			switch verdict.Outcome {
			case Refused:
				if manager == "kubectl-edit" {
					t.Errorf("refused %s: %s", patch, verdict.Message)
				}
				continue
			case Mended:
				stored = verdict.Object.Object
				delete(stored["metadata"].(map[string]any), "managedFields")
			case Untouched:
			}
			if diff := cmp.Diff(sorted(onCluster(t, old, patch)), sorted(stored)); diff != "" {
				t.Errorf("patch %s by %s, %s (-on a cluster +here):\n%s", patch, manager, verdict.Outcome, diff)
			}
		}
	})
}

// SEC-20: whatever JSON the objects are, there is an answer or an error, and an answer can be encoded.
func FuzzHostileObjects(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `{"spec":[]}`, `{"spec":{"template":7}}`, `{"metadata":[]}`, `{"metadata":{"finalizers":{},"managedFields":[1,{"manager":[]}]}}`,
		`{"spec":{"template":{"spec":{"containers":[null,1,"a",[],{"name":{}},{"$patch":"replace"}]}}}}`,
		`{"spec":{"template":{"spec":{"containers":[{"name":"a","env":{}},{"name":"a","$setElementOrder/env":7}]}}}}`,
		`{"spec":{"template":{"spec":{"containers":[{"$patch":"bogus","name":"a"}],"volumes":[{"name":"v","$retainKeys":[{}]}]}}}}`,
		`{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\\"spec\\":[]}"}},"spec":{"template":{"spec":{"containers":[]}}}}`,
	} {
		f.Add([]byte(text), []byte(text), "kubectl-edit")
		f.Add([]byte(`{"metadata":{"uid":"u"},"spec":{"template":{"spec":{"containers":[{"name":"a","image":"x","env":[{"name":"A"}]},{"name":"b"}]}}}}`), []byte(text), "")
	}
	f.Fuzz(func(t *testing.T, old, updated []byte, manager string) {
		r := request(t, manager, parse(t, deployment), parse(t, deployment))
		r.OldObject, r.Object = runtime.RawExtension{Raw: old}, runtime.RawExtension{Raw: updated}
		verdict, err := Review(r)
		if err != nil {
			return
		}
		if _, err := respond(&admissionv1.AdmissionReview{Request: r}, verdict); err != nil {
			t.Errorf("encoding the answer: %v", err)
		}
	})
}

// SEC-20: merging costs the product of lengths, so that lengths are bounded.
func TestHostileListsAreBounded(t *testing.T) {
	t.Parallel()
	list := func(length int, image string) map[string]any {
		return with(parse(t, deployment), func(o map[string]any) {
			env := make([]any, length)
			for i := range env {
				env[i] = map[string]any{"name": fmt.Sprint("E", i), "value": image}
			}
			container(o, 0)["env"] = env
			container(o, 0)["image"] = image
		})
	}
	if verdict := review(t, "anybody", list(maxListItems+1, "a"), list(maxListItems+1, "b")); verdict.Outcome != Refused || !strings.Contains(verdict.Message, "--server-side") {
		t.Errorf("a list that is too long: %s %s", verdict.Outcome, verdict.Message)
	}
	if verdict := review(t, "anybody", list(maxListItems, "a"), list(maxListItems, "b")); verdict.Outcome != Untouched {
		t.Errorf("the longest list: %s %s", verdict.Outcome, verdict.Message)
	}
	long := applied(t, list(1, "a"), list(maxListItems+1, "b"))
	if verdict := review(t, "anybody", long, with(long, func(o map[string]any) { podSpec(o)["containers"] = podSpec(o)["containers"].([]any)[:1] })); verdict.Outcome != Refused {
		t.Errorf("an applied configuration that is too long: %s", verdict.Outcome)
	}
}

func TestNothingIsChangedInPlace(t *testing.T) {
	t.Parallel()
	old := parse(t, deployment)
	updated := inKCP(t, old, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"app","args":null}]}}}}`))
	r := request(t, "kubectl-edit", old, updated)
	before, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Review(r)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Review(r)
	if err != nil {
		t.Fatal(err)
	}
	first.Object.SetManagedFields(nil) // they carry the time
	second.Object.SetManagedFields(nil)
	if after, err := json.Marshal(r); err != nil || string(after) != string(before) || !reflect.DeepEqual(first, second) {
		t.Error("a second review differs from the first")
	}
}
