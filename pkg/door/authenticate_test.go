// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kcp-dev/tmc/pkg/door/doortest"
)

const (
	frontUser, frontGroup, frontExtra = "X-Fp-Aa1-User", "X-Fp-Aa1-Group", "X-Fp-Aa1-Extra-"
	sideUser, sideGroup, sideExtra    = "X-Fp-Bb2-User", "X-Fp-Bb2-Group", "X-Fp-Bb2-Extra-"
)

type pki struct{ requestheader, clients, stranger *doortest.CA }

func newPKI(t testing.TB) pki {
	t.Helper()
	return pki{doortest.NewCA(t, "requestheader-ca"), doortest.NewCA(t, "client-ca"), doortest.NewCA(t, "stranger-ca")}
}

func (p pki) front() HeaderDoor {
	return HeaderDoor{
		Name: Front, VerifyOptions: p.requestheader.VerifyOptions, AllowedNames: []string{"proxy-front"},
		UserHeaders: []string{frontUser}, GroupHeaders: []string{frontGroup}, ExtraPrefixes: []string{frontExtra},
		ShardUsers: []string{"kcp-shard-root"},
	}
}

func (p pki) side() HeaderDoor {
	return HeaderDoor{
		Name: Side, VerifyOptions: p.requestheader.VerifyOptions, AllowedNames: []string{"proxy-side"},
		UserHeaders: []string{sideUser}, GroupHeaders: []string{sideGroup}, ExtraPrefixes: []string{sideExtra},
	}
}

func (p pki) doors(t testing.TB) *Doors {
	t.Helper()
	doors, err := NewDoors([]HeaderDoor{p.front(), p.side()}, p.clients.VerifyOptions)
	if err != nil {
		t.Fatalf("creating doors: %v", err)
	}
	return doors
}

func requestBy(leaf *doortest.Leaf, header http.Header) *http.Request {
	req := &http.Request{Header: header, TLS: &tls.ConnectionState{}}
	if leaf != nil {
		req.TLS.PeerCertificates = leaf.Peer()
	}
	return req
}

type seen struct {
	Door, Name string
	Trust      Trust
	Groups     []string
	Extra      map[string][]string
}

func see(identity *Identity) seen {
	return seen{identity.Door(), identity.GetName(), identity.Trust(), identity.GetGroups(), identity.GetExtra()}
}

