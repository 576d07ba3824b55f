// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"

	"github.com/kcp-dev/tmc/pkg/apiserver"
	"github.com/kcp-dev/tmc/pkg/door/doortest"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: kcp, cluster: {server: "https://127.0.0.1:1/clusters/root:tmc"}}]
contexts: [{name: kcp, context: {cluster: kcp}}]
current-context: kcp
`

// files are what a good command line names.
type files struct{ kubeconfig, ca, cert, key string }

func newFiles(t *testing.T) files {
	t.Helper()
	dir := t.TempDir()
	ca := doortest.NewCA(t, "ca")
	leaf := ca.Server(t)
	return files{
		kubeconfig: doortest.WriteFile(t, dir, "kubeconfig", []byte(kubeconfig)),
		ca:         doortest.WriteFile(t, dir, "ca.crt", ca.PEM),
		cert:       doortest.WriteFile(t, dir, "tls.crt", leaf.Cert),
		key:        doortest.WriteFile(t, dir, "tls.key", leaf.Key),
	}
}

// operator are the flags that kcp-operator generates for a virtual workspace server.
func (f files) operator(more ...string) []string {
	return append([]string{
		"--kubeconfig=" + f.kubeconfig, "--tls-cert-file=" + f.cert, "--tls-private-key-file=" + f.key,
		"--bind-address=127.0.0.1", "--secure-port=0", "--client-ca-file=" + f.ca,
		"--requestheader-client-ca-file=" + f.ca, "--requestheader-allowed-names=kcp-front-proxy",
		"--requestheader-username-headers=X-Fp-User", "--requestheader-group-headers=X-Fp-Group", "--requestheader-extra-headers-prefix=X-Fp-Extra-",
		"-v=2",
	}, more...)
}

// without leaves one of the flags empty.
func (f files) without(flag string) []string {
	args := f.operator()
	for i, arg := range args {
		if strings.HasPrefix(arg, flag+"=") {
			args[i] = flag + "="
		}
	}
	return args
}

func parse(t *testing.T, args ...string) CompletedOptions {
	t.Helper()
	o := New()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	groups := o.Flags()
	for _, name := range groups.Order {
		fs.AddFlagSet(groups.FlagSet(name))
	}
	if err := fs.Parse(args); err != nil {
		t.Fatalf("parsing flags: %v", err)
	}
	return o.Complete()
}

func TestValidate(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	missing := filepath.Join(t.TempDir(), "missing")
	tests := map[string]struct {
		args []string
		want []string // each is in the error; none means that there is no error
	}{
		"flags of kcp-operator": {args: f.operator()},
		"everything": {args: f.operator("--shard-user-names=kcp-shard-root,kcp-shard-shard-1",
			"--side-door-requestheader-client-ca-file="+f.ca, "--side-door-requestheader-allowed-names=side", "--side-door-requestheader-username-headers=X-Sd-User",
			"--allowed-member-cidrs=127.0.0.0/8,::1/128", "--workload-export-name=workloads", "--detach-after=1s", "--member-write-qps=5", "--member-write-burst=1", "--trusted-lenders=root:a,2abc", "--pod-security-level=restricted", "--leader-elect=false", "--logging-format=json", "--shutdown-delay-duration=5s")},
		"nothing": {want: []string{"--kubeconfig is required", "--tls-cert-file and --tls-private-key-file are required", "--requestheader-client-ca-file or --side-door"}},
		"everything wrong at once": {
			args: []string{
				"--kubeconfig=" + missing, "--export-name=Not_A_Name", "--path-prefix=/apis", "--tls-cert-file=" + missing, "--tls-private-key-file=" + missing,
				"--requestheader-client-ca-file=" + missing, "--client-ca-file=" + missing, "--max-watches=-1", "--authorization-cache-size=0",
				"--authorization-timeout=0s", "--allowed-member-cidrs=127.0.0.1", "--probe-interval=1ms", "--unreachable-after=1s", "--refresh-interval=1ms",
				"--leader-elect-renew-deadline=20s", "--request-timeout=1ms", "--goaway-chance=1", "--max-requests-inflight=-1", "--min-request-timeout=0",
				"--shutdown-delay-duration=-1s", "--start-grace=-1s", "--workload-export-name=Not_A_Name", "--detach-after=1ms", "--member-write-qps=NaN", "--member-write-burst=0", "--trusted-lenders=Root", "--pod-security-level=none", "--tracing-config-file=" + missing, "--secure-port=70000",
			},
			want: []string{
				"--kubeconfig: open", "--export-name", "--path-prefix", "--tls-cert-file and --tls-private-key-file: open", "--requestheader-client-ca-file: ",
				"--requestheader-allowed-names is required", "--requestheader-username-headers is required", "--client-ca-file: ", "must not be negative", "--authorization-cache-size",
				"--authorization-timeout", "--allowed-member-cidrs", "--probe-interval", "--unreachable-after", "--refresh-interval",
				"--leader-elect-lease-duration", "--request-timeout", "--goaway-chance", "--max-requests-inflight", "--min-request-timeout",
				"--shutdown-delay-duration", "--start-grace", "--workload-export-name=\"Not_A_Name\"", "--detach-after=1ms is too short", "--member-write-qps=NaN is no rate", "--member-write-burst=0 is too small", "--trusted-lenders: \"Root\"", "none of privileged, baseline and restricted", "tracing-config-file", "--secure-port",
			},
		},
		"lease of half a second more": {
			args: f.operator("--leader-elect-lease-duration=2500ms", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=1s"),
			want: []string{"--leader-elect-lease-duration=2.5s must be longer, in whole seconds, than --leader-elect-renew-deadline=2s"},
		},
		"empty allow list":        {args: f.without("--requestheader-allowed-names"), want: []string{"would trust every certificate"}},
		"empty name in the list":  {args: f.operator("--shard-user-names=a,"), want: []string{"must not hold an empty name"}},
		"headers that collide":    {args: f.operator("--requestheader-extra-headers-prefix=X-Fp-"), want: []string{"includes the header X-Fp-User"}},
		"shards without a door":   {args: []string{"--shard-user-names=a"}, want: []string{"--shard-user-names has no meaning"}},
		"names without a door":    {args: f.operator("--side-door-requestheader-allowed-names=a"), want: []string{"the other --side-door-requestheader- flags have no meaning"}},
		"one name for both doors": {args: f.operator("--side-door-requestheader-client-ca-file="+f.ca, "--side-door-requestheader-allowed-names=kcp-front-proxy", "--side-door-requestheader-username-headers=X"), want: []string{"could not be told apart"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := parse(t, tc.args...).Validate()
			if len(tc.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
	if err := (CompletedOptions{}).Validate(); err == nil {
		t.Error("options that were not completed were accepted")
	}
}

func TestServerConfig(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	o := parse(t, f.operator("--shard-user-names=kcp-shard-root", "--side-door-requestheader-client-ca-file="+f.ca, "--side-door-requestheader-allowed-names=side",
		"--side-door-requestheader-username-headers=X-Sd-User", "--shutdown-delay-duration=7s", "--max-watches-per-tenant=3", "--profiling", "--allowed-member-cidrs=127.0.0.1/8")...)
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	config, err := o.ServerConfig()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopWatching(config) })
	if config.Generic.SecureServing == nil || config.Generic.SecureServing.Listener == nil {
		t.Fatal("port 0 was not listened at")
	}
	type summary struct {
		Doors     []string
		Shards    []string
		Direct    bool
		Watches   int
		Delay     time.Duration
		Profiling bool
		TLS       uint16
		CIDR      string
	}
	backendConfig, err := o.BackendConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	got := summary{
		Direct: config.Doors.Clients != nil, Watches: config.Doors.Limits.Watches, Delay: config.Generic.ShutdownDelayDuration,
		Profiling: config.Generic.EnableProfiling, TLS: config.Generic.SecureServing.MinTLSVersion, CIDR: backendConfig.AllowedMembers[0].String(),
	}
	for _, d := range config.Doors.Headers {
		got.Doors = append(got.Doors, d.Name+":"+strings.Join(d.AllowedNames, ","))
		got.Shards = append(got.Shards, d.ShardUsers...)
	}
	want := summary{
		Doors: []string{"front:kcp-front-proxy", "side:side"}, Shards: []string{"kcp-shard-root"}, Direct: true, Watches: 3,
		Delay: 7 * time.Second, Profiling: true, TLS: 0x0304, CIDR: "127.0.0.0/8",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if backendConfig.Provider.Host != "https://127.0.0.1:1/clusters/root:tmc" || backendConfig.Metrics != config.Metrics {
		t.Errorf("backend configuration: %+v", backendConfig.Provider)
	}
}

func stopWatching(config *apiserver.Config) {
	_ = config.Generic.SecureServing.Listener.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	watched := []any{config.Generic.SecureServing.Cert, config.Doors.Clients}
	for _, d := range config.Doors.Headers {
		watched = append(watched, d.CAs)
	}
	for _, w := range watched {
		if runner, ok := w.(dynamiccertificates.ControllerRunner); ok {
			runner.Run(ctx, 1)
		}
	}
}

func TestConfigFailures(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	missing := filepath.Join(t.TempDir(), "missing")
	for name, args := range map[string][]string{
		"certificate gone": {"--tls-cert-file=" + missing},
		"proxies gone":     {"--requestheader-client-ca-file=" + missing},
		"clients gone":     {"--client-ca-file=" + missing},
		"tracing gone":     {"--tracing-config-file=" + missing},
		"audit policy":     {"--audit-log-path=-", "--audit-policy-file=" + missing},
		"address taken":    {"--bind-address=203.0.113.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if config, err := parse(t, f.operator(args...)...).ServerConfig(); err == nil {
				stopWatching(config)
				t.Error("there was no error")
			}
		})
	}
	if _, err := parse(t, f.operator("--kubeconfig="+f.ca)...).BackendConfig(&apiserver.Config{}); err == nil {
		t.Error("a kubeconfig that is none was accepted")
	}
	for name, cluster := range map[string]string{
		"not verified": `{server: "https://127.0.0.1:1", insecure-skip-tls-verify: true}`,
		"not https":    `{server: "http://127.0.0.1:1"}`,
	} {
		bad := strings.Replace(kubeconfig, `{server: "https://127.0.0.1:1/clusters/root:tmc"}`, cluster, 1)
		path := doortest.WriteFile(t, t.TempDir(), "kubeconfig", []byte(bad))
		if _, err := parse(t, f.operator("--kubeconfig="+path)...).ProviderConfig(); err == nil {
			t.Errorf("a kubeconfig whose server is %s was accepted", name)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	got := strings.Join(parse(t, f.operator("--requestheader-username-headers=x-remote-user")...).Warnings(), "\n")
	for _, want := range []string{"anybody can guess", "--shard-user-names is empty"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if got := parse(t, f.operator("--shard-user-names=a")...).Warnings(); len(got) != 0 {
		t.Errorf("warned of %q", got)
	}
}

// Every flag has help, and none is there twice.
func TestFlagsAreDescribed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	groups := New().Flags()
	for _, group := range groups.Order {
		groups.FlagSet(group).VisitAll(func(flag *pflag.Flag) {
			if seen[flag.Name] || flag.Usage == "" {
				t.Errorf("--%s is there twice, or has no help", flag.Name)
			}
			seen[flag.Name] = true
		})
	}
	for _, name := range []string{"cert-dir", "etcd-servers", "authentication-token-webhook", "anonymous-auth"} {
		if seen[name] {
			t.Errorf("--%s has no place here", name)
		}
	}
}
