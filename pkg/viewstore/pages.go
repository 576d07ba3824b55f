// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package viewstore

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
)

// maxToken is the length up to which a continue token is looked at. The longest names make about 1,200 bytes.
const maxToken = 4096

// pages keeps the lists that are being read page by page, as they were at the first page.
type pages struct {
	limits Limits
	clock  clock.PassiveClock
	// key seals tokens. It lives as long as the process: tokens of another process are expired.
	key [32]byte

	mu      sync.Mutex
	last    uint64
	byID    map[uint64]*list.Element
	order   *list.List // of *kept, oldest first
	objects int
	perWS   map[logicalcluster.Name]int
}

type kept struct {
	id        uint64
	workspace logicalcluster.Name
	items     []*Object
	at        time.Time
}

// token is what a continue token says. It is sealed together with the selection, so that it is good for that one only.
type token struct {
	Start        uint64 `json:"s"`
	Snapshot     uint64 `json:"i,omitempty"`
	Revision     uint64 `json:"r,omitempty"`
	Offset       int    `json:"o,omitempty"`
	Inconsistent bool   `json:"x,omitempty"`
	Workspace    string `json:"w,omitempty"`
	Namespace    string `json:"ns,omitempty"`
	Name         string `json:"n,omitempty"`
}

func newPages(limits Limits, clock clock.PassiveClock) (*pages, error) {
	p := &pages{limits: limits, clock: clock, byID: map[uint64]*list.Element{}, order: list.New(), perWS: map[logicalcluster.Name]int{}}
	if _, err := rand.Read(p.key[:]); err != nil {
		return nil, fmt.Errorf("making the key of continue tokens: %w", err)
	}
	return p, nil
}

// keep keeps a list and returns its number. Older ones make room, those of the same workspace first.
func (p *pages) keep(ws logicalcluster.Name, items []*Object) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.perWS[ws] >= p.limits.SnapshotsPerWorkspace {
		for at := p.order.Front(); at != nil; at = at.Next() {
			if k, ok := at.Value.(*kept); ok && k.workspace == ws {
				p.drop(at)
				break
			}
		}
	}
	oldest := p.clock.Now().Add(-p.limits.SnapshotAge)
	for at := p.order.Front(); at != nil; at = p.order.Front() {
		k, _ := at.Value.(*kept)
		full := p.order.Len() >= p.limits.Snapshots || p.objects+len(items) > p.limits.SnapshotObjects
		if !full && !k.at.Before(oldest) {
			break
		}
		p.drop(at)
	}
	p.last++
	p.byID[p.last] = p.order.PushBack(&kept{id: p.last, workspace: ws, items: items, at: p.clock.Now()})
	p.objects += len(items)
	p.perWS[ws]++
	return p.last
}

func (p *pages) drop(at *list.Element) {
	k, _ := p.order.Remove(at).(*kept)
	delete(p.byID, k.id)
	p.objects -= len(k.items)
	if p.perWS[k.workspace]--; p.perWS[k.workspace] == 0 {
		delete(p.perWS, k.workspace)
	}
}

func (p *pages) find(id uint64) ([]*Object, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.byID[id]
	if !ok {
		return nil, false
	}
	k, _ := at.Value.(*kept)
	if k.at.Before(p.clock.Now().Add(-p.limits.SnapshotAge)) {
		p.drop(at)
		return nil, false
	}
	return k.items, true
}

func (p *pages) seal(selection *Selection, t token) (string, error) {
	payload, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("encoding a continue token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(p.sign(selection, payload)), nil
}

// sign returns the payload after its seal.
func (p *pages) sign(selection *Selection, payload []byte) []byte {
	mac := hmac.New(sha256.New, p.key[:])
	for _, part := range []string{selection.Workspace.String(), selection.Namespace, selection.Labels.String(), selection.Fields.String()} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	mac.Write(payload)
	return append(mac.Sum(nil), payload...)
}

// open reads a token. One of another process is expired; one that is not as it was given out, or that was given out
// for another workspace or another selector, is a bad request.
func (p *pages) open(selection *Selection, encoded string, revisions *Revisions) (token, error) {
	invalid := apierrors.NewBadRequest("continue token is not valid for this workspace and these selectors: list again without it")
	if len(encoded) > maxToken {
		return token{}, invalid
	}
	sealed, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(sealed) < sha256.Size {
		return token{}, invalid
	}
	payload := sealed[sha256.Size:]
	var t token
	if err := json.Unmarshal(payload, &t); err != nil {
		return token{}, invalid
	}
	if t.Start != revisions.Start() {
		return token{}, expired(t.Revision)
	}
	if !hmac.Equal(sealed, p.sign(selection, payload)) || t.Offset < 0 {
		return token{}, invalid
	}
	return t, nil
}

func sortedTenants(tenants map[logicalcluster.Name]*tenant) []*tenant {
	return slices.SortedFunc(maps.Values(tenants), func(a, b *tenant) int {
		return strings.Compare(a.workspace.String(), b.workspace.String())
	})
}