func TestSEC01Identify(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	doors := p.doors(t)
	frontProxy, sideProxy := p.requestheader.Client(t, "proxy-front"), p.requestheader.Client(t, "proxy-side")
	alice := p.clients.Client(t, "alice", "devs", "system:masters", "system:kcp:admin")
	forgedProxy := p.clients.Client(t, "proxy-front")
	strangeProxy := p.stranger.Client(t, "proxy-front")
	otherName := p.requestheader.Client(t, "kcp-front-proxy")
	shardByClientCA := p.clients.Client(t, "kcp-shard-root")
	expired := p.requestheader.Sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "proxy-front"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
	})
	serving := p.requestheader.Sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "proxy-front"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	anonymousUser := p.clients.Client(t, "system:anonymous")
	authenticated := "system:authenticated"

	tests := map[string]struct {
		leaf   *doortest.Leaf
		header http.Header
		want   seen
		err    error
	}{
		"shard": {
			leaf: &frontProxy, header: http.Header{frontUser: {"kcp-shard-root"}, frontGroup: {"system:masters"}},
			want: seen{Door: Front, Name: "kcp-shard-root", Trust: TrustShard, Groups: []string{authenticated}},
		},
		"unknown shard is a user": {
			leaf: &frontProxy, header: http.Header{frontUser: {"kcp-shard-other"}},
			want: seen{Door: Front, Name: "kcp-shard-other", Trust: TrustUser, Groups: []string{authenticated}, Extra: map[string][]string{}},
		},
		"shard name in another case is a user": {
			leaf: &frontProxy, header: http.Header{frontUser: {"KCP-shard-root"}},
			want: seen{Door: Front, Name: "KCP-shard-root", Trust: TrustUser, Groups: []string{authenticated}, Extra: map[string][]string{}},
		},
		"user at the side door, SEC-03 groups": {leaf: &sideProxy, header: http.Header{
			sideUser:                    {"alice"},
			sideGroup:                   {"devs", "system:masters", "system:kcp:admin", "system:kcp:logical-cluster-admin", "apis.kcp.io:binding:devs", "devs", authenticated},
			sideExtra + "Scopes%2fkcp":  {"cluster:acme1"},
			"X-Fp-Bb2-Extra-" + "Plain": {"a", "b"},
			"X-Fp-Bb2-Extra-Authorization.kcp.io%2Fwarrant": {`{"user":"admin"}`},
		}, want: seen{
			Door: Side, Name: "alice", Trust: TrustUser, Groups: []string{"devs", authenticated},
			Extra: map[string][]string{"scopes/kcp": {"cluster:acme1"}, "plain": {"a", "b"}},
		}},
		"shard name at the side door is a user": {
			leaf: &sideProxy, header: http.Header{sideUser: {"kcp-shard-root"}},
			want: seen{Door: Side, Name: "kcp-shard-root", Trust: TrustUser, Groups: []string{authenticated}, Extra: map[string][]string{}},
		},
		"direct user, SEC-03 organizations": {
			leaf: &alice,
			want: seen{Door: Direct, Name: "alice", Trust: TrustUser, Groups: []string{"devs", authenticated}},
		},
		"headers of a direct user mean nothing": {
			leaf: &alice, header: http.Header{
				frontUser: {"kcp-shard-root"}, sideUser: {"admin"}, "X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"},
			},
			want: seen{Door: Direct, Name: "alice", Trust: TrustUser, Groups: []string{"devs", authenticated}},
		},
		"shard name by the client authority is a user": {
			leaf: &shardByClientCA,
			want: seen{Door: Direct, Name: "kcp-shard-root", Trust: TrustUser, Groups: []string{authenticated}},
		},

		"no certificate":                           {header: http.Header{frontUser: {"kcp-shard-root"}}, err: errNoCertificate},
		"proxy name by the client authority":       {leaf: &forgedProxy, header: http.Header{frontUser: {"kcp-shard-root"}}, err: errUntrusted},
		"proxy name by a strange authority":        {leaf: &strangeProxy, header: http.Header{frontUser: {"kcp-shard-root"}}, err: errUntrusted},
		"other name by the right authority":        {leaf: &otherName, header: http.Header{frontUser: {"kcp-shard-root"}}, err: errUntrusted},
		"expired certificate":                      {leaf: &expired, header: http.Header{frontUser: {"kcp-shard-root"}}, err: errUntrusted},
		"serving certificate":                      {leaf: &serving, header: http.Header{frontUser: {"kcp-shard-root"}}, err: errUntrusted},
		"side proxy with the front door's headers": {leaf: &sideProxy, header: http.Header{frontUser: {"kcp-shard-root"}}, err: errUserHeader},
		"front proxy with the side door's headers": {leaf: &frontProxy, header: http.Header{sideUser: {"alice"}}, err: errUserHeader},
		"standard headers":                         {leaf: &frontProxy, header: http.Header{"X-Remote-User": {"kcp-shard-root"}}, err: errUserHeader},
		"no user header":                           {leaf: &frontProxy, header: http.Header{}, err: errUserHeader},
		"two user headers":                         {leaf: &frontProxy, header: http.Header{frontUser: {"alice", "kcp-shard-root"}}, err: errUserHeader},
		"empty user":                               {leaf: &frontProxy, header: http.Header{frontUser: {""}}, err: errMalformed},
		"control character in the user":            {leaf: &sideProxy, header: http.Header{sideUser: {"ali\x00ce"}}, err: errMalformed},
		"user in no encoding":                      {leaf: &sideProxy, header: http.Header{sideUser: {"ali\xffce"}}, err: errMalformed},
		"group in no encoding":                     {leaf: &sideProxy, header: http.Header{sideUser: {"alice"}, sideGroup: {"dev\xfes"}}, err: errMalformed},
		"extra key in no encoding":                 {leaf: &sideProxy, header: http.Header{sideUser: {"alice"}, sideExtra + "K%ff": {"v"}}, err: errMalformed},
		"extra in no encoding":                     {leaf: &sideProxy, header: http.Header{sideUser: {"alice"}, sideExtra + "K": {"\xff"}}, err: errMalformed},
		"long user":                                {leaf: &sideProxy, header: http.Header{sideUser: {strings.Repeat("a", maxNameLength+1)}}, err: errMalformed},
		"too many groups":                          {leaf: &sideProxy, header: http.Header{sideUser: {"alice"}, sideGroup: make([]string, maxGroups+1)}, err: errMalformed},
		"empty group":                              {leaf: &sideProxy, header: http.Header{sideUser: {"alice"}, sideGroup: {""}}, err: errMalformed},
		"anonymous user":                           {leaf: &sideProxy, header: http.Header{sideUser: {"system:anonymous"}}, err: errReservedIdentity},
		"unauthenticated group":                    {leaf: &sideProxy, header: http.Header{sideUser: {"alice"}, sideGroup: {"system:unauthenticated"}}, err: errReservedIdentity},
		"binding user":                             {leaf: &sideProxy, header: http.Header{sideUser: {"apis.kcp.io:binding:alice"}}, err: errReservedIdentity},
		"anonymous by certificate":                 {leaf: &anonymousUser, err: errReservedIdentity},
		"malformed extra key":                      {leaf: &sideProxy, header: http.Header{sideUser: {"alice"}, sideExtra + "%Zz": {"v"}}, err: errMalformed},
		"extra without a key":                      {leaf: &sideProxy, header: http.Header{sideUser: {"alice"}, sideExtra: {"v"}}, err: errMalformed},
		"control character in an extra":            {leaf: &sideProxy, header: http.Header{sideUser: {"alice"}, sideExtra + "K": {"\x01"}}, err: errMalformed},
		"one extra key in two spellings":           {leaf: &sideProxy, header: http.Header{sideUser: {"alice"}, sideExtra + "K": {"a"}, sideExtra + "%6b": {"b"}}, err: errMalformed},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			identity, err := doors.Identify(requestBy(tc.leaf, tc.header))
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if tc.err != nil {
				if identity != nil {
					t.Fatalf("an error came with identity %v", identity)
				}
				return
			}
			if diff := cmp.Diff(tc.want, see(identity)); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

