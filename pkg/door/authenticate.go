// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

const (
	// maxNameLength bounds user names, groups and the keys and values of extras: identities are kept in a cache.
	maxNameLength = 1024
	// maxGroups and maxExtras bound how many of them one identity has.
	maxGroups = 256
	maxExtras = 64
	// bindingPrefix marks the subjects of kcp's maximal permission policies, which are no users.
	bindingPrefix = "apis.kcp.io:binding:"
	// warrantKey is kcp's extra that adds another identity to a user; nobody may bring one along.
	warrantKey = "authorization.kcp.io/warrant"
)

// Reasons why a request has no identity. They are values of a metric's label, too.
var (
	errNoCertificate    = errors.New("no client certificate")
	errUntrusted        = errors.New("client certificate of no known authority or name")
	errAmbiguousDoor    = errors.New("client certificate of more than one door")
	errUserHeader       = errors.New("not exactly one value of the user header")
	errMalformed        = errors.New("malformed identity")
	errReservedIdentity = errors.New("reserved identity")
)

// Doors authenticates requests.
type Doors struct {
	headerDoors []HeaderDoor
	direct      func() (x509.VerifyOptions, bool)
}

// NewDoors checks the doors. Direct returns the authorities of users' own client certificates; it may be nil.
func NewDoors(headerDoors []HeaderDoor, direct func() (x509.VerifyOptions, bool)) (*Doors, error) {
	errs := make([]error, 0, len(headerDoors))
	names, proxies := sets.New[string](), sets.New[string]()
	for _, d := range headerDoors {
		errs = append(errs, d.Validate())
		if names.Has(d.Name) {
			errs = append(errs, fmt.Errorf("the %s door is configured twice", d.Name))
		}
		names.Insert(d.Name)
		for _, proxy := range sets.List(sets.New(d.AllowedNames...)) {
			if proxies.Has(proxy) {
				errs = append(errs, fmt.Errorf("the client certificate name %q is allowed at more than one door, so that it would not tell which", proxy))
			}
			proxies.Insert(proxy)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Doors{headerDoors: slices.Clone(headerDoors), direct: direct}, nil
}

// Identify tells who sent a request. The error is for logs and metrics; the client learns nothing of it.
func (d *Doors) Identify(req *http.Request) (*Identity, error) {
	if req.TLS == nil || len(req.TLS.PeerCertificates) == 0 {
		return nil, errNoCertificate
	}
	chain := req.TLS.PeerCertificates
	var taken *HeaderDoor
	for i := range d.headerDoors {
		candidate := &d.headerDoors[i]
		// The name is compared first because verification costs more.
		if !slices.Contains(candidate.AllowedNames, chain[0].Subject.CommonName) || !verified(chain, candidate.VerifyOptions) {
			continue
		}
		if taken != nil {
			return nil, errAmbiguousDoor
		}
		taken = candidate
	}
	if taken != nil {
		return fromHeaders(*taken, req.Header)
	}
	// A proxy whose certificate is no longer good must not become a user of its own.
	if d.isProxyName(chain[0].Subject.CommonName) || d.direct == nil || !verified(chain, d.direct) {
		return nil, errUntrusted
	}
	return newIdentity(Direct, TrustUser, user.DefaultInfo{
		Name:   chain[0].Subject.CommonName,
		Groups: chain[0].Subject.Organization,
	})
}

func (d *Doors) isProxyName(name string) bool {
	return slices.ContainsFunc(d.headerDoors, func(h HeaderDoor) bool { return slices.Contains(h.AllowedNames, name) })
}

func verified(chain []*x509.Certificate, authorities func() (x509.VerifyOptions, bool)) bool {
	options, ok := authorities()
	if !ok || options.Roots == nil {
		return false
	}
	options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if options.Intermediates == nil && len(chain) > 1 {
		options.Intermediates = x509.NewCertPool()
		for _, intermediate := range chain[1:] {
			options.Intermediates.AddCert(intermediate)
		}
	}
	_, err := chain[0].Verify(options)
	return err == nil
}

func fromHeaders(d HeaderDoor, header http.Header) (*Identity, error) {
	names := d.user(header)
	if len(names) != 1 {
		return nil, errUserHeader
	}
	// Only the one known name makes a shard: groups never decide.
	if d.Name == Front && slices.Contains(d.ShardUsers, names[0]) {
		return newIdentity(d.Name, TrustShard, user.DefaultInfo{Name: names[0]})
	}
	extra, err := extras(d, header)
	if err != nil {
		return nil, err
	}
	return newIdentity(d.Name, TrustUser, user.DefaultInfo{Name: names[0], Groups: values(header, d.GroupHeaders), Extra: extra})
}

func extras(d HeaderDoor, header http.Header) (map[string][]string, error) {
	extra := map[string][]string{}
	for name, list := range header {
		for _, prefix := range d.ExtraPrefixes {
			if !hasPrefixFold(name, prefix) {
				continue
			}
			key, err := url.PathUnescape(strings.ToLower(name[len(prefix):]))
			if err != nil || !printable(key) {
				return nil, errMalformed
			}
			// Two spellings of one key would be merged in no particular order.
			if _, twice := extra[key]; twice || len(extra) == maxExtras || len(list) > maxExtras {
				return nil, errMalformed
			}
			if key != warrantKey {
				extra[key] = slices.Clone(list)
			}
		}
	}
	return extra, nil
}

// newIdentity refuses what is no user, and takes the reserved groups off.
func newIdentity(door string, trust Trust, info user.DefaultInfo) (*Identity, error) {
	if !printable(info.Name) || len(info.Groups) > maxGroups {
		return nil, errMalformed
	}
	if info.Name == user.Anonymous || strings.HasPrefix(info.Name, bindingPrefix) || slices.Contains(info.Groups, user.AllUnauthenticated) {
		return nil, errReservedIdentity
	}
	groups := make([]string, 0, len(info.Groups)+1)
	for _, group := range append(slices.Clone(info.Groups), user.AllAuthenticated) {
		if !printable(group) {
			return nil, errMalformed
		}
		if !reservedGroup(group) && !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	info.Groups = groups
	for _, list := range info.Extra {
		if slices.ContainsFunc(list, func(value string) bool { return len(value) > maxNameLength || !printableOrEmpty(value) }) {
			return nil, errMalformed
		}
	}
	return &Identity{DefaultInfo: info, door: door, trust: trust}, nil
}

func reservedGroup(group string) bool {
	return group == user.SystemPrivilegedGroup || strings.HasPrefix(group, "system:kcp:") || strings.HasPrefix(group, bindingPrefix)
}

func printable(s string) bool { return s != "" && len(s) <= maxNameLength && printableOrEmpty(s) }

// printableOrEmpty also refuses what is no UTF-8: on the way to kcp, every such name would become the same one.
func printableOrEmpty(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Authenticator hands the identity that the filter found on to the handler chain.
func Authenticator() authenticator.Request {
	return authenticator.RequestFunc(func(req *http.Request) (*authenticator.Response, bool, error) {
		identity, ok := IdentityFrom(req.Context())
		if !ok {
			return nil, false, nil
		}
		return &authenticator.Response{User: identity}, true, nil
	})
}
