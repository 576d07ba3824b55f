// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/kcp-dev/tmc/test/env/pki"
	"github.com/kcp-dev/tmc/test/env/proc"
)

// Names of processes; the parts of a shard carry its name behind.
const (
	processShard    = "kcp-"
	processVW       = "virtual-workspaces-"
	processInternal = "front-proxy-internal-"
	processPublic   = "front-proxy-public"
	processTMC      = "tmc-apiserver"
	processMember   = "member-"
)

// PathPrefix is where tmc-apiserver is mapped, on the internal front-proxies and as the side door on the public one.
const PathPrefix = "/services/tmc"

// mapping is one entry of a front-proxy's mapping file.
type mapping struct {
	Path              string `json:"path"`
	Backend           string `json:"backend"`
	BackendServerCA   string `json:"backend_server_ca"`
	ProxyClientCert   string `json:"proxy_client_cert"`
	ProxyClientKey    string `json:"proxy_client_key"`
	UserHeader        string `json:"user_header"`
	GroupHeader       string `json:"group_header"`
	ExtraHeaderPrefix string `json:"extra_header_prefix"`
}

func (l layout) mapping(path, backend, identity, headers string) mapping {
	return mapping{
		Path: path, Backend: backend, BackendServerCA: l.pkiFile(servingCA + ".crt"),
		ProxyClientCert: l.pkiFile(identity + ".crt"), ProxyClientKey: l.pkiFile(identity + ".key"),
		UserHeader: headers + "User", GroupHeader: headers + "Group", ExtraHeaderPrefix: headers + "Extra-",
	}
}

func writeMappings(path string, mappings []mapping) error {
	data, err := yaml.Marshal(mappings)
	if err != nil {
		return fmt.Errorf("encoding mappings: %w", err)
	}
	return pki.WriteSecret(path, data)
}

// writeKCPFiles writes the kubeconfigs and mapping files of kcp's processes.
func (l layout) writeKCPFiles(s *state) error {
	root := s.Shards[0]
	shardURL, publicURL := loopbackURL(root.Port, ""), loopbackURL(s.PublicPort, "")
	w := kubeconfigWriter{layout: l}
	w.write("root.kubeconfig", shardURL, "front-proxy-shard-admin", "default", "shard-base")
	w.write("external-admin.kubeconfig", publicURL, "external-logical-cluster-admin")
	w.write("vw-external-admin.kubeconfig", publicURL, adminPair)
	w.write("admin.kubeconfig", publicURL+"/clusters/root", adminPair, "root")
	w.write("tmc.kubeconfig", publicURL+"/clusters/root:tmc", userTMC, "provider")
	for _, shard := range s.Shards {
		own := loopbackURL(shard.Port, "")
		w.write("vw-"+shard.Name+".kubeconfig", own, vwUser(shard.Name))
		w.write("cache-"+shard.Name+".kubeconfig", shardURL, vwUser(shard.Name))
		w.write("logical-cluster-admin-"+shard.Name+".kubeconfig", own, "logical-cluster-admin")
		w.errs = append(w.errs, l.writeInternalProxy(s, shard))
	}
	w.errs = append(w.errs, writeMappings(l.kcp(processPublic+".yaml"), []mapping{
		l.mapping("/clusters/", shardURL, proxyKCP, s.KCPHeaders),
		l.mapping("/services/", loopbackURL(root.VWPort, ""), proxyKCP, s.KCPHeaders),
		l.mapping(PathPrefix, loopbackURL(s.TMCPort, ""), proxyTMCSide, s.SideHeaders),
	}))
	return errors.Join(w.errs...)
}

// writeInternalProxy writes what the front-proxy of one shard reads. It maps no /clusters/: it is for shards and
// tmc-apiserver, and leads to virtual workspaces only.
func (l layout) writeInternalProxy(s *state, shard shardState) error {
	token := make([]byte, 32)
	if _, err := rand.Read(token); err != nil {
		return fmt.Errorf("drawing a token: %w", err)
	}
	name := processInternal + shard.Name
	return errors.Join(
		// Nobody has this token. That a token file exists makes authentication mandatory.
		pki.WriteSecret(l.kcp(name+".tokens"), []byte(hex.EncodeToString(token)+",nobody,nobody\n")),
		writeMappings(l.kcp(name+".yaml"), []mapping{
			l.mapping(PathPrefix, loopbackURL(s.TMCPort, ""), proxyTMC, s.FrontHeaders),
			l.mapping("/services/", loopbackURL(shard.VWPort, ""), proxyKCP, s.KCPHeaders),
		}),
	)
}

type kubeconfigWriter struct {
	layout layout
	errs   []error
}

func (w *kubeconfigWriter) write(file, server, identity string, contexts ...string) {
	pair, err := pki.LoadPair(w.layout.pki(), identity)
	ca, caErr := os.ReadFile(w.layout.pkiFile(servingCA + ".crt"))
	if err := errors.Join(err, caErr); err != nil {
		w.errs = append(w.errs, err)
		return
	}
	w.errs = append(w.errs, writeKubeconfig(w.layout.kcp(file), server, ca, credentials{pair: pair}, contexts...))
}

