// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/kcp-dev/tmc/cmd/tmc-apiserver/app/options"
	"github.com/kcp-dev/tmc/pkg/door/doortest"
)

// kcp is not there: the server must come up all the same, be alive, and stop in good order.
const unreachable = `apiVersion: v1
kind: Config
clusters: [{name: kcp, cluster: {server: "https://127.0.0.1:1/clusters/root:tmc"}}]
contexts: [{name: kcp, context: {cluster: kcp}}]
current-context: kcp
`

func serveFlags(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	ca := doortest.NewCA(t, "ca")
	leaf := ca.Server(t)
	caFile := doortest.WriteFile(t, dir, "ca.crt", ca.PEM)
	return []string{
		"--kubeconfig=" + doortest.WriteFile(t, dir, "kubeconfig", []byte(unreachable)),
		"--tls-cert-file=" + doortest.WriteFile(t, dir, "tls.crt", leaf.Cert), "--tls-private-key-file=" + doortest.WriteFile(t, dir, "tls.key", leaf.Key),
		"--bind-address=127.0.0.1", "--secure-port=0", "--requestheader-client-ca-file=" + caFile,
		"--requestheader-allowed-names=proxy", "--requestheader-username-headers=X-Remote-User",
	}
}

func parse(t *testing.T, args []string) options.CompletedOptions {
	t.Helper()
	o := options.New()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	groups := o.Flags()
	for _, name := range groups.Order {
		fs.AddFlagSet(groups.FlagSet(name))
	}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o.Complete()
}

func TestServeStopsInGoodOrder(t *testing.T) {
	t.Parallel()
	o := parse(t, serveFlags(t))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Serving.Listener = listener
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- serve(ctx, o) }()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	stop()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("serving ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the server did not stop")
	}
}

func TestRunRefusesUnknownLogFormat(t *testing.T) { // as TestRun
	code, _, errOut := execute(t, append(serveFlags(t), "--logging-format=xml")...)
	if code != 1 || !strings.Contains(errOut, "setting up logs") || !strings.Contains(errOut, "xml") {
		t.Errorf("code %d: %s", code, errOut)
	}
}

// argsVariable holds the command line of a child process that plays the command, a line each.
const argsVariable = "TMC_TEST_COMMAND_LINE"

// TestMain plays the command itself in a child process: logging and signals belong to a process as a whole.
func TestMain(m *testing.M) {
	if args, found := os.LookupEnv(argsVariable); found {
		os.Exit(Run(strings.Split(args, "\n"), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// The whole command line: the server serves with the flags as typed, and the signal to stop ends it without an error.
func TestRunServesUntilTheSignal(t *testing.T) {
	t.Parallel()
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	_ = free.Close()
	args := append(serveFlags(t), "--secure-port="+port, "--leader-elect=false", "--publish-endpoints=false")
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), argsVariable+"="+strings.Join(args, "\n"))
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	awaitAlive(t, address, done)
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil || strings.Contains(output.String(), "Error:") {
			t.Errorf("it ended with %v:\n%s", err, output.String())
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the server did not stop")
	}
}

// awaitAlive waits until the server says that it is alive.
func awaitAlive(t *testing.T, address string, done <-chan error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	alive := func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/livez", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode == http.StatusOK
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(30 * time.Second); !alive(); {
		select {
		case <-ticker.C:
		case err := <-done:
			t.Fatalf("it ended with %v", err)
		case <-deadline:
			t.Fatal("the server did not come up")
		}
	}
}

func TestServeFailures(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for name, tc := range map[string]struct{ flag, want string }{
		"certificate": {"--tls-cert-file=" + missing, "listening"},
		"kubeconfig":  {"--kubeconfig=" + missing, "--kubeconfig"},
		"export":      {"--export-name=", "ExportName"},
		"prefix":      {"--path-prefix=services", "prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := serve(t.Context(), parse(t, append(serveFlags(t), tc.flag))); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
