// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func execute(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var outBuffer, errBuffer bytes.Buffer
	code = Run(args, &outBuffer, &errBuffer)
	return code, outBuffer.String(), errBuffer.String()
}

// Not parallel: component-base sets up logging per process.
func TestRun(t *testing.T) { // see above
	for name, tc := range map[string]struct {
		args []string
		code int
		out  []string
		err  []string
	}{
		"no flags":     {code: 1, err: []string{"Error: ", "--kubeconfig is required", "--tls-cert-file"}},
		"unknown flag": {args: []string{"--kubeconfg=x"}, code: 1, err: []string{"unknown flag: --kubeconfg", "--kubeconfig is required", "See tmc-apiserver --help"}},
		"several at once": {
			args: []string{"--one", "--two=2", "--probe-interval=x", "--three", "3"}, code: 1,
			err: []string{"unknown flag: --one", "unknown flag: --two", `"--probe-interval"`, "unknown flag: --three", "--kubeconfig is required"},
		},
		"argument":           {args: []string{"serve"}, code: 1, err: []string{`unknown command "serve"`}},
		"contradiction":      {args: []string{"--shard-user-names=a"}, code: 1, err: []string{"--shard-user-names has no meaning"}},
		"init without":       {args: []string{"init"}, code: 1, err: []string{"--kubeconfig is required"}},
		"init, unknown":      {args: []string{"init", "--nope"}, code: 1, err: []string{"unknown flag: --nope", "See tmc-apiserver init --help"}},
		"version":            {args: []string{"version"}, out: []string{"tmc-apiserver ", "go1."}},
		"version flag":       {args: []string{"--version"}, out: []string{"tmc-apiserver "}},
		"help":               {args: []string{"--help"}, out: []string{"Kcp flags:", "Front door flags:", "Side door flags:", "--kubeconfig", "tmc-apiserver init"}},
		"help of init":       {args: []string{"init", "--help"}, out: []string{"--dry-run", "--provider-workspace"}},
		"missing value":      {args: []string{"--kubeconfig"}, code: 1, err: []string{"flag needs an argument: --kubeconfig"}},
		"unknown log format": {args: []string{"--logging-format=xml"}, code: 1, err: []string{"--kubeconfig is required"}},
	} {
		t.Run(name, func(t *testing.T) { // see above
			code, out, errOut := execute(t, tc.args...)
			if code != tc.code {
				t.Errorf("code %d, want %d", code, tc.code)
			}
			for _, want := range tc.out {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in the output:\n%s", want, out)
				}
			}
			for _, want := range tc.err {
				if !strings.Contains(errOut, want) {
					t.Errorf("%q is not in the errors:\n%s", want, errOut)
				}
			}
		})
	}
}

// One mistyped flag must not make the others look as if they were given twice.
func TestFlagErrorsSpeakOfWhatWasTyped(t *testing.T) { // as TestRun
	for name, args := range map[string][]string{
		"unknown flag last":  {"--requestheader-username-headers=X-Fp-A-User", "--allowed-member-cidrs=nonsense", "--bogus"},
		"unknown flag first": {"--bogus", "--requestheader-username-headers=X-Fp-A-User", "--allowed-member-cidrs=nonsense"},
		"value that is none": {"--probe-interval=1s", "--requestheader-username-headers=X-Fp-A-User", "--allowed-member-cidrs=nonsense", "--probe-interval=soon"},
	} {
		args = append(args, "--requestheader-client-ca-file=ca.crt", "--requestheader-allowed-names=proxy")
		_, _, errOut := execute(t, args...)
		if strings.Contains(errOut, "twice") {
			t.Errorf("%s: a header is said to be configured twice:\n%s", name, errOut)
		}
		if strings.Contains(errOut, "0s is too short") {
			t.Errorf("%s: a value that could not be read is judged:\n%s", name, errOut)
		}
		for _, once := range []string{`"nonsense" is not`, "unknown flag: --bogus", `invalid argument "soon"`} {
			if n := strings.Count(errOut, once); n > 1 {
				t.Errorf("%s: %s is reported %d times:\n%s", name, once, n, errOut)
			}
		}
	}
}

func TestHelpOfSubcommandsDoesNotShowServerFlags(t *testing.T) { // as TestRun
	_, out, _ := execute(t, "version", "--help")
	if strings.Contains(out, "requestheader") || strings.Contains(out, "--kubeconfig") {
		t.Errorf("help of version:\n%s", out)
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	fs.Int("number", 0, "")
	for name, tc := range map[string]struct {
		args []string
		want int
	}{
		"unknown":             {[]string{"--number=1", "--x", "--y"}, 2},
		"invalid":             {[]string{"--number=a", "--y"}, 1},
		"missing":             {[]string{"--number=1", "--number"}, 1},
		"after the separator": {[]string{"--", "--x"}, 0},
		"shorthand":           {[]string{"-x", "--y"}, 1},
		"shorthands together": {[]string{"-xz", "--y"}, 0},
	} {
		if rest, _ := without(tc.args, fs.Parse(tc.args)); len(rest) != tc.want {
			t.Errorf("%s: %q is left", name, rest)
		}
	}
}
