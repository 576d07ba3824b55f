// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package proc starts, finds again, signals and stops the processes of one environment.
//
// A process is known by its pid and its start time together, recorded beside its pid file: a pid alone may belong to
// somebody else by now, and nothing here ever signals a process that it cannot tell to be its own. Every process leads
// a group of its own, so that it outlives the command that started it and goes away with its children. It is no
// supervisor: nothing is restarted by itself.
package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kcp-dev/tmc/test/env/pki"
)

const (
	pollInterval = 20 * time.Millisecond
	// killGrace is how long a killed process may take to go: the kernel has to free its memory.
	killGrace = 20 * time.Second
)

// ErrNotRunning says that a process that was asked to do something is not there.
var ErrNotRunning = errors.New("the process is not running")

// Spec says what to run.
type Spec struct {
	// Name of the process, and of its pid and log file.
	Name string
	// Path of the executable.
	Path string
	Args []string
	// Env is added to the environment of the process.
	Env []string
}

// Table is where the processes of one environment are recorded.
type Table struct {
	runDir, logDir string

	mu     sync.Mutex
	reaped map[int]chan struct{} // children of this very process: closed once one has been waited for
}

// NewTable makes a table over two existing directories.
func NewTable(runDir, logDir string) *Table {
	return &Table{runDir: runDir, logDir: logDir, reaped: map[int]chan struct{}{}}
}

// Process is a process that was started once; it may have ended since.
type Process struct {
	table *Table
	spec  Spec
	id    identity
}

// identity tells one process from every other, as long as the machine is not started anew.
type identity struct {
	PID   int
	Start string
	Boot  string
}

// record is what the run directory keeps of a process.
type record struct {
	Spec     Spec
	Identity identity
}

// Start runs spec, with its output appended to its log file. A process of the same name must not be running.
func (t *Table) Start(spec Spec) (*Process, error) {
	if old, err := t.Find(spec.Name); err == nil && old.Running() {
		return nil, fmt.Errorf("starting %s: it is running already, as pid %d", spec.Name, old.id.PID)
	}
	log, err := os.OpenFile(t.logPath(spec.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", spec.Name, err)
	}
	defer log.Close()                            // the child holds its own descriptor
	cmd := exec.Command(spec.Path, spec.Args...) // it is meant to outlive every context
	cmd.Env = append(os.Environ(), spec.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.Name, err)
	}
	// Ahead of reaping: until then even a child that has ended can be identified, and its log tells why it did.
	id, _, err := readIdentity(cmd.Process.Pid)
	t.reap(cmd)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.Name, err)
	}
	p := &Process{table: t, spec: spec, id: id}
	if err := t.save(p); err != nil {
		return nil, errors.Join(err, syscall.Kill(-id.PID, syscall.SIGKILL))
	}
	return p, nil
}

// reap waits for a child in the background, so that it does not stay behind as a zombie.
func (t *Table) reap(cmd *exec.Cmd) {
	done := make(chan struct{})
	t.mu.Lock()
	t.reaped[cmd.Process.Pid] = done
	t.mu.Unlock()
	go func() {
		defer close(done)
		_ = cmd.Wait() // how it ended is in its log, that it ended is what callers look for
	}()
}

func (t *Table) save(p *Process) error {
	data, err := json.Marshal(record{Spec: p.spec, Identity: p.id})
	if err != nil {
		return fmt.Errorf("encoding the record of %s: %w", p.spec.Name, err)
	}
	// The pid file comes last: who finds one finds the record too.
	if err := pki.WriteSecret(t.recordPath(p.spec.Name), data); err != nil {
		return err
	}
	return pki.WriteSecret(t.pidPath(p.spec.Name), []byte(strconv.Itoa(p.id.PID)+"\n"))
}

