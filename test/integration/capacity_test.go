// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/test/integration/framework"
)

// recount adds up a member's nodes and pods from kubectl's JSON, in the plainest way there is: it shares no code with
// the server, and knows only containers' requests.
type recount struct {
	capacity, allocatable, allocated, allocating map[corev1.ResourceName]*resource.Quantity
	nodes, ready, bound, pending                 int64
}

func recountMember(t testing.TB, member string) recount {
	t.Helper()
	kubectl := suite.MemberKubectl(t, member)
	var nodes corev1.NodeList
	var pods corev1.PodList
	for resourceName, list := range map[string]any{"nodes": &nodes, "pods": &pods} {
		if err := json.Unmarshal([]byte(kubectl.MustRun(t, "get", resourceName, "-A", "-o", "json")), list); err != nil {
			t.Fatalf("decoding %s of %s: %v", resourceName, member, err)
		}
	}
	count := recount{
		capacity: map[corev1.ResourceName]*resource.Quantity{}, allocatable: map[corev1.ResourceName]*resource.Quantity{},
		allocated: map[corev1.ResourceName]*resource.Quantity{}, allocating: map[corev1.ResourceName]*resource.Quantity{},
	}
	for i := range nodes.Items {
		count.addNode(&nodes.Items[i])
	}
	for i := range pods.Items {
		count.addPod(&pods.Items[i])
	}
	return count
}

func add(sums map[corev1.ResourceName]*resource.Quantity, list corev1.ResourceList) {
	for name, quantity := range list {
		if sums[name] == nil {
			sums[name] = &resource.Quantity{}
		}
		sums[name].Add(quantity)
	}
}

func (r *recount) addNode(node *corev1.Node) {
	r.nodes++
	add(r.capacity, node.Status.Capacity)
	add(r.allocatable, node.Status.Allocatable)
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			r.ready++
		}
	}
}

func (r *recount) addPod(pod *corev1.Pod) {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return
	}
	sums := r.allocating
	if pod.Spec.NodeName == "" {
		r.pending++
	} else {
		r.bound++
		sums = r.allocated
	}
	for i := range pod.Spec.Containers {
		add(sums, pod.Spec.Containers[i].Resources.Requests)
	}
}

// differs tells how a row differs from the recount.
func (r recount) differs(row *tmcv1alpha1.ClusterStatus) error {
	if row.Status.Nodes == nil || row.Status.Pods == nil {
		return fmt.Errorf("nodes or pods are not known: %+v", row.Status)
	}
	got := []int64{row.Status.Nodes.Total, row.Status.Nodes.Ready, row.Status.Pods.Bound, row.Status.Pods.Pending}
	if want := []int64{r.nodes, r.ready, r.bound, r.pending}; !slices.Equal(got, want) {
		return fmt.Errorf("nodes, ready, bound, pending are %v, want %v", got, want)
	}
	for what, pair := range map[string]struct {
		got  corev1.ResourceList
		want map[corev1.ResourceName]*resource.Quantity
	}{
		"capacity":    {row.Status.Capacity, r.capacity},
		"allocatable": {row.Status.Allocatable, r.allocatable},
		"allocated":   {row.Status.Allocated, r.allocated},
		"allocating":  {row.Status.Allocating, r.allocating},
	} {
		if err := equal(what, pair.got, pair.want); err != nil {
			return err
		}
	}
	return r.availableDiffers(row)
}

func equal(what string, got corev1.ResourceList, want map[corev1.ResourceName]*resource.Quantity) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if quantity := got[name]; quantity.Cmp(*want[name]) != 0 {
			return fmt.Errorf("%s of %s is %s, want %s", what, name, quantity.String(), want[name])
		}
	}
	for name, quantity := range got {
		// A pod takes one of the resource pods, which no container requests.
		if want[name] == nil && !quantity.IsZero() && name != corev1.ResourcePods {
			return fmt.Errorf("%s has %s=%s, which is not there", what, name, quantity.String())
		}
	}
	return nil
}

func (r recount) availableDiffers(row *tmcv1alpha1.ClusterStatus) error {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		want := r.allocatable[name].DeepCopy()
		for _, taken := range []*resource.Quantity{r.allocated[name], r.allocating[name]} {
			if taken != nil {
				want.Sub(*taken)
			}
		}
		// Other tests place work here, and what they were promised is not there yet.
		want.Sub(row.Status.Assumed[name])
		if got := row.Status.Available[name]; got.Cmp(want) != 0 {
			return fmt.Errorf("available %s is %s, want %s", name, got.String(), want.String())
		}
	}
	return nil
}

func waitForRecount(t *testing.T, tenant *framework.Tenant, member string) {
	t.Helper()
	framework.Eventually(t, "the sums of "+member+" to equal an independent recount", framework.MemberTimeout, func(ctx context.Context) error {
		count := recountMember(t, member)
		row, err := tenant.Client.Status(ctx, member)
		if err != nil {
			return err
		}
		return count.differs(row)
	})
}

// TestSumsEqualAnIndependentRecount also creates and deletes 500 pods, on a member of its own: while they come, a recount
// of theirs is old before it is done.
func TestSumsEqualAnIndependentRecount(t *testing.T) {
	t.Parallel()
	for _, member := range sharedMembers {
		t.Run(member, func(t *testing.T) {
			t.Parallel()
			waitForRecount(t, suite.Acme, member)
		})
	}
	t.Run("after 500 pods came and went", func(t *testing.T) {
		t.Parallel()
		const member, pods = spareMember, 500
		tenant := suite.NewTenant(t, "churn")
		takeSpare(t, map[*framework.Tenant][]string{tenant: {member}})
		suite.Register(t, tenant, member)
		client := suite.MemberClient(t, member)
		namespace := makeNamespace(t, client, "churn")
		for i := range pods {
			if _, err := client.CoreV1().Pods(namespace).Create(t.Context(), churnPod(i), metav1.CreateOptions{}); err != nil {
				t.Fatalf("creating pod %d: %v", i, err)
			}
		}
		waitForRecount(t, tenant, member)
		if err := client.CoreV1().Pods(namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			t.Fatalf("deleting the pods: %v", err)
		}
		framework.Eventually(t, "the pods to be gone", framework.MemberTimeout, func(ctx context.Context) error {
			list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 1})
			if err == nil && len(list.Items) > 0 {
				err = fmt.Errorf("pod %s is still there", list.Items[0].Name)
			}
			return err
		})
		waitForRecount(t, tenant, member)
	})
}

func churnPod(i int) *corev1.Pod {
	grace := int64(0)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("churn-%d", i)},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{
				Name: "main", Image: "registry.example/app:1",
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
					corev1.ResourceCPU:    *resource.NewMilliQuantity(int64(1+i%3), resource.DecimalSI),
					corev1.ResourceMemory: *resource.NewQuantity(int64(1+i%5)<<20, resource.BinarySI),
				}},
			}},
		},
	}
}

func makeNamespace(t *testing.T, client kubernetes.Interface, prefix string) string {
	t.Helper()
	created, err := client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating a namespace: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := client.CoreV1().Namespaces().Delete(ctx, created.Name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("deleting namespace %s: %v", created.Name, err)
		}
	})
	// Pods need the default ServiceAccount, which a controller makes.
	framework.Eventually(t, "the default ServiceAccount", framework.MemberTimeout, func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(created.Name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return created.Name
}
