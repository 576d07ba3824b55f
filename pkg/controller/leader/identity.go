// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/util/uuid"
)

const (
	// maxPlaces is how many processes of one host and one lease can be told apart by place. More get a random identity.
	maxPlaces = 16
	// digestBytes of a SHA-256 tell hosts and leases apart.
	digestBytes = 8
)

// Identity is the name under which one process stands for a lease. While it is claimed, no other process of the machine
// has it, and the next process in its place has the same. So a server that was killed and started again takes its own
// lease back at once, where another identity would have to wait until the lease ends: client-go renews a lease whose
// holder has the identity of the one who asks, https://pkg.go.dev/k8s.io/client-go/tools/leaderelection.
type Identity struct {
	// Name is written to the lease.
	Name string
	// place proves that every earlier process with the name is dead. Nothing closes it before this one ends: it may be
	// writing until then. Nil for a random name.
	place *net.UnixConn
}

// ClaimIdentity returns the identity of this process for the lease that the scope describes, such as by its URL.
//
// On Linux the process takes a place: it binds an abstract Unix socket, which the kernel gives to one process of a
// network namespace and takes away when that process ends, however it ends. The name tells host, boot, network
// namespace, scope and place. Where there are no places, or all are taken, the name is random.
// The error is that of a host that does not know its name.
func ClaimIdentity(scope string) (*Identity, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("choosing a name for the election: %w", err)
	}
	lease := digest(scope)
	host, err := bootAndNetwork()
	for i := 0; err == nil && i < maxPlaces; i++ {
		var place *net.UnixConn
		name := fmt.Sprintf("@tmc-apiserver/lease/%s/%d", lease, i)
		place, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
		if err == nil {
			return &Identity{Name: fmt.Sprintf("%s_%s_%d", hostname, digest(host, lease), i), place: place}, nil
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			err = nil // the next place may be free
		}
	}
	return &Identity{Name: hostname + "_" + string(uuid.NewUUID())}, nil
}

// bootAndNetwork tells running kernels and their network namespaces apart: a place is taken in one of these.
func bootAndNetwork() (string, error) {
	if runtime.GOOS != "linux" {
		return "", errors.ErrUnsupported // elsewhere the socket would be a file that outlives its process
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	network, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + " " + network, nil
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:digestBytes])
}
