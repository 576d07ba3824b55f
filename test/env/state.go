// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kcp-dev/tmc/test/env/pki"
	"github.com/kcp-dev/tmc/test/env/ports"
)

const (
	rootShard = "root"
	// randomBytes make header names that cannot be guessed: whoever knows them can forge a user towards the process
	// that reads them, if it also has the certificate.
	randomBytes = 8
	// stateVersion changes with the meaning of the state file.
	stateVersion = 1
)

// state is what an environment needs to be found again. The file is secret: it holds the header names.
type state struct {
	Version int
	// Complete is set once everything was ready: without it an environment is half-started.
	Complete bool
	RepoDir  string
	CacheDir string
	Started  time.Time

	PublicPort int
	TMCPort    int
	// Headers of the three doors: into kcp, and the two into tmc-apiserver.
	KCPHeaders, FrontHeaders, SideHeaders string
	Shards                                []shardState
	Members                               []memberState
	// MemberBin is the folder of the members' command.
	MemberBin string
}

type shardState struct {
	Name                                               string
	Port, EtcdPort, EtcdPeerPort, VWPort, InternalPort int
}

type memberState struct {
	Name                                      string
	Port, EtcdPort, EtcdPeerPort, KubeletPort int
	PodCIDR                                   string
	// Late says that it is started only when it is asked for.
	Late bool
}

func (s *state) shard(name string) (shardState, error) {
	for _, shard := range s.Shards {
		if shard.Name == name {
			return shard, nil
		}
	}
	return shardState{}, fmt.Errorf("there is no shard %q", name)
}

// newState draws ports and header names.
func newState(ctx context.Context, o *Options) (*state, error) {
	members := memberNames(o.memberCount())
	free, err := ports.Free(ctx, 2+5*o.Shards+4*len(members))
	if err != nil {
		return nil, err
	}
	next := func() int {
		port := free[0]
		free = free[1:]
		return port
	}
	s := &state{
		Version: stateVersion, RepoDir: o.RepoDir, CacheDir: o.CacheDir, Started: o.Clock.Now(),
		PublicPort: next(), TMCPort: next(),
	}
	for _, headers := range []*string{&s.KCPHeaders, &s.FrontHeaders, &s.SideHeaders} {
		random := make([]byte, randomBytes)
		if _, err := rand.Read(random); err != nil {
			return nil, fmt.Errorf("drawing header names: %w", err)
		}
		*headers = "X-Fp-" + hex.EncodeToString(random) + "-"
	}
	for i := range o.Shards {
		s.Shards = append(s.Shards, shardState{
			Name: shardName(i), Port: next(), EtcdPort: next(), EtcdPeerPort: next(), VWPort: next(), InternalPort: next(),
		})
	}
	for i, name := range members {
		s.Members = append(s.Members, memberState{
			Name: name, Port: next(), EtcdPort: next(), EtcdPeerPort: next(), KubeletPort: next(),
			PodCIDR: fmt.Sprintf("10.%d.0.0/16", 100+i), Late: i >= len(members)-o.LateMembers,
		})
	}
	return s, nil
}

func shardName(i int) string {
	if i == 0 {
		return rootShard
	}
	return fmt.Sprintf("shard-%d", i)
}

func (l layout) writeState(s *state) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the environment's state: %w", err)
	}
	return pki.WriteSecret(l.state(), data)
}

// readState returns nil when there is no environment at all.
func (l layout) readState() (*state, error) {
	data, err := os.ReadFile(l.state())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing there is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("reading the environment's state: %w", err)
	}
	s := &state{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("decoding the environment's state: %w", err)
	}
	return s, nil
}

// layout knows where the environment keeps what.
type layout struct{ dir string }

func (l layout) state() string              { return filepath.Join(l.dir, "run", "state.json") }
func (l layout) run() string                { return filepath.Join(l.dir, "run") }
func (l layout) logs() string               { return filepath.Join(l.dir, "logs") }
func (l layout) pki() string                { return filepath.Join(l.dir, "pki") }
func (l layout) pkiFile(name string) string { return filepath.Join(l.pki(), name) }
func (l layout) kcp(parts ...string) string {
	return filepath.Join(append([]string{l.dir, "kcp"}, parts...)...)
}
func (l layout) adminKubeconfig() string { return l.kcp("admin.kubeconfig") }
func (l layout) tenants() string         { return filepath.Join(l.dir, "tenants") }
func (l layout) members() string         { return filepath.Join(l.dir, "members") }
func (l layout) bin() string             { return filepath.Join(l.dir, "bin") }

func (l layout) memberDir(name string) string { return filepath.Join(l.members(), name) }

func (l layout) memberKubeconfig(name string) string {
	return filepath.Join(l.members(), name+".kubeconfig")
}

func (l layout) tenantKubeconfig(name string) string {
	return filepath.Join(l.tenants(), name+".kubeconfig")
}

func (l layout) tmcArgs() string { return filepath.Join(l.run(), "tmc-apiserver.args") }

// make creates the directories, for their owner alone.
func (l layout) make() error {
	for _, dir := range []string{l.dir, l.run(), l.logs(), l.pki(), l.kcp(), l.tenants(), l.members(), l.bin()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making directory %s: %w", dir, err)
		}
	}
	return nil
}
