// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package memberconfig

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"syscall"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
)

// AddressPolicy says which addresses members may have. The zero value denies what is never a cluster of somebody
// else: loopback, link-local, multicast, unspecified and reserved addresses, and the metadata services of clouds.
// Private ranges are permitted, for members commonly live there.
type AddressPolicy struct {
	allowed []netip.Prefix
	denied  []netip.Prefix
}

// DeniedError is the cause of a dial that the policy forbade.
type DeniedError struct {
	// Address is the address that was about to be dialled.
	Address netip.Addr
}

// Error names the address.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("address %s is in a range that members may not have", e.Address)
}

// NewAddressPolicy returns a policy that also permits the allowed ranges, and denies the ranges given as denied. The
// latter win, so that an operator can shut off an own network whatever else is permitted.
func NewAddressPolicy(allowed []netip.Prefix, denied ...netip.Prefix) AddressPolicy {
	return AddressPolicy{allowed: masked(allowed), denied: masked(denied)}
}

// Permit returns a *DeniedError unless the address may be dialled. An IPv4 address inside an IPv6 one is judged as
// IPv4 address.
func (p AddressPolicy) Permit(addr netip.Addr) error {
	addr = effective(addr.WithZone(""))
	if contains(p.denied, addr) || (deniedByDefault(addr) && !contains(p.allowed, addr)) {
		return &DeniedError{Address: addr}
	}
	return nil
}

// ControlContext is for net.Dialer.ControlContext. It runs after names were resolved, with the address that will be
// connected to, so a name that resolves to something else the second time gains nothing.
func (p AddressPolicy) ControlContext(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("dialling over %s: only TCP is permitted", network)
	}
	addrPort, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("parsing the dialled address: %w", err)
	}
	return p.Permit(addrPort.Addr())
}

// Check reports a server whose host is a literal address that the policy denies, so that it can be refused before it
// is ever called. Names are judged when they are dialled.
func (p AddressPolicy) Check(c Connection) *Problem {
	server, err := url.Parse(c.Server)
	if err != nil {
		return nil //nolint:nilerr // not the policy's concern: a Connection's server was parsed before
	}
	addr, err := netip.ParseAddr(server.Hostname())
	if err != nil {
		return nil //nolint:nilerr // a name
	}
	if err := p.Permit(addr); err != nil {
		return &Problem{
			Condition: tmcv1alpha1.ConditionAccepted,
			Reason:    tmcv1alpha1.ReasonAddressNotAllowed,
			Message:   AddressDeniedMessage,
		}
	}
	return nil
}

// AddressDeniedMessage tells a tenant that the policy denies the address, without saying what a name resolved to.
const AddressDeniedMessage = "the server's address is in a range that members may not have (loopback, link-local, " +
	"multicast, metadata service or a range that the operator denies); use an address that is reachable from outside the member"

func masked(prefixes []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(prefixes))
	for _, prefix := range prefixes {
		addr, bits := prefix.Addr(), prefix.Bits()
		if addr.Is4In6() && bits >= 96 {
			prefix = netip.PrefixFrom(addr.Unmap(), bits-96)
		}
		out = append(out, prefix.Masked())
	}
	return out
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// deniedByDefault is written as a function, not a table, so that nothing can change it.
func deniedByDefault(addr netip.Addr) bool {
	if !addr.IsValid() || addr.IsUnspecified() || addr.IsLoopback() || addr.IsMulticast() ||
		addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() || addr.IsInterfaceLocalMulticast() {
		return true
	}
	if addr.Is4() {
		octets := addr.As4()
		return octets[0] == 0 || octets[0] >= 240 || isMetadata4(octets)
	}
	return isReserved6(addr.As16())
}

// isMetadata4 knows the metadata services that are not link-local: Azure, Alibaba Cloud, Oracle Cloud.
func isMetadata4(octets [4]byte) bool {
	return octets == [4]byte{168, 63, 129, 16} || octets == [4]byte{100, 100, 100, 200} || octets == [4]byte{192, 0, 0, 192}
}

// isReserved6 knows the metadata services of AWS (fd00:ec2::254) and Google (fd20:ce::254), site-local addresses
// (fec0::/10), and Teredo (2001::/32), whose embedded address is obscured.
func isReserved6(octets [16]byte) bool {
	siteLocal := octets[0] == 0xfe && octets[1]&0xc0 == 0xc0
	teredo := octets[0] == 0x20 && octets[1] == 0x01 && octets[2] == 0 && octets[3] == 0
	aws := octets == netip.MustParseAddr("fd00:ec2::254").As16()
	google := octets == netip.MustParseAddr("fd20:ce::254").As16()
	return siteLocal || teredo || aws || google
}

// effective returns the IPv4 address that an IPv6 one leads to: mapped (::ffff:a.b.c.d), compatible (::a.b.c.d),
// translated (64:ff9b::a.b.c.d) and 6to4 (2002:aabb:ccdd::).
func effective(addr netip.Addr) netip.Addr {
	if addr = addr.Unmap(); !addr.Is6() {
		return addr
	}
	octets := addr.As16()
	low := netip.AddrFrom4([4]byte(octets[12:16]))
	switch {
	case octets[0] == 0x20 && octets[1] == 0x02:
		return netip.AddrFrom4([4]byte(octets[2:6]))
	case octets[0] == 0 && octets[1] == 0x64 && octets[2] == 0xff && octets[3] == 0x9b:
		return low
	case [12]byte(octets[:12]) == [12]byte{} && !addr.IsUnspecified() && !addr.IsLoopback():
		return low
	default:
		return addr
	}
}
