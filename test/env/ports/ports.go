// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ports finds free TCP ports on the loopback interface, and tells who holds one that is taken.
//
// Ports come from below the kernel's ephemeral range on purpose: an outgoing connection can then never take the port of
// a process that is being restarted. A port is not reserved: whoever starts a process must be ready to choose again.
package ports

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	lowest = 20000
	// fallbackHighest is used where the kernel's ephemeral range cannot be read, or leaves no room.
	fallbackHighest = 32767
	tries           = 2000
	stateListen     = "0A"
	rangeFile       = "/proc/sys/net/ipv4/ip_local_port_range"
)

// ErrNoneFree says that too few ports are free.
var ErrNoneFree = errors.New("no free port found on 127.0.0.1")

// Free returns n different ports that nothing listens on right now.
func Free(ctx context.Context, n int) ([]int, error) {
	highest := belowEphemeral()
	var config net.ListenConfig
	found := make([]int, 0, n)
	for range tries {
		if len(found) == n {
			return found, nil
		}
		port := lowest + rand.IntN(highest-lowest+1)
		listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		// Held until all are found: otherwise one port could be found twice.
		defer listener.Close() // a listener that never accepted has nothing to lose
		found = append(found, port)
	}
	return nil, fmt.Errorf("looking for %d ports from %d to %d: %w", n, lowest, highest, ErrNoneFree)
}

func belowEphemeral() int {
	data, err := os.ReadFile(rangeFile)
	if err != nil {
		return fallbackHighest
	}
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		return fallbackHighest
	}
	first, err := strconv.Atoi(fields[0])
	if err != nil || first < lowest+1000 {
		return fallbackHighest
	}
	return first - 1
}

// Owner describes the process that listens on a port, or returns the empty text when that cannot be told.
func Owner(port int) string {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		inode := listeningInode(table, port)
		if inode == "" {
			continue
		}
		return describe(inode)
	}
	return ""
}

func listeningInode(table string, port int) string {
	file, err := os.Open(table)
	if err != nil {
		return ""
	}
	defer file.Close() // only read from
	suffix := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], suffix) && fields[3] == stateListen {
			return fields[9]
		}
	}
	return ""
}

func describe(inode string) string {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || target != "socket:["+inode+"]" {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		if err != nil {
			return "process " + pid
		}
		return fmt.Sprintf("process %s (%s)", pid, strings.TrimSpace(string(name)))
	}
	return "a process of another user"
}