// What a client writes beside the proxy's own headers changes nothing, in whatever spelling.
func TestSEC01HeaderVariantsChangeNothing(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	doors := p.doors(t)
	sideProxy := p.requestheader.Client(t, "proxy-side")
	base := http.Header{sideUser: {"alice"}, sideGroup: {"devs"}}
	want, err := doors.Identify(requestBy(&sideProxy, base.Clone()))
	if err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string]http.Header{
		"underscores":           {"X_Fp_Bb2_User": {"kcp-shard-root"}, "X-Fp-Bb2_User": {"kcp-shard-root"}, "X_Fp_Bb2_Group": {"system:masters"}},
		"standard names":        {"X-Remote-User": {"kcp-shard-root"}, "X-Remote-Group": {"system:masters"}, "X-Remote-Extra-Scopes": {"x"}, "X-Remote-Uid": {"0"}},
		"other door":            {frontUser: {"kcp-shard-root"}, frontGroup: {"system:masters"}},
		"hop by hop":            {"Connection": {sideUser + ", " + frontUser, "close"}, "Keep-Alive": {"timeout=5"}, "Te": {"trailers"}},
		"forwarded":             {"X-Forwarded-User": {"kcp-shard-root"}, "X-Forwarded-Client-Cert": {"CN=proxy-front"}, "Forwarded": {"for=127.0.0.1"}},
		"not in canonical form": {"x-fp-aa1-user": {"kcp-shard-root"}},
		"bearer token":          {"Authorization": {"Bearer token"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := base.Clone()
			maps.Copy(header, forged)
			got, err := doors.Identify(requestBy(&sideProxy, header))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(see(want), see(got)); diff != "" {
				t.Errorf("identity changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIdentifyKeepsTheLimitOnExtras(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	sideProxy := p.requestheader.Client(t, "proxy-side")
	header := http.Header{sideUser: {"alice"}}
	for i := range maxExtras + 1 {
		header[sideExtra+fmt.Sprintf("K%d", i)] = []string{"v"}
	}
	if _, err := p.doors(t).Identify(requestBy(&sideProxy, header)); !errors.Is(err, errMalformed) {
		t.Errorf("error %v", err)
	}
}

func TestIntermediateAuthority(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	intermediate := p.requestheader.Intermediate(t, "intermediate")
	leaf := intermediate.Client(t, "proxy-side")
	req := requestBy(&leaf, http.Header{sideUser: {"alice"}})
	if _, err := p.doors(t).Identify(req); !errors.Is(err, errUntrusted) {
		t.Errorf("without the intermediate: %v", err)
	}
	req.TLS.PeerCertificates = append(req.TLS.PeerCertificates, intermediate.Certificate)
	if identity, err := p.doors(t).Identify(req); err != nil || identity.Door() != Side {
		t.Errorf("with the intermediate: %v, %v", identity, err)
	}
}

// A certificate authority that is not there lets nobody in.
func TestDoorWithoutAuthorityIsShut(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	front := p.front()
	for name, options := range map[string]func() (x509.VerifyOptions, bool){
		"not loaded": func() (x509.VerifyOptions, bool) { return x509.VerifyOptions{Roots: p.requestheader.Pool()}, false },
		// Without roots, verification would take those of the machine.
		"no roots": func() (x509.VerifyOptions, bool) { return x509.VerifyOptions{}, true },
	} {
		front.VerifyOptions = options
		doors, err := NewDoors([]HeaderDoor{front}, options)
		if err != nil {
			t.Fatal(err)
		}
		proxy, user := p.requestheader.Client(t, "proxy-front"), p.requestheader.Client(t, "alice")
		for _, leaf := range []*doortest.Leaf{&proxy, &user} {
			if identity, err := doors.Identify(requestBy(leaf, http.Header{frontUser: {"kcp-shard-root"}})); !errors.Is(err, errUntrusted) {
				t.Errorf("%s: %v, %v", name, identity, err)
			}
		}
	}
	doors, err := NewDoors([]HeaderDoor{p.front()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	alice := p.clients.Client(t, "alice")
	if _, err := doors.Identify(requestBy(&alice, nil)); !errors.Is(err, errUntrusted) {
		t.Errorf("direct without authority: %v", err)
	}
	if _, err := doors.Identify(&http.Request{}); !errors.Is(err, errNoCertificate) {
		t.Errorf("without TLS: %v", err)
	}
}

func TestNewDoorsRefuses(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	tests := map[string]struct {
		change func(front, side *HeaderDoor)
		want   string
	}{
		"no names":                  {func(f, _ *HeaderDoor) { f.AllowedNames = nil }, "no common names"},
		"an empty name":             {func(f, _ *HeaderDoor) { f.AllowedNames = []string{""} }, "name is empty"},
		"an empty shard":            {func(f, _ *HeaderDoor) { f.ShardUsers = []string{""} }, "name is empty"},
		"no authority":              {func(f, _ *HeaderDoor) { f.VerifyOptions = nil }, "no certificate authority"},
		"no user header":            {func(f, _ *HeaderDoor) { f.UserHeaders = nil }, "no header for the user"},
		"a header that is none":     {func(f, _ *HeaderDoor) { f.GroupHeaders = []string{"a b"} }, "not the name of a header"},
		"an empty header":           {func(f, _ *HeaderDoor) { f.UserHeaders = []string{""} }, "not the name of a header"},
		"one header for two things": {func(f, _ *HeaderDoor) { f.GroupHeaders = []string{"x-fp-aa1-user"} }, "configured twice"},
		"an empty prefix":           {func(f, _ *HeaderDoor) { f.ExtraPrefixes = []string{""} }, "not the prefix"},
		"a prefix of the user":      {func(f, _ *HeaderDoor) { f.ExtraPrefixes = []string{"x-fp-"} }, "includes the header"},
		"shards at the side door":   {func(_, s *HeaderDoor) { s.ShardUsers = []string{"kcp-shard-root"} }, "only known at the front door"},
		"one name at two doors":     {func(f, s *HeaderDoor) { s.AllowedNames = f.AllowedNames }, "more than one door"},
		"one door twice":            {func(_, s *HeaderDoor) { s.Name = Front }, "configured twice"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			front, side := p.front(), p.side()
			tc.change(&front, &side)
			if _, err := NewDoors([]HeaderDoor{front, side}, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
