// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
)

// settings are the flags as typed.
type settings struct {
	pkiDir, dataDir                              string
	apiPort, etcdPort, etcdPeerPort, kubeletPort int
	podCIDR, serviceCIDR                         string
}

// validate reports every problem at once.
func (s settings) validate() error {
	var errs []error
	for flag, value := range map[string]string{"--pki-dir": s.pkiDir, "--data-dir": s.dataDir} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is required", flag))
		}
	}
	for flag, port := range map[string]int{
		"--api-port": s.apiPort, "--etcd-client-port": s.etcdPort, "--etcd-peer-port": s.etcdPeerPort, "--kubelet-port": s.kubeletPort,
	} {
		if port < 1 || port > 65535 {
			errs = append(errs, fmt.Errorf("%s=%d must be between 1 and 65535", flag, port))
		}
	}
	for flag, cidr := range map[string]string{"--pod-cidr": s.podCIDR, "--service-cidr": s.serviceCIDR} {
		if _, _, err := net.ParseCIDR(cidr); err != nil {
			errs = append(errs, fmt.Errorf("parsing %s: %w", flag, err))
		}
	}
	return errors.Join(errs...)
}

func (s settings) pki(name string) string { return filepath.Join(s.pkiDir, name) }

func (s settings) etcdURL() string { return fmt.Sprintf("http://127.0.0.1:%d", s.etcdPort) }