// servingArgs are the flags that every server of kcp takes alike.
func (l layout) servingArgs(port int) []string {
	return []string{
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + l.pkiFile(servingPair+".crt"), "--tls-private-key-file=" + l.pkiFile(servingPair+".key"),
	}
}

// requestHeaderArgs make a server believe the front-proxy's certificate with these header names, and nobody else.
func (l layout) requestHeaderArgs(flagPrefix, name, headers string) []string {
	return []string{
		"--" + flagPrefix + "requestheader-client-ca-file=" + l.pkiFile(requestHeaderCA+".crt"),
		"--" + flagPrefix + "requestheader-allowed-names=" + name,
		"--" + flagPrefix + "requestheader-username-headers=" + headers + "User",
		"--" + flagPrefix + "requestheader-group-headers=" + headers + "Group",
		"--" + flagPrefix + "requestheader-extra-headers-prefix=" + headers + "Extra-",
	}
}

func (l layout) shardSpec(s *state, shard shardState, bin string) proc.Spec {
	args := append([]string{
		"start", "--root-directory=" + l.kcp(shard.Name), "--feature-gates=CacheAPIs=true",
		fmt.Sprintf("--embedded-etcd-client-port=%d", shard.EtcdPort),
		fmt.Sprintf("--embedded-etcd-peer-port=%d", shard.EtcdPeerPort),
		"--client-ca-file=" + l.pkiFile(clientCA+".crt"),
		"--service-account-key-file=" + l.pkiFile(signingKeyName+".pub"),
		"--service-account-private-key-file=" + l.pkiFile(signingKeyName+".key"),
		"--service-account-signing-key-file=" + l.pkiFile(signingKeyName+".key"),
		"--shard-base-url=" + loopbackURL(shard.Port, ""),
		"--shard-external-url=" + loopbackURL(s.PublicPort, ""),
		"--run-virtual-workspaces=false",
		"--shard-virtual-workspace-url=" + loopbackURL(shard.InternalPort, ""),
		"--shard-virtual-workspace-ca-file=" + l.pkiFile(servingCA+".crt"),
		"--shard-client-cert-file=" + l.pkiFile(shardUser(shard.Name)+".crt"),
		"--shard-client-key-file=" + l.pkiFile(shardUser(shard.Name)+".key"),
		"--logical-cluster-admin-kubeconfig=" + l.kcp("logical-cluster-admin-"+shard.Name+".kubeconfig"),
		"--external-logical-cluster-admin-kubeconfig=" + l.kcp("external-admin.kubeconfig"),
	}, l.servingArgs(shard.Port)...)
	args = append(args, l.requestHeaderArgs("", proxyKCP, s.KCPHeaders)...)
	if shard.Name != rootShard {
		args = append(args, "--shard-name="+shard.Name,
			"--root-shard-kubeconfig-file="+l.kcp("root.kubeconfig"),
			"--cache-kubeconfig="+l.kcp("cache-"+shard.Name+".kubeconfig"))
	}
	return proc.Spec{Name: processShard + shard.Name, Path: filepath.Join(bin, "kcp"), Args: args}
}

func (l layout) vwSpec(s *state, shard shardState, bin string) proc.Spec {
	own := l.kcp("vw-" + shard.Name + ".kubeconfig")
	args := append([]string{
		"--kubeconfig=" + own, "--authentication-kubeconfig=" + own,
		"--cache-kubeconfig=" + l.kcp("cache-"+shard.Name+".kubeconfig"),
		"--external-logical-cluster-admin-kubeconfig=" + l.kcp("vw-external-admin.kubeconfig"),
		"--authentication-skip-lookup", "--client-ca-file=" + l.pkiFile(clientCA+".crt"),
	}, l.servingArgs(shard.VWPort)...)
	args = append(args, l.requestHeaderArgs("", proxyKCP, s.KCPHeaders)...)
	return proc.Spec{Name: processVW + shard.Name, Path: filepath.Join(bin, "virtual-workspaces"), Args: args}
}

func (l layout) proxySpec(name, clients string, port int, bin string, more ...string) proc.Spec {
	args := append([]string{
		"--root-directory=" + l.kcp(name), "--mapping-file=" + l.kcp(name+".yaml"),
		"--root-kubeconfig=" + l.kcp("root.kubeconfig"), "--shards-kubeconfig=" + l.kcp("root.kubeconfig"),
		"--client-ca-file=" + l.pkiFile(clients),
		"--v=1", // at 2, its default, it logs the mappings with their secret header names
	}, l.servingArgs(port)...)
	return proc.Spec{Name: name, Path: filepath.Join(bin, "kcp-front-proxy"), Args: append(args, more...)}
}

func (l layout) publicProxySpec(s *state, bin string) proc.Spec {
	return l.proxySpec(processPublic, publicBundle, s.PublicPort, bin)
}

func (l layout) internalProxySpec(shard shardState, bin string) proc.Spec {
	name := processInternal + shard.Name
	return l.proxySpec(name, internalBundle, shard.InternalPort, bin,
		// The shard is in system:masters, and must stay so: kcp's own initializers need it.
		"--authentication-drop-groups=system:kcp:logical-cluster-admin",
		"--token-auth-file="+l.kcp(name+".tokens"))
}
