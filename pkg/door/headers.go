// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
	"k8s.io/apimachinery/pkg/util/sets"
)

// HeaderDoor is a door at which a proxy with a verified client certificate names the user in headers.
type HeaderDoor struct {
	// Name is Front or Side.
	Name string
	// VerifyOptions returns the certificate authorities of the proxies' client certificates. It is asked anew for
	// each request, so that they can change while the server runs.
	VerifyOptions func() (x509.VerifyOptions, bool)
	// AllowedNames are the common names of the proxies' client certificates. It may not be empty.
	AllowedNames []string
	// UserHeaders are the names of the headers that carry the user. Exactly one value must be there over all of them.
	UserHeaders []string
	// GroupHeaders are the names of the headers that carry groups.
	GroupHeaders []string
	// ExtraPrefixes are the prefixes of the names of the headers that carry what else is known of the user.
	ExtraPrefixes []string
	// ShardUsers are the users that are kcp shards. It must be empty except at the front door.
	ShardUsers []string
}

// Validate reports every problem at once.
func (d HeaderDoor) Validate() error {
	var errs []error
	problem := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(d.Name+" door: "+format, args...))
	}
	if d.VerifyOptions == nil {
		problem("no certificate authority for client certificates is configured")
	}
	if len(d.AllowedNames) == 0 {
		problem("no common names of client certificates are allowed; an empty list would trust every certificate of the authority")
	}
	if len(d.UserHeaders) == 0 {
		problem("no header for the user name is configured")
	}
	if d.Name != Front && len(d.ShardUsers) > 0 {
		problem("shard users are only known at the %s door", Front)
	}
	for _, list := range [][]string{d.AllowedNames, d.ShardUsers} {
		if slices.Contains(list, "") {
			problem("an allowed name is empty")
		}
	}
	return errors.Join(errors.Join(errs...), d.ValidateHeaders())
}

// ValidateHeaders reports names of headers that are none, or that stand for two things.
func (d HeaderDoor) ValidateHeaders() error {
	var errs []error
	seen := sets.New[string]()
	for _, name := range slices.Concat(d.UserHeaders, d.GroupHeaders) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			errs = append(errs, fmt.Errorf("%s door: %q is not the name of a header", d.Name, name))
		case seen.Has(canonical):
			errs = append(errs, fmt.Errorf("%s door: the header %s is configured twice", d.Name, canonical))
		}
		seen.Insert(canonical)
	}
	for _, prefix := range d.ExtraPrefixes {
		if !httpguts.ValidHeaderFieldName(prefix) {
			errs = append(errs, fmt.Errorf("%s door: %q is not the prefix of a header", d.Name, prefix))
			continue
		}
		for name := range seen {
			if hasPrefixFold(name, prefix) {
				errs = append(errs, fmt.Errorf("%s door: the prefix %s for extra values includes the header %s", d.Name, prefix, name))
			}
		}
	}
	return errors.Join(errs...)
}

// user returns the values of the user headers.
func (d HeaderDoor) user(header http.Header) []string { return values(header, d.UserHeaders) }

// owns reports whether a header, in canonical form, carries identity at this door.
func (d HeaderDoor) owns(name string) bool {
	for _, own := range slices.Concat(d.UserHeaders, d.GroupHeaders) {
		if strings.EqualFold(name, own) {
			return true
		}
	}
	return slices.ContainsFunc(d.ExtraPrefixes, func(prefix string) bool { return hasPrefixFold(name, prefix) })
}

func values(header http.Header, names []string) []string {
	var all []string
	for _, name := range names {
		all = append(all, header.Values(name)...)
	}
	return all
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// impersonates reports whether any header asks to act as somebody else. Spellings that another server on the way could
// read as such a header count too.
func impersonates(header http.Header) bool {
	for name := range header {
		if hasPrefixFold(strings.ReplaceAll(name, "_", "-"), "impersonate-") {
			return true
		}
	}
	return false
}

// dropCredentials removes what is addressed to somebody else. A shard's own token is among it: no handler and no log
// may ever see it.
func dropCredentials(header http.Header) {
	for name := range header {
		switch strings.ToLower(strings.ReplaceAll(name, "_", "-")) {
		case "authorization", "proxy-authorization", "cookie":
			delete(header, name)
		}
	}
}

// dropIdentity removes the headers that carry identity at any door, and the standard ones that carry it elsewhere.
func dropIdentity(header http.Header, doors []HeaderDoor) {
	for name := range header {
		plain := strings.ReplaceAll(name, "_", "-")
		owned := slices.ContainsFunc(doors, func(d HeaderDoor) bool { return d.owns(name) || d.owns(plain) })
		if owned || hasPrefixFold(plain, "x-remote-") {
			delete(header, name)
		}
	}
}