// Find returns the process of that name, running or not; fs.ErrNotExist when none was ever started.
func (t *Table) Find(name string) (*Process, error) {
	data, err := os.ReadFile(t.recordPath(name))
	if err != nil {
		return nil, fmt.Errorf("finding process %s: %w", name, err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("decoding the record of process %s: %w", name, err)
	}
	return &Process{table: t, spec: r.Spec, id: r.Identity}, nil
}

// All returns every process on record, sorted by name.
func (t *Table) All() ([]*Process, error) {
	paths, err := filepath.Glob(t.recordPath("*"))
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	found := make([]*Process, 0, len(paths))
	for _, path := range paths {
		p, err := t.Find(strings.TrimSuffix(filepath.Base(path), recordSuffix))
		if err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	return found, nil
}

const recordSuffix = ".proc.json"

func (t *Table) recordPath(name string) string { return filepath.Join(t.runDir, name+recordSuffix) }
func (t *Table) pidPath(name string) string    { return filepath.Join(t.runDir, name+".pid") }
func (t *Table) logPath(name string) string    { return filepath.Join(t.logDir, name+".log") }

// Name of the process.
func (p *Process) Name() string { return p.spec.Name }

// PID of the process, which is somebody else's once it has ended.
func (p *Process) PID() int { return p.id.PID }

// Spec is what the process was started with.
func (p *Process) Spec() Spec { return p.spec }

// LogPath is the file that the process writes to.
func (p *Process) LogPath() string { return p.table.logPath(p.spec.Name) }

// Running says whether the very process that was started is still there.
func (p *Process) Running() bool {
	id, err := identify(p.id.PID)
	return err == nil && id == p.id
}

// Signal sends a signal to the process and its children.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Running() {
		return fmt.Errorf("sending %s to %s: %w", sig, p.spec.Name, ErrNotRunning)
	}
	if err := syscall.Kill(-p.id.PID, sig); err != nil {
		return fmt.Errorf("sending %s to %s: %w", sig, p.spec.Name, err)
	}
	return nil
}

// Kill ends the process at once, stopped or not, and waits until it is gone.
func (p *Process) Kill(ctx context.Context) error {
	if err := p.Signal(syscall.SIGKILL); err != nil && p.Running() {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, killGrace)
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		return err
	}
	return p.forget()
}

// Stop asks the process to end, kills it when it has not within grace, and waits until it is gone. Stopping what has
// ended is no error.
func (p *Process) Stop(ctx context.Context, grace time.Duration) error {
	if p.Running() {
		// A stopped process handles no signal until it goes on.
		_ = p.Signal(syscall.SIGCONT) // it may end at any moment
		_ = p.Signal(syscall.SIGTERM)
		graceful, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		if p.Wait(graceful) != nil {
			return p.Kill(ctx)
		}
	}
	return p.forget()
}

// forget removes the pid file: there is nothing to signal any more. The record stays, for a restart.
func (p *Process) forget() error {
	if err := os.Remove(p.table.pidPath(p.spec.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the pid file of %s: %w", p.spec.Name, err)
	}
	return nil
}

// Restart starts an ended process again, with the same arguments. The process then answers for the new one.
func (p *Process) Restart() error {
	again, err := p.table.Start(p.spec)
	if err != nil {
		return err
	}
	p.id = again.id
	return nil
}

// Wait returns once the process is gone.
func (p *Process) Wait(ctx context.Context) error {
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (bool, error) { return !p.Running(), nil })
	if err != nil {
		return fmt.Errorf("waiting for %s (pid %d) to end: %w", p.spec.Name, p.id.PID, err)
	}
	p.table.mu.Lock()
	reaped, child := p.table.reaped[p.id.PID]
	p.table.mu.Unlock()
	if child {
		<-reaped // it is gone already: this only lets the waiter take note
	}
	return nil
}

// LogTail returns the last lines of the process's log.
func (p *Process) LogTail(lines int) string { return tail(p.LogPath(), lines) }

// Names of processes, for messages.
func Names(processes []*Process) []string {
	names := sets.New[string]()
	for _, p := range processes {
		names.Insert(p.Name())
	}
	return sets.List(names)
}
