// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/user"
)

// Trust says who vouches for a request.
type Trust string

const (
	// TrustNone is the trust of a request without a verified identity; it reads health endpoints and nothing else.
	TrustNone Trust = "none"
	// TrustShard is the trust of a kcp shard, which has authorized the request in the workspace that the path names.
	TrustShard Trust = "shard"
	// TrustUser is the trust of a user, whom kcp has yet to authorize.
	TrustUser Trust = "user"
)

// Names of the ways in.
const (
	// Front is the door of kcp shards, through their internal front-proxies.
	Front = "front"
	// Side is the door of users, through a public front-proxy.
	Side = "side"
	// Direct is the way of users who present their own client certificate.
	Direct = "direct"
	// NoDoor is where requests without a verified identity are counted.
	NoDoor = "none"
)

// Identity is the user of a request together with how the request came in. Only this package makes one, so a handler
// that finds one can rely on it.
type Identity struct {
	user.DefaultInfo
	door  string
	trust Trust
}

var _ user.Info = (*Identity)(nil)

// Door returns the name of the door that the request took.
func (i *Identity) Door() string { return i.door }

// Trust returns who vouches for the request.
func (i *Identity) Trust() Trust { return i.trust }

func anonymous() *Identity {
	return &Identity{
		DefaultInfo: user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}},
		door:        NoDoor,
		trust:       TrustNone,
	}
}

type identityKey struct{}

func withIdentity(ctx context.Context, identity *Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, identity)
}

// IdentityFrom returns the identity of a request that passed the filter, and whether it has one.
func IdentityFrom(ctx context.Context) (*Identity, bool) {
	identity, ok := ctx.Value(identityKey{}).(*Identity)
	return identity, ok
}
