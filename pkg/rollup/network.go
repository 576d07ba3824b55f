// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup

import (
	"math"
	"net/netip"

	"k8s.io/apimachinery/pkg/util/validation"
)

// service has the addresses of all members. Until any has one there is nothing to say: most Services never have, and
// do not cost a write.
func (m *merge) service() map[string]any {
	out := make(map[string]any, 2)
	if addresses := m.addresses(true); len(addresses) > 0 {
		out["loadBalancer"] = map[string]any{"ingress": addresses}
	}
	m.addConditions(out, shape{generation: true})
	return out
}

// ingress has the addresses of all members.
func (m *merge) ingress() map[string]any {
	out := make(map[string]any, 1)
	if addresses := m.addresses(false); len(addresses) > 0 {
		out["loadBalancer"] = map[string]any{"ingress": addresses}
	}
	return out
}

// addresses are the union over the members in their order. What is not known of one is as it was: nothing that was
// there goes before that member is heard.
func (m *merge) addresses(modes bool) []any {
	var out []any
	include := func(status map[string]any) {
		for _, entry := range list(mapping(status["loadBalancer"])["ingress"]) {
			if len(out) == maxList {
				return
			}
			if address := addressOf(mapping(entry), modes); address != nil && !contains(out, address) {
				out = append(out, address)
			}
		}
	}
	if m.unheard > 0 {
		include(m.previous)
	}
	for i := range m.views {
		include(m.views[i].status)
	}
	return out
}

func contains(addresses []any, address map[string]any) bool {
	for _, other := range addresses {
		if same(other, address) {
			return true
		}
	}
	return false
}

// addressOf reads one address; nil if it is none. An address that a member made up can still mislead, but not break
// what reads it.
func addressOf(entry map[string]any, modes bool) map[string]any {
	out := make(map[string]any, 4)
	if ip, err := netip.ParseAddr(cut(text(entry["ip"]), 64)); err == nil && ip.Zone() == "" {
		out["ip"] = ip.String()
	}
	if host := text(entry["hostname"]); len(host) <= maxName && len(validation.IsDNS1123Subdomain(host)) == 0 {
		out["hostname"] = host
	}
	if len(out) == 0 {
		return nil
	}
	if mode := text(entry["ipMode"]); modes && out["ip"] != nil && (mode == "VIP" || mode == "Proxy") {
		out["ipMode"] = mode
	}
	var ports []any
	for _, p := range list(entry["ports"]) {
		if port := portOf(mapping(p)); port != nil && len(ports) < maxConditions {
			ports = append(ports, port)
		}
	}
	if len(ports) > 0 {
		out["ports"] = ports
	}
	return out
}

func portOf(fields map[string]any) map[string]any {
	port, protocol := count(fields["port"]), text(fields["protocol"])
	if port > math.MaxUint16 || protocol != "TCP" && protocol != "UDP" && protocol != "SCTP" {
		return nil
	}
	out := map[string]any{"port": port, "protocol": protocol}
	if problem := word(fields["error"]); problem != "" {
		out["error"] = problem
	}
	return out
}
