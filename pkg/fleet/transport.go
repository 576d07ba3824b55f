// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kcp-dev/tmc/pkg/memberconfig"
)

// Bounds of a connection to a member.
const (
	maxHeaderBytes   = 64 << 10
	maxConnections   = 8 // with HTTP/1.1; with HTTP/2 there is one
	streamWindow     = 1 << 20
	connectionWindow = 4 << 20
	pingAfter        = 15 * time.Second
	pingTimeout      = 10 * time.Second
	idleTimeout      = 90 * time.Second
)

// caller makes calls to one member with one set of credentials.
type caller struct {
	server    string
	token     string
	transport *http.Transport
	client    *http.Client
	dials     atomic.Uint64 // how often a connection was made

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// newCaller prepares the calls; it makes none.
func newCaller(connection memberconfig.Connection, config *Config) (*caller, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(connection.CAData) {
		return nil, errors.New("reading the certificate authority: it holds no certificate")
	}
	tlsConfig := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if len(connection.ClientCertData) > 0 {
		pair, err := tls.X509KeyPair(connection.ClientCertData, connection.ClientKeyData)
		if err != nil {
			return nil, errors.New("reading the client certificate: it and its key cannot be parsed")
		}
		tlsConfig.Certificates = []tls.Certificate{pair}
	}
	c := &caller{server: connection.Server, token: connection.BearerToken, conns: map[net.Conn]struct{}{}}
	dialer := &net.Dialer{Timeout: config.ProbeTimeout, KeepAlive: pingAfter, ControlContext: config.Addresses.ControlContext}
	c.transport = &http.Transport{
		Proxy: nil, // neither the environment nor the kubeconfig may choose one
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return c.keep(conn)
		},
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    config.ProbeTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // so that small answers stay small
		MaxConnsPerHost:        maxConnections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingTimeout,
			MaxReceiveBufferPerStream:     streamWindow,
			MaxReceiveBufferPerConnection: connectionWindow,
		},
	}
	c.client = &http.Client{
		Transport:     c.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// get sends a GET and returns the answer if it is 200 and of the wanted type. The caller closes the body, and bounds
// the time by the context. What says what is asked for, for messages: "list pods".
func (c *caller) get(ctx context.Context, path, accept, what string) (*http.Response, error) {
	response, err := c.send(ctx, http.MethodGet, path, http.Header{"Accept": {accept}}, http.NoBody)
	if err != nil {
		return nil, err
	}
	if err := checkAnswer(response, accept, what); err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

// send sends a request and returns whatever the answer is. The caller closes the body.
func (c *caller) send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, body)
	if err != nil {
		return nil, fmt.Errorf("preparing a request: %w", err)
	}
	request.Header = header
	request.Header.Set("User-Agent", "tmc-apiserver")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.client.Do(request)
}

// checkAnswer makes sure that an answer is 200 and of the wanted type.
func checkAnswer(response *http.Response, accept, what string) error {
	if failed := checkStatus(response, what); failed != nil {
		return failed
	}
	wanted, _, _ := strings.Cut(accept, ";")
	if got, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(got), wanted) {
		return invalidResponse("the answer to %s is not %s, as that of a Kubernetes API server is", what, wanted)
	}
	return nil
}

// getAll reads a whole answer of bounded size.
func (c *caller) getAll(ctx context.Context, path, accept, what string, limit int64) ([]byte, *tls.ConnectionState, error) {
	response, err := c.get(ctx, path, accept, what)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(body)) > limit {
		return nil, nil, invalidResponse("the answer to %s is larger than %d bytes", what, limit)
	}
	return body, response.TLS, nil
}

// keep notes a connection, so that it can be closed.
func (c *caller) keep(conn net.Conn) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	c.dials.Add(1)
	kept := &keptConn{Conn: conn, caller: c}
	c.conns[kept] = struct{}{}
	return kept, nil
}

// connected says whether there is a connection.
func (c *caller) connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.conns) > 0
}

// close closes all connections at once. The transport alone would keep those whose streams are about to end.
func (c *caller) close() {
	c.mu.Lock()
	c.closed = true
	conns := make([]net.Conn, 0, len(c.conns))
	for conn := range c.conns {
		conns = append(conns, conn)
	}
	c.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close() // writes of copies alone may be cut off, and those can be repeated
	}
	c.transport.CloseIdleConnections()
}

// keptConn forgets itself when it is closed.
type keptConn struct {
	net.Conn

	caller *caller
}

// Close closes the connection.
func (k *keptConn) Close() error {
	k.caller.mu.Lock()
	delete(k.caller.conns, k)
	k.caller.mu.Unlock()
	return k.Conn.Close()
}
