// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/transform"
)

// placeTimeout is how long anything may take before it counts as lost.
const placeTimeout = 5 * time.Minute

// object names an object of the tenant's workspace.
type object struct{ namespace, name string }

func (o object) String() string { return o.namespace + "/" + o.name }

// memberNamespace is the namespace that the object's copies are in.
func (o object) memberNamespace() string {
	return transform.NamespaceName(logicalcluster.Name(stage.tenant.Cluster), o.namespace)
}

// onMembers is what the object's copies are called.
func (o object) onMembers() string { return o.memberNamespace() + "/" + o.name }

// deploymentOf is a workload of usual make. It has no replicas unless the benchmark is about their pods: on one machine
// the members' own work for thousands of pods would be all that is measured.
func deploymentOf(o object, replicas int) *unstructured.Unstructured {
	labels := map[string]any{"app": o.name}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"namespace": o.namespace, "name": o.name, "labels": labels},
		"spec": map[string]any{
			"replicas": int64(replicas), "selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec":     map[string]any{"containers": containers(1)},
			},
		},
	}}
}

func containers(number int) []any {
	return []any{map[string]any{
		"name": "web", "image": fmt.Sprintf("%s%d", imagePrefix, number),
		"ports":     []any{map[string]any{"containerPort": int64(8080), "protocol": "TCP"}},
		"env":       []any{map[string]any{"name": "LOG_LEVEL", "value": "info"}},
		"resources": map[string]any{"requests": map[string]any{"cpu": "10m", "memory": "16Mi"}},
	}}
}

func placementOf(o object, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": tmcv1alpha1.SchemeGroupVersion().String(), "kind": "Placement",
		"metadata": map[string]any{"namespace": o.namespace, "name": o.name}, "spec": spec,
	}}
}

// selecting places one Deployment alone.
func selecting(name string) map[string]any {
	return map[string]any{"resourceSelectors": []any{map[string]any{"kind": "Deployment", "name": name}}}
}

func makeNamespace(b *testing.B, name string) {
	b.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := tenantCore(b).CoreV1().Namespaces().Create(b.Context(), namespace, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	eventually(b, "namespace "+name+" to take Deployments", func(ctx context.Context) error {
		_, err := tenantDynamic(b).Resource(deployments()).Namespace(name).List(ctx, metav1.ListOptions{})
		return err
	})
}

// create creates Deployments with many clients at once, which share a connection.
func create(b *testing.B, clients int, all []object, replicas int) {
	b.Helper()
	d := tenantDynamic(b)
	todo := make(chan object, len(all))
	for _, o := range all {
		todo <- o
	}
	close(todo)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for o := range todo {
				if _, err := d.Resource(deployments()).Namespace(o.namespace).Create(b.Context(), deploymentOf(o, replicas), metav1.CreateOptions{}); err != nil {
					b.Errorf("creating %s: %v", o, err)
				}
			}
		})
	}
	group.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

func place(b *testing.B, o object, spec map[string]any) {
	b.Helper()
	if _, err := tenantDynamic(b).Resource(placements()).Namespace(o.namespace).Create(b.Context(), placementOf(o, spec), metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
}

// edit gives a Deployment another image, as a tool does that knows the whole list of containers.
func edit(ctx context.Context, d dynamic.Interface, o object, number int) error {
	u := unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": containers(number)}}},
	}}
	patch, err := u.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encoding the edit of %s: %w", o, err)
	}
	if _, err := d.Resource(deployments()).Namespace(o.namespace).Patch(ctx, o.name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("editing %s: %w", o, err)
	}
	return nil
}

// apply does as edit by server-side apply, which kcp takes also while the server that guards patches is away.
func apply(ctx context.Context, d dynamic.Interface, o object, number int) error {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"namespace": o.namespace, "name": o.name},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": containers(number)}}},
	}}
	options := metav1.ApplyOptions{FieldManager: "bench", Force: true}
	if _, err := d.Resource(deployments()).Namespace(o.namespace).Apply(ctx, o.name, u, options); err != nil {
		return fmt.Errorf("applying %s: %w", o, err)
	}
	return nil
}

// paced calls something at a rate, each time in a goroutine of its own: it does not wait for what is slow. It returns
// once all calls have.
func paced(b *testing.B, count int, perSecond float64, call func(i int)) {
	b.Helper()
	var group sync.WaitGroup
	begin := time.Now()
	for i := range count {
		if b.Failed() {
			break // kcp takes no more; the rest would say the same
		}
		linger(b, time.Until(begin.Add(time.Duration(float64(i)/perSecond*float64(time.Second)))))
		group.Go(func() { call(i) })
	}
	group.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// numbered are the names of many objects.
func numbered(namespace, prefix string, count int) []object {
	all := make([]object, 0, count)
	for i := range count {
		all = append(all, object{namespace, fmt.Sprintf("%s-%04d", prefix, i)})
	}
	return all
}
