// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package proc_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kcp-dev/tmc/test/env/proc"
)

const grace = 10 * time.Second

func start(t *testing.T, script string) (*proc.Table, *proc.Process, string) {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	table := proc.NewTable(dir, dir)
	p, err := table.Start(proc.Spec{Name: "one", Path: shell, Args: []string{"-c", script}, Env: []string{"WORD=spoken"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.Running() {
			if err := p.Signal(syscall.SIGKILL); err != nil {
				t.Log(err)
			}
		}
	})
	return table, p, dir
}

func TestStartFindStop(t *testing.T) {
	t.Parallel()
	table, p, dir := start(t, "echo $WORD; exec sleep 600")
	if _, err := table.Start(p.Spec()); err == nil {
		t.Error("a second process of the same name was started")
	}
	pid, err := os.ReadFile(filepath.Join(dir, "one.pid"))
	if err != nil || strings.TrimSpace(string(pid)) != strconv.Itoa(p.PID()) {
		t.Errorf("the pid file holds %q (%v), want %d", pid, err, p.PID())
	}
	// Another command would find it by its record alone.
	found, err := proc.NewTable(dir, dir).Find("one")
	if err != nil || !found.Running() {
		t.Fatalf("the process was not found again: %v", err)
	}
	if err := found.Stop(t.Context(), grace); err != nil {
		t.Fatal(err)
	}
	if p.Running() {
		t.Error("the process runs after Stop returned")
	}
	if _, err := os.Stat(filepath.Join(dir, "one.pid")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the pid file is still there: %v", err)
	}
	if err := p.Stop(t.Context(), grace); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	_, p, _ := start(t, "trap '' TERM; while :; do sleep 1; done")
	if err := p.Stop(t.Context(), 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if p.Running() {
		t.Error("the process runs after Stop returned")
	}
}

func TestKillEndsAStoppedProcess(t *testing.T) {
	t.Parallel()
	_, p, _ := start(t, "exec sleep 600")
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, proc.ErrNotRunning) {
		t.Errorf("signalling what has ended: got %v, want %v", err, proc.ErrNotRunning)
	}
	old := p.PID()
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	if !p.Running() || p.PID() == old {
		t.Errorf("after Restart: running %t, pid %d, before %d", p.Running(), p.PID(), old)
	}
}

// A pid may belong to somebody else by now: such a process must never be signalled.
func TestAStrangerWithOurPIDIsLeftAlone(t *testing.T) {
	t.Parallel()
	table, stranger, dir := start(t, "exec sleep 600")
	path := filepath.Join(dir, "one.proc.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var record struct {
		Spec     proc.Spec
		Identity map[string]any
	}
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	record.Identity["Start"] = "1" // ours was started at another time
	if data, err = json.Marshal(record); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ours, err := table.Find("one")
	if err != nil {
		t.Fatal(err)
	}
	if ours.Running() {
		t.Error("a stranger was taken for ours")
	}
	if err := ours.Stop(t.Context(), grace); err != nil {
		t.Error(err)
	}
	if !stranger.Running() {
		t.Error("the stranger was stopped")
	}
}

func TestLogTail(t *testing.T) {
	t.Parallel()
	_, p, _ := start(t, "echo one; echo two; echo three")
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := p.LogTail(2), "two\nthree"; got != want {
		t.Errorf("the tail is %q, want %q", got, want)
	}
}
