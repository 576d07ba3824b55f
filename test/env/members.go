// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kcp-dev/tmc/test/env/proc"
)

// AliveLabel, with the value AliveValue, marks the nodes whose kubelet is played. Without it a kubelet is silent.
const (
	AliveLabel = "tmc.test/kubelet"
	AliveValue = "alive"
)

// GPUResource is the extended resource that some nodes of member east have.
const GPUResource = "example.com/gpu"

const podsPerNode = "110"

// nodePool is a group of equal nodes of a member.
type nodePool struct {
	name, zone, cpu, memory string
	count                   int
	gpus                    string
	taints                  []corev1.Taint
}

// memberPlan says what a member looks like.
type memberPlan struct {
	region string
	pools  []nodePool
}

// Labels that describe a member to those who select it.
func (p memberPlan) labels() map[string]string {
	return map[string]string{corev1.LabelTopologyRegion: p.region, corev1.LabelTopologyZone: p.pools[0].zone}
}

// memberNames lists the first n members.
func memberNames(n int) []string {
	names := []string{"east", "west", "edge"}
	for i := len(names); i < n; i++ {
		names = append(names, "m"+strconv.Itoa(i+1))
	}
	return names[:n]
}

// planFor says what the member of that name looks like. Sizes, zones and regions differ on purpose.
func planFor(name string) memberPlan {
	switch name {
	case "east":
		return memberPlan{region: "eu-east", pools: []nodePool{
			{name: "a", zone: "eu-east-1a", cpu: "8", memory: "32Gi", count: 2},
			{name: "b", zone: "eu-east-1b", cpu: "8", memory: "32Gi", count: 2},
			{name: "gpu", zone: "eu-east-1b", cpu: "16", memory: "64Gi", count: 1, gpus: "4"},
		}}
	case "west":
		return memberPlan{region: "us-west", pools: []nodePool{
			{name: "a", zone: "us-west-2a", cpu: "16", memory: "64Gi", count: 2},
			{name: "batch", zone: "us-west-2b", cpu: "32", memory: "128Gi", count: 1, taints: []corev1.Taint{
				{Key: "dedicated", Value: "batch", Effect: corev1.TaintEffectNoSchedule},
			}},
		}}
	case "edge":
		return memberPlan{region: "edge", pools: []nodePool{{name: "box", zone: "edge-1", cpu: "2", memory: "4Gi", count: 2}}}
	default:
		return memberPlan{region: "lab", pools: []nodePool{{name: "n", zone: "lab-" + name, cpu: "4", memory: "16Gi", count: 3}}}
	}
}

// nodes are the objects to create, with their status.
func (p memberPlan) nodes(member string) []*corev1.Node {
	var nodes []*corev1.Node
	for _, pool := range p.pools {
		for i := range pool.count {
			name := fmt.Sprintf("%s-%s-%d", member, pool.name, i+1)
			resources := corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse(pool.cpu),
				corev1.ResourceMemory: resource.MustParse(pool.memory),
				corev1.ResourcePods:   resource.MustParse(podsPerNode),
			}
			if pool.gpus != "" {
				resources[GPUResource] = resource.MustParse(pool.gpus)
			}
			nodes = append(nodes, &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
					AliveLabel: AliveValue, corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
					corev1.LabelTopologyRegion: p.region, corev1.LabelTopologyZone: pool.zone,
					corev1.LabelInstanceTypeStable: "cpu" + pool.cpu,
				}},
				Spec:   corev1.NodeSpec{Taints: pool.taints},
				Status: corev1.NodeStatus{Capacity: resources, Allocatable: resources},
			})
		}
	}
	return nodes
}

func (l layout) memberSpec(s *state, m memberState) proc.Spec {
	return proc.Spec{
		Name: processMember + m.Name, Path: filepath.Join(s.MemberBin, "member"),
		Env: []string{"KWOK_WORKDIR=" + l.memberDir(m.Name)}, // a kwok.yaml of the user must not change the cluster
		Args: []string{
			"--pki-dir=" + l.memberDir(m.Name), "--data-dir=" + filepath.Join(l.memberDir(m.Name), "data"),
			fmt.Sprintf("--api-port=%d", m.Port), fmt.Sprintf("--etcd-client-port=%d", m.EtcdPort),
			fmt.Sprintf("--etcd-peer-port=%d", m.EtcdPeerPort), fmt.Sprintf("--kubelet-port=%d", m.KubeletPort),
			"--pod-cidr=" + m.PodCIDR,
		},
	}
}

