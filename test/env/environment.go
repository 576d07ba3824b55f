// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/test/env/ports"
	"github.com/kcp-dev/tmc/test/env/proc"
)

const (
	pollInterval = 200 * time.Millisecond
	logLines     = 15
	portTakenLog = "address already in use"
)

// ErrNotUp says that the directory holds no environment that is up.
var ErrNotUp = errors.New("no environment is up")

// errPortTaken says that somebody took a port between choosing and using it.
var errPortTaken = errors.New("a chosen port was taken")

// Environment is an environment that is up, or was when it was loaded.
type Environment struct {
	layout layout
	state  *state
	table  *proc.Table
	clock  clock.WithTicker
	start  time.Time

	outMu sync.Mutex
	out   io.Writer

	lateMu sync.Mutex // held while a member is started
}

// Member is one member cluster.
type Member struct {
	// Name of the member.
	Name string
	// Kubeconfig is the path of its administrator's kubeconfig.
	Kubeconfig string
	// Region and Zone are what its nodes are labelled with; Zone is the first of several.
	Region, Zone string
}

// Config is the administrator's client configuration.
func (m Member) Config() (*rest.Config, error) { return loadConfig(m.Kubeconfig) }

// Load finds an environment that Up started earlier. ErrNotUp says that there is none.
func Load(dir string) (*Environment, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("making the environment's directory absolute: %w", err)
	}
	l := layout{dir: dir}
	s, err := l.readState()
	if err != nil {
		return nil, err
	}
	if s == nil || !s.Complete {
		return nil, fmt.Errorf("looking in %s: %w", dir, ErrNotUp)
	}
	return newEnvironment(l, s, clock.RealClock{}, io.Discard), nil
}

func newEnvironment(l layout, s *state, c clock.WithTicker, out io.Writer) *Environment {
	return &Environment{layout: l, state: s, table: proc.NewTable(l.run(), l.logs()), clock: c, start: c.Now(), out: out}
}

// SetOutput chooses where progress goes from now on.
func (e *Environment) SetOutput(out io.Writer) {
	e.outMu.Lock()
	defer e.outMu.Unlock()
	e.out = out
}

// Dir holds everything of the environment.
func (e *Environment) Dir() string { return e.layout.dir }

// LogDir holds a log of every process.
func (e *Environment) LogDir() string { return e.layout.logs() }

// RepoDir is the repository that the environment was started from.
func (e *Environment) RepoDir() string { return e.state.RepoDir }

// Shards lists the names of kcp's shards, root first.
func (e *Environment) Shards() []string {
	names := make([]string, 0, len(e.state.Shards))
	for _, shard := range e.state.Shards {
		names = append(names, shard.Name)
	}
	return names
}

// Members lists the member clusters.
func (e *Environment) Members() []Member {
	members := make([]Member, 0, len(e.state.Members))
	for _, m := range e.state.Members {
		plan := planFor(m.Name)
		members = append(members, Member{
			Name: m.Name, Kubeconfig: e.layout.memberKubeconfig(m.Name), Region: plan.region, Zone: plan.pools[0].zone,
		})
	}
	return members
}

// Member finds a member by name.
func (e *Environment) Member(name string) (Member, error) {
	for _, m := range e.Members() {
		if m.Name == name {
			return m, nil
		}
	}
	return Member{}, fmt.Errorf("finding member %q: there are only %d members", name, len(e.state.Members))
}

// Process finds a process by name: kcp-<shard>, virtual-workspaces-<shard>, front-proxy-internal-<shard>,
// front-proxy-public, member-<name> and tmc-apiserver.
func (e *Environment) Process(name string) (*proc.Process, error) { return e.table.Find(name) }

// Processes lists all processes that were ever started.
func (e *Environment) Processes() ([]*proc.Process, error) { return e.table.All() }

// AdminKubeconfig is the path of the administrator's kubeconfig, at root through the public front-proxy.
func (e *Environment) AdminKubeconfig() string { return e.layout.adminKubeconfig() }

// AdminConfig is the administrator's client configuration for one workspace, through the public front-proxy.
func (e *Environment) AdminConfig(workspace string) (*rest.Config, error) {
	config, err := loadConfig(e.layout.adminKubeconfig())
	if err != nil {
		return nil, err
	}
	config.Host = loopbackURL(e.state.PublicPort, "/clusters/"+workspace)
	return config, nil
}

// ShardConfig is a system:masters configuration at a shard's own port, past every front-proxy. Its host has no path.
func (e *Environment) ShardConfig(shard string) (*rest.Config, error) {
	s, err := e.state.shard(shard)
	if err != nil {
		return nil, err
	}
	config, err := loadConfig(e.layout.kcp("vw-" + shard + ".kubeconfig"))
	if err != nil {
		return nil, err
	}
	config.Host = loopbackURL(s.Port, "")
	return config, nil
}

// PublicURL is the public front-proxy.
func (e *Environment) PublicURL() string { return loopbackURL(e.state.PublicPort, "") }

// InternalURL is the internal front-proxy of a shard.
func (e *Environment) InternalURL(shard string) (string, error) {
	s, err := e.state.shard(shard)
	return loopbackURL(s.InternalPort, ""), err
}

// TMCURL is tmc-apiserver itself, past every front-proxy.
func (e *Environment) TMCURL() string { return loopbackURL(e.state.TMCPort, "") }

// PKIFile is the path of a file of kcp's certificates, such as "client-ca.crt"; tests that play an intruder need them.
func (e *Environment) PKIFile(name string) string { return e.layout.pkiFile(name) }

// Headers are the secret prefixes of the header names of the two doors of tmc-apiserver: <prefix>User and so on.
func (e *Environment) Headers() (front, side string) {
	return e.state.FrontHeaders, e.state.SideHeaders
}

// say reports progress with the time since the start.
func (e *Environment) say(format string, args ...any) {
	e.outMu.Lock()
	defer e.outMu.Unlock()
	elapsed := e.clock.Since(e.start).Seconds()
	_, _ = fmt.Fprintf(e.out, "[%5.1fs] %s\n", elapsed, fmt.Sprintf(format, args...)) // progress is only shown
}

// await waits, up to readyTimeout, until check passes. It gives up at once when the process ends, and shows what it said last.
func (e *Environment) await(ctx context.Context, p *proc.Process, check func(context.Context) error) error {
	var last error
	ended := false
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		if last = check(ctx); last == nil {
			return true, nil
		}
		ended = !p.Running()
		return ended, nil
	})
	tail := p.LogTail(logLines)
	switch {
	case ended && last != nil:
		cause := fmt.Errorf("process %s ended before it was ready; the last lines of %s are:\n%s", p.Name(), p.LogPath(), tail)
		if strings.Contains(tail, portTakenLog) {
			return errors.Join(errPortTaken, cause, portOwners(tail))
		}
		return cause
	case err != nil:
		return fmt.Errorf("waiting for process %s to be ready (%w): %w; the last lines of %s are:\n%s", p.Name(), err, last, p.LogPath(), tail)
	default:
		return nil
	}
}

// portOwners names who has the ports that a log complains about.
func portOwners(log string) error {
	for line := range strings.SplitSeq(log, "\n") {
		before, _, found := strings.Cut(line, ": bind: "+portTakenLog)
		if !found {
			continue
		}
		var port int
		if _, err := fmt.Sscanf(before[strings.LastIndexByte(before, ':')+1:], "%d", &port); err != nil {
			continue
		}
		if owner := ports.Owner(port); owner != "" {
			return fmt.Errorf("port %d is held by %s", port, owner)
		}
	}
	return nil
}
