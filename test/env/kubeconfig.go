// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kcp-dev/tmc/test/env/pki"
)

const (
	clientQPS   = 200
	clientBurst = 400
)

// credentials are a client certificate or a token.
type credentials struct {
	pair  pki.Pair
	token string
}

// kubeconfig encodes one server and one identity. Everything is embedded: such a file can be moved.
func kubeconfig(server string, ca []byte, c credentials, contexts ...string) ([]byte, error) {
	if len(contexts) == 0 {
		contexts = []string{"default"}
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["default"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos["default"] = &clientcmdapi.AuthInfo{
		ClientCertificateData: c.pair.Certificate, ClientKeyData: c.pair.Key, Token: c.token,
	}
	for _, name := range contexts {
		config.Contexts[name] = &clientcmdapi.Context{Cluster: "default", AuthInfo: "default"}
	}
	config.CurrentContext = contexts[0]
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("encoding a kubeconfig for %s: %w", server, err)
	}
	return data, nil
}

func writeKubeconfig(path, server string, ca []byte, c credentials, contexts ...string) error {
	data, err := kubeconfig(server, ca, c, contexts...)
	if err != nil {
		return err
	}
	return pki.WriteSecret(path, data)
}

// loadConfig reads a kubeconfig, and does not throttle as much as a controller should be.
func loadConfig(path string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", path, err)
	}
	config.QPS, config.Burst = clientQPS, clientBurst
	return config, nil
}

func loopbackURL(port int, path string) string {
	return fmt.Sprintf("https://127.0.0.1:%d%s", port, path)
}
