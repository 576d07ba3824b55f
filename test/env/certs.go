// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/kcp-dev/tmc/test/env/pki"
)

// Names of the authorities of kcp's side.
const (
	servingCA       = "serving-ca"       // signs every serving certificate
	clientCA        = "client-ca"        // signs users, and kcp's own identities on the public side
	requestHeaderCA = "requestheader-ca" // signs front-proxies: who has one may name users
	shardCA         = "shard-ca"         // signs shards, towards their internal front-proxies
	tmcCA           = "tmc-ca"           // signs CN=tmc-apiserver and nothing else
	groupMasters    = "system:masters"

	publicBundle   = "public-clients.crt"   // client-ca and tmc-ca
	internalBundle = "internal-clients.crt" // shard-ca and tmc-ca

	userTMC        = "tmc-apiserver"
	proxyKCP       = "kcp-front-proxy"
	proxyTMC       = "kcp-front-proxy-tmc"
	proxyTMCSide   = "kcp-front-proxy-tmc-side"
	servingPair    = "serving"
	adminPair      = "kcp-admin"
	signingKeyName = "sa"
)

// shardUser is the user name that a shard has at its internal front-proxy.
func shardUser(shard string) string { return "kcp-shard-" + shard }

type clientCertificate struct {
	authority string
	client    pki.Client
}

// kcpClients lists kcp's own identities. The file is named as the user.
func (s *state) kcpClients() []clientCertificate {
	list := []clientCertificate{
		{clientCA, pki.Client{CommonName: adminPair, Organizations: []string{"system:kcp:admin"}}},
		{clientCA, pki.Client{CommonName: "front-proxy-shard-admin", Organizations: []string{groupMasters}}},
		{clientCA, pki.Client{CommonName: "logical-cluster-admin", Organizations: []string{"system:kcp:logical-cluster-admin"}}},
		{clientCA, pki.Client{CommonName: "external-logical-cluster-admin", Organizations: []string{"system:kcp:external-logical-cluster-admin"}}},
		{requestHeaderCA, pki.Client{CommonName: proxyKCP}},
		{requestHeaderCA, pki.Client{CommonName: proxyTMC}},
		{requestHeaderCA, pki.Client{CommonName: proxyTMCSide}},
		{tmcCA, pki.Client{CommonName: userTMC}},
	}
	for _, shard := range s.Shards {
		list = append(list,
			clientCertificate{shardCA, pki.Client{CommonName: shardUser(shard.Name), Organizations: []string{groupMasters}}},
			clientCertificate{clientCA, pki.Client{CommonName: vwUser(shard.Name), Organizations: []string{groupMasters}}})
	}
	return list
}

func vwUser(shard string) string { return "kcp-vw-" + shard }

// writeKCPCertificates makes everything that kcp and tmc-apiserver need.
func (l layout) writeKCPCertificates(s *state, now time.Time) error {
	authorities := map[string]*pki.Authority{}
	for _, name := range []string{servingCA, clientCA, requestHeaderCA, shardCA, tmcCA} {
		authority, err := pki.NewAuthority(name, now)
		if err != nil {
			return err
		}
		if err := authority.Write(l.pki(), name); err != nil {
			return err
		}
		authorities[name] = authority
	}
	serving, err := authorities[servingCA].IssueServer(loopbackServer(servingPair), now)
	if err != nil {
		return err
	}
	if err := serving.Write(l.pki(), servingPair); err != nil {
		return err
	}
	for _, c := range s.kcpClients() {
		pair, err := authorities[c.authority].IssueClient(c.client, now)
		if err != nil {
			return err
		}
		if err := pair.Write(l.pki(), c.client.CommonName); err != nil {
			return err
		}
	}
	return errors.Join(
		pki.WriteBundle(l.pkiFile(publicBundle), authorities[clientCA], authorities[tmcCA]),
		pki.WriteBundle(l.pkiFile(internalBundle), authorities[shardCA], authorities[tmcCA]),
		pki.WriteSigningKey(l.pki(), signingKeyName),
	)
}

func loopbackServer(name string) pki.Server {
	return pki.Server{CommonName: name, DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}
}

// writeMemberCertificates makes a member's own authorities and identities: members share nothing with each other or
// with kcp.
func (l layout) writeMemberCertificates(m memberState, now time.Time) error {
	dir := l.memberDir(m.Name)
	ca, err := pki.NewAuthority("member-"+m.Name+"-ca", now)
	if err != nil {
		return err
	}
	proxyCA, err := pki.NewAuthority("member-"+m.Name+"-front-proxy-ca", now)
	if err != nil {
		return err
	}
	errs := []error{ca.Write(dir, "ca"), proxyCA.Write(dir, "front-proxy-ca"), pki.WriteSigningKey(dir, signingKeyName)}
	api := pki.Server{
		CommonName: "kube-apiserver",
		DNSNames:   []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPs:        []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
	}
	for name, server := range map[string]pki.Server{"apiserver": api, "kubelet": loopbackServer("kubelet")} {
		pair, err := ca.IssueServer(server, now)
		errs = append(errs, err, pair.Write(dir, name))
	}
	proxy, err := proxyCA.IssueClient(pki.Client{CommonName: "front-proxy-client"}, now)
	errs = append(errs, err, proxy.Write(dir, "front-proxy"))
	kubelet, err := ca.IssueClient(pki.Client{CommonName: "kube-apiserver-kubelet-client", Organizations: []string{groupMasters}}, now)
	errs = append(errs, err, kubelet.Write(dir, "kubelet-client"))
	for file, client := range map[string]pki.Client{
		filepath.Join(dir, "admin.kubeconfig"):              {CommonName: "admin", Organizations: []string{groupMasters}},
		filepath.Join(dir, "controller-manager.kubeconfig"): {CommonName: "system:kube-controller-manager", Organizations: []string{groupMasters}},
		filepath.Join(dir, "scheduler.kubeconfig"):          {CommonName: "system:kube-scheduler"},
		filepath.Join(dir, "kwok.kubeconfig"):               {CommonName: "kwok", Organizations: []string{groupMasters}},
		l.memberKubeconfig(m.Name):                          {CommonName: "admin", Organizations: []string{groupMasters}},
	} {
		pair, err := ca.IssueClient(client, now)
		errs = append(errs, err, writeKubeconfig(file, loopbackURL(m.Port, ""), ca.CertificatePEM(), credentials{pair: pair}))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("making certificates of member %s: %w", m.Name, err)
	}
	return nil
}
