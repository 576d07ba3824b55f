// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helpers "k8s.io/component-helpers/resource"

	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/protoscan"
)

// seen is what both ways of reading a pod must agree on.
type seen struct {
	UID, Namespace, Name, ResourceVersion, NodeName string
	Ended                                           bool
	Requests                                        map[string]int64
}

// schedulerOptions are those of the scheduler's NodeInfo, with all features on.
func schedulerOptions() helpers.PodResourcesOptions {
	return helpers.PodResourcesOptions{UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true}
}

// roundUp is MilliValue for cpu and Value for anything else, except that it stays at the ends of int64 instead of
// wrapping around, and at 0.
func roundUp(name corev1.ResourceName, q resource.Quantity) int64 {
	dec := q.AsDec()
	v := new(big.Rat).SetInt(dec.UnscaledBig())
	power := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(dec.Scale(), -dec.Scale()))), nil))
	if dec.Scale() > 0 {
		power.Inv(power)
	}
	v.Mul(v, power)
	if v.Cmp(new(big.Rat).SetInt64(math.MaxInt64)) >= 0 {
		return math.MaxInt64
	}
	if name == corev1.ResourceCPU {
		v.Mul(v, new(big.Rat).SetInt64(1000))
	}
	whole, rest := new(big.Int).QuoRem(v.Num(), v.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		whole.Add(whole, big.NewInt(1))
	}
	if !whole.IsInt64() {
		return math.MaxInt64
	}
	return max(0, whole.Int64())
}

func amountsOf(list corev1.ResourceList) map[string]int64 {
	amounts := map[string]int64{}
	for name, q := range list {
		if v := roundUp(name, q); v > 0 {
			amounts[string(name)] = v
		}
	}
	return amounts
}

func readAmounts(t *testing.T, list []capacity.Amount) map[string]int64 {
	t.Helper()
	amounts := map[string]int64{}
	for _, a := range list {
		if _, twice := amounts[string(a.Name)]; twice {
			t.Errorf("resource %q was returned twice", a.Name)
		}
		amounts[string(a.Name)] = a.Value
	}
	return amounts
}

func typedPod(p *corev1.Pod) seen {
	return seen{
		UID: string(p.UID), Namespace: p.Namespace, Name: p.Name, ResourceVersion: p.ResourceVersion, NodeName: p.Spec.NodeName,
		Ended:    p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed,
		Requests: amountsOf(helpers.PodRequests(p, schedulerOptions())),
	}
}

// scannedPod scans into a buffer that earlier pods, and ones that could not be read, have used.
func scannedPod(t *testing.T, p *capacity.Pod, raw []byte) seen {
	t.Helper()
	if err := protoscan.Pod(raw, p); err != nil {
		t.Fatalf("scanning a pod that the typed decoder reads: %v", err)
	}
	return seen{
		UID: string(p.UID), Namespace: string(p.Namespace), Name: string(p.Name), ResourceVersion: string(p.ResourceVersion),
		NodeName: string(p.NodeName), Ended: p.Phase.Ended(), Requests: readAmounts(t, p.Requests),
	}
}

func comparePod(t *testing.T, into *capacity.Pod, p *corev1.Pod) {
	t.Helper()
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want := typedPod(p)
	if diff := cmp.Diff(want, scannedPod(t, into, raw)); diff != "" {
		t.Errorf("pod (-typed +scanned):\n%s\n%s", diff, p)
	}
}

func compareNode(t *testing.T, n *corev1.Node) {
	t.Helper()
	raw, err := n.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var got capacity.Node
	if err := protoscan.Node(raw, &got); err != nil {
		t.Fatalf("scanning a node that the typed decoder reads: %v", err)
	}
	ready := false
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			ready = c.Status == corev1.ConditionTrue
		}
	}
	type fields struct {
		Name, UID, RV        string
		Ready, Unschedulable bool
		Capacity, Offer      map[string]int64
	}
	want := fields{n.Name, string(n.UID), n.ResourceVersion, ready, n.Spec.Unschedulable, amountsOf(n.Status.Capacity), amountsOf(n.Status.Allocatable)}
	have := fields{
		string(got.Name), string(got.UID), string(got.ResourceVersion), got.Ready, got.Unschedulable,
		readAmounts(t, got.Capacity), readAmounts(t, got.Allocatable),
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("node (-typed +scanned):\n%s\n%s", diff, n)
	}
}

func TestRandomPodsAgreeWithTheScheduler(t *testing.T) {
	t.Parallel()
	g := newGenerator(1)
	var into capacity.Pod
	for range 4000 {
		comparePod(t, &into, g.pod())
		if t.Failed() {
			return
		}
	}
}

func TestRandomNodesAgreeWithTypedDecoding(t *testing.T) {
	t.Parallel()
	g := newGenerator(2)
	for range 2000 {
		compareNode(t, g.node())
		if t.Failed() {
			return
		}
	}
}

func newQuantity(v int64) *resource.Quantity { return resource.NewQuantity(v, resource.DecimalSI) }
