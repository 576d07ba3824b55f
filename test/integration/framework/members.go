// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kcp-dev/tmc/test/env"
)

func (s *Suite) member(t testing.TB, name string) env.Member {
	t.Helper()
	member, err := s.Env.Member(name)
	if err != nil {
		t.Fatal(err)
	}
	return member
}

// StartMember starts a member unless it was started, and waits until it is ready.
func (s *Suite) StartMember(t testing.TB, name string) {
	t.Helper()
	if err := s.Env.StartMember(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// MemberRegion is the region that a member's registration is labelled with.
func (s *Suite) MemberRegion(name string) string {
	member, err := s.Env.Member(name)
	if err != nil {
		return "unknown member " + name
	}
	return member.Region
}

// MemberClient is an administrator's client of a member.
func (s *Suite) MemberClient(t testing.TB, name string) kubernetes.Interface {
	t.Helper()
	config, err := s.member(t, name).Config()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatalf("creating a client of member %s: %v", name, err)
	}
	return client
}

// MemberKubectl is the administrator's kubectl of a member.
func (s *Suite) MemberKubectl(t testing.TB, name string) Kubectl {
	t.Helper()
	return Kubectl{Kubeconfig: s.member(t, name).Kubeconfig, CacheDir: t.TempDir()}
}

// MemberKubeconfig is a kubeconfig of a member, as a registration would hold it.
func (s *Suite) MemberKubeconfig(t testing.TB, name string) []byte {
	t.Helper()
	data, err := s.Env.ReaderKubeconfig(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// SyncerKubeconfig is a kubeconfig of a member with an identity that may place workloads.
func (s *Suite) SyncerKubeconfig(t testing.TB, name string) []byte {
	t.Helper()
	data, err := s.Env.SyncerKubeconfig(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// NodeNames lists the names of a member's nodes.
func (s *Suite) NodeNames(t testing.TB, name string) []string {
	t.Helper()
	nodes, err := s.MemberClient(t, name).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("listing the nodes of %s: %v", name, err)
	}
	names := make([]string, 0, len(nodes.Items))
	for i := range nodes.Items {
		names = append(names, nodes.Items[i].Name)
	}
	return names
}

// NewReaderToken asks a member for another token of TMC's identity there.
func (s *Suite) NewReaderToken(t testing.TB, name string) string {
	t.Helper()
	seconds := int64(time.Hour.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	token, err := s.MemberClient(t, name).CoreV1().ServiceAccounts(env.IdentityNamespace).CreateToken(t.Context(), env.SyncerName, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("requesting a token on %s: %v", name, err)
	}
	return token.Status.Token
}