// StartMember starts one of the LateMembers, and waits until it is ready. One that runs is waited for alone.
func (e *Environment) StartMember(ctx context.Context, name string) error {
	e.lateMu.Lock() // one after the other: an API server that gets too little of the processor gives up
	defer e.lateMu.Unlock()
	i := slices.IndexFunc(e.state.Members, func(m memberState) bool { return m.Name == name })
	if i < 0 {
		return fmt.Errorf("starting member %q: there are only %d members", name, len(e.state.Members))
	}
	m := e.state.Members[i]
	switch p, err := e.table.Find(processMember + name); {
	case errors.Is(err, os.ErrNotExist):
		return e.startLate(ctx, m)
	case err != nil:
		return err
	case !p.Running():
		return fmt.Errorf("starting member %s: it was started before, and has ended", name)
	default:
		return e.awaitMember(ctx, p, m)
	}
}

// lateAttempts is how often a late member is started at most. Its API server ends by itself if it cannot store the first
// roles within 30 s (rbac/bootstrap-roles), as beside tests that use all processors.
const lateAttempts = 3

// startLate starts a member beside whatever else runs.
func (e *Environment) startLate(ctx context.Context, m memberState) error {
	for attempt := 1; ; attempt++ {
		err := e.startMember(ctx, m)
		if err == nil || attempt == lateAttempts || ctx.Err() != nil {
			return err
		}
		if p, lost := e.table.Find(processMember + m.Name); lost != nil || p.Running() {
			return err
		}
		e.say("member %s ended while it was started, and is started again: %v", m.Name, err)
	}
}

// startMember starts one member, seeds its nodes and waits until they are ready.
func (e *Environment) startMember(ctx context.Context, m memberState) error {
	if err := e.runMember(ctx, m); err != nil {
		return fmt.Errorf("starting member %s: %w", m.Name, err)
	}
	e.say("member %s is ready", m.Name)
	return nil
}

func (e *Environment) runMember(ctx context.Context, m memberState) error {
	if err := os.MkdirAll(e.layout.memberDir(m.Name), 0o700); err != nil {
		return fmt.Errorf("making the directory of member %s: %w", m.Name, err)
	}
	if err := e.layout.writeMemberCertificates(m, e.clock.Now()); err != nil {
		return err
	}
	p, err := e.table.Start(e.layout.memberSpec(e.state, m))
	if err != nil {
		return err
	}
	return e.awaitMember(ctx, p, m)
}

func (e *Environment) awaitMember(ctx context.Context, p *proc.Process, m memberState) error {
	client, err := e.memberClient(m.Name)
	if err != nil {
		return err
	}
	return e.await(ctx, p, newMemberReadiness(client, planFor(m.Name).nodes(m.Name)).check)
}

func (e *Environment) memberClient(name string) (kubernetes.Interface, error) {
	member, err := e.Member(name)
	if err != nil {
		return nil, err
	}
	config, err := member.Config()
	if err != nil {
		return nil, err
	}
	config.Timeout = requestTimeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of member %s: %w", name, err)
	}
	return client, nil
}

// memberReadiness creates what is missing and says what is still awaited.
type memberReadiness struct {
	client kubernetes.Interface
	nodes  []*corev1.Node
	seeded bool
}

func newMemberReadiness(client kubernetes.Interface, nodes []*corev1.Node) *memberReadiness {
	return &memberReadiness{client: client, nodes: nodes}
}

func (r *memberReadiness) check(ctx context.Context) error {
	if !r.seeded {
		if err := r.seed(ctx); err != nil {
			return err
		}
		r.seeded = true
	}
	if _, err := r.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return fmt.Errorf("reading the default service account: %w", err)
	}
	list, err := r.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	ready := 0
	for i := range list.Items {
		if nodeReady(&list.Items[i]) {
			ready++
		}
	}
	if ready < len(r.nodes) {
		return fmt.Errorf("%d of %d nodes are ready", ready, len(r.nodes))
	}
	return nil
}

func (r *memberReadiness) seed(ctx context.Context) error {
	if _, err := r.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return fmt.Errorf("asking kube-apiserver whether it is ready: %w", err)
	}
	for _, node := range r.nodes {
		if _, err := r.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating node %s: %w", node.Name, err)
		}
	}
	return nil
}

func nodeReady(node *corev1.Node) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady {
			return false
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

const (
	readyTimeout   = 4 * time.Minute
	requestTimeout = 10 * time.Second
)
