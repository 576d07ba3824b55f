// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package build compiles the commands that an environment runs, and keeps them in the user's cache folder.
//
// A set of commands is kept under a hash of everything that decides what it is: sources, go.mod, go.sum, build flags, Go
// version and platform. What is in the cache is therefore right, whichever clone put it there, and it is complete: a
// set appears by one rename. It is no build system: it knows which folders hold sources, not what depends on what.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
)

const (
	progressInterval = 10 * time.Second
	lockInterval     = 200 * time.Millisecond
	outputTail       = 30
	keyLength        = 24
)

// Set is a group of commands of one module, built together.
type Set struct {
	// Name for messages.
	Name string
	// ModuleDir is the directory of the module's go.mod.
	ModuleDir string
	// Folders of ModuleDir that hold the sources; all of it unless set. go.mod and go.sum count in any case.
	Folders []string
	// Packages are the commands to build, as import paths or relative to ModuleDir.
	Packages []string
	// Commands are the file names that the build makes.
	Commands []string
	// LDFlags for the linker.
	LDFlags string
}

// Cache keeps built sets.
type Cache struct {
	// Dir is the cache folder; DefaultDir says which one is usual.
	Dir string
	// Out receives a line about every build, and its progress.
	Out io.Writer
	// Clock measures how long builds take.
	Clock clock.WithTicker
	// Go is the go command, "go" unless set.
	Go string
}

// DefaultDir is tmc in the user's cache folder.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w", err)
	}
	return filepath.Join(dir, "tmc"), nil
}

// Get returns the folder that holds the set's commands, building them if the cache lacks them. Of several callers that
// miss the same set, one builds and the others wait for it.
func (c *Cache) Get(ctx context.Context, set Set) (string, error) {
	version, err := c.goVersion(ctx)
	if err != nil {
		return "", err
	}
	key, err := Key(set, version)
	if err != nil {
		return "", err
	}
	final := filepath.Join(c.Dir, key)
	if complete(final, set.Commands) {
		return final, nil
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil { // binaries are no secret
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	unlock, err := Lock(ctx, final+".lock", func() {
		c.say("waiting for another build of %s to finish", set.Name)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if complete(final, set.Commands) {
		return final, nil
	}
	return final, c.build(ctx, set, final)
}

// build compiles into a folder beside the final one; whatever goes wrong, nothing of it stays.
func (c *Cache) build(ctx context.Context, set Set, final string) (err error) {
	if err := os.RemoveAll(final); err != nil { // incomplete, or it would have been taken
		return fmt.Errorf("removing an incomplete build: %w", err)
	}
	temporary, err := os.MkdirTemp(c.Dir, ".building-*")
	if err != nil {
		return fmt.Errorf("making a folder to build in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	if err := os.Chmod(temporary, 0o755); err != nil { // binaries are no secret
		return fmt.Errorf("opening the build folder to others: %w", err)
	}
	if err := c.buildInto(ctx, set, temporary); err != nil {
		return err
	}
	if err := os.Rename(temporary, final); err != nil {
		return fmt.Errorf("moving the build of %s into the cache: %w", set.Name, err)
	}
	return nil
}

// buildInto builds the set into an existing folder, past the cache.
func (c *Cache) buildInto(ctx context.Context, set Set, dir string) error {
	start := c.Clock.Now()
	stop := c.progress(set.Name, start)
	output, err := c.compile(ctx, set, dir)
	stop()
	if err != nil {
		return fmt.Errorf("building %s: %w; the last output was:\n%s", set.Name, err, lastLines(output, outputTail))
	}
	if !complete(dir, set.Commands) {
		return fmt.Errorf("building %s: the build made no %s", set.Name, strings.Join(set.Commands, " or no "))
	}
	c.say("built %s in %s", set.Name, c.Clock.Since(start).Round(time.Second))
	return nil
}

func (c *Cache) compile(ctx context.Context, set Set, into string) ([]byte, error) {
	args := []string{"build", "-C", set.ModuleDir, "-ldflags", set.LDFlags, "-o", into + string(filepath.Separator)}
	cmd := exec.CommandContext(ctx, c.goCommand(), append(args, set.Packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	return cmd.CombinedOutput()
}

// progress says every few seconds that a build goes on, also where nobody sees a spinner.
func (c *Cache) progress(name string, start time.Time) (stop func()) {
	c.say("building %s (this can take minutes the first time)", name)
	ticker := c.Clock.NewTicker(progressInterval)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ticker.C():
				c.say("still building %s (%s)", name, c.Clock.Since(start).Round(time.Second))
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
		<-ended
	}
}

func (c *Cache) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.Out, format+"\n", args...) // progress that cannot be shown stops no build
}

func (c *Cache) goCommand() string {
	if c.Go != "" {
		return c.Go
	}
	return "go"
}

func (c *Cache) goVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, c.goCommand(), "env", "GOVERSION").Output()
	if err != nil {
		return "", fmt.Errorf("asking the go command for its version: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Key is the hash of everything that decides what a build of the set makes.
func Key(set Set, goVersion string) (string, error) {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %q %q %q %q\n", goVersion, runtime.GOOS+"/"+runtime.GOARCH, set.LDFlags, set.Packages, set.Commands)
	files, err := set.sources()
	if err != nil {
		return "", fmt.Errorf("listing sources of %s: %w", set.Name, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(set.ModuleDir, name))
		if err != nil {
			return "", fmt.Errorf("reading a source of %s: %w", set.Name, err)
		}
		_, _ = fmt.Fprintf(h, "%q %x\n", filepath.ToSlash(name), sha256.Sum256(data))
	}
	return hex.EncodeToString(h.Sum(nil))[:keyLength], nil
}

// sources lists the files that a build may read, relative to the module.
func (s Set) sources() ([]string, error) {
	if len(s.Folders) == 0 {
		return s.sourcesBelow(".")
	}
	names := []string{"go.mod", "go.sum"}
	for _, folder := range s.Folders {
		below, err := s.sourcesBelow(folder)
		if err != nil {
			return nil, err
		}
		names = append(names, below...)
	}
	return names, nil
}

// sourcesBelow leaves out tests, notes, hidden files, and what a build by hand leaves beside the sources.
func (s Set) sourcesBelow(folder string) ([]string, error) {
	var names []string
	dir := filepath.Join(s.ModuleDir, folder)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		hidden := strings.HasPrefix(name, ".") && path != dir
		if entry.IsDir() && (hidden || name == "testdata") {
			return filepath.SkipDir
		}
		if !entry.Type().IsRegular() || hidden || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".md") ||
			slices.Contains(s.Commands, name) {
			return nil
		}
		relative, err := filepath.Rel(s.ModuleDir, path)
		names = append(names, relative)
		return err
	})
	sort.Strings(names)
	return names, err
}

func complete(dir string, commands []string) bool {
	for _, name := range commands {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// Lock takes an advisory lock on a file, which ends with the process at the latest. waiting is called once if somebody
// else holds it.
func Lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock file: %w", err)
	}
	told := false
	err = wait.PollUntilContextCancel(ctx, lockInterval, true, func(context.Context) (bool, error) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			if !told {
				told = true
				waiting()
			}
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
	}
	return func() { _ = file.Close() }, nil // closing releases the lock
}

func lastLines(output []byte, n int) string {
	lines := strings.Split(strings.TrimRight(string(output), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
