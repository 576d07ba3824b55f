// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build crashpoints

package crashpoint

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const victim = "TMC_CRASH_VICTIM"

// TestVictim is no test: it is what the process that TestHitKills starts does.
func TestVictim(t *testing.T) {
	if os.Getenv(victim) == "" {
		t.Skip("only for a process that is to die")
	}
	for range 3 {
		Hit(BeforeCreate)
		Hit(AfterCreate)
	}
}

func TestHitKills(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		armed string
		dies  bool
	}{
		"first hit": {"sync.create.before", true}, "third hit": {"sync.create.after:3", true},
		"not hit as often": {"sync.create.after:4", false}, "not armed": {"", false}, "another": {"sync.update.after", false},
		"malformed": {"sync.create.before:x", false}, "zeroth": {"sync.create.before:0", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$")
			cmd.Env = append(os.Environ(), victim+"=yes", Variable+"="+tc.armed)
			output, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
			if killed != tc.dies || (err != nil) != tc.dies {
				t.Fatalf("killed: %t (%v), want %t:\n%s", killed, err, tc.dies, output)
			}
			point, _, _ := strings.Cut(tc.armed, ":")
			if said := strings.Contains(string(output), "Killed at the crash point "+point+"\n"); tc.dies && !said {
				t.Errorf("it did not say at which point it died:\n%s", output)
			}
		})
	}
}
