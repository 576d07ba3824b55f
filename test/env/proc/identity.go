// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

const (
	// Fields of /proc/<pid>/stat after the name, which is in parentheses and may hold anything.
	statState     = 0
	statThreads   = 17
	statStartTime = 19
	tailBytes     = 64 << 10
	bootIDFile    = "/proc/sys/kernel/random/boot_id"
)

// identify reads what tells the process with that pid from every other. A zombie counts as gone: it holds no port and
// no file, and only waits for its parent. One that has threads left does not: they still hold all of it.
func identify(pid int) (identity, error) {
	id, gone, err := readIdentity(pid)
	if err == nil && gone {
		err = fmt.Errorf("identifying process %d: %w", pid, os.ErrProcessDone)
	}
	return id, err
}

// readIdentity reads the identity of a process, also of a zombie, and says whether it is gone.
func readIdentity(pid int) (id identity, gone bool, err error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return identity{}, false, fmt.Errorf("identifying process %d: %w", pid, err)
	}
	_, after, found := strings.Cut(string(data[max(0, strings.LastIndexByte(string(data), ')')):]), ") ")
	fields := strings.Fields(after)
	if !found || len(fields) <= statStartTime {
		return identity{}, false, fmt.Errorf("identifying process %d: its stat file is malformed", pid)
	}
	gone = (fields[statState] == "Z" || fields[statState] == "X") && fields[statThreads] <= "1"
	boot, err := os.ReadFile(bootIDFile)
	if err != nil {
		return identity{}, false, fmt.Errorf("reading the machine's boot id: %w", err)
	}
	return identity{PID: pid, Start: fields[statStartTime], Boot: strings.TrimSpace(string(boot))}, gone, nil
}

// tail reads the last lines of a file, and says so when there are none.
func tail(path string, lines int) string {
	file, err := os.Open(path)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	defer file.Close() // only read from
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		if _, err := file.Seek(-tailBytes, io.SeekEnd); err != nil {
			return "(no log: " + err.Error() + ")"
		}
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
