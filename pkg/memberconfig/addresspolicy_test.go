// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberconfig_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

func TestSEC14AddressPolicy(t *testing.T) {
	t.Parallel()
	var byDefault memberconfig.AddressPolicy
	loopback := memberconfig.NewAddressPolicy([]netip.Prefix{netip.MustParsePrefix("127.1.2.3/8")})
	mapped := memberconfig.NewAddressPolicy([]netip.Prefix{netip.MustParsePrefix("::ffff:127.0.0.0/104")})
	closed := memberconfig.NewAddressPolicy([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, netip.MustParsePrefix("10.96.0.0/12"))
	tests := map[string]struct {
		policy memberconfig.AddressPolicy
		denied []string
		permit []string
	}{
		"by default": {
			policy: byDefault,
			denied: []string{
				"127.0.0.1", "127.255.0.1", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "240.0.0.1", "255.255.255.255",
				"168.63.129.16", "100.100.100.200", "192.0.0.192",
				"::", "::1", "fe80::1", "fe80::1%eth0", "ff02::1", "ff01::1", "fec0::1", "fd00:ec2::254", "fd20:ce::254", "2001::1",
				"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
			},
			permit: []string{"192.0.2.1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"},
		},
		"loopback allowed": {
			policy: loopback,
			denied: []string{"169.254.169.254", "::1"},
			permit: []string{"127.0.0.1", "127.9.9.9", "::ffff:127.0.0.1", "10.0.0.1"},
		},
		"allowed in mapped form": {policy: mapped, permit: []string{"127.0.0.1", "::ffff:127.0.0.1"}, denied: []string{"::1"}},
		"denied wins":            {policy: closed, denied: []string{"10.96.0.1", "::ffff:10.100.0.1"}, permit: []string{"10.1.0.1"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, address := range tc.denied {
				err := tc.policy.Permit(netip.MustParseAddr(address))
				if denied := (*memberconfig.DeniedError)(nil); !errors.As(err, &denied) || !strings.Contains(err.Error(), "may not have") {
					t.Errorf("%s is permitted (%v)", address, err)
				}
			}
			for _, address := range tc.permit {
				if err := tc.policy.Permit(netip.MustParseAddr(address)); err != nil {
					t.Errorf("%s: %v", address, err)
				}
			}
		})
	}
	if byDefault.Permit(netip.Addr{}) == nil {
		t.Error("an invalid address is permitted")
	}
}

func TestSEC14ControlContext(t *testing.T) {
	t.Parallel()
	var policy memberconfig.AddressPolicy
	tests := map[string]struct {
		network, address string
		permit           bool
	}{
		"public":     {network: "tcp4", address: "192.0.2.1:443", permit: true},
		"loopback":   {network: "tcp4", address: "127.0.0.1:443"},
		"mapped":     {network: "tcp6", address: "[::ffff:127.0.0.1]:443"},
		"zone":       {network: "tcp6", address: "[fe80::1%lo]:443"},
		"unix":       {network: "unix", address: "/run/x.sock"},
		"UDP":        {network: "udp4", address: "192.0.2.1:443"},
		"no address": {network: "tcp4", address: "east:443"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := policy.ControlContext(context.Background(), tc.network, tc.address, nil); (err == nil) != tc.permit {
				t.Errorf("error = %v, want permitted = %t", err, tc.permit)
			}
		})
	}
}

// TestSEC14RebindingNameGainsNothing dials a name that resolves to loopback, and other spellings of that address:
// the judgement falls on the address that is connected to.
func TestSEC14RebindingNameGainsNothing(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dialer := &net.Dialer{ControlContext: memberconfig.AddressPolicy{}.ControlContext}
	for _, host := range []string{"localhost", "127.0.0.1", "::ffff:127.0.0.1", "0x7f000001", "2130706433", "017700000001", "127.1"} {
		conn, err := dialer.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err == nil {
			conn.Close()
			t.Errorf("%s was dialled", host)
		}
	}
}

func TestSEC14CheckRefusesLiteralAddresses(t *testing.T) {
	t.Parallel()
	var policy memberconfig.AddressPolicy
	for server, denied := range map[string]bool{
		"https://127.0.0.1:6443": true, "https://[::1]": true, "https://[::ffff:169.254.169.254]:80": true,
		"https://localhost": false, "https://192.0.2.1": false, "https://\x00": false,
	} {
		problem := policy.Check(memberconfig.Connection{Server: server})
		if (problem != nil) != denied {
			t.Errorf("Check(%s) = %v", server, problem)
		}
		if problem != nil && (problem.Condition != tmcv1alpha1.ConditionAccepted || problem.Reason != tmcv1alpha1.ReasonAddressNotAllowed) {
			t.Errorf("Check(%s) = %+v", server, problem)
		}
	}
}
