// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

const (
	etcdStartTimeout = time.Minute
	slowRequest      = time.Second
	// walSegmentBytes keeps the preallocated log small; the default is 64 MiB, twice.
	walSegmentBytes = 8 << 20
)

var errEndedEarly = errors.New("it returned without an error and without being asked to")

// startEtcd starts a store that survives the death of this process, but not a power cut: it does not sync to disk.
func startEtcd(ctx context.Context, s settings) (*embed.Etcd, error) {
	wal.SegmentSizeBytes = walSegmentBytes
	cfg := embed.NewConfig()
	cfg.Name = "member"
	cfg.Dir = filepath.Join(s.dataDir, "etcd")
	cfg.ListenClientUrls = loopback(s.etcdPort)
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	cfg.ListenPeerUrls = loopback(s.etcdPeerPort)
	cfg.AdvertisePeerUrls = cfg.ListenPeerUrls
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = true
	cfg.TickMs, cfg.ElectionMs = 100, 500
	cfg.EnableGRPCGateway = false
	cfg.LogLevel = "warn"
	cfg.WarningUnaryRequestDuration = slowRequest // unset, every request counts as slow and is logged

	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("starting etcd: %w", err)
	}
	timeout, cancel := context.WithTimeout(ctx, etcdStartTimeout)
	defer cancel()
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		stopEtcd(etcd)
		return nil, fmt.Errorf("running etcd: %w", err)
	case <-timeout.Done():
		stopEtcd(etcd)
		return nil, fmt.Errorf("waiting for etcd to be ready: %w", timeout.Err())
	}
}

// stopEtcd closes etcd, but does not wait for ever: open streams can hold it.
func stopEtcd(etcd *embed.Etcd) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		etcd.Close()
	}()
	waitFor(closed)
}

func loopback(port int) []url.URL {
	return []url.URL{{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}}
}
