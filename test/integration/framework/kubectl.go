// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// kubectlTimeout ends a kubectl that hangs; it is far above what any call here takes.
const kubectlTimeout = 3 * time.Minute

// Result is what a kubectl run left.
type Result struct {
	Stdout, Stderr string
	ExitCode       int
}

// Output is everything that a person would have seen.
func (r Result) Output() string { return r.Stdout + r.Stderr }

// Kubectl is the real kubectl with one kubeconfig.
type Kubectl struct {
	Kubeconfig string
	// CacheDir keeps kubectl's discovery cache apart from that of other users.
	CacheDir string
	// Environ is added to its environment.
	Environ []string
}

// Run runs kubectl and returns how it ended.
func (k Kubectl) Run(t testing.TB, args ...string) Result {
	t.Helper()
	return k.RunWithInput(t, "", args...)
}

// RunWithInput runs kubectl with standard input.
func (k Kubectl) RunWithInput(t testing.TB, input string, args ...string) Result {
	t.Helper()
	// Clean-up runs kubectl too, when the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), kubectlTimeout)
	defer cancel()
	cmd := k.command(ctx, args)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("running kubectl %s: %v", strings.Join(args, " "), err)
	}
	return result
}

// MustRun runs kubectl and fails the test unless it succeeds; it returns the standard output.
func (k Kubectl) MustRun(t testing.TB, args ...string) string {
	t.Helper()
	result := k.Run(t, args...)
	if result.ExitCode != 0 {
		t.Fatalf("kubectl %s ended with %d:\n%s", strings.Join(args, " "), result.ExitCode, result.Output())
	}
	return result.Stdout
}

func (k Kubectl) command(ctx context.Context, args []string) *exec.Cmd {
	all := append([]string{"--kubeconfig", k.Kubeconfig, "--cache-dir", k.CacheDir}, args...)
	cmd := exec.CommandContext(ctx, "kubectl", all...)
	if len(k.Environ) > 0 {
		cmd.Env = append(os.Environ(), k.Environ...)
	}
	return cmd
}

// Stream is a kubectl that goes on running, such as one with -w.
type Stream struct {
	mu    sync.Mutex
	lines []string
	done  chan struct{}
}

// Start starts a kubectl that ends with the test.
func (k Kubectl) Start(t testing.TB, args ...string) *Stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := k.command(ctx, args)
	stream := &Stream{done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = stream, stream
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("starting kubectl %s: %v", strings.Join(args, " "), err)
	}
	go func() {
		defer close(stream.done)
		_ = cmd.Wait() // it is ended by the test; what it said is checked, not how it ended
	}()
	t.Cleanup(func() {
		cancel()
		<-stream.done
	})
	return stream
}

// Write implements io.Writer: it collects lines.
func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) == 0 {
		s.lines = []string{""}
	}
	parts := strings.Split(string(p), "\n")
	s.lines[len(s.lines)-1] += parts[0]
	s.lines = append(s.lines, parts[1:]...)
	return len(p), nil
}

// Lines returns the whole lines so far.
func (s *Stream) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) == 0 {
		return nil
	}
	return append([]string(nil), s.lines[:len(s.lines)-1]...)
}

// Ended tells whether the kubectl has ended.
func (s *Stream) Ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
