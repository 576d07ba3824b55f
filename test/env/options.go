// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/utils/clock"

	"github.com/kcp-dev/tmc/test/env/build"
)

const (
	// DefaultMembers is how many members there are unless told otherwise: east, west and edge.
	DefaultMembers = 3
	// NoMembers starts none, as zero stands for the default.
	NoMembers = -1
	// MaxShards is what the topology is built for.
	MaxShards = 2
	// maxMembers bounds what pod ranges can tell apart.
	maxMembers = 100

	modulePath = "github.com/kcp-dev/tmc"
)

// Options say what to start.
type Options struct {
	// Dir holds everything of the environment; ".dev" unless set.
	Dir string
	// Shards of kcp: 1 unless set, or 2.
	Shards int
	// Members is the number of member clusters: DefaultMembers when zero, none when NoMembers.
	Members int
	// LateMembers is how many of them, the last ones, are started only by StartMember.
	LateMembers int
	// Out receives progress, a line each; nothing is said when nil.
	Out io.Writer
	// CacheDir keeps built binaries; the user's cache folder unless set.
	CacheDir string
	// RepoDir is this repository; found from the working directory upwards unless set.
	RepoDir string
	// Clock is the real one unless set.
	Clock clock.WithTicker
}

// complete fills in what was left out, and reports every problem at once.
func (o *Options) complete() error {
	if o.Dir == "" {
		o.Dir = ".dev"
	}
	if o.Shards == 0 {
		o.Shards = 1
	}
	if o.Members == 0 {
		o.Members = DefaultMembers
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	var errs []error
	if o.Shards < 1 || o.Shards > MaxShards {
		errs = append(errs, fmt.Errorf("shards=%d is not possible: choose 1 or %d", o.Shards, MaxShards))
	}
	if o.Members < NoMembers || o.Members > maxMembers {
		errs = append(errs, fmt.Errorf("members=%d is not possible: choose 1 to %d, or %d for none", o.Members, maxMembers, NoMembers))
	}
	if o.LateMembers < 0 || o.LateMembers > o.memberCount() {
		errs = append(errs, fmt.Errorf("lateMembers=%d is not possible: choose 0 to %d, which is how many members there are", o.LateMembers, o.memberCount()))
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		errs = append(errs, fmt.Errorf("making the environment's directory absolute: %w", err))
	}
	if o.CacheDir == "" {
		if o.CacheDir, err = build.DefaultDir(); err != nil {
			errs = append(errs, err)
		}
	}
	if o.RepoDir == "" {
		if o.RepoDir, err = findRepository(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (o *Options) memberCount() int { return max(0, o.Members) }

// findRepository looks for this module's go.mod, from the working directory upwards.
func findRepository() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(data), "module "+modulePath+"\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the module %s: no directory from %s upwards holds it", modulePath, start)
		}
	}
}
